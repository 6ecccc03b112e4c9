"""Records that are wrongly kept apart, and records that are wrongly joined."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hiddenpop._cells import unknown_name
from hiddenpop.estimators.protocol import check_share
from hiddenpop.histories import captures
from hiddenpop.synthetic.drawn import Counts, Drawn
from hiddenpop.synthetic.laws import distinct_names

__all__ = ["FalseLinks", "MissedLinks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedLinks:
    """Records of persons on several lists that are not recognised and stay apart.

    Each record of a person on two or more lists comes loose with chance `rate`, independently of the others, and then
    counts as another person on that list alone.

    Parameters
    ----------
    rate : float
        Chance that a record comes loose, from 0 to 1.
    lists : tuple of str, optional
        The lists whose records may come loose; all by default.

    Raises
    ------
    SettingError
        For a rate that is none, or lists without a name or with one twice.
    UnknownNameError
        For a list that does not exist, when the scenario is made.

    Notes
    -----
    The link of a pair of records is missed with chance ``1 - (1 - rate)**2`` if both lists are concerned, and with
    chance `rate` if one is.

    Examples
    --------
    >>> sorted(MissedLinks(rate=0.1).breaks)
    ['linked']
    """

    alters_capture: ClassVar[bool] = False

    rate: float
    lists: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_share("rate", self.rate)
        if self.lists is not None:
            object.__setattr__(self, "lists", distinct_names("lists", self.lists))

    @property
    def breaks(self) -> frozenset[str]:
        """Assumptions that no longer hold."""
        return frozenset({"linked"}) if self.rate > 0.0 else frozenset()

    def check(self, lists: tuple[str, ...], levels: Mapping[str, tuple[str, ...]]) -> None:
        """Refuse a list that does not exist."""
        for name in self.lists or ():
            if name not in lists:
                raise unknown_name("list", name, lists)

    def apply(self, drawn: Drawn, rng: np.random.Generator) -> Drawn:
        """Let records come loose, list by list."""
        counts = drawn.counts.copy()
        loose = np.zeros_like(counts)
        histories = np.arange(counts.shape[1])
        for name in self.lists or drawn.lists:
            bit = 1 << drawn.lists.index(name)
            # Of a person whose other records are loose already, the last one is alone anyway.
            joint = histories[(histories & bit != 0) & (captures(histories) > 1)]
            moved = rng.binomial(counts[:, joint], self.rate)
            counts[:, joint] -= moved
            counts[:, joint ^ bit] += moved
            loose[:, bit] += moved.sum(axis=1)
        return replace(drawn, counts=counts + loose)


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseLinks:
    """Different persons who are taken for one.

    Those caught in a stratum are paired at random; a share `rate` of the pairs is joined, and counts as one person
    on all lists of both. A pair with the same history is left as it is: within a list, persons are told apart.

    Parameters
    ----------
    rate : float
        Share of the pairs that are joined, from 0 to 1: about the share of persons caught who are taken for another.

    Raises
    ------
    SettingError
        For a rate that is none.

    Examples
    --------
    >>> sorted(FalseLinks(rate=0.05).breaks)
    ['linked']
    """

    alters_capture: ClassVar[bool] = False

    rate: float

    def __post_init__(self) -> None:
        check_share("rate", self.rate)

    @property
    def breaks(self) -> frozenset[str]:
        """Assumptions that no longer hold."""
        return frozenset({"linked"}) if self.rate > 0.0 else frozenset()

    def check(self, lists: tuple[str, ...], levels: Mapping[str, tuple[str, ...]]) -> None:
        """Accept any lists."""

    def apply(self, drawn: Drawn, rng: np.random.Generator) -> Drawn:
        """Join pairs within each stratum."""
        counts = np.array([self._joined(row, rng) for row in drawn.counts])
        return replace(drawn, counts=counts)

    def _joined(self, row: Counts, rng: np.random.Generator) -> Counts:
        caught = row.copy()
        caught[0] = 0
        pairs = int(rng.binomial(caught.sum() // 2, self.rate))
        first = _taken(caught, pairs, rng)
        second = _taken(caught - first, pairs, rng)
        result = row.copy()
        for history in np.flatnonzero(first):
            partners = _taken(second, int(first[history]), rng)
            second = second - partners
            partners[history] = 0
            result -= partners
            result[history] -= partners.sum()
            np.add.at(result, np.arange(len(row)) | history, partners)
        return result


def _taken(counts: Counts, number: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Take a number of persons at random from cells, without replacement."""
    taken: npt.NDArray[np.int64] = rng.multivariate_hypergeometric(counts, number, method="marginals")
    return taken
