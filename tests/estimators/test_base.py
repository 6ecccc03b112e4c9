"""What estimators tell of themselves: complete, true to what `fit` does, and enough for every other room."""

import ast
import dataclasses
import json
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.contract.cases import (
    SAMPLED,
    SEED,
    TABLES,
    VARIANTS,
    label,
    make,
    quietly,
    table_of,
    tables,
)
from tests.support.toys import Multiple, Silent, Widened

import hiddenpop as hp
from hiddenpop.cli import main
from hiddenpop.errors import HiddenpopError, UnknownNameError
from hiddenpop.estimators.base import BaseEstimator, Facts, contract, interval_kind, read_facts
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import ESTIMATORS
from hiddenpop.report.answers import model_uncertainty
from hiddenpop.result import EstimatorSpec
from hiddenpop.runs import read_plan, run
from hiddenpop.runs.sections import refusal
from hiddenpop.sensitivity import CHECKS, build_check
from hiddenpop.serial import to_jsonable
from hiddenpop.synthetic import LIBRARY
from hiddenpop.validation import study
from hiddenpop.validation.assumptions import broken_assumptions, is_lower_bound

KOSOVO, KOREA = hp.datasets.load("kosovo"), hp.datasets.load("korea")
PACKAGE = Path(hp.__file__).parent


# --- facts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VARIANTS, ids=label)
def test_every_estimator_tells_all_there_is_to_know(case: Any) -> None:
    estimator = make(case, KOSOVO)
    assert isinstance(estimator, BaseEstimator)
    facts = estimator.facts
    assert facts.assumes
    assert "unknown" not in (*facts.assumes, facts.model_is)
    assert facts.other_priors is not None
    assert estimator.strata_of(KOSOVO) == () or case[0] == "pooled"
    assert "nothing is known" not in " ".join(estimator.violated(LIBRARY["rasch-three"]))


@pytest.mark.parametrize("case", VARIANTS, ids=label)
def test_what_is_written_down_has_the_same_facts(case: Any) -> None:
    estimator = make(case, KOSOVO)
    spec = spec_of(estimator)
    assert read_facts(spec) == estimator.facts
    again = EstimatorSpec(spec.name, json.loads(json.dumps(to_jsonable(spec.settings))))
    assert read_facts(again) == estimator.facts


def test_of_one_that_is_not_registered_nothing_is_claimed_and_nothing_imported() -> None:
    foreign = {"name": "no_such_module:Anything", "settings": {}}
    assert read_facts(EstimatorSpec("no_such_module:Anything", {})) == Facts()
    around = read_facts(EstimatorSpec("bootstrapped", {"base": foreign, "scheme": "multinomial"}))
    assert (around.model_is, around.keeps_number_observed) == ("unknown", True)
    assert around.assumes == ("as_inside", "many_resamples", "unknown")
    assert read_facts(EstimatorSpec("chao", {"setting_of_tomorrow": 1})) == Facts()


@pytest.mark.parametrize(
    ("estimator", "model_is", "is_bound"),
    [
        (hp.LogLinear(), "given", False),
        (hp.Bootstrapped(), "repeated", False),
        (hp.Bootstrapped(base=hp.LogLinear()), "given", False),
        (hp.Bootstrapped(base=hp.Stratified()), "repeated", False),
        (hp.Stratified(base=hp.Bootstrapped()), "repeated", False),
        (hp.Stratified(base=hp.ChaoLowerBound()), "given", True),
        (hp.Bootstrapped(base=hp.ChaoLowerBound()), "given", True),
        (hp.Bootstrapped(base=Silent()), "unknown", False),
        (hp.ClosedPopulation(model="Mh"), "given", True),
        (hp.ClosedPopulation(model="Mt"), "given", False),
    ],
)
def test_wrappers_combine_what_is_true_of_the_inner_estimator(
    estimator: Any, model_is: str, is_bound: bool
) -> None:
    assert (estimator.facts.model_is, estimator.facts.is_bound) == (model_is, is_bound)


# --- settings through wrappers ----------------------------------------------------------------------------------------


