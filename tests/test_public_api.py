"""The public face: names, signatures and defaults. A change here is a change for every user, made on purpose."""

import inspect
import subprocess
import sys
import types

import pytest

import hiddenpop

NAMES = [
    "AveragedLogLinear",
    "BayesianLogLinear",
    "BayesianModelAveraging",
    "Bootstrapped",
    "CaptureTable",
    "ChaoLowerBound",
    "Chapman",
    "ClosedPopulation",
    "Comparison",
    "CovariateLogLinear",
    "Coverage",
    "DecomposableAveraging",
    "Diagnostic",
    "Estimate",
    "Estimator",
    "HierarchicalModel",
    "IdentifiedPosterior",
    "Interval",
    "LatentClass",
    "LincolnPetersen",
    "LogLinear",
    "PooledLogLinear",
    "SampleCoverage",
    "SelectedCovariateLogLinear",
    "SelectedLogLinear",
    "Stratified",
    "TableDescription",
    "ThresholdedLogLinear",
    "compare",
    "datasets",
    "describe",
    "errors",
    "estimate",
    "parallel",
    "standard_panel",
]

ROOMS = ["monitor", "report", "runs", "sensitivity", "synthetic", "validation"]
"""Rooms that are imported when first asked for: `hp.sensitivity.standard` without another import."""

SIGNATURES = {
    "AveragedLogLinear": (
        "(*, criterion='aic', max_order=None, admissible='finite', count='all', search='exhaustive', outside=0.001, "
        "max_fits=200000, level=0.95, odds_ratios=(), xi=1.0)"
    ),
    "BayesianLogLinear": (
        "(*, order=2, prior_family='normal', odds_ratio=10.0, n_active=None, global_scale=None, main_effect_sd=10.0, "
        "prior='reciprocal', strata='collapse', structural_zeros=(), n_draws=1000, n_tune=1000, n_chains=4, "
        "target_accept=0.95, backend='nutpie', level=0.95)"
    ),
    "BayesianModelAveraging": (
        "(*, odds_ratio=10.0, main_effect_sd=10.0, max_order=None, prior='reciprocal', inclusion=None, n_draws=10000,"
        " level=0.95)"
    ),
    "ChaoLowerBound": "(*, list_effects=True, interval='profile', one_sided=False, level=0.95)",
    "Chapman": "(*, lists=None, interval='profile', level=0.95)",
    "ClosedPopulation": (
        "(*, model='Mth', heterogeneity=None, theta=None, bias_corrected=False, interval='profile', level=0.95)"
    ),
    "Comparison": "(labels, estimates, left_out=<factory>, seed=None, seed_drawn=False)",
    "Coverage": "(list, covariate, levels)",
    "CovariateLogLinear": (
        "(*, model='main-effects', coding=(), levels=(), combinations='crossed', structural_zeros=(), "
        "interval='bootstrap', limits_of='persons', n_boot=1000, level=0.95, odds_ratios=(), xi=1.0)"
    ),
    "DecomposableAveraging": (
        "(*, delta='2^-K', prior='reciprocal', log_prior=None, link_weight=1.0, graph_prior=None, n_missing=None, "
        "max_missing=None, n_draws=4000, level=0.95)"
    ),
    "Diagnostic": "(name, level, message, value=None, sizes=(), template='')",
    "Estimate": (
        "(*, n_hat, n_observed, interval, status, estimator, table, reason='', n_failed=0, diagnostics=(), draws=None, "
        "draws_are='', stratum_draws=None, by_stratum=<factory>, provenance=<factory>, details=<factory>, protected=())"
    ),
    "HierarchicalModel": "(n_lists, generators)",
    "IdentifiedPosterior": (
        "(*, assumption='no_highest_order', lists=None, xi=1.0, prior_count=0.5, cells=None, "
        "n_draws=10000, level=0.95)"
    ),
    "Interval": "(low, high, level, method)",
    "LatentClass": (
        "(*, n_classes=10, sampler='tempering', prior='reciprocal', concentration_prior=(0.25, 0.25), n_draws=2000, "
        "n_tune=500, n_chains=4, n_temperatures=14, lowest_power=0.08, n_sweeps=None, target_accept=None, "
        "backend='nutpie', level=0.95)"
    ),
    "LincolnPetersen": "(*, lists=None, interval='profile', level=0.95, odds_ratios=())",
    "LogLinear": "(*, model='independence', interval='profile', level=0.95, odds_ratios=(), xi=1.0)",
    "PooledLogLinear": (
        "(*, place=None, year=None, region=None, places=None, residents=None, order=2, odds_ratio=10.0, spread=5.0, "
        "interaction_spread=2.0, size_spread=100.0, year_step=2.0, main_effect_sd=10.0, level_prior=None, "
        "n_draws=2000, n_tune=500, n_chains=4, target_accept=0.9, backend='nutpie', level=0.95)"
    ),
    "SampleCoverage": "(*, variant='high', interval='by_coverage', n_boot=None, level=0.95)",
    "SelectedCovariateLogLinear": (
        "(*, minimal='main-effects', maximal='all-pairs', criterion='bic', coding=(), levels=(), "
        "combinations='crossed', structural_zeros=(), interval='bootstrap', limits_of='persons', "
        "n_boot=1000, level=0.95)"
    ),
    "SelectedLogLinear": (
        "(*, criterion='bic', max_order=None, search='exact', admissible='finite', count='all', p_threshold=0.02, "
        "max_fits=200000, n_steps=20000, interval='profile', level=0.95, "
        "odds_ratios=(), xi=1.0)"
    ),
    "Stratified": "(*, base=<factory>, by=(), without_estimate='none', level=0.95)",
    "ThresholdedLogLinear": (
        "(*, threshold=2.0, order=2, prior_variance=1.0, main_effect_sd=None, prior='reciprocal', n_draws=4000, "
        "n_tune=500, n_chains=4, level=0.95)"
    ),
    "compare": "(table, estimators, *, rng=None)",
    "estimate": "(table, estimator=None, *, rng=None, **settings)",
}

