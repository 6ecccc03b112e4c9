import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import beta as beta_function
from scipy.stats import norm

from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.synthetic import (
    BehaviouralResponse,
    BetaPropensity,
    CellLaw,
    IndependentLists,
    LatentClasses,
    LogLinearLaw,
    OpenPopulation,
    RaschNormal,
    Referral,
    ReferralLaw,
    implied_model,
    yearly_groups,
)

shares = st.floats(0.0, 1.0)


def histories(t: int) -> list[tuple[int, ...]]:
    """List the histories in the order of the cells: the first list changes fastest."""
    return [tuple(reversed(bits)) for bits in itertools.product((0, 1), repeat=t)]


def product(chances: tuple[float, ...], history: tuple[int, ...]) -> float:
    return math.prod(p if on else 1.0 - p for p, on in zip(chances, history, strict=True))


@given(st.lists(shares, min_size=2, max_size=6))
def test_independent_cells_are_products(probabilities: list[float]) -> None:
    law = IndependentLists(probabilities=tuple(probabilities))
    expected = [product(tuple(probabilities), w) for w in histories(len(probabilities))]
    assert law.cell_probabilities() == pytest.approx(expected, abs=1e-15)


def test_the_first_list_is_the_lowest_bit() -> None:
    assert IndependentLists(probabilities=(1.0, 0.0, 0.0)).cell_probabilities().tolist()[1] == 1.0


def test_latent_classes_are_a_weighted_sum() -> None:
    weights, rows = (0.2, 0.3, 0.5), ((0.9, 0.8), (0.1, 0.5), (0.05, 0.0))
    law = LatentClasses(weights=weights, probabilities=rows)
    expected = [sum(v * product(p, w) for v, p in zip(weights, rows, strict=True)) for w in histories(2)]
    assert law.cell_probabilities() == pytest.approx(expected)


@pytest.mark.parametrize("sd", [0.0, 0.3, 1.0, 2.5, 6.0, 10.0])
def test_rasch_cells_agree_with_brute_integration(sd: float) -> None:
    probabilities = (0.4, 0.1, 0.02)
    cells = RaschNormal(probabilities=probabilities, sd=sd).cell_probabilities()

    def density(z: float, history: tuple[int, ...]) -> float:
        odds = [math.log(p / (1 - p)) + sd * z for p in probabilities]
        return product(tuple(1 / (1 + math.exp(-x)) for x in odds), history) * norm.pdf(z)

    for cell, history in zip(cells, histories(3), strict=True):
        value = quad(density, -12, 12, args=(history,), points=[-4, -1, 0, 1, 4], epsabs=1e-13, limit=400)[0]
        assert cell == pytest.approx(value, abs=1e-11)


@pytest.mark.parametrize(("alpha", "beta"), [(0.01, 0.01), (0.8, 3.2), (1.0, 1.0), (40.0, 160.0), (500, 500)])
@pytest.mark.parametrize("t", [2, 3, 5, 8])
def test_equal_beta_lists_are_a_ratio_of_beta_functions(alpha: float, beta: float, t: int) -> None:
    cells = BetaPropensity(alpha=alpha, beta=beta, factors=(1.0,) * t).cell_probabilities()
    ratios = [
        beta_function(alpha + sum(w), beta + t - sum(w)) / beta_function(alpha, beta) for w in histories(t)
    ]
    assert cells == pytest.approx(ratios, rel=1e-8)


def test_unequal_beta_lists_agree_with_brute_integration() -> None:
    factors = (1.0, 0.5, 0.2)
    cells = BetaPropensity(alpha=1.5, beta=2.5, factors=factors).cell_probabilities()
    scale = beta_function(1.5, 2.5)
    for cell, history in zip(cells, histories(3), strict=True):
        value = quad(
            lambda p, w=history: product(tuple(f * p for f in factors), w) * p**0.5 * (1 - p) ** 1.5 / scale,
            0,
            1,
        )[0]
        assert cell == pytest.approx(value, abs=1e-9)