def test_settings_are_reached_through_wrappers_whatever_they_are_called() -> None:
    wrapped = hp.Bootstrapped(base=Widened(inside=hp.LogLinear()), n_boot=400)
    changed = wrapped.with_settings(model="all-pairs", share=2.0, n_boot=500)
    assert (changed.n_boot, changed.base.share, changed.base.inside.model) == (500, 2.0, "all-pairs")
    assert changed.innermost == hp.LogLinear(model="all-pairs")
    assert changed.with_innermost(Silent()).base.inside == Silent()
    assert wrapped.holder("model") == hp.LogLinear()
    assert wrapped.holder("theta") is None
    with pytest.raises(UnknownNameError, match=r"no setting of loglinear 'modell'.*'model'"):
        wrapped.with_settings(modell="all-pairs")


def test_a_wrapper_that_inherits_nothing_is_reached_through_as_well() -> None:
    told = contract(Silent(base=hp.LogLinear()))
    assert told.inner == hp.LogLinear()
    assert told.with_settings(model="all-pairs") == Silent(base=hp.LogLinear(model="all-pairs"))
    assert (told.facts, told.strata_of(KOREA), told.for_real_counts) == (Facts(), None, None)
    assert refusal(Silent(), KOREA.drop_list(KOREA.lists[0])) == ""


# --- prepare: what fit refuses, and nothing else ----------------------------------------------------------------------


def outcome(what: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        quietly(what, *args, **kwargs)
    except HiddenpopError as error:
        return type(error), str(error)
    return None


def frame(counts: tuple[int, ...]) -> hp.CaptureTable:
    return table_of(counts, ("a", "b", "c"))


def wide(n_lists: int) -> hp.CaptureTable:
    """Everybody on one list, or on two neighbours."""
    names = [f"l{i:02}" for i in range(n_lists)]
    members = [[name] for name in names for _ in range(12)]
    members += [[one, other] for one, other in pairwise(names) for _ in range(4)]
    return hp.CaptureTable.from_memberships(members, lists=names, public=True, name="wide")


def gap() -> hp.CaptureTable:
    return LIBRARY["gap-region-three"].resized(400).draw(rng=1)


REFUSED = {
    "one list": lambda: table_of((0, 30), ("a",)),
    "two lists": lambda: KOSOVO.drop_list(*KOSOVO.lists[2:]),
    "an empty list": lambda: frame((0, 30, 20, 10, 0, 0, 0, 0)),
    "all but one list empty": lambda: table_of((0, 30, 0, 0), ("a", "b")),
    "eight lists": lambda: hp.datasets.load("new_orleans_185"),
    "ten lists": lambda: wide(10),
    "seventeen lists": lambda: wide(17),
    "a gap": gap,
    "bounds": lambda: dataclasses.replace(KOSOVO, censored=KOSOVO.counts < 10),
}


@pytest.mark.parametrize("table_name", TABLES)
@pytest.mark.parametrize("case", VARIANTS, ids=label)
def test_a_table_that_is_fitted_is_not_refused(case: Any, table_name: str) -> None:
    # That each of them is fitted, tests/contract shows.
    table = tables()[table_name]
    assert outcome(make(case, table).prepare, table) is None


ONLY_BY_FITTING = {("averaged-search=exact", "eight lists"): "models lie within"}
"""What no count of lists tells: so many models are about as good as the best that they cannot be listed."""

WIDE = ("eight lists", "ten lists", "seventeen lists")


def is_quick(case: Any, table_name: str) -> bool:
    """Whether a fit takes no minutes: no chains, no cells of many lists, no proof in each resample."""
    long = case[0].startswith("covariate") or case[0] == "bootstrapped"
    return case[0] not in SAMPLED and not (long and table_name in WIDE)


@pytest.mark.parametrize("table_name", REFUSED)
@pytest.mark.parametrize("case", VARIANTS, ids=label)
def test_what_is_refused_is_what_the_fit_refuses(case: Any, table_name: str) -> None:
    table = REFUSED[table_name]()
    estimator = make(case, table)
    told = outcome(estimator.prepare, table)
    if (label(case), table_name) in ONLY_BY_FITTING:
        assert told is None
        assert ONLY_BY_FITTING[label(case), table_name] in outcome(estimator.fit, table, rng=SEED)[1]
    elif told is None and is_quick(case, table_name):
        assert outcome(estimator.fit, table, rng=SEED) is None
    elif told is not None:
        assert outcome(estimator.fit, table, rng=SEED) == told


def is_endless(case: Any, table_name: str) -> bool:
    """Whether it is fitted in a quarter of an hour: a model of covariates on the 131,071 cells of 17 lists."""
    return case[0].startswith("covariate") and table_name == "seventeen lists"


SLOW = [(c, t) for c in VARIANTS for t in REFUSED if not is_quick(c, t) and not is_endless(c, t)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "table_name"), SLOW, ids=lambda part: label(part) if isinstance(part, tuple) else part
)
def test_what_is_not_refused_is_fitted(case: Any, table_name: str) -> None:
    table = REFUSED[table_name]()
    estimator = make(case, table)
    if outcome(estimator.prepare, table) is None:
        assert outcome(estimator.fit, table, rng=SEED) is None


