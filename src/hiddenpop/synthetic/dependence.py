"""Lists that depend on each other for a reason: referral, and behaviour after the first capture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hiddenpop._cells import unknown_name
from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.synthetic.laws import check_between, distinct_names, history_bits, shares_of

__all__ = ["BehaviouralResponse", "Referral", "ReferralLaw"]


@front_doors("__init__")
@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """A capture by one list changes the chance of another.

    Parameters
    ----------
    source, target : str
        Names of the lists.
    odds_ratio : float, optional
        By what the odds of the target are multiplied: above 1 for referral, below 1 for lists that keep out of each
        other's way, 0 for lists that never share a person.
    chance : float, optional
        The chance, from 0 to 1, that the source passes the person on, besides what the target finds by itself.

    Raises
    ------
    SettingError
        Unless exactly one of `odds_ratio` and `chance` is given, within its limits, and the lists differ.

    Examples
    --------
    >>> Referral(source="police", target="shelter", odds_ratio=4.0).odds_ratio
    4.0
    """

    source: str
    target: str
    odds_ratio: float | None = None
    chance: float | None = None

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise SettingError(f"source and target are both {self.source!r}; a referral needs two lists")
        if (self.odds_ratio is None) == (self.chance is None):
            raise SettingError(
                f"the referral from {self.source!r} to {self.target!r} has odds_ratio={self.odds_ratio!r} and "
                f"chance={self.chance!r}; give one of them"
            )
        if self.odds_ratio is not None:
            check_between("odds_ratio", self.odds_ratio, 0.0, math.inf)
        if self.chance is not None:
            check_between("chance", self.chance, 0.0, 1.0)

    def changed(self, chances: Floats) -> Floats:
        """Give the chances of the target after a capture by the source."""
        if self.chance is not None:
            return 1.0 - (1.0 - chances) * (1.0 - self.chance)
        return multiplied_odds(chances, float(self.odds_ratio or 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralLaw:
    """Lists that catch one after the other, and pass persons on.

    Parameters
    ----------
    lists : tuple of str
        Names of the t lists.
    probabilities : tuple of float
        The chance of each list for a person whom nobody has referred.
    referrals : tuple of Referral
        Any number; several with one target act together, in the order given.
    order : tuple of str, optional
        The order in which the lists catch; that of `lists` by default.

    Raises
    ------
    SettingError
        For a probability that is none, an order that is not one of all lists, a referral that is given twice or
        goes back in the order.
    UnknownNameError
        For a referral from or to a list that does not exist.

    Notes
    -----
    A chain (one to two, two to three) follows the log-linear model ``[12,23]`` exactly, and so does every pattern in
    which no list is the target of more than one. Two sources of one target that multiply its odds give ``[12,13,23]``.

    Examples
    --------
    >>> law = ReferralLaw(
    ...     lists=("police", "shelter"),
    ...     probabilities=(0.5, 0.2),
    ...     referrals=(Referral(source="police", target="shelter", odds_ratio=4.0),),
    ... )
    >>> law.cell_probabilities().round(2).tolist()
    [0.4, 0.25, 0.1, 0.25]
    """

    lists: tuple[str, ...]
    probabilities: tuple[float, ...]
    referrals: tuple[Referral, ...] = ()
    order: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lists", distinct_names("lists", self.lists))
        object.__setattr__(self, "probabilities", shares_of("probabilities", self.probabilities))
        object.__setattr__(self, "referrals", tuple(self.referrals))
        if len(self.lists) != len(self.probabilities):
            raise SettingError(
                f"probabilities has {len(self.probabilities)} numbers and there are {len(self.lists)} lists"
            )
        if self.order is not None:
            object.__setattr__(self, "order", tuple(self.order))
            if sorted(self.order) != sorted(self.lists):
                raise SettingError(
                    f"order={self.order!r} must name each of {', '.join(map(repr, self.lists))} once"
                )
        _check_referrals(self.referrals, self.order or self.lists)

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.lists)

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        caught = dict(zip(self.lists, history_bits(self.n_lists).T, strict=True))
        alone = dict(zip(self.lists, self.probabilities, strict=True))
        cells: Floats = np.ones(1 << self.n_lists)
        # A product of conditional chances; the order decides only what may depend on what.
        for name in self.lists:
            chances = np.full(len(cells), alone[name])
            for referral in self.referrals:
                if referral.target == name:
                    chances = np.where(caught[referral.source], referral.changed(chances), chances)
            cells *= np.where(caught[name], chances, 1.0 - chances)
        return cells


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviouralResponse:
    """Persons who change after they are first caught: lists catch in their order, and the odds of later ones change.

    Parameters
    ----------
    probabilities : tuple of float
        The chance of each list for a person not caught before, in the order in which the lists catch.
    odds_ratio : float
        By what the odds of every later list are multiplied: above 1 where persons come back (trap happy), below 1
        where they keep away (trap shy).

    Raises
    ------
    SettingError
        For a probability or a ratio that is none.

    Examples
    --------
    >>> BehaviouralResponse(probabilities=(0.5, 0.2), odds_ratio=0.0).cell_probabilities().round(2).tolist()
    [0.4, 0.5, 0.1, 0.0]
    """

    probabilities: tuple[float, ...]
    odds_ratio: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", shares_of("probabilities", self.probabilities))
        check_between("odds_ratio", self.odds_ratio, 0.0, math.inf)

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.probabilities)

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        histories = np.arange(1 << self.n_lists)
        cells: Floats = np.ones(len(histories))
        for position, probability in enumerate(self.probabilities):
            first = np.full(len(cells), probability)
            before = histories & ((1 << position) - 1) != 0
            chances = np.where(before, multiplied_odds(first, self.odds_ratio), first)
            cells *= np.where(histories >> position & 1, chances, 1.0 - chances)
        return cells


def multiplied_odds(chances: Floats, ratio: float) -> Floats:
    """Multiply the odds of chances; a ratio of 0 makes everything impossible, also what was certain."""
    if ratio == 0.0:
        return np.zeros_like(chances)
    return ratio * chances / (1.0 - chances + ratio * chances)


def _check_referrals(referrals: Sequence[Referral], order: Sequence[str]) -> None:
    seen = set()
    for referral in referrals:
        for name in (referral.source, referral.target):
            if name not in order:
                raise unknown_name("list", name, order)
        pair = (referral.source, referral.target)
        if pair in seen:
            raise SettingError(f"the referral from {pair[0]!r} to {pair[1]!r} is given twice; join the two")
        seen.add(pair)
        if order.index(referral.source) > order.index(referral.target):
            raise SettingError(
                f"{pair[0]!r} catches after {pair[1]!r} and cannot refer to it; give an order in which it comes first"
            )