def test_log_linear_cells_are_exponentials_of_the_terms_within() -> None:
    law = LogLinearLaw(lists=("a", "b"), coefficients={"a": -1.0, "b": -0.5, "a*b": 0.7})
    weights = np.exp([0.0, -1.0, -0.5, -0.8])
    assert law.cell_probabilities() == pytest.approx(weights / weights.sum())


@given(
    st.lists(st.floats(-4.0, 2.0), min_size=7, max_size=7),
    st.floats(0.001, 0.999),
)
def test_any_hidden_share_is_met_and_leaves_the_interactions(values: list[float], hidden: float) -> None:
    names = ("a", "b", "c", "a*b", "a*c", "b*c", "a*b*c")
    coefficients = dict(zip(names, values, strict=True))
    free, fixed = (
        LogLinearLaw(
            lists=("a", "b", "c"), coefficients=coefficients, hidden_share=share
        ).cell_probabilities()
        for share in (None, hidden)
    )
    assert fixed[0] == pytest.approx(hidden, rel=1e-12)
    assert fixed.sum() == pytest.approx(1.0)
    for low, one, other, both in ((0, 1, 2, 3), (0, 1, 4, 5), (4, 5, 6, 7)):
        odds = [cells[low] * cells[both] / (cells[one] * cells[other]) for cells in (free, fixed)]
        assert odds[0] == pytest.approx(odds[1], rel=1e-9)


def test_a_hidden_share_is_found_where_hardly_anybody_is_caught() -> None:
    law = LogLinearLaw(lists=("a", "b"), coefficients={"a": -300.0, "b": -310.0}, hidden_share=0.25)
    assert law.cell_probabilities()[0] == pytest.approx(0.25, rel=1e-9)


def test_terms_are_read_by_name_and_by_position() -> None:
    named = LogLinearLaw(lists=("a", "b", "c"), coefficients={"a": -1, "b": -1, "c": -1, "c*a": 0.5})
    placed = LogLinearLaw(lists=("a", "b", "c"), coefficients=(("1", -1), ("2", -1), ("3", -1), ("13", 0.5)))
    assert named == placed
    assert named.model == "[13,2]"
    many = LogLinearLaw(
        lists=tuple("abcdefghij"), coefficients={**{str(k): -1.0 for k in range(1, 11)}, "1.10": 1.0}
    )
    assert many.coefficients[-1] == ("a*j", 1.0)


def test_a_coefficient_of_minus_infinity_is_a_structural_zero() -> None:
    coefficients = {"a": -1.0, "b": -1.0, "c": -1.0, "a*b": -math.inf}
    cells = LogLinearLaw(
        lists=("a", "b", "c"), coefficients=coefficients, hidden_share=0.4
    ).cell_probabilities()
    assert cells[[3, 7]].tolist() == [0.0, 0.0]
    assert implied_model(cells) == "[12,3]"


def test_referrals_multiply_odds_in_order() -> None:
    law = ReferralLaw(
        lists=("a", "b", "c"),
        probabilities=(0.3, 0.2, 0.1),
        referrals=(
            Referral(source="b", target="a", odds_ratio=3.0),
            Referral(source="c", target="a", chance=0.5),
        ),
        order=("c", "b", "a"),
    )
    cells = law.cell_probabilities()

    def chance_of_a(b: int, c: int) -> float:
        odds = 0.3 / 0.7 * (3.0 if b else 1.0)
        alone = odds / (1.0 + odds)
        return 1.0 - (1.0 - alone) * 0.5 if c else alone

    for cell, (a, b, c) in zip(cells, histories(3), strict=True):
        assert cell == pytest.approx(product((chance_of_a(b, c), 0.2, 0.1), (a, b, c)))