@pytest.mark.parametrize("case", VARIANTS, ids=label)
def test_what_is_no_table_is_refused_in_the_same_words(case: Any) -> None:
    estimator = make(case, KOREA)
    told = outcome(estimator.prepare, "a table")
    assert told is not None
    assert outcome(estimator.fit, "a table", rng=SEED) == told


@pytest.mark.parametrize(
    "estimator",
    [
        hp.Bootstrapped(base=hp.Chapman(), n_boot=200),
        hp.Bootstrapped(base=hp.ChaoLowerBound(), scheme="parametric", n_boot=200),
        hp.Stratified(base=hp.Chapman()),
        hp.Stratified(by=("sex",)),
        hp.Bootstrapped(base=hp.Stratified(by=("sex",)), n_boot=200),
        hp.IdentifiedPosterior(cells=hp.BayesianLogLinear(order=2, structural_zeros=("EXH*UN",))),
        hp.LogLinear(model="[12,9]"),
        hp.LogLinear(odds_ratios={("EXH", "UN"): 2.0}),
        hp.SelectedLogLinear(search="mc3", odds_ratios=dict.fromkeys(combinations(KOSOVO.lists, 2), 2.0)),
        hp.CovariateLogLinear(model="EXH*region + ABA"),
        hp.SelectedCovariateLogLinear(minimal="EXH*ABA + OSCE + HRW", maximal="main-effects"),
        hp.BayesianLogLinear(prior_family="horseshoe", n_active=50.0),
        hp.DecomposableAveraging(prior="uniform"),
        hp.PooledLogLinear(place="town"),
        Widened(inside=hp.Chapman()),
    ],
    ids=lambda estimator: estimator.name,
)
def test_settings_that_a_table_cannot_have_are_refused_in_the_same_words(estimator: Any) -> None:
    told = outcome(estimator.prepare, KOSOVO)
    assert told is not None
    assert outcome(estimator.fit, KOSOVO, rng=SEED) == told


# --- toys through every room ------------------------------------------------------------------------------------------

PLAN = f"""
[analysis]
title = "Toys"
question = "How many were there?"
population = "Korean women held at Palembang"
seed = 1

[data]
table = "korea"

[[estimator]]
label = "toy"
name = "{Multiple.name}"
times = 3.0

[[estimator]]
label = "wrapped"
name = "{Widened.name}"
inside = {{ name = "{Multiple.name}" }}

[[estimator]]
label = "resampled"
name = "bootstrapped"
n_boot = 60
level = 0.8
base = {{ name = "{Widened.name}" }}

[choice]
estimator = "resampled"
why = "It is a toy."

[sensitivity]
claim = "more than 100"
checks = ["list_influence"]

[report]
formats = ["html"]
"""


def test_toys_go_through_a_run_and_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    done = run(tmp_path / "plan.toml", trust=True, workers=1)
    found = done.found.estimates
    assert (found["toy"].n_hat, found["wrapped"].n_hat) == (3.0 * KOREA.n_observed, 2.0 * KOREA.n_observed)
    assert found["resampled"].n_hat == 2.0 * KOREA.n_observed
    html = next(done.folder.rglob("*.html")).read_text(encoding="utf-8")
    assert "What it assumes is not known here" in html
    assert "is not told by the method" in html
    assert main(["reproduce", str(done.folder), "--trust", "--workers", "1"]) == 0
    capsys.readouterr()


