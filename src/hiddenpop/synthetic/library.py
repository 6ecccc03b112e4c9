"""The standard scenarios, by name: worlds whose assumptions hold, and worlds that break them."""

from dataclasses import replace

from hiddenpop._cells import unknown_name
from hiddenpop._front_door import front_door
from hiddenpop.synthetic.dependence import BehaviouralResponse, Referral, ReferralLaw
from hiddenpop.synthetic.distortions import ListGap, MissingLevels, OverCoverage
from hiddenpop.synthetic.drawn import Distortion
from hiddenpop.synthetic.heterogeneity import BetaPropensity, LatentClasses, RaschNormal
from hiddenpop.synthetic.laws import IndependentLists, Law
from hiddenpop.synthetic.linkage import FalseLinks, MissedLinks
from hiddenpop.synthetic.loglinear import LogLinearLaw
from hiddenpop.synthetic.open_population import OpenPopulation
from hiddenpop.synthetic.scenario import Group, Scenario
from hiddenpop.synthetic.trends import yearly_groups

__all__ = ["LIBRARY", "scenario"]

LISTS = ("police", "shelter", "coordinator", "prosecution", "inspectorate")
EIGHT = (
    "police",
    "border",
    "shelter",
    "youth-care",
    "coordinator",
    "prosecution",
    "inspectorate",
    "hospital",
)
SIX = ("local", "charity", "police", "government", "public", "agency")

CLEAN = frozenset({"closed", "linked", "in_scope", "operating", "known_strata"})
ALIKE = CLEAN | {"homogeneous"}
INDEPENDENT = ALIKE | {"independent", "rasch", "log_linear"}
LOG_LINEAR = ALIKE | {"log_linear"}


def _world(
    name: str,
    size: int,
    law: Law,
    description: str,
    *,
    assumptions: frozenset[str],
    model: str | None = None,
    lists: tuple[str, ...] = LISTS,
) -> Scenario:
    """Make a scenario of one stratum without distortions."""
    return Scenario(
        name=name,
        description=description,
        lists=lists[: law.n_lists],
        groups=(Group(size=size, law=law),),
        assumptions=assumptions,
        model=model,
    )


def _independent(name: str, size: int, probabilities: tuple[float, ...], description: str) -> Scenario:
    equal = frozenset({"equal_lists"} if len(set(probabilities)) == 1 else ())
    lists = EIGHT if len(probabilities) == len(EIGHT) else LISTS
    law = IndependentLists(probabilities=probabilities)
    held = INDEPENDENT | equal
    return _world(name, size, law, description, assumptions=held, model="independence", lists=lists)


def _log_linear(
    name: str,
    size: int,
    hidden_share: float | None,
    coefficients: dict[str, float],
    description: str,
    lists: tuple[str, ...],
) -> Scenario:
    law = LogLinearLaw(lists=lists, coefficients=tuple(coefficients.items()), hidden_share=hidden_share)
    saturated = "*".join(lists) in coefficients
    return _world(
        name,
        size,
        law,
        description,
        assumptions=ALIKE if saturated else LOG_LINEAR,
        model=None if saturated else law.model,
        lists=lists,
    )


def _referral(
    name: str,
    size: int,
    probabilities: tuple[float, ...],
    referrals: tuple[Referral, ...],
    description: str,
    *,
    model: str | None,
    also: tuple[str, ...] = (),
) -> Scenario:
    law = ReferralLaw(lists=LISTS[: len(probabilities)], probabilities=probabilities, referrals=referrals)
    held = (ALIKE if model is None else LOG_LINEAR).union(also)
    return _world(name, size, law, description, assumptions=held, model=model)


_POLICE_TO_SHELTER = Referral(source="police", target="shelter", odds_ratio=6.0)

