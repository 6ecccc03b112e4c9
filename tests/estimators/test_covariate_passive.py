import itertools
import warnings

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.errors import HiddenpopWarning, UnknownNameError
from hiddenpop.estimators.covariate_formula import CovariateModel
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.estimators.covariate_outcome import passive_covariates
from hiddenpop.table import CaptureTable

LISTS, COVARIATES, LEVELS = ("A", "B", "C"), ("u", "v", "w"), (2, 3, 2)
COARSE = "touches v, whose columns give not every level a coefficient"
FACTORS = (*LISTS, *COVARIATES)


def random_table(seed, zero=""):
    """Persons in every cell of three lists and three covariates, except where a combination cannot be."""
    rng = np.random.default_rng(seed)
    grid = np.indices((2, 2, 2, *LEVELS)).reshape(6, -1).T
    frame = pd.DataFrame(grid[grid[:, :3].any(axis=1)], columns=list(FACTORS))
    effects = np.triu(rng.normal(0, 0.2, (6, 6)), 1)
    values = frame.to_numpy()
    counts = 1 + rng.poisson(15 * np.exp(np.einsum("ij,jk,ik->i", values, effects, values)))
    if zero:
        parts = [part.partition("=") for part in zero.split("*")]
        here = np.logical_and.reduce([frame[name] == int(level or 1) for name, _, level in parts])
        counts = np.where(here, 0, counts)
    return CaptureTable.from_counts(
        frame.assign(count=counts), lists=list(LISTS), strata=list(COVARIATES), public=True
    )


def random_model(seed):
    """A hierarchical model with every pair in it or not, and some triples that do not hold all lists."""
    rng = np.random.default_rng(seed)
    density = rng.choice([0.1, 0.3, 0.5])
    terms = {1 << i for i in range(6)}
    terms |= {1 << i | 1 << j for i, j in itertools.combinations(range(6), 2) if rng.random() < density}
    for triple in itertools.combinations(range(6), 3):
        term = sum(1 << i for i in triple)
        if term != 0b111 and all(term & ~(1 << i) in terms for i in triple) and rng.random() < 0.4:
            terms.add(term)
    return CovariateModel(factors=FACTORS, n_lists=3, terms=tuple(terms))