MEMBERS = {
    "CaptureTable": {
        "capture_frequencies",
        "censored",
        "collapse",
        "counts",
        "coverage",
        "drop_list",
        "empty_lists",
        "empty_overlaps",
        "fingerprint",
        "from_counts",
        "from_indicators",
        "from_memberships",
        "from_registrations",
        "has_censored",
        "has_gaps",
        "has_strata",
        "histories",
        "list_totals",
        "lists",
        "merge_lists",
        "n_lists",
        "n_observed",
        "name",
        "operating",
        "overlaps",
        "plot",
        "population",
        "public",
        "read",
        "reading",
        "rename",
        "resample",
        "select",
        "split",
        "strata",
        "summary",
        "to_dense",
        "to_frame",
        "with_meta",
        "write",
    },
    "Comparison": {
        "disagreements",
        "estimates",
        "labels",
        "left_out",
        "plot",
        "seed",
        "seed_drawn",
        "sentence",
        "text",
        "to_frame",
    },
    "Estimate": {
        "by_stratum",
        "convergence",
        "details",
        "diagnostics",
        "draws",
        "draws_are",
        "estimator",
        "fitted_model",
        "from_dict",
        "in_words",
        "hidden_share",
        "idata",
        "interval",
        "model",
        "n_failed",
        "n_hat",
        "n_hidden",
        "n_observed",
        "ok",
        "persons_in_words",
        "plot",
        "protected",
        "provenance",
        "reason",
        "require_ok",
        "resamples",
        "selection",
        "spread",
        "standard_error",
        "status",
        "stratum_draws",
        "summary",
        "table",
        "to_dict",
        "to_frame",
    },
    "HierarchicalModel": {
        "all_pairs",
        "from_term_set",
        "generators",
        "independence",
        "is_saturated",
        "n_lists",
        "n_parameters",
        "order",
        "parse",
        "restrict",
        "term_set",
        "terms",
        "to_formula",
    },
    "Interval": {"high", "level", "low", "method", "width"},
}

