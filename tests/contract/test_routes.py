"""What needs no compiler gives the same answers where compiled functions do its work: numbers, ranks and statuses.

One fit always takes the route in numpy (`hiddenpop.kernels.poisson.plain`), and nothing
that a user sets changes that. So the other route is taken here by force: every name that stands for a function of the
numpy route is bound to the compiled one.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from tests.contract.cases import TABLES, VARIANTS, label, make, quietly, tables
from tests.support.drawn import counts_by_history
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.description import describe
from hiddenpop.estimators.lower_bound import ChaoLowerBound
from hiddenpop.estimators.prepare import list_counts
from hiddenpop.kernels.poisson import lattice, plain
from hiddenpop.kernels.poisson.heterogeneity import (
    bias_corrected_counts,
    closed_design,
    face_of_design,
    fit_closed,
    independent_columns,
)
from hiddenpop.kernels.poisson.hidden_cells import fit_tables
from hiddenpop.model import HierarchicalModel, enumerate_models

SAME = 1e-9
MINIMUM = 1e-6
"""The place of a minimum is known to half the digits of its value."""

COMPILED: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "fit_one": (plain.fit_one, lattice.fit_one),
    "superset_sums": (plain.superset_sums, lattice.superset_sums),
    "fit_batch": (plain.fit_batch, lattice.fit_batch),
    "refit_deviances": (plain.refit_deviances, lattice.refit_deviances),
    "independent_terms": (plain.independent_terms, lattice.independent_terms),
    "ranks_of_people": (plain.ranks_of_people, lattice.ranks_of_people),
}
SPACES = {t: np.concatenate(list(enumerate_models(t))) for t in (2, 3, 4)}
NUMPY_ROUTE = {"hiddenpop.kernels.poisson.plain"}

NEEDS_NO_COMPILER = (
    "loglinear",
    "chao",
    "lincoln_petersen",
    "chapman",
    "sample_coverage",
    "closed_population",
)
MODELS = [("loglinear", (("model", "all-pairs"),)), ("loglinear", (("model", "all-pairs"), ("xi", 2.5)))]
CASES = [*(case for case in VARIANTS if case[0] in NEEDS_NO_COMPILER), *MODELS]


@contextmanager
def compiled_route() -> Iterator[Counter[str]]:
    """Bind every name of the numpy route to the compiled function; count the calls of each."""
    calls: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            calls[name] += 1
            return function(*given, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name, (by_numpy, compiled) in COMPILED.items():
            users = [m for m in list(sys.modules.values()) if getattr(m, name, None) is by_numpy]
            for module in users:
                if module.__name__.startswith("hiddenpop.") and module.__name__ not in NUMPY_ROUTE:
                    patch.setattr(module, name, counted(name, compiled))
        yield calls


def same(one: Any, other: Any, where: str = "") -> None:
    """Compare two results in plain form: numbers to 1e-9, everything else exactly."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for i, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f"{where}[{i}]")
    elif isinstance(one, float):
        digits = MINIMUM if where.endswith("profile_maximum") else SAME
        assert other == pytest.approx(one, rel=digits, abs=SAME, nan_ok=True), where
    else:
        assert one == other, where


def answer(case: Any, table: Any) -> Any:
    """Estimate with a seed, so that goodness of fit draws its tables too."""
    return quietly(make(case, table).fit, table, rng=1)


@pytest.mark.parametrize("table_name", [*TABLES, "hares"])
@pytest.mark.parametrize("case", CASES, ids=label)
def test_an_estimate_is_the_same_on_both_routes(case: Any, table_name: str) -> None:
    table = tables().get(table_name) or hp.datasets.load(table_name)
    by_numpy = answer(case, table)
    with compiled_route() as calls:
        compiled = answer(case, table)
    same(by_numpy.to_dict(show_small_counts=True), compiled.to_dict(show_small_counts=True))
    assert calls.keys() <= COMPILED.keys()
    if case[0] == "loglinear":
        assert calls["independent_terms"] > 0
        profiled = by_numpy.interval.method.startswith("profile")
        assert (calls["fit_one"] > 0) == profiled