_UNDISTORTED: tuple[Scenario, ...] = (
    # Independent lists: the models are right, and overlaps are 50 or more but for those called sparse or tiny.
    _independent("independent-two", 4000, (0.3, 0.25), "Two independent lists."),
    _independent("independent-three", 3000, (0.3, 0.25, 0.2), "Three independent lists."),
    _independent("independent-four", 5000, (0.3, 0.25, 0.2, 0.15), "Four independent lists."),
    _independent("independent-five", 8000, (0.25, 0.2, 0.2, 0.15, 0.1), "Five independent lists."),
    _independent("equal-four", 4000, (0.2, 0.2, 0.2, 0.2), "Four independent lists of the same size."),
    _independent("tiny-overlaps-two", 5000, (0.03, 0.02), "Two independent lists that share three persons."),
    _independent(
        "tiny-overlaps-three", 6000, (0.03, 0.02, 0.015), "Three independent lists that share a few persons."
    ),
    _independent(
        "sparse-eight",
        1000,
        (0.032, 0.006, 0.075, 0.039, 0.012, 0.007, 0.008, 0.022),
        "Eight small independent lists, as a town has them: about 185 persons observed.",
    ),
    _independent(
        "sparse-eight-fifty",
        400,
        (0.03, 0.005, 0.05, 0.02, 0.01, 0.005, 0.01, 0.015),
        "Eight very small independent lists: about 50 persons observed.",
    ),
    # Most persons are known: here the variance of the number observed is the larger part of that of the estimate.
    _independent(
        "large-overlaps-two", 1000, (0.6, 0.5), "Two independent lists that see four fifths of all."
    ),
    _independent(
        "large-overlaps-three", 400, (0.5, 0.5, 0.5), "Three independent lists that see seven eighths of all."
    ),
    _independent(
        "large-overlaps-unequal-three",
        2000,
        (0.6, 0.5, 0.4),
        "Three independent lists of unlike size that see seven eighths of all.",
    ),
    _independent(
        "large-overlaps-four",
        1000,
        (0.6, 0.5, 0.45, 0.4),
        "Four independent lists that see nine tenths of all.",
    ),
    _independent(
        "large-overlaps-five",
        1500,
        (0.45, 0.4, 0.35, 0.3, 0.25),
        "Five independent lists that see nearly nine tenths of all.",
    ),
    _log_linear(
        "large-overlaps-pair-three",
        1500,
        0.12,
        {"police": 0.1, "shelter": 0.0, "coordinator": 0.2, "police*shelter": 1.0},
        "Three lists that see seven eighths of all, of which one pair depends on each other positively.",
        LISTS[:3],
    ),
    _log_linear(
        "large-overlaps-two-pairs-four",
        2000,
        0.1,
        {
            "police": -0.1,
            "shelter": -0.2,
            "coordinator": 0.0,
            "prosecution": -0.4,
            "police*shelter": 0.8,
            "coordinator*prosecution": -0.7,
        },
        "Four lists that see nine tenths of all, of which one pair goes together and one keeps apart.",
        LISTS[:4],
    ),
    # Log-linear models with given coefficients.
    _log_linear(
        "one-pair-three",
        4000,
        0.5,
        {"police": -1.4, "shelter": -1.6, "coordinator": -1.5, "police*shelter": 1.0},
        "Three lists, of which one pair depends on each other positively.",
        LISTS[:3],
    ),
    _log_linear(
        "all-pairs-three",
        6000,
        0.5,
        {
            "police": -1.2,
            "shelter": -1.5,
            "coordinator": -1.6,
            "police*shelter": 0.9,
            "police*coordinator": -0.5,
            "shelter*coordinator": 0.4,
        },
        "Three lists that depend on each other in every pair.",
        LISTS[:3],
    ),
    _log_linear(
        "two-pairs-four",
        6000,
        0.45,
        {
            "police": -1.3,
            "shelter": -1.5,
            "coordinator": -1.7,
            "prosecution": -1.9,
            "police*shelter": 0.8,
            "coordinator*prosecution": 1.1,
        },
        "Four lists in two pairs that depend on each other positively.",
        LISTS[:4],
    ),
    _log_linear(
        "triple-four",
        6000,
        0.45,
        {
            "police": -1.2,
            "shelter": -1.5,
            "coordinator": -1.6,
            "prosecution": -1.8,
            "police*shelter": 0.5,
            "police*coordinator": 0.3,
            "shelter*coordinator": 0.4,
            "police*shelter*coordinator": 0.6,
            "coordinator*prosecution": 0.7,
        },
        "Four lists with an interaction of three of them.",
        LISTS[:4],
    ),
    _log_linear(
        "three-pairs-five",
        10000,
        0.5,
        {
            "police": -1.5,
            "shelter": -1.7,
            "coordinator": -1.9,
            "prosecution": -2.0,
            "inspectorate": -2.2,
            "police*shelter": 0.8,
            "police*prosecution": 0.9,
            "coordinator*inspectorate": 0.7,
        },
        "Five lists, of which three pairs depend on each other positively.",
        LISTS,
    ),
    _log_linear(
        "negative-pairs-four",
        6000,
        0.4,
        {
            "police": -1.0,
            "shelter": -1.1,
            "coordinator": -1.3,
            "prosecution": -1.4,
            "police*shelter": -0.7,
            "shelter*prosecution": -0.5,
        },
        "Four lists, of which two pairs keep out of each other's way.",
        LISTS[:4],
    ),
    _log_linear(
        "dependent-eight",
        1500,
        0.82,
        {
            **dict(zip(EIGHT, (-3.4, -4.9, -2.6, -3.1, -4.3, -4.6, -4.5, -3.7), strict=True)),
            "police*prosecution": 2.0,
            "shelter*youth-care": 1.5,
            "police*coordinator": 1.5,
        },
        "Eight small lists, of which three pairs depend on each other: about 270 persons observed.",
        EIGHT,
    ),
    _log_linear(
        "like-uk",
        12350,
        None,
        {
            **dict(zip(SIX, (-5.1969, -3.0327, -2.3418, -2.6416, -3.4218, -5.1172), strict=True)),
            "local*charity": 1.6168,
            "local*police": 1.0869,
            "charity*public": -2.8046,
            "police*public": -1.1797,
            "police*agency": 1.7,
            "government*public": -1.072,
        },
        "Six lists with the size and the coefficients of the model of lowest BIC on the table of the United Kingdom.",
        SIX,
    ),
    _log_linear(
        "like-kosovo",
        10357,
        None,
        {
            **dict(zip(LISTS, (-1.6534, -1.967, -1.8431, -2.9687), strict=False)),
            "police*shelter": 0.1195,
            "police*coordinator": 0.2175,
            "police*prosecution": 0.5037,
            "shelter*coordinator": 0.5193,
            "coordinator*prosecution": 0.8726,
            "police*shelter*coordinator": 1.0672,
        },
        "Four lists with the size and the coefficients of the model [123,14,34] on the table of Kosovo.",
        LISTS[:4],
    ),
    _log_linear(
        "highest-order-three",
        4000,
        0.6,
        {
            "police": -1.4,
            "shelter": -1.6,
            "coordinator": -1.5,
            "police*shelter": 0.2,
            "police*coordinator": 0.1,
            "shelter*coordinator": 0.3,
            "police*shelter*coordinator": 1.0,
        },
        "Three lists with the interaction of all three, which no table can show.",
        LISTS[:3],
    ),
    # Persons who differ.
    _world(
        "latent-classes-four",
        5000,
        LatentClasses(weights=(0.35, 0.65), probabilities=((0.5, 0.45, 0.3, 0.3), (0.12, 0.05, 0.1, 0.04))),
        "Four lists, and a third of the persons are in sight of all of them.",
        assumptions=CLEAN,
    ),
    _world(
        "rasch-three",
        5000,
        RaschNormal(probabilities=(0.25, 0.2, 0.15), sd=1.0),
        "Three lists and a moderate propensity common to them.",
        assumptions=CLEAN | {"rasch"},
    ),
    _world(
        "rasch-strong-four",
        8000,
        RaschNormal(probabilities=(0.2, 0.12, 0.08, 0.05), sd=2.0),
        "Four lists of unlike size and a strong propensity common to them.",
        assumptions=CLEAN | {"rasch"},
    ),
    _world(
        "beta-equal-five",
        4000,
        BetaPropensity(alpha=0.8, beta=3.2, factors=(1.0,) * 5),
        "Five lists of one size and a beta propensity common to them.",
        assumptions=CLEAN | {"rasch", "equal_lists"},
    ),
    _world(
        "beta-unequal-four",
        6000,
        BetaPropensity(alpha=1.0, beta=2.0, factors=(1.0, 0.6, 0.4, 0.3)),
        "Four lists that catch fixed multiples of a beta propensity.",
        assumptions=CLEAN,
    ),
    # Lists that depend on each other for a reason.
    _referral(
        "positive-two",
        4000,
        (0.3, 0.2),
        (_POLICE_TO_SHELTER,),
        "Two lists, of which the first refers strongly to the second.",
        model=None,
        also=("rasch",),
    ),
    _referral(
        "referral-chain-three",
        5000,
        (0.25, 0.15, 0.1),
        (_POLICE_TO_SHELTER, Referral(source="shelter", target="coordinator", odds_ratio=6.0)),
        "Three lists that refer strongly from one to the next.",
        model="[12,23]",
    ),
    _referral(
        "referral-by-chance-four",
        6000,
        (0.25, 0.1, 0.15, 0.12),
        (
            Referral(source="police", target="shelter", chance=0.4),
            Referral(source="police", target="coordinator", chance=0.3),
            Referral(source="shelter", target="coordinator", chance=0.3),
        ),
        "Four lists, of which the first two pass on a share of their persons.",
        model="[123,4]",
    ),
    _referral(
        "avoidance-three",
        5000,
        (0.35, 0.3, 0.2),
        (Referral(source="police", target="shelter", odds_ratio=0.3),),
        "Three lists, of which the second seldom sees persons known to the first.",
        model="[12,3]",
    ),
    _referral(
        "structural-zero-three",
        5000,
        (0.3, 0.25, 0.2),
        (Referral(source="police", target="shelter", odds_ratio=0.0),),
        "Three lists, of which the first two never share a person.",
        model="[12,3]",
    ),
    _referral(
        "structural-zero-two",
        4000,
        (0.3, 0.25),
        (Referral(source="police", target="shelter", odds_ratio=0.0),),
        "Two lists that never share a person.",
        model=None,
    ),
    _world(
        "trap-happy-four",
        5000,
        BehaviouralResponse(probabilities=(0.2, 0.15, 0.15, 0.1), odds_ratio=3.0),
        "Four lists, and persons once caught come back more easily.",
        assumptions=ALIKE,
    ),
    _world(
        "trap-shy-four",
        5000,
        BehaviouralResponse(probabilities=(0.25, 0.25, 0.2, 0.2), odds_ratio=0.4),
        "Four lists, and persons once caught keep away.",
        assumptions=ALIKE,
    ),
)
"""In order of what makes them hard."""