def size(model, captures, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return CovariateLogLinear(model=model.formula(), interval="lognormal", **settings).fit(captures)


def without(settings, gone):
    """Settings that name none of these covariates."""
    zeros = settings.get("structural_zeros", ())
    kept = tuple(zero for zero in zeros if not set(gone) & {part.split("=")[0] for part in zero.split("*")})
    coding = {name: how for name, how in settings.get("coding", {}).items() if name not in gone}
    return {**settings, "structural_zeros": kept, "coding": coding}


def subsets():
    return [set(c) for k in (1, 2, 3) for c in itertools.combinations(COVARIATES, k)]


def relative_changes(seed, settings, zero=""):
    """For every set of covariates whether the rule passes it, and how far N moves without it."""
    captures, model = random_table(seed, zero), random_model(seed)
    whole = size(model, captures, **settings)
    if whole.status != "ok":
        return
    frame = passive_covariates(model.formula(), captures, **settings)
    passive = set(frame["covariate"][frame["role"] == "passive"])
    for gone in subsets():
        kept = [name for name in FACTORS if name not in gone]
        rest = size(model.onto(kept), captures, **without(settings, gone))
        if rest.status == "ok":
            yield gone <= passive, abs(rest.n_hat / whole.n_hat - 1.0)


SETTINGS = [
    ({}, ""),
    ({"coding": {"v": "linear"}}, ""),
    ({"coding": {"v": "poly(1)"}}, ""),
    ({"structural_zeros": ("A*v=2",)}, "A*v=2"),
    ({"structural_zeros": ("u=0*w=1",)}, "u=0*w=1"),
    ({"structural_zeros": ("u=0*w=1",), "combinations": "observed"}, "u=0*w=1"),
]


@pytest.mark.parametrize(("settings", "zero"), SETTINGS)
def test_n_is_the_same_without_passive_covariates_and_another_without_active_ones(settings, zero):
    changes = [change for seed in range(10) for change in relative_changes(seed, settings, zero)]
    passing = [moved for passes, moved in changes if passes]
    failing = [moved for passes, moved in changes if not passes]
    assert len(passing) > 15
    assert len(failing) > 15
    assert max(passing) < 1e-8
    # With structural zeros a covariate may be called active though nothing moves; without them none is.
    assert np.mean(np.array(failing) > 1e-8) > (0.9 if zero else 0.999)


@pytest.mark.parametrize(("coding", "moves"), [("dummies", False), ("poly(2)", False), ("linear", True)])
def test_a_covariate_with_scores_does_not_shield_the_lists_from_its_neighbours(coding, moves):
    captures, settings = random_table(2), {"coding": {"v": coding}}
    model = CovariateModel.parse("A*v + B*v + C + u*v", lists=LISTS, covariates=COVARIATES)
    whole, rest = (size(m, captures, **settings).n_hat for m in (model, model.onto(("A", "B", "C", "v"))))
    change = abs(rest / whole - 1.0)
    assert change > 1e-6 if moves else change < 1e-10
    role = passive_covariates(model.formula(), captures, **settings)["role"][0]
    assert role == ("active" if moves else "passive")


def test_subgroups_by_active_covariates_are_the_same_without_the_passive_ones():
    captures = random_table(3)
    model = CovariateModel.parse("A*B + B*u + C*u + A*v + v*w", lists=LISTS, covariates=COVARIATES)
    frame = passive_covariates(model.formula(), captures)
    assert dict(zip(frame["covariate"], frame["role"], strict=True)) == {
        "u": "active",
        "v": "passive",
        "w": "passive",
    }
    whole = size(model, captures).by_stratum.groupby("u")["n_hat"].sum()
    rest = size(model.onto(("A", "B", "C", "u")), captures).by_stratum.set_index("u")["n_hat"]
    assert rest.to_dict() == pytest.approx(whole.to_dict(), rel=1e-9)


def roles(formula, **settings):
    frame = passive_covariates(formula, random_table(1), **settings)
    return dict(zip(frame["covariate"], zip(frame["role"], frame["why"], strict=True), strict=True))


@pytest.mark.parametrize(
    ("formula", "settings", "covariate", "expected"),
    [
        ("A + B + C + u", {}, "u", ("passive", "touches nothing else")),
        ("A*u + B + C", {}, "u", ("passive", "touches only A")),
        ("A*u + B*u + C", {}, "u", ("active", "stands between A and B, which no term joins")),
        ("A*u + B*u + A*B + C", {}, "u", ("passive", "touches only A*B, which one term joins")),
        (
            "A*u + B*u + A*B + C*u + A*C + B*C",
            {},
            "u",
            ("active", "stands between A, B and C, which no single term joins"),
        ),
        ("A*u + u*v + B + C", {}, "v", ("passive", "together with u touches only A")),
        ("A*v + B*v + C + u*v", {"coding": {"v": "linear"}}, "u", ("active", COARSE)),
        ("A*v + B*v + C + u*v", {}, "u", ("passive", "touches only v")),
        ("A*v + B*v + C + u*v", {"coding": {"v": "poly(2)"}}, "u", ("passive", "touches only v")),
        ("A*u + B + C", {}, "v", ("left out", "not in the model")),
    ],
)  # fmt: skip
def test_the_reason_is_said_in_words(formula, settings, covariate, expected):
    assert roles(formula, **settings)[covariate] == expected


def test_covariates_that_are_passive_only_together_are_found():
    # A ring of four, of which only one touches a list: none of the others can go alone, and all can go together.
    frame = pd.DataFrame(
        [(1, 0, *levels, 3) for levels in itertools.product("xy", repeat=4)]
        + [(0, 1, *levels, 2) for levels in itertools.product("xy", repeat=4)]
        + [(1, 1, *levels, 1) for levels in itertools.product("xy", repeat=4)],
        columns=["A", "B", "p", "q", "r", "s", "count"],
    )
    captures = CaptureTable.from_counts(frame, lists=["A", "B"], strata=["p", "q", "r", "s"], public=True)
    found = passive_covariates("A*p + B + p*q + q*r + r*s + s*p", captures)
    assert found["role"].tolist() == ["passive"] * 4
    assert found["why"][2] == "together with p, q and s touches only A"


def test_a_constant_covariate_is_left_out():
    captures = random_table(1).select(u="0")
    found = passive_covariates("A*u + B*v + C", captures)
    assert found["role"].tolist() == ["left out", "passive", "left out"]
    assert found["why"].tolist() == ["everybody has one level of it", "touches only B", "not in the model"]


def test_more_covariates_than_all_sets_can_be_tried_for():
    names = [f"x{k}" for k in range(13)]
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.choice(["a", "b"], (60, 13)), columns=names).assign(
        A=[1, 0, 1] * 20, B=[0, 1, 1] * 20, count=2
    )
    captures = CaptureTable.from_counts(
        frame.groupby([*names, "A", "B"], as_index=False)["count"].sum(), lists=["A", "B"], strata=names, public=True
    )  # fmt: skip
    chain = " + ".join(f"{a}*{b}" for a, b in itertools.pairwise(names))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ends = passive_covariates(f"A*x0 + B*x6 + {chain}", captures)
    assert ends["role"].tolist() == ["active"] * 7 + ["passive"] * 6


def test_names_that_are_not_there_are_refused():
    with pytest.raises(UnknownNameError, match="no list or covariate 'z'"):
        passive_covariates("A + B + C + z", random_table(1))


def test_models_of_another_program_that_keep_n_have_passive_covariates():
    captures = hp.datasets.load("simdat")
    same = passive_covariates("R1*X1 + R2*R4 + R1*R4 + R3*X1 + R1*R3", captures).set_index("covariate")
    assert same.loc["X1", "role"] == "passive"
    moved = passive_covariates("R1*X1 + R2*R4 + R1*R4 + R3*X1", captures).set_index("covariate")
    assert moved.loc["X1", "why"] == "stands between R1 and R3, which no term joins"
