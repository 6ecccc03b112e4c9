"""`Base` and `OutputTable`: numbers that would leave, and which persons each of them counts."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.errors import SettingError, TableError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["TOTAL", "Base", "OutputTable", "Releasable"]

Kind = Literal["counts", "magnitudes", "answers", "safe"]
TOTAL = "total"
"""What a dimension says in a row that adds up over it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Base:
    """The persons that numbers are about, in the finest groups that play a part.

    Parameters
    ----------
    name : str
        Which persons, from which table: numbers under one name are audited together, so a table that others were made
        from (a list left out, a year less) and those others share one base.
    frame : DataFrame, one row a cell
        Classifying columns.
    counts : ndarray, shape (b,)
        Persons (or an amount) in each cell, zeros included where nobody outside knows that they are zero.
    known : ndarray of bool, shape (b,), optional
        Cells that everybody knows: a list that does not operate there. They protect nobody. None for no such cell.
    whole : bool
        False for amounts.

    Raises
    ------
    TableError
        If a count is negative, missing or, in a base of persons, fractional, or a cell is there twice.

    Examples
    --------
    >>> base = Base(name="city", frame=pd.DataFrame({"sex": ["f", "m"]}), counts=np.array([3, 40]))
    >>> base.cells
    ('sex=f', 'sex=m')
    """

    name: str
    frame: pd.DataFrame
    counts: npt.NDArray[Any]
    known: npt.NDArray[np.bool_] | None = None
    whole: bool = True

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, dtype=np.float64)
        object.__setattr__(self, "counts", counts)
        if self.known is not None:
            object.__setattr__(self, "known", np.asarray(self.known, dtype=bool))
        marks = self.protected.size
        if len(self.frame) != counts.size or marks != counts.size:
            raise TableError(
                f"base {self.name!r} has {len(self.frame)} cells, {counts.size} counts and {marks} marks of what is "
                f"known; give one of each a cell"
            )
        wrong = ~(np.isfinite(counts) & (counts >= 0))
        if self.whole:
            wrong |= counts != np.round(counts)
        if wrong.any():
            raise TableError(
                f"base {self.name!r}: {int(wrong.sum())} of {counts.size} counts are negative, missing or fractional, "
                f"the first in row {int(np.flatnonzero(wrong)[0])}"
            )
        if len(set(self.cells)) != counts.size:
            raise TableError(f"base {self.name!r} has a cell twice; add up the rows that are alike")

    @property
    def protected(self) -> npt.NDArray[np.bool_]:
        """Cells that not everybody knows, shape (b,)."""
        return np.ones(self.counts.size, dtype=bool) if self.known is None else ~self.known

    @property
    def cells(self) -> tuple[str, ...]:
        """A label for every cell, by which bases of two releases are matched."""
        columns = [str(name) for name in self.frame.columns]
        return tuple(
            ", ".join(f"{name}={value}" for name, value in zip(columns, row, strict=True))
            for row in self.frame.itertuples(index=False, name=None)
        )

    def onto(self, finer: "Base") -> "csr_array[Any]":
        """Say which cells of a finer base each cell of this one adds up: a list left out, groups put together.

        Parameters
        ----------
        finer : Base
            With all columns of this base, and more.

        Returns
        -------
        csr_array, shape (b, cells of `finer`)

        Raises
        ------
        SettingError
            If a column is missing there, or the counts of the finer base do not add up to those of this one.
        """
        matrix = lifted(self.frame, finer.frame)
        if matrix is None:
            raise SettingError(
                f"two bases are called {self.name!r} and neither has all columns of the other; give both the finest "
                f"base that they share"
            )
        if not np.allclose(matrix @ finer.counts, self.counts):
            raise SettingError(
                f"two bases are called {self.name!r} and differ; name each after its persons and table"
            )
        return matrix

    def sums(self, conditions: Sequence[Mapping[str, Any]]) -> "csr_array[Any]":
        """Give a row for each condition: a value, or a set of values, for some of the classifying columns."""
        from scipy.sparse import csr_array

        rows = np.ones((len(conditions), len(self.frame)), dtype=bool)
        for k, condition in enumerate(conditions):
            for name, value in condition.items():
                if name not in self.frame.columns:
                    raise TableError(f"base {self.name!r} has no column {name!r}")
                values = value if isinstance(value, set | frozenset | list | tuple) else [value]
                rows[k] &= self.frame[name].isin(list(values)).to_numpy()
        return csr_array(rows.astype(np.float64))


