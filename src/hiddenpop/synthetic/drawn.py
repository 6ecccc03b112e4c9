"""Counts on their way from the draw to the table, and what may happen to them there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.histories import decode
from hiddenpop.table import CaptureTable, Coverage

__all__ = ["OBSERVED", "PERSON", "UNKNOWN", "Distortion", "Drawn"]

PERSON, OBSERVED = "person", "observed"

UNKNOWN = "unknown"
"""A `CaptureTable` has no missing levels; a level that was not recorded is this one."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Persons, or what the registers take for persons, counted by stratum and capture history.

    Attributes
    ----------
    lists : tuple of str
    covariates : tuple of str
        Names of the c covariates.
    levels : tuple of tuple of str
        Levels of each of the s strata, each of length c.
    counts : ndarray of int64, shape (s, 2**t)
        Column 0 counts the persons on no list.
    population : int
        Persons of the target population, N.
    coverage : tuple of Coverage
        Where lists are known to operate.
    """

    lists: tuple[str, ...]
    covariates: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    counts: Counts
    population: int
    coverage: tuple[Coverage, ...] = ()

    def with_rows(self, levels: Sequence[tuple[str, ...]], counts: Counts) -> Self:
        """Replace the strata, adding up those with the same levels; the first of each keeps its place."""
        place = {row: position for position, row in enumerate(dict.fromkeys(levels))}
        summed = np.zeros((len(place), counts.shape[1]), dtype=np.int64)
        np.add.at(summed, [place[row] for row in levels], counts)
        return replace(self, levels=tuple(place), counts=summed)

    def rows_in(self, covariate: str, levels: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Mark the strata, shape ``(s,)``, in one of some levels of a covariate."""
        position = self.covariates.index(covariate)
        return np.array([row[position] in levels for row in self.levels], dtype=np.bool_)

    def to_table(self, *, name: str, population: str) -> CaptureTable:
        """Make the table of those on a list."""
        stratum, history = np.nonzero(self.counts[:, 1:])
        strata = pd.DataFrame(list(self.levels), columns=list(self.covariates), index=range(len(self.levels)))
        return CaptureTable(
            lists=self.lists,
            histories=history.astype(np.int64) + 1,
            counts=self.counts[stratum, history + 1],
            _strata=strata.iloc[stratum].reset_index(drop=True),
            censored=np.zeros(len(history), dtype=np.bool_),
            name=name,
            population=population,
            public=True,
            coverage=self.coverage,
        )

    def to_people(self, rng: np.random.Generator) -> pd.DataFrame:
        """Unfold the counts to persons in random order, those on no list included."""
        size = self.counts.shape[1]
        cells = np.repeat(np.arange(self.counts.size), self.counts.ravel())
        rng.shuffle(cells)
        stratum, history = cells // size, cells % size
        columns: dict[str, object] = {PERSON: np.arange(1, len(cells) + 1)}
        for position, name in enumerate(self.covariates):
            levels = [row[position] for row in self.levels]
            known = sorted(set(levels))
            codes = np.array([known.index(level) for level in levels])
            columns[name] = pd.Categorical.from_codes(codes[stratum], categories=pd.Index(known))
        columns.update(zip(self.lists, decode(history, len(self.lists)).T, strict=True))
        return pd.DataFrame({**columns, OBSERVED: history > 0})


@runtime_checkable
class Distortion(Protocol):
    """What stands between the persons caught and the table that a researcher gets."""

    @property
    def breaks(self) -> frozenset[str]:
        """Names of the assumptions that no longer hold."""
        ...

    @property
    def alters_capture(self) -> bool:
        """Whether it changes who is caught, and not only what is recorded of it."""
        ...

    def check(self, lists: tuple[str, ...], levels: Mapping[str, tuple[str, ...]]) -> None:
        """Refuse settings that do not go with these lists and covariates."""
        ...

    def apply(self, drawn: Drawn, rng: np.random.Generator) -> Drawn:
        """Do it."""
        ...