@settings(max_examples=40, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
@given(counts_by_history(), st.data())
def test_any_model_of_any_table_is_the_same_on_both_routes(drawn: Any, data: Any) -> None:
    """Sparse tables, empty margins, faces, huge counts; at times odds ratios and a highest-order interaction."""
    n_lists, counts = drawn
    assume((plain.superset_sums(counts, n_lists)[1 << np.arange(n_lists)] > 0).sum() >= 2)
    table = quietly(table_of, counts)
    term_set = data.draw(st.sampled_from(SPACES[n_lists].tolist()))
    model = HierarchicalModel.from_term_set(term_set, n_lists)
    pair = data.draw(st.sampled_from([(), (("l0", "l1", 3.0),)])) if n_lists > 2 else ()
    estimator = hp.LogLinear(model=model, odds_ratios=pair, xi=data.draw(st.sampled_from([1.0, 0.2, 4.0])))
    by_numpy = quietly(estimator.fit, table)
    with compiled_route() as calls:
        compiled = quietly(estimator.fit, table)
    assert calls["independent_terms"] > 0
    same(by_numpy.to_dict(show_small_counts=True), compiled.to_dict(show_small_counts=True))


@pytest.mark.parametrize("table_name", [*TABLES, "uk_5", "new_orleans_185"])
def test_a_description_is_the_same_on_both_routes(table_name: str) -> None:
    table = tables().get(table_name) or hp.datasets.load(table_name)
    by_numpy = describe(table)
    with compiled_route() as calls:
        compiled = describe(table)
    same(by_numpy.to_dict(show_small_counts=True), compiled.to_dict(show_small_counts=True))
    assert by_numpy.text() == compiled.text()
    assert calls["fit_one"] > 0
    assert calls["fit_batch"] == (table.n_lists <= plain.MOST_LISTS)


# --- estimators that take their own formulas or designs, against compiled fits of the same model ---


def compiled_dark_figure(matrix: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Dark figure and deviance of a design by the compiled loop, on the face of the maximum."""
    _, on_face = face_of_design(matrix, counts > 0)
    design = np.ascontiguousarray(matrix[:, independent_columns(matrix[on_face])])
    start, offset = np.zeros(design.shape[1]), np.zeros(len(counts))
    found, deviances, converged = fit_tables(design, counts[None], on_face[None], start, offset)
    assert converged.all()
    return math.exp(found[0, -1]), float(deviances[0])


def pair_counts(estimator: Any, table: Any) -> np.ndarray:
    """Persons on the first of two lists alone, on the second alone, and on both."""
    first, second = (int(table.list_totals[name]) for name in estimator.lists)
    both = int(table.overlaps.loc[estimator.lists])
    return np.array([first - both, second - both, both], dtype=np.float64)


@pytest.mark.parametrize("table_name", ["kosovo", "rome_hiv", "hepatitis_a_taiwan", "allegheny"])
@pytest.mark.parametrize("name", ["lincoln_petersen", "chapman"])
def test_two_lists_are_an_independence_model(name: str, table_name: str) -> None:
    table = hp.datasets.load(table_name)
    estimator = make((name, ()), table)
    estimate, counts = quietly(estimator.fit, table), pair_counts(estimator, table)
    fitted = bias_corrected_counts(counts, 2) if name == "chapman" else counts
    n0, deviance = compiled_dark_figure(closed_design("Mt", ["a", "b"]).matrix, fitted)
    assert estimate.status == "ok"
    assert estimate.n_hat == pytest.approx(counts.sum() + n0, rel=SAME)
    assert deviance == pytest.approx(0.0, abs=SAME)


CLOSED = [
    case
    for case in VARIANTS
    if case[0] == "closed_population" and not {("model", "Mb"), ("model", "Mbh")} & set(case[1])
]


@pytest.mark.parametrize("table_name", [*TABLES, "hares"])
@pytest.mark.parametrize("case", CLOSED, ids=label)
def test_a_closed_population_is_a_poisson_fit_of_its_design(case: Any, table_name: str) -> None:
    table = tables().get(table_name) or hp.datasets.load(table_name)
    estimator = make(case, table)
    data, design, fit, _ = estimator._fitted(table)
    n0, deviance = compiled_dark_figure(design.matrix, data.counts[1:])
    assert fit.deviance == pytest.approx(deviance, rel=SAME, abs=SAME)
    if fit.status == "ok":
        assert fit.n0 == pytest.approx(n0, rel=SAME)


@pytest.mark.parametrize("table_name", [*TABLES, "hares"])
def test_the_lower_bound_is_a_poisson_fit_of_the_steps_that_are_left(table_name: str) -> None:
    table = tables().get(table_name) or hp.datasets.load(table_name)
    estimate, data = ChaoLowerBound().fit(table), list_counts(table, estimator="test")
    whole = closed_design("Mth", data.lists, "chao")
    left = whole.without([c for c in whole.etas if whole.names[c] not in estimate.details["etas"]])
    n0, deviance = compiled_dark_figure(left.matrix, data.counts[1:])
    assert estimate.details["deviance"] == pytest.approx(deviance, rel=SAME, abs=SAME)
    if estimate.status == "ok":
        assert estimate.n_hat == pytest.approx(table.n_observed + n0, rel=SAME)


@pytest.mark.parametrize("table_name", ["kosovo", "australia", "korea", "hares"])
def test_lists_that_differ_are_independence(table_name: str) -> None:
    table = tables().get(table_name) or hp.datasets.load(table_name)
    data = list_counts(table, estimator="test")
    mains = np.array([1 | sum(1 << (1 << i) for i in range(data.n_lists))], dtype=np.uint64)
    fit = lattice.fit_batch(data.counts, mains, data.n_lists)
    by_design = fit_closed(closed_design("Mt", data.lists), data.counts[1:])
    assert by_design.n0 == pytest.approx(fit.n0[0], rel=SAME)
    assert by_design.deviance == pytest.approx(fit.deviance[0], rel=SAME)
    assert hp.LogLinear().fit(table).n_hat == pytest.approx(data.n_observed + fit.n0[0], rel=SAME)
