"""`yearly_groups`: a population that grows or shrinks, and lists that catch more or less of it, year by year."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import check_whole
from hiddenpop.synthetic.laws import IndependentLists, shares_of
from hiddenpop.synthetic.scenario import Group

__all__ = ["yearly_groups"]


@front_door
def yearly_groups(
    years: Sequence[int],
    *,
    sizes: tuple[int, int],
    probabilities: tuple[Sequence[float], Sequence[float]],
    covariate: str = "year",
) -> tuple[Group, ...]:
    """Make the groups of a scenario with a stratum a year, from the first year and the last.

    Parameters
    ----------
    years : sequence of int
        Two or more years, in order; each is a population of its own.
    sizes : (int, int)
        Persons in the first and in the last year, at least 1.
    probabilities : (sequence of float, sequence of float)
        The chance of each list in the first and in the last year, above 0 and below 1. Lists are independent within a
        year.
    covariate : str
        Name of the covariate.

    Returns
    -------
    tuple of Group
        Sizes lie on a straight line on the log scale, chances on one in the log odds.

    Raises
    ------
    SettingError
        For fewer than two years, years out of order, sizes or chances outside these limits, or other numbers of lists.

    Examples
    --------
    >>> groups = yearly_groups([2015, 2016, 2017], sizes=(1000, 4000), probabilities=((0.2, 0.1), (0.4, 0.1)))
    >>> [group.size for group in groups]
    [1000, 2000, 4000]
    """
    if len(years) < 2 or any(later <= earlier for earlier, later in pairwise(years)):
        raise SettingError(
            f"years={list(years)!r} must be two or more years in order, e.g. range(2015, 2020)"
        )
    for position, size in enumerate(sizes):
        check_whole(f"sizes[{position}]", size)
    ends = [_log_odds(f"probabilities[{position}]", row) for position, row in enumerate(probabilities)]
    if len(ends) != 2 or len(ends[0]) != len(ends[1]) or len(sizes) != 2:
        raise SettingError(
            "sizes and probabilities need the first and the last year, with the same lists in both"
        )
    groups = []
    for year in years:
        part = (year - years[0]) / (years[-1] - years[0])
        size = round(math.exp((1.0 - part) * math.log(sizes[0]) + part * math.log(sizes[1])))
        odds = (1.0 - part) * np.array(ends[0]) + part * np.array(ends[1])
        law = IndependentLists(probabilities=tuple((1.0 / (1.0 + np.exp(-odds))).tolist()))
        groups.append(Group(size=size, law=law, strata=((covariate, str(year)),)))
    return tuple(groups)


def _log_odds(setting: str, row: Sequence[float]) -> list[float]:
    for position, value in enumerate(shares_of(setting, row)):
        if value in (0.0, 1.0):
            raise SettingError(
                f"{setting}[{position}]={value!r} has no log odds; give one above 0 and below 1"
            )
    return [math.log(value) - math.log1p(-value) for value in row]
