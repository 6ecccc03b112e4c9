"""How many victims and suspects each block of a world holds: whole numbers, fixed by settings and size alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Ints
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import check_whole
from hiddenpop.synthetic.world.settings import WorldSettings

__all__ = ["BLOCK", "LARGEST", "PERSONS_A_BLOCK", "RECORDS_A_BLOCK", "Plan", "apportion", "make_plan"]


BLOCK = 50_000
"""Victims a block. It must not depend on the number of workers."""

PERSONS_A_BLOCK = 200_000
RECORDS_A_BLOCK = 2_000_000
"""How far apart the numbers of two blocks begin."""

LARGEST = 10_000_000
"""Victims of a world; beyond that the nine digits of a person key run out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What each block draws.

    Attributes
    ----------
    size : int
        Victims, added up over the years.
    victims : ndarray of int64, shape (blocks, years, forms)
    suspects : ndarray of int64, shape (blocks, years)
    """

    size: int
    victims: Ints
    suspects: Ints

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.victims)

    @property
    def totals(self) -> Ints:
        """Victims by year and form, shape ``(years, forms)``."""
        return np.asarray(self.victims.sum(axis=0))


def make_plan(settings: WorldSettings, size: int | None = None) -> Plan:
    """Divide a world into blocks.

    Parameters
    ----------
    settings : WorldSettings
    size : int, optional
        Victims, added up over the years; by default those of the whole country.

    Returns
    -------
    Plan

    Raises
    ------
    SettingError
        If the size is not a whole number from 1 to 10,000,000, or there are more suspects than a block can number.

    Examples
    --------
    >>> from hiddenpop.synthetic.world import read_settings
    >>> make_plan(read_settings()).totals.sum(axis=1).tolist()
    [6250, 6250, 6250, 5000, 5000]
    """
    wanted = settings.size if size is None else size
    check_whole("size", wanted)
    if wanted > LARGEST:
        raise SettingError(f"size={wanted!r} is more than a world can number; give {LARGEST:,} at most")
    wanted = int(wanted)
    n_blocks = -(-wanted // BLOCK)
    by_year = apportion(settings.victims.size, wanted)
    shares = np.array([settings.victims.forms[form] for form in settings.forms]).T
    victims = np.array([apportion(share, n) for share, n in zip(shares, by_year, strict=True)])
    scale = wanted / sum(settings.victims.size)
    suspects = np.array([round(n * scale) for n in settings.suspects.size], dtype=np.int64)
    plan = Plan(size=wanted, victims=_cut(victims, n_blocks), suspects=_cut(suspects, n_blocks))
    if (plan.victims.sum(axis=(1, 2)) + plan.suspects.sum(axis=1)).max() > PERSONS_A_BLOCK:
        raise SettingError(
            f"suspects.size={list(settings.suspects.size)!r} gives more than three suspects for each victim; lower it"
        )
    return plan


def apportion(shares: npt.ArrayLike, total: int) -> Ints:
    """Divide a number of persons by shares, with the largest remainders rounded up.

    Examples
    --------
    >>> apportion([0.5, 0.3, 0.2], 9).tolist()
    [4, 3, 2]
    """
    weights = np.asarray(shares, dtype=np.float64)
    exact = total * weights / weights.sum()
    whole = np.floor(exact + 1e-9).astype(np.int64)
    # Ties go to the first, so that the order of a sort never matters.
    last = np.argsort(-(exact - whole), kind="stable")[: total - int(whole.sum())]
    whole[last] += 1
    return np.asarray(whole, dtype=np.int64)


def _cut(numbers: Ints, n_blocks: int) -> Ints:
    """Spread each number evenly over the blocks."""
    ends = np.stack([numbers * block // n_blocks for block in range(n_blocks + 1)])
    return np.asarray(np.diff(ends, axis=0))