METHODS = {
    ("CaptureTable", "from_counts"): (
        "(frame, lists=None, count='count', strata=(), censored=None, *, name='table', population='', public=False, "
        "coverage=None)"
    ),
    ("CaptureTable", "from_indicators"): (
        "(frame, lists=None, strata=(), *, name='table', population='', public=False, coverage=None)"
    ),
    ("CaptureTable", "from_memberships"): (
        "(memberships, lists=None, *, name='table', population='', public=False, coverage=None)"
    ),
    ("CaptureTable", "from_registrations"): (
        "(frame, person, list, strata=(), lists=None, *, conflicts='error', date=None, name='table', population='', "
        "public=False, coverage=None)"
    ),
    ("CaptureTable", "drop_list"): "(self, *names)",
    ("CaptureTable", "merge_lists"): "(self, mapping)",
    ("CaptureTable", "collapse"): "(self, *covariates)",
    ("CaptureTable", "select"): "(self, **levels)",
    ("CaptureTable", "rename"): "(self, names)",
    ("CaptureTable", "resample"): "(self, rng=None)",
    ("Estimate", "to_dict"): "(self, *, show_small_counts=False)",
    ("Estimate", "from_dict"): "(data)",
    ("Estimate", "plot"): "(self, ax=None)",
    ("Comparison", "plot"): "(self, ax=None)",
    ("HierarchicalModel", "parse"): "(text, *, lists=None, n_lists=None)",
}

ESTIMATORS = [name for name in SIGNATURES if hasattr(getattr(hiddenpop, name), "fit")]


def bare(function):
    """Write a signature with names, kinds and defaults, without annotations."""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def test_the_public_names_are_these():
    assert sorted(NAMES) == NAMES
    assert hiddenpop.__all__ == NAMES
    assert dir(hiddenpop) == sorted([*NAMES, *ROOMS])


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_documented(name):
    found = getattr(hiddenpop, name)
    assert isinstance(found, types.ModuleType) or callable(found)
    assert inspect.getdoc(found)


@pytest.mark.parametrize(("name", "signature"), SIGNATURES.items())
def test_signatures_and_defaults(name, signature):
    assert bare(getattr(hiddenpop, name)) == signature


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_fitted_the_same_way(name):
    assert bare(getattr(hiddenpop, name).fit) == "(self, table, *, rng=None)"


@pytest.mark.parametrize(("name", "members"), MEMBERS.items())
def test_members_of_the_types_that_cross_room_borders(name, members):
    assert {member for member in dir(getattr(hiddenpop, name)) if not member.startswith("_")} == members


@pytest.mark.parametrize(("owner", "method"), METHODS)
def test_signatures_of_methods(owner, method):
    assert bare(getattr(getattr(hiddenpop, owner), method)) == METHODS[owner, method]


def test_estimators_have_their_signatures_pinned():
    assert len(ESTIMATORS) == 18


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hiddenpop' has no attribute 'nonsense'"):
        hiddenpop.nonsense  # noqa: B018


def test_a_name_misspelt_is_refused_with_the_one_that_is_near():
    with pytest.raises(
        AttributeError, match="no attribute 'Bootstraped'; did you mean 'Bootstrapped'"
    ) as refused:
        hiddenpop.Bootstraped  # noqa: B018
    assert refused.value.name == "Bootstraped"


def test_a_type_checker_knows_every_public_name_and_no_other(tmp_path):
    script = tmp_path / "misspelt.py"
    names = "; ".join(f"hiddenpop.{name}" for name in [*NAMES, *ROOMS, "Bootstraped"])
    script.write_text(f"import hiddenpop\n{names}\n", encoding="utf-8")
    # What the package imports is not followed: its names are known without that, and the check takes seconds.
    options = ["--follow-imports=skip", f"--cache-dir={tmp_path}", "--config-file="]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, hiddenpop.__file__, script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line.split(": ", 1)[1] for line in checked.stdout.splitlines() if "error:" in line] == [
        'error: Module has no attribute "Bootstraped"; maybe "Bootstrapped"?  [attr-defined]'
    ]


def test_a_star_import_gives_the_public_names():
    script = "from hiddenpop import *; print(sorted(n for n in dir() if not n.startswith('_')))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == str(NAMES)


def test_the_version_is_a_release_number():
    assert [part.isdigit() for part in hiddenpop.__version__.split(".")] == [True, True, True]