def test_what_no_referral_concerns_stays_as_it_was() -> None:
    law = ReferralLaw(
        lists=("a", "b", "c"),
        probabilities=(0.3, 0.2, 0.1),
        referrals=(Referral(source="a", target="b", odds_ratio=0.0),),
    )
    cells = law.cell_probabilities()
    assert cells[[3, 7]].tolist() == [0.0, 0.0]
    assert cells[4:].sum() == pytest.approx(0.1)
    assert cells[[1, 5]].sum() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("pairs", "model"),
    [
        ((("a", "b"),), "[12,3,4]"),
        ((("a", "b"), ("b", "c")), "[12,23,4]"),
        ((("a", "b"), ("a", "c"), ("a", "d")), "[12,13,14]"),
        ((("a", "c"), ("b", "c")), "[12,13,23,4]"),
    ],
)
def test_patterns_of_referral_are_known_models(pairs: tuple[tuple[str, str], ...], model: str) -> None:
    law = ReferralLaw(
        lists=("a", "b", "c", "d"),
        probabilities=(0.3, 0.2, 0.1, 0.15),
        referrals=tuple(Referral(source=s, target=t, odds_ratio=4.0) for s, t in pairs),
    )
    assert implied_model(law.cell_probabilities()) == model


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 4.0])
def test_behaviour_changes_the_odds_after_the_first_capture(ratio: float) -> None:
    probabilities = (0.3, 0.2, 0.1)
    cells = BehaviouralResponse(probabilities=probabilities, odds_ratio=ratio).cell_probabilities()
    for cell, history in zip(cells, histories(3), strict=True):
        expected, known = 1.0, False
        for p, on in zip(probabilities, history, strict=True):
            chance = ratio * p / (1 - p + ratio * p) if known else p
            expected *= chance if on else 1 - chance
            known = known or bool(on)
        assert cell == pytest.approx(expected, abs=1e-15)


def test_an_open_population_is_a_mixture_over_stays() -> None:
    entries, stay, rows = (0.6, 0.3, 0.1), 0.7, ((0.2, 0.1, 0.3), (0.0, 0.4, 0.0))
    cells = OpenPopulation(entries=entries, stay=stay, probabilities=rows).cell_probabilities()
    expected = np.zeros(4)
    for first in range(3):
        for last in range(first, 3):
            share = entries[first] * stay ** (last - first) * (1.0 if last == 2 else 1.0 - stay)
            chances = tuple(1.0 - math.prod(1.0 - p for p in row[first : last + 1]) for row in rows)
            expected += share * np.array([product(chances, w) for w in histories(2)])
    assert expected.sum() == pytest.approx(1.0)
    assert cells == pytest.approx(expected)


def test_an_open_population_where_all_stay_is_closed_and_independent() -> None:
    law = OpenPopulation(entries=(1.0, 0.0), stay=1.0, probabilities=((0.2, 0.1), (0.0, 0.4)))
    assert law.breaks == frozenset()
    alone = IndependentLists(probabilities=(0.28, 0.4))
    assert law.cell_probabilities() == pytest.approx(alone.cell_probabilities())
    leaving = OpenPopulation(entries=(1.0, 0.0), stay=0.9, probabilities=((0.2, 0.1), (0.0, 0.4)))
    assert leaving.breaks == {"closed", "homogeneous"}


def test_yearly_groups_lie_on_straight_lines() -> None:
    groups = yearly_groups(range(2015, 2018), sizes=(100, 400), probabilities=((0.5, 0.2), (0.9, 0.2)))
    assert [group.strata for group in groups] == [(("year", str(year)),) for year in (2015, 2016, 2017)]
    assert [group.size for group in groups] == [100, 200, 400]
    odds = [p / (1 - p) for group in groups for p in group.law.probabilities[:1]]
    assert odds[1] ** 2 == pytest.approx(odds[0] * odds[2])
    assert [group.law.probabilities[1] for group in groups] == pytest.approx([0.2] * 3)