# === strata, gaps, missing levels, linkage errors, over-coverage, and persons who come and go =======================


def _group(size: int, probabilities: tuple[float, ...], **strata: str) -> Group:
    return Group(size=size, law=IndependentLists(probabilities=probabilities), strata=tuple(strata.items()))


def _distorted(
    name: str, of: Scenario, description: str, *distortions: Distortion, loses: frozenset[str]
) -> Scenario:
    """Put distortions on a scenario, and take away the assumptions that they break."""
    held = of.assumptions - loses
    return replace(
        of, name=name, description=description, distortions=of.distortions + distortions, assumptions=held
    )


_PLAIN = _world(
    "plain",
    5000,
    IndependentLists(probabilities=(0.3, 0.25, 0.2)),
    "Three independent lists.",
    assumptions=INDEPENDENT,
    model="independence",
)

_TWO_REGIONS = Scenario(
    name="regions-three",
    description="Three lists that catch more in a small region than in a large one, independent within each.",
    lists=LISTS[:3],
    groups=(
        _group(1500, (0.5, 0.4, 0.35), region="city"),
        _group(4500, (0.15, 0.12, 0.1), region="province"),
    ),
    assumptions=CLEAN,
)

_BY_SEX = Scenario(
    name="by-sex-four",
    description="Four independent lists that catch women and men alike.",
    lists=LISTS[:4],
    groups=(
        _group(4000, (0.3, 0.25, 0.2, 0.15), sex="woman"),
        _group(2000, (0.3, 0.25, 0.2, 0.15), sex="man"),
    ),
    assumptions=INDEPENDENT,
    model="independence",
)