def lifted(frame: pd.DataFrame, finer: pd.DataFrame) -> "csr_array[Any] | None":
    """Say which rows of a finer frame of cells each row of a frame adds up; None where a column is missing there.

    Cells are matched by what their values read as, since a frame that comes from a file may hold other types.
    """
    from scipy.sparse import csr_array

    columns = [str(name) for name in frame.columns]
    names = {str(name): name for name in finer.columns}
    if not set(columns) <= set(names):
        return None
    place = {row: k for k, row in enumerate(_as_words(frame, list(frame.columns)))}
    found = [place.get(row, -1) for row in _as_words(finer, [names[name] for name in columns])]
    at = np.array(found, dtype=np.int64)
    inside = np.flatnonzero(at >= 0)
    return csr_array((np.ones(inside.size), (at[inside], inside)), shape=(len(frame), len(finer)))


def _as_words(frame: pd.DataFrame, columns: list[Any]) -> list[tuple[str, ...]]:
    rows = frame[columns].itertuples(index=False, name=None)
    return [tuple(_word(value) for value in row) for row in rows]


def _word(value: Any) -> str:
    """Read a value alike whether it is a truth, a whole number or its text: histories come as each of them."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


class Releasable(Protocol):
    """A record that says what it would show, and can be given what may be shown instead."""

    def output_tables(self) -> "tuple[OutputTable, ...]":
        """Give the numbers that the record would show, named apart."""
        ...

    def released(self, frames: Mapping[str, pd.DataFrame]) -> Self:
        """Give the same record with the frames that may be shown, by the names of its output tables."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputTable:
    """Numbers that would leave together, and how each follows from base cells.

    Use `of_counts`, `of_sums`, `of_magnitudes`, `of_answers` or `of_words`.

    Attributes
    ----------
    name : str
    kind : {"counts", "magnitudes", "answers", "safe"}
    frame : DataFrame
        One row per number, with what it is the number of.
    value : str
        The column of the numbers; empty where nothing in the frame is to be protected.
    base : Base or None
    matrix : csr_array or None
        One row per number, as a sum of base cells. For answers the sums that they depend on, and on nothing else; None
        where they depend on the table in another way.
    dimensions : tuple of str
        Columns that say what each number is the number of. They are shown as they are; a table has no other columns.
    rounded : bool
        Whether counts that may be shown are rounded to the base of the rules.
    contributions : tuple of ndarray
        What each contributor adds to each magnitude.
    recompute : mapping
        How answers follow from base counts, as plain data: a registered name and settings. A number under ``times``
        says that they are dear, and how often at most they may be worked out for other counts.
    n_parameters : int or None
        Of the model behind answers.
    finest : float or None
        No answer is given finer than this; None for the setting of the rules, which is about persons.
    exact : bool
        Whether answers may leave with all digits where these tell nothing. False for the floor: two digits at most.
    lift : csr_array or None
        How the counts that `recompute` is about follow from those of `base`; None where they are the same.
    tells : mapping of int to tuple of int
        For a row, the rows (of totals) whose persons it says something of, should nearly all be in it.
    """

    name: str
    kind: Kind
    frame: pd.DataFrame
    value: str = ""
    base: Base | None = None
    matrix: "csr_array[Any] | None" = None
    contributions: tuple[npt.NDArray[np.float64], ...] = ()
    recompute: Mapping[str, Any] = field(default_factory=dict)
    n_parameters: int | None = None
    finest: float | None = None
    exact: bool = True
    lift: "csr_array[Any] | None" = None
    dimensions: tuple[str, ...] = ()
    rounded: bool = False
    tells: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.dimensions:
            named = tuple(str(c) for c in self.frame.columns if c != self.value and _is_label(self.frame[c]))
            object.__setattr__(self, "dimensions", named)
        strange = [str(c) for c in self.frame.columns if c != self.value and str(c) not in self.dimensions]
        if strange:
            raise TableError(
                f"output {self.name!r}: column {strange[0]!r} holds numbers of which nothing is known; leave it out, "
                f"make it an output of its own, or name it in dimensions={[*self.dimensions, strange[0]]!r} if it only "
                f"says what a row is about"
            )
        if self.value and self.value not in self.frame.columns:
            raise TableError(f"output {self.name!r} has no column {self.value!r}")
        if self.kind in {"counts", "magnitudes"} and self.matrix is not None and self.base is not None:
            if self.matrix.shape != (len(self.frame), self.base.counts.size):
                raise TableError(
                    f"output {self.name!r}: {len(self.frame)} numbers of {self.base.counts.size} base cells need as "
                    f"many rows and columns, not {self.matrix.shape}"
                )
            wrong = ~(np.abs(self.matrix @ self.base.counts - self.numbers) <= 1e-6)
            if wrong.any():
                raise TableError(
                    f"output {self.name!r}: {int(wrong.sum())} of {len(self.frame)} numbers are not the sums of base "
                    f"cells that they are said to be, the first in row {int(np.flatnonzero(wrong)[0])}"
                )

    @property
    def numbers(self) -> npt.NDArray[np.float64]:
        """The numbers as they are."""
        return self.frame[self.value].to_numpy(dtype=np.float64)

    @classmethod
    def of_counts(
        cls,
        name: str,
        base: Base,
        by: Sequence[str],
        *,
        groups: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
        totals: bool = True,
        telling: Sequence[str] = (),
        rounded: bool = False,
    ) -> "OutputTable":
        """Count persons by some columns of the base, with subtotals and totals.

        Parameters
        ----------
        name : str
        base : Base
        by : sequence of str
            Columns of the base.
        groups : mapping, optional
            For a column, subtotals: a label and the values that it adds up.
        totals : bool
            Whether each column gets its total.
        telling : sequence of str
            Columns that are not known of a person but learned from the table (helped or not), for the rule of group
            disclosure.
        rounded : bool
            Whether counts that may be shown are rounded to the base of the rules.

        Returns
        -------
        OutputTable

        Examples
        --------
        >>> base = Base(name="city", frame=pd.DataFrame({"sex": ["f", "m"]}), counts=np.array([3, 40]))
        >>> OutputTable.of_counts("by sex", base, ["sex"]).frame.to_dict("list")
        {'sex': ['f', 'm', 'total'], 'count': [3, 40, 43]}
        """
        codes = [_codes(base, column, (groups or {}).get(column, {}), totals) for column in by]
        rows = list(itertools.product(*codes))
        matrix = base.sums(
            [{column: values for column, (_, values) in zip(by, row, strict=True)} for row in rows]
        )
        frame = pd.DataFrame([[label for label, _ in row] for row in rows], columns=list(by), dtype=object)
        found = cls.of_sums(name, base, frame, matrix, rounded=rounded, dimensions=by)
        return replace(found, tells=_tells(frame, telling))

    @classmethod
    def of_sums(
        cls,
        name: str,
        base: Base,
        frame: pd.DataFrame,
        matrix: "csr_array[Any]",
        *,
        value: str = "count",
        dimensions: Sequence[str] = (),
        rounded: bool = False,
    ) -> "OutputTable":
        """Give counts whose sums of base cells are known by row; the column of numbers is made where it is absent.

        Parameters
        ----------
        name : str
        base : Base
        frame : DataFrame
            One row per number, with what it is the number of.
        matrix : csr_array, shape (rows, b)
        value : str
            The column of the numbers.
        dimensions : sequence of str
            Columns that only say what a row is about. Those of text, truths, and whole numbers 0 and 1 need not be
            named; any other column of numbers must be.
        rounded : bool
            Whether counts that may be shown are rounded to the base of the rules.

        Returns
        -------
        OutputTable
        """
        if value not in frame.columns:
            frame = frame.assign(**{value: _plain(matrix @ base.counts, base.whole)})
        return cls(
            name=name,
            kind="counts",
            frame=frame,
            value=value,
            base=base,
            matrix=matrix,
            dimensions=_with_labels(frame, value, dimensions),
            rounded=rounded,
        )

    @classmethod
    def of_magnitudes(
        cls,
        name: str,
        base: Base,
        frame: pd.DataFrame,
        matrix: "csr_array[Any]",
        contributions: Sequence[npt.ArrayLike],
        *,
        value: str = "value",
    ) -> "OutputTable":
        """Give amounts with what each contributor adds to each of them."""
        if value not in frame.columns:
            frame = frame.assign(**{value: matrix @ base.counts})
        if len(contributions) != len(frame):
            raise TableError(
                f"output {name!r} has {len(frame)} magnitudes and the contributors of {len(contributions)}"
            )
        parts = tuple(np.asarray(part, dtype=np.float64) for part in contributions)
        return cls(
            name=name,
            kind="magnitudes",
            frame=frame,
            value=value,
            base=base,
            matrix=matrix,
            contributions=parts,
        )

    @classmethod
    def of_answers(
        cls,
        name: str,
        base: Base,
        frame: pd.DataFrame,
        *,
        value: str = "value",
        margins: "csr_array[Any] | None" = None,
        recompute: Mapping[str, Any] | None = None,
        n_parameters: int | None = None,
        finest: float | None = None,
        exact: bool = True,
        dimensions: Sequence[str] = (),
    ) -> "OutputTable":
        """Give what a model or an estimator made of the base counts: numbers, and words such as a status.

        Parameters
        ----------
        name : str
        base : Base
        frame : DataFrame
            One row per number.
        value : str
            The column of the answers. What is not a number there (a status, a chosen model) is shown as it is or not at
            all, and must come out alike from other tables of counts.
        margins : csr_array, optional
            The sums that the answers depend on, and on nothing else: of a given hierarchical model the number
            observed, the sizes of lists and the overlaps in its terms.
        recompute : mapping, optional
            Registered name and settings, for a function that makes the answers of other counts.
        n_parameters : int, optional
        finest : float, optional
            No number is given finer than this; the setting of the rules, which is about persons, by default.
        exact : bool
            Whether numbers may leave with all digits where these tell nothing.
        dimensions : sequence of str
            Columns of numbers that only say what a row is about.

        Returns
        -------
        OutputTable
        """
        return cls(
            name=name,
            kind="answers",
            frame=frame,
            value=value,
            base=base,
            matrix=margins,
            recompute=dict(recompute or {}),
            n_parameters=n_parameters,
            finest=finest,
            exact=exact,
            dimensions=_with_labels(frame, value, dimensions),
        )

    @classmethod
    def of_words(cls, name: str, frame: pd.DataFrame, *, numbers: Sequence[str] = ()) -> "OutputTable":
        """Name what is safe: settings and versions, which say nothing of how many persons.

        Parameters
        ----------
        name : str
        frame : DataFrame
        numbers : sequence of str
            Columns of numbers that are settings; a column of numbers that is not named here is refused.

        Returns
        -------
        OutputTable
        """
        return cls(name=name, kind="safe", frame=frame, dimensions=_with_labels(frame, "", numbers))

    def output_tables(self) -> "tuple[OutputTable, ...]":
        """Give itself."""
        return (self,)

    def released(self, frames: Mapping[str, pd.DataFrame]) -> "OutputTable":
        """Give the table as it may be shown: without base, and so without any number that is not in the frame."""
        return replace(
            self,
            kind="safe",
            frame=frames[self.name],
            value="",
            base=None,
            matrix=None,
            lift=None,
            contributions=(),
            recompute={},
            dimensions=tuple(str(name) for name in self.frame.columns),
        )

    def onto(self, finer: Base) -> "OutputTable":
        """Give the same numbers as sums of the cells of a finer base."""
        if self.base is None or self.base is finer:
            return self
        matrix = self.base.onto(finer)
        lift = self.lift @ matrix if self.lift is not None else matrix
        return replace(
            self,
            base=finer,
            matrix=None if self.matrix is None else (self.matrix @ matrix).tocsr(),
            lift=lift if self.kind == "answers" else None,
        )

    @property
    def about(self) -> npt.NDArray[np.bool_]:
        """The base cells that any of the numbers is about, shape (b,)."""
        if self.base is None:
            return np.zeros(0, dtype=bool)
        matrix = self.lift if self.kind == "answers" else self.matrix
        if matrix is None:
            return np.ones(self.base.counts.size, dtype=bool)
        return np.asarray(abs(matrix).sum(axis=0)).ravel() > 0


