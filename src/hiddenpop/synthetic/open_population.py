"""`OpenPopulation`: persons who come and go while the lists catch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import check_share
from hiddenpop.synthetic.heterogeneity import mixed, rows_of
from hiddenpop.synthetic.laws import check_weights, shares_of

__all__ = ["OpenPopulation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPopulation:
    """Persons who enter in some sub-period and leave in a later one; N counts all who were ever there.

    Parameters
    ----------
    entries : tuple of float, length T
        The shares of persons who enter in each sub-period; they add up to 1.
    stay : float
        The chance to be there in the next sub-period too, from 0 to 1.
    probabilities : tuple of tuple of float, shape (t, T)
        For each list its chance to catch, in each sub-period, a person who is there; 0 where it does not operate.

    Raises
    ------
    SettingError
        For shares or chances that are none, or of other lengths.

    Notes
    -----
    Lists are independent of each other and between sub-periods given when a person was there, so that the law is a
    mixture over stays. Lists of different sub-periods then depend on each other negatively (few are there for both),
    lists of the same ones positively.

    Examples
    --------
    >>> law = OpenPopulation(entries=(0.5, 0.5), stay=0.0, probabilities=((0.4, 0.0), (0.0, 0.2)))
    >>> law.cell_probabilities().round(2).tolist()
    [0.7, 0.2, 0.1, 0.0]
    """

    entries: tuple[float, ...]
    stay: float
    probabilities: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", shares_of("entries", self.entries))
        check_weights("entries", self.entries)
        check_share("stay", self.stay)
        object.__setattr__(self, "probabilities", rows_of("probabilities", self.probabilities))
        periods = len(self.probabilities[0])
        if periods != len(self.entries):
            raise SettingError(
                f"probabilities has {periods} sub-periods a list and entries has {len(self.entries)}"
            )

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.probabilities)

    @property
    def breaks(self) -> frozenset[str]:
        """Assumptions that the law makes untrue: none where everybody is there all the time."""
        always = self.entries[0] == 1.0 and (self.stay == 1.0 or len(self.entries) == 1)
        return frozenset() if always else frozenset({"closed", "homogeneous"})

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        stays = self._stays()
        missed = 1.0 - np.array(self.probabilities)
        chances = np.array([1.0 - missed[:, first : last + 1].prod(axis=1) for first, last, _ in stays])
        return mixed([share for _, _, share in stays], chances)

    def _stays(self) -> Sequence[tuple[int, int, float]]:
        """List the stays: first and last sub-period, and the share of persons."""
        last = len(self.entries) - 1
        stays = []
        for first, entering in enumerate(self.entries):
            there = [entering * self.stay**later for later in range(last - first + 1)]
            stays += [(first, first + k, now - after) for k, (now, after) in enumerate(pairwise(there))]
            stays.append((first, last, there[-1]))
        return stays