_SEX_AND_AGE = Scenario(
    name="sex-and-age-three",
    description="Three lists that catch women and minors more than others, independent within sex and age.",
    lists=LISTS[:3],
    groups=(
        _group(2500, (0.3, 0.3, 0.2), sex="woman", age="adult"),
        _group(1000, (0.35, 0.4, 0.3), sex="woman", age="minor"),
        _group(2000, (0.2, 0.15, 0.15), sex="man", age="adult"),
        _group(500, (0.25, 0.25, 0.25), sex="man", age="minor"),
    ),
    assumptions=CLEAN,
)

_YEARS = Scenario(
    name="years-four",
    description="Four lists and five years in which the population shrinks and all lists change.",
    lists=LISTS[:4],
    groups=yearly_groups(
        range(2015, 2020),
        sizes=(5000, 4000),
        probabilities=((0.25, 0.2, 0.2, 0.12), (0.22, 0.12, 0.1, 0.2)),
    ),
    assumptions=CLEAN,
)

_MOST_BY_YEAR = Scenario(
    name="large-overlaps-years-three",
    description="Three lists that see most persons, and four years in which the population grows and lists change.",
    lists=LISTS[:3],
    groups=yearly_groups(
        range(2016, 2020), sizes=(400, 800), probabilities=((0.55, 0.5, 0.5), (0.65, 0.45, 0.35))
    ),
    assumptions=CLEAN,
)