def _codes(
    base: Base, column: str, groups: Mapping[str, Sequence[Any]], totals: bool
) -> list[tuple[Any, list[Any]]]:
    if column not in base.frame.columns:
        raise TableError(
            f"base {base.name!r} has no column {column!r}; it has {', '.join(map(str, base.frame))}"
        )
    values = list(dict.fromkeys(base.frame[column]))
    codes = [(value, [value]) for value in values]
    for label, members in groups.items():
        if strange := set(members) - set(values):
            raise SettingError(f"group {label!r} adds up {len(strange)} values that {column!r} does not have")
        codes.append((label, list(members)))
    return codes + ([(TOTAL, values)] if totals else [])


def _tells(frame: pd.DataFrame, telling: Sequence[str]) -> dict[int, tuple[int, ...]]:
    rows = [tuple(row) for row in frame.itertuples(index=False, name=None)]
    place = {row: k for k, row in enumerate(rows)}
    found: dict[int, tuple[int, ...]] = {}
    for column in telling:
        at = list(frame.columns).index(column)
        for k, row in enumerate(rows):
            total = place.get((*row[:at], TOTAL, *row[at + 1 :]))
            if total is not None and total != k:
                found[k] = (*found.get(k, ()), total)
    return found


def _is_label(column: "pd.Series[Any]") -> bool:
    """Tell a column that says what a row is about: words, truths, and histories of 0 and 1."""
    if pd.api.types.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if pd.api.types.is_float_dtype(column):
        return False
    return bool(column.map(lambda one: not isinstance(one, int | float | np.number) or one in {0, 1}).all())


def _with_labels(frame: pd.DataFrame, value: str, named: Sequence[str]) -> tuple[str, ...]:
    """Add to the dimensions that are named those that are plain to see."""
    missing = [name for name in named if name not in frame.columns]
    if missing:
        raise TableError(f"there is no column {missing[0]!r}; the frame has {', '.join(map(str, frame))}")
    return tuple(
        str(name)
        for name in frame.columns
        if name != value and (name in named or str(name) in named or _is_label(frame[name]))
    )


def _plain(values: npt.NDArray[np.float64], whole: bool) -> npt.NDArray[Any]:
    return np.round(values).astype(np.int64) if whole else values
