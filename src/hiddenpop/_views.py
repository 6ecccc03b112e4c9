"""Everything that can be read off the cells of a capture table."""

import hashlib
import hmac
import html
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from hiddenpop import _cells, _files, disclosure
from hiddenpop._cells import CENSORED, COUNT, Coverage
from hiddenpop._text import screen_text
from hiddenpop._typing import Bools, Ints
from hiddenpop.errors import TableError, TableSizeError
from hiddenpop.histories import captures, decode
from hiddenpop.reading import Reading

__all__ = ["DENSE_LIMIT", "TableSummary", "TableViews", "most_shared"]

DENSE_LIMIT = 2**20

_Views = TypeVar("_Views", bound="TableViews")


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What a result keeps of the table it came from.

    Attributes
    ----------
    name, fingerprint : str
    lists : tuple of str
    public : bool
    population : str
        Who is counted, as the table states it.
    """

    name: str
    fingerprint: str
    lists: tuple[str, ...]
    public: bool
    population: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class TableViews:
    """The cells of a capture table with their labels, and the views on them."""

    lists: tuple[str, ...]
    histories: Ints
    counts: Ints
    _strata: pd.DataFrame
    censored: Bools
    name: str = "table"
    population: str = ""
    public: bool = False
    coverage: tuple[Coverage, ...] = ()
    reading: Reading | None = None

    def __post_init__(self) -> None:
        """Check what every table promises, sort its cells and make its arrays read-only."""
        _cells.check_names(self.lists, list(self._strata.columns))
        _cells.check_codes(self.histories, self.counts, len(self.lists))
        cells = _cells.aggregate(
            _cells.Cells(self.lists, self.histories, self._strata, self.counts, self.censored)
        )
        if not cells.counts.any():
            raise TableError("nobody observed: no cell holds a person; an estimate needs observed people")
        settled = _cells.settle_coverage(self.lists, cells.strata, cells.histories, self.coverage)
        for attribute in ("histories", "counts", "censored"):
            getattr(cells, attribute).flags.writeable = False
            object.__setattr__(self, attribute, getattr(cells, attribute))
        object.__setattr__(self, "_strata", cells.strata)
        object.__setattr__(self, "coverage", settled)

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild through the constructor, so that a copy from another process is read-only too."""
        return _restore, (type(self), {entry.name: getattr(self, entry.name) for entry in fields(self)})

    @property
    def strata(self) -> pd.DataFrame:
        """Levels of the covariates, shape ``(m, c)``, as text; a copy."""
        return self._strata.copy()

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.lists)

    @property
    def n_observed(self) -> int:
        """Number of people on at least one list, n; with censored cells an upper bound."""
        return int(self.counts.sum())

    @property
    def list_totals(self) -> "pd.Series[int]":
        """Number of people on each list, shape ``(t,)``."""
        return pd.Series(self._bits().T @ self.counts, index=pd.Index(self.lists), name=COUNT)

    @property
    def overlaps(self) -> pd.DataFrame:
        """Number of people on each pair of lists, shape ``(t, t)``; the totals on the diagonal."""
        bits = self._bits()
        return pd.DataFrame(bits.T @ (bits * self.counts[:, None]), index=self.lists, columns=self.lists)

    @property
    def empty_overlaps(self) -> list[tuple[str, str]]:
        """Pairs of lists that share nobody, in the order of the lists."""
        pairs = np.argwhere(np.triu(self.overlaps.to_numpy() == 0, k=1))
        return [(self.lists[first], self.lists[second]) for first, second in pairs]

    @property
    def empty_lists(self) -> tuple[str, ...]:
        """Lists that caught nobody."""
        return tuple(name for name, total in zip(self.lists, self.list_totals, strict=True) if total == 0)

    @property
    def capture_frequencies(self) -> Ints:
        """Number of people on exactly 1, ..., t lists, shape ``(t,)``."""
        frequencies = np.zeros(self.n_lists, dtype=np.int64)
        np.add.at(frequencies, captures(self.histories) - 1, self.counts)
        return frequencies

    @property
    def operating(self) -> Ints:
        """For each cell, shape ``(m,)``, the lists that could have seen its people, coded as a history."""
        return _cells.operating(self.lists, self._strata, self.coverage)

    @property
    def has_strata(self) -> bool:
        """Whether there are covariates."""
        return bool(self._strata.shape[1])

    @property
    def has_gaps(self) -> bool:
        """Whether some list operates only in some strata."""
        return bool(self.coverage)

    @property
    def has_censored(self) -> bool:
        """Whether some count is only an upper bound."""
        return bool(self.censored.any())

    @property
    def fingerprint(self) -> str:
        """A hash of the content: open for a public table, keyed with `disclosure.secret_key` for any other."""
        content = _content(self)
        if self.public:
            return f"sha256:{hashlib.sha256(content).hexdigest()}"
        return f"hmac-sha256:{hmac.new(disclosure.secret_key(), content, 'sha256').hexdigest()}"

    @property
    def summary(self) -> TableSummary:
        """What a result keeps of this table."""
        return TableSummary(self.name, self.fingerprint, self.lists, self.public, self.population)

    def to_frame(self) -> pd.DataFrame:
        """Give one row a cell: 0/1 columns, strata, ``count`` and, with censored cells, ``censored``."""
        frame = pd.DataFrame(self._bits(), columns=self.lists)
        frame = pd.concat([frame, self._strata], axis=1).assign(**{COUNT: self.counts.copy()})
        return frame.assign(**{CENSORED: self.censored.copy()}) if self.has_censored else frame

    def to_dense(self) -> Ints:
        """Give the counts of all 2**t histories, strata added up; entry 0, the people on no list, is 0.

        Returns
        -------
        ndarray of int64, shape (2**t,)
            Counts by capture history. Lists that do not operate and censored counts cannot be told in it.

        Raises
        ------
        TableSizeError
            If there would be more than `DENSE_LIMIT` entries.
        """
        if 2**self.n_lists > DENSE_LIMIT:
            first, second = most_shared(self.overlaps)
            raise TableSizeError(
                f"{self.n_lists} lists have 2**{self.n_lists} histories, more than the limit of {DENSE_LIMIT}; "
                f"merge lists, first of all {first} and {second}, which share most persons, drop some, or use the cells"
            )
        dense = np.zeros(2**self.n_lists, dtype=np.int64)
        np.add.at(dense, self.histories, self.counts)
        return dense

    def write(
        self, path: str | Path, *, show_small_counts: bool = False, threshold: int = disclosure.THRESHOLD
    ) -> None:
        """Write the cells to a csv or parquet file, whole or not at all.

        Small counts of a table that is not public are withheld (`disclosure.protect_counts`), unless
        `show_small_counts` says otherwise. Labels and coverage are not part of the file.

        Parameters
        ----------
        path : str or Path
            The file; its suffix says which kind.
        show_small_counts : bool
            Write every count as it is.
        threshold : int
            The smallest number of people that may be shown.

        Raises
        ------
        TableError
            If the suffix is neither ``.csv`` nor ``.parquet``, or the file cannot be written.
        """
        frame = self.to_frame()
        if not (self.public or show_small_counts):
            shown = disclosure.protect_counts(self.counts, threshold)
            frame[COUNT] = [str(value) for value in shown]
        _files.write_file(frame, Path(path))

    def __eq__(self, other: object) -> bool:
        """Compare lists, cells, coverage and censoring; labels do not count."""
        return _content(self) == _content(other) if isinstance(other, TableViews) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal tables may differ in labels; use the fingerprint

    def __len__(self) -> int:
        return self.counts.size

    def __repr__(self) -> str:
        strata = ", ".join(f"{name} ({column.nunique()})" for name, column in self._strata.items())
        parts = [
            f"{self.n_lists} lists ({', '.join(self.lists)})",
            f"{self.n_observed:,} observed in {len(self):,} cells",
            *([f"strata {strata}"] if strata else []),
            *([f"{int(self.censored.sum())} censored"] if self.has_censored else []),
            *(f"{e.list} only where {e.covariate} is {' or '.join(e.levels)}" for e in self.coverage),
        ]
        return screen_text(f"CaptureTable {self.name!r}: {', '.join(parts)}")

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>\n{self.to_frame().to_html(index=False, max_rows=60)}"

    def _bits(self) -> Ints:
        return decode(self.histories, self.n_lists).astype(np.int64)


def most_shared(overlaps: pd.DataFrame) -> tuple[str, str]:
    """Name the two lists that share most persons.

    Examples
    --------
    >>> most_shared(pd.DataFrame([[9, 1, 3], [1, 9, 0], [3, 0, 9]], columns=["a", "b", "c"]))
    ('a', 'c')
    """
    shared = np.triu(overlaps.to_numpy(), k=1)
    first, second = divmod(int(shared.argmax()), len(shared))
    return str(overlaps.columns[first]), str(overlaps.columns[second])


def _content(table: TableViews) -> bytes:
    """Write what makes a table the table it is, so that different contents give different bytes."""
    strata = {str(name): column.tolist() for name, column in table._strata.items()}
    coverage = [(entry.list, entry.covariate, entry.levels) for entry in table.coverage]
    head = json.dumps([table.lists, strata, coverage, len(table)]).encode()
    cells = (table.histories.astype("<i8"), table.counts.astype("<i8"), table.censored)
    return b"\n".join([head, *(array.tobytes() for array in cells)])


def _restore(cls: type[_Views], values: dict[str, Any]) -> _Views:
    return cls(**values)
