"""Standard scenarios with strata, gaps, missing levels, linkage errors, over-coverage, and persons who come and go."""

from dataclasses import replace

from hiddenpop.synthetic.distortions import ListGap, MissingLevels, OverCoverage
from hiddenpop.synthetic.drawn import Distortion
from hiddenpop.synthetic.fair import CLEAN, INDEPENDENT, LISTS, world
from hiddenpop.synthetic.laws import IndependentLists
from hiddenpop.synthetic.linkage import FalseLinks, MissedLinks
from hiddenpop.synthetic.open_population import OpenPopulation
from hiddenpop.synthetic.scenario import Group, Scenario
from hiddenpop.synthetic.trends import yearly_groups

__all__ = ["HARD"]


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


_PLAIN = world(
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

HARD: tuple[Scenario, ...] = (
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
    world(
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