_DISTORTED: tuple[Scenario, ...] = (
    _TWO_REGIONS,
    _BY_SEX,
    _SEX_AND_AGE,
    _YEARS,
    _MOST_BY_YEAR,
    _distorted(
        "gap-region-three",
        _TWO_REGIONS,
        "Three lists, of which the third operates in one region only, and the table says so.",
        ListGap(list="coordinator", covariate="region", levels=("city",)),
        loses=frozenset({"operating"}),
    ),
    _distorted(
        "gap-unknown-three",
        _TWO_REGIONS,
        "Three lists, of which the third operates in one region only, and nobody told the researcher.",
        ListGap(list="coordinator", covariate="region", levels=("city",), declared=False),
        loses=frozenset({"operating"}),
    ),
    _distorted(
        "gap-years-four",
        _YEARS,
        "Four lists and five years; the last list starts in the third year, and the table says so.",
        ListGap(list="prosecution", covariate="year", levels=("2017", "2018", "2019")),
        loses=frozenset({"operating"}),
    ),
    _distorted(
        "missing-at-random-four",
        _BY_SEX,
        "Four independent lists; sex is not recorded for a fifth of the persons caught, whoever they are.",
        MissingLevels(covariate="sex", share=0.2),
        loses=frozenset({"known_strata"}),
    ),
    _distorted(
        "missing-by-list-three",
        _SEX_AND_AGE,
        "Three lists; age is recorded less often for persons whom the police know.",
        MissingLevels(covariate="age", share=0.05, depends_on="police", shares=(("1", 0.3),)),
        loses=frozenset({"known_strata"}),
    ),
    _distorted(
        "missing-by-level-three",
        _SEX_AND_AGE,
        "Three lists; age is recorded less often for minors.",
        MissingLevels(covariate="age", share=0.05, depends_on="age", shares=(("minor", 0.4),)),
        loses=frozenset({"known_strata"}),
    ),
    _distorted(
        "missed-links-three",
        _PLAIN,
        "Three independent lists; a tenth of the records of persons on several lists is not recognised.",
        MissedLinks(rate=0.1),
        loses=frozenset({"linked"}),
    ),
    _distorted(
        "false-links-three",
        _PLAIN,
        "Three independent lists; a tenth of the persons caught is taken for another.",
        FalseLinks(rate=0.1),
        loses=frozenset({"linked"}),
    ),
    _distorted(
        "over-coverage-three",
        _PLAIN,
        "Three independent lists, one of which also holds persons outside the population.",
        OverCoverage(share=0.1, law=IndependentLists(probabilities=(0.02, 0.9, 0.02))),
        loses=frozenset({"in_scope"}),
    ),
    _distorted(
        "everything-three",
        _SEX_AND_AGE,
        "Three lists with over-coverage, both kinds of linkage error and missing levels at once.",
        OverCoverage(share=0.05, law=IndependentLists(probabilities=(0.4, 0.2, 0.05))),
        MissedLinks(rate=0.05),
        FalseLinks(rate=0.02),
        MissingLevels(covariate="age", share=0.1),
        loses=frozenset({"in_scope", "linked", "known_strata"}),
    ),
    _world(
        "open-three",
        6000,
        OpenPopulation(
            entries=(0.5, 0.2, 0.2, 0.1),
            stay=0.7,
            probabilities=((0.12, 0.12, 0.12, 0.12), (0.15, 0.15, 0.0, 0.0), (0.0, 0.0, 0.15, 0.15)),
        ),
        "Persons come and go over four quarters; one list operates in all, one in the first half, one in the second.",
        assumptions=CLEAN - {"closed"},
    ),
)
"""In order of what makes them hard."""


LIBRARY: dict[str, Scenario] = {entry.name: entry for entry in (*_UNDISTORTED, *_DISTORTED)}
"""Every standard scenario by its name."""


@front_door
def scenario(name: str) -> Scenario:
    """Give a standard scenario.

    Parameters
    ----------
    name : str
        A key of `LIBRARY`.

    Returns
    -------
    Scenario

    Raises
    ------
    UnknownNameError
        For a name that is not there.

    Examples
    --------
    >>> scenario("independent-two").truth
    4000
    """
    if name not in LIBRARY:
        raise unknown_name("scenario", name, LIBRARY)
    return LIBRARY[name]
