"""What estimators assume, against scenarios in which it holds or not."""

from typing import Any

import pytest
from tests.validation.estimators import Guess

import hiddenpop as hp
from hiddenpop.estimators.closed_population import ClosedPopulation
from hiddenpop.estimators.registry import ESTIMATORS, estimator_class
from hiddenpop.model import HierarchicalModel
from hiddenpop.synthetic import LIBRARY
from hiddenpop.validation.assumptions import (
    assumptions_hold,
    broken_assumptions,
    is_lower_bound,
    is_well_fed,
)

PAIR = ("police", "shelter")
OTHER = ("police", "coordinator")


@pytest.mark.parametrize(
    ("estimator", "world", "holds"),
    [
        (hp.LogLinear(), "independent-four", True),
        (hp.LogLinear(model="[12,34]"), "independent-four", True),
        (hp.LogLinear(model="[12,3]"), "one-pair-three", True),
        (hp.LogLinear(model="all-pairs"), "one-pair-three", True),
        (hp.LogLinear(model=HierarchicalModel.parse("[12,3]", n_lists=3)), "one-pair-three", True),
        (hp.LogLinear(model="[13,2]"), "one-pair-three", False),
        (hp.LogLinear(), "one-pair-three", False),
        (hp.LogLinear(model="[123]"), "independent-three", False),
        (hp.LogLinear(model="all-pairs"), "highest-order-three", False),
        (hp.LogLinear(), "missed-links-three", False),
        (hp.LogLinear(), "over-coverage-three", False),
        (hp.LogLinear(), "gap-region-three", False),
        (hp.LogLinear(), "by-sex-four", True),
        (hp.LincolnPetersen(), "independent-two", True),
        (hp.LincolnPetersen(), "positive-two", False),
        (hp.LincolnPetersen(), "independent-three", False),
        (hp.LincolnPetersen(lists=PAIR), "independent-three", True),
        (hp.Chapman(lists=PAIR), "one-pair-three", False),
        (hp.Chapman(lists=OTHER), "one-pair-three", True),
        (hp.Chapman(lists=("police", "nobody")), "independent-three", False),
        (hp.SampleCoverage(), "independent-three", True),
        (hp.SampleCoverage(), "one-pair-three", False),
        (hp.SampleCoverage(), "independent-two", False),
        (hp.SampleCoverage(variant="independent"), "independent-two", True),
        (hp.ChaoLowerBound(), "independent-four", True),
        (hp.ChaoLowerBound(), "rasch-three", False),
        (hp.ChaoLowerBound(list_effects=False), "independent-four", False),
        (hp.ChaoLowerBound(list_effects=False), "equal-four", True),
        (ClosedPopulation(model="Mt"), "independent-four", True),
        (ClosedPopulation(model="M0"), "independent-four", False),
        (ClosedPopulation(model="M0"), "equal-four", True),
        (ClosedPopulation(model="Mth"), "independent-four", True),
        (ClosedPopulation(model="Mth", heterogeneity="darroch"), "rasch-three", False),
        (ClosedPopulation(model="Mth", heterogeneity="darroch"), "independent-three", True),
        (ClosedPopulation(model="Mth", heterogeneity="poisson"), "independent-two", False),
        (ClosedPopulation(model="Mb"), "trap-happy-four", False),
        (ClosedPopulation(model="Mb"), "equal-four", True),
        (hp.Stratified(base=hp.LogLinear()), "regions-three", True),
        (hp.Stratified(base=hp.LogLinear()), "sex-and-age-three", True),
        (hp.Stratified(base=hp.LogLinear()), "independent-four", True),
        (hp.Stratified(base=hp.LogLinear()), "one-pair-three", False),
        (hp.Stratified(base=hp.LogLinear(model="[12,3]")), "one-pair-three", True),
        (hp.Stratified(base=hp.LogLinear(), by=("sex",)), "sex-and-age-three", False),
        (hp.Stratified(base=hp.LogLinear()), "missing-by-list-three", False),
        (hp.Stratified(), "regions-three", False),
        (hp.CovariateLogLinear(model="(police + shelter + coordinator)*region"), "regions-three", True),
        (hp.CovariateLogLinear(), "regions-three", False),
        (Guess(), "independent-two", False),
    ],
)
def test_whether_assumptions_hold(estimator: Any, world: str, holds: bool) -> None:
    assert assumptions_hold(estimator, LIBRARY[world]) is holds


@pytest.mark.parametrize(
    ("estimator", "world", "reason"),
    [
        (hp.LogLinear(), "one-pair-three", r"lacks terms of \[12,3\]"),
        (hp.LogLinear(model="[12,34]"), "one-pair-three", "position 4|list 4|3 lists"),
        (
            hp.LogLinear(model=HierarchicalModel.independence(4)),
            "independent-three",
            "is for 4 lists, and there are 3",
        ),
        (hp.LogLinear(model="[123]"), "independent-three", "holds the interaction of all lists"),
        (hp.LogLinear(), "rasch-three", "no log-linear model"),
        (hp.LogLinear(), "missed-links-three", "records of a person"),
        (hp.LincolnPetersen(), "independent-three", "names no pair"),
        (hp.Chapman(lists=PAIR), "one-pair-three", "police and being on shelter depend on each other"),
        (hp.SelectedLogLinear(), "independent-three", "chosen on the same data"),
        (hp.Bootstrapped(), "independent-three", "large samples"),
        (Guess(), "independent-two", "nothing is known"),
    ],
)
def test_the_reason_is_said(estimator: Any, world: str, reason: str) -> None:
    reasons = broken_assumptions(estimator, LIBRARY[world])
    assert len(reasons) == 1
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(reasons[0])


def test_every_registered_estimator_has_its_rule() -> None:
    for name in ESTIMATORS:
        reasons = broken_assumptions(estimator_class(name)(), LIBRARY["highest-order-three"])
        assert reasons, name
        assert "nothing is known" not in " ".join(reasons), name


def test_where_the_lower_bound_is_one() -> None:
    effects, closed = hp.ChaoLowerBound(), hp.ChaoLowerBound(list_effects=False)
    assert is_lower_bound(effects, LIBRARY["rasch-three"])
    assert not is_lower_bound(closed, LIBRARY["rasch-three"])
    assert is_lower_bound(closed, LIBRARY["beta-equal-five"])
    assert not is_lower_bound(effects, LIBRARY["over-coverage-three"])
    assert not is_lower_bound(hp.LogLinear(), LIBRARY["rasch-three"])


def test_few_persons_or_small_overlaps_are_not_well_fed() -> None:
    assert is_well_fed(LIBRARY["independent-three"])
    assert not is_well_fed(LIBRARY["independent-three"].resized(1999))
    assert not is_well_fed(LIBRARY["tiny-overlaps-three"])