def test_a_plan_is_refused_for_what_a_toy_refuses(tmp_path: Path) -> None:
    two = PLAN.replace('table = "korea"', f'table = "korea"\ndrop_lists = ["{KOREA.lists[0]}"]')
    (tmp_path / "plan.toml").write_text(two)
    with pytest.raises(HiddenpopError, match=r"toy.*I want three"):
        read_plan(tmp_path / "plan.toml", trust=True)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("toy", [Multiple(), Widened(), Widened(inside=hp.LogLinear()), Silent()], ids=repr)
def test_toys_go_through_every_check(toy: Any, check: str) -> None:
    result = build_check(check, {}).run(toy, KOREA, rng=1)
    assert result.passed is not None or result.text


def test_checks_reach_what_a_toy_wraps() -> None:
    toy = Widened(inside=hp.LogLinear())
    sweep = build_check("dependence_sweep", {"odds_ratios": (0.5, 2.0)}).run(toy, KOREA, rng=1)
    plain = build_check("dependence_sweep", {"odds_ratios": (0.5, 2.0)}).run(hp.LogLinear(), KOREA, rng=1)
    assert sweep.n_points > 0
    assert sweep.table["n_hat"].tolist() == plain.table["n_hat"].tolist()
    assert "has no prior" in build_check("prior", {}).run(Multiple(), KOREA, rng=1).text


def test_toys_go_through_a_study() -> None:
    toys = {"toy": Multiple(times=1.5), "wrapped": Widened(inside=Multiple(times=1.5)), "silent": Silent()}
    result = study(toys, ["independent-three"], n_rep=5, rng=1)
    frame = result.replicates
    assert set(frame["estimator"]) == set(toys)
    assert broken_assumptions(Multiple(), LIBRARY["independent-three"]) == ()
    assert "independent" in broken_assumptions(Multiple(), LIBRARY["one-pair-three"])[0]
    assert broken_assumptions(Silent(), LIBRARY["independent-three"])[0].startswith(
        "nothing is known of what"
    )
    assert not is_lower_bound(Multiple(), LIBRARY["rasch-three"])


def test_toys_go_through_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "korea", "--estimator", Multiple.name, "--set", "times=3", "--trust"]) == 0
    assert f"{3 * KOREA.n_observed:,}" in capsys.readouterr().out
    command = [
        "sensitivity",
        "korea",
        "--estimator",
        Widened.name,
        "--trust",
        "--workers",
        "1",
        "--seed",
        "1",
    ]
    assert main(command) == 0
    assert Widened.name in capsys.readouterr().out


def test_what_a_toy_does_not_tell_the_report_does_not_claim() -> None:
    estimate = Silent().fit(KOREA)
    assert (interval_kind(estimate), model_uncertainty(estimate)) == ("unknown", "model_unknown")


# --- nobody else knows an estimator by name ---------------------------------------------------------------------------

OWN_FILE = {path.partition(":")[2]: path.partition(":")[0] for path in ESTIMATORS.values()}
MAY_NAME_ALL = {"hiddenpop", "hiddenpop.estimators.registry", "hiddenpop.validation.standard"}


def named_in(source: str) -> set[str]:
    """Classes of estimators that code names; what docstrings and messages say is for readers."""
    tree = ast.parse(source)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    return names & set(OWN_FILE)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_no_estimator_is_named_outside_its_file() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = module_of(path)
        for name in named_in(path.read_text(encoding="utf-8")) if module not in MAY_NAME_ALL else ():
            if OWN_FILE[name] != module:
                wrong.append(f"{module} names {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "planted",
    [
        "from hiddenpop.estimators.loglinear import LogLinear",
        "import hiddenpop as hp\nhp.LogLinear()",
        "def f(e):\n    return isinstance(e, LogLinear)",
    ],
)
def test_a_planted_name_is_seen(planted: str) -> None:
    assert named_in(planted) == {"LogLinear"}
    assert named_in('"""As `LogLinear`."""\nraise ValueError("take LogLinear()")') == set()