two = ("a", "b")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: IndependentLists(probabilities=(0.3, 1.2)),
            r"probabilities\[1\]=1.2 must be a number between 0",
        ),
        (lambda: IndependentLists(probabilities=(-0.1, 0.2)), r"probabilities\[0\]=-0.1"),
        (lambda: IndependentLists(probabilities=(math.nan, 0.2)), r"probabilities\[0\]=nan"),
        (lambda: IndependentLists(probabilities=(True, 0.2)), r"probabilities\[0\]=True"),
        (lambda: IndependentLists(probabilities=()), r"must be a sequence of numbers"),
        (lambda: IndependentLists(probabilities="0.1"), r"must be a sequence of numbers"),
        (lambda: CellLaw(probabilities=(0.5, 0.3, 0.2)), "has 3 cells; t lists have"),
        (lambda: CellLaw(probabilities=(0.5, 0.3, 0.1, 0.2)), "add up to 1.1, not to 1"),
        (lambda: CellLaw(probabilities=(0.5, 0.7, -0.1, -0.1)), r"probabilities\[2\]=-0.1"),
        (lambda: LatentClasses(weights=(0.5, 0.4), probabilities=((0.1,), (0.2,))), "weights add up to 0.9"),
        (lambda: LatentClasses(weights=(1.0,), probabilities=((0.1,), (0.2,))), "2 rows and weights names 1"),
        (lambda: LatentClasses(weights=(0.5, 0.5), probabilities=((0.1, 0.2), (0.2,))), "rows of 1 and 2"),
        (lambda: LatentClasses(weights=(1.0,), probabilities=0.1), "must be a sequence of rows"),
        (lambda: RaschNormal(probabilities=(0.0, 0.5), sd=1.0), r"probabilities\[0\]=0.0 has no log odds"),
        (lambda: RaschNormal(probabilities=(0.2, 0.5), sd=-1.0), "sd=-1.0 must be a number from 0 to 10"),
        (lambda: RaschNormal(probabilities=(0.2, 0.5), sd=11), "sd=11 must be a number from 0 to 10"),
        (
            lambda: BetaPropensity(alpha=0.0, beta=1.0, factors=(1.0, 1.0)),
            "alpha=0.0 must be a number from 0.01",
        ),
        (lambda: BetaPropensity(alpha=1.0, beta=math.inf, factors=(1.0, 1.0)), "beta=inf must be a number"),
        (lambda: BetaPropensity(alpha=1.0, beta=1.0, factors=(1.0, 1.5)), r"factors\[1\]=1.5"),
        (lambda: Referral(source="a", target="a", odds_ratio=2.0), "both 'a'; a referral needs two lists"),
        (lambda: Referral(source="a", target="b"), "odds_ratio=None and chance=None; give one"),
        (lambda: Referral(source="a", target="b", odds_ratio=2, chance=0.1), "give one of them"),
        (
            lambda: Referral(source="a", target="b", odds_ratio=-2),
            "odds_ratio=-2 must be a number at least 0",
        ),
        (lambda: Referral(source="a", target="b", chance=1.1), "chance=1.1 must be a number from 0 to 1"),
        (lambda: ReferralLaw(lists=two, probabilities=(0.1,)), "has 1 numbers and there are 2 lists"),
        (
            lambda: ReferralLaw(lists=two, probabilities=(0.1, 0.2), order=("a",)),
            "must name each of 'a', 'b' once",
        ),
        (
            lambda: BehaviouralResponse(probabilities=(0.1, 0.2), odds_ratio=math.inf),
            "odds_ratio=inf must be",
        ),
        (lambda: OpenPopulation(entries=(0.5, 0.4), stay=0.5, probabilities=((0.1, 0.1),)), "add up to 0.9"),
        (lambda: OpenPopulation(entries=(0.5, 0.5), stay=1.5, probabilities=((0.1, 0.1),)), "stay=1.5"),
        (
            lambda: OpenPopulation(entries=(1.0,), stay=0.5, probabilities=((0.1, 0.1),)),
            "2 sub-periods a list",
        ),
        (
            lambda: yearly_groups([2015], sizes=(1, 2), probabilities=((0.1,), (0.2,))),
            "two or more years in order",
        ),
        (
            lambda: yearly_groups([2, 1], sizes=(1, 2), probabilities=((0.1,), (0.2,))),
            "two or more years in order",
        ),
        (lambda: yearly_groups([1, 2], sizes=(0, 2), probabilities=((0.1,), (0.2,))), r"sizes\[0\]=0"),
        (
            lambda: yearly_groups([1, 2], sizes=(1, 2), probabilities=((0.1,), (0.2, 0.1))),
            "the same lists in both",
        ),
        (lambda: yearly_groups([1, 2], sizes=(1, 2), probabilities=((0.0,), (0.2,))), "has no log odds"),
    ],
)
def test_impossible_settings_are_refused(make: object, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize(
    ("coefficients", "hidden", "message"),
    [
        ({"a": -1.0}, None, r"lacks the term 'b' \(2\)"),
        ({"a": -1.0, "b": -1.0, "c": 0.5}, None, "'c' is not a term of a, b"),
        ({"a": -1.0, "b": -1.0, "13": 0.5}, None, "'13' is not a term"),
        ({"a": -1.0, "b": -1.0, "a*a": 0.5}, None, r"'a\*a' is not a term"),
        ({"a": -1.0, "b": -1.0, "": 0.5}, None, "'' is not a term"),
        ({"a": -1.0, "b": -1.0, "a*b": 0.5, "12": 0.5}, None, "'12' twice"),
        ({"a": math.nan, "b": -1.0}, None, "'a' has nan; give a finite number"),
        ({"a": -math.inf, "b": -1.0}, None, "'a' has -inf"),
        ({"a": -1.0, "b": "x"}, None, "'b' has 'x'"),
        ({"a": -1.0, "b": -1.0}, 0.0, "hidden_share=0.0 must lie between 0 and 1"),
        ({"a": -1.0, "b": -1.0}, 1, "hidden_share=1 must lie between 0 and 1"),
    ],
)
def test_impossible_coefficients_are_refused(coefficients: object, hidden: object, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        LogLinearLaw(lists=two, coefficients=coefficients, hidden_share=hidden)


def test_a_law_names_its_lists_once() -> None:
    with pytest.raises(SettingError, match="has the name 'a' twice"):
        LogLinearLaw(lists=("a", "a"), coefficients={"a": -1.0})
    with pytest.raises(SettingError, match="lists='ab' must be a sequence of names"):
        ReferralLaw(lists="ab", probabilities=(0.1, 0.2))


def test_a_model_that_is_not_hierarchical_is_refused() -> None:
    with pytest.raises(SettingError, match=r"lacks the term 'a\*b' \(12\): a hierarchical model"):
        LogLinearLaw(
            lists=("a", "b", "c"),
            coefficients={"a": 0, "b": 0, "c": 0, "a*c": 0, "b*c": 0, "a*b*c": 1},
        )


def test_referrals_to_nowhere_backwards_or_twice_are_refused() -> None:
    def law(*referrals: Referral) -> ReferralLaw:
        return ReferralLaw(lists=two, probabilities=(0.1, 0.2), referrals=referrals)

    with pytest.raises(UnknownNameError, match="no list 'shelter'"):
        law(Referral(source="a", target="shelter", odds_ratio=2.0))
    with pytest.raises(SettingError, match="'b' catches after 'a' and cannot refer to it"):
        law(Referral(source="b", target="a", odds_ratio=2.0))
    with pytest.raises(SettingError, match="from 'a' to 'b' is given twice"):
        law(Referral(source="a", target="b", odds_ratio=2.0), Referral(source="a", target="b", chance=0.1))
