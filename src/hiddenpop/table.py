"""`CaptureTable`: who was caught by which lists, counted."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pandas as pd

from hiddenpop import _frames
from hiddenpop._cells import COUNT, Cells, Coverage, is_written
from hiddenpop._front_door import front_door, front_doors
from hiddenpop._verbs import RNGLike, TableVerbs
from hiddenpop._views import DENSE_LIMIT, TableSummary
from hiddenpop.errors import ConstantListWarning, EmptyListWarning, TableError
from hiddenpop.reading import CONFLICTS, Options, Reading, is_frame, plain_frame, read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DENSE_LIMIT", "CaptureTable", "Coverage", "RNGLike", "TableSummary"]

_Table = TypeVar("_Table", bound="CaptureTable")
_CALLER = 5  # a warning points at the line that called the constructor, outside its front door


@front_doors("__init__")
@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class CaptureTable(TableVerbs):
    """Counts of observed people by capture history and stratum, immutable.

    Use a constructor for the shape of your data: `from_counts`, `from_indicators`, `from_memberships`,
    `from_registrations` or `read`. Two tables are equal when they hold the same lists, cells, coverage and censoring;
    name, population, `public` and `reading` are labels.

    Attributes
    ----------
    lists : tuple of str
        Names of the t lists.
    histories : ndarray of int64, shape (m,)
        Capture histories of the m cells; bit i is set for the people on ``lists[i]``. Never 0.
    strata : DataFrame, shape (m, c)
        Levels of c categorical covariates, as text; possibly no columns.
    counts : ndarray of int64, shape (m,)
        People in each cell. Empty cells are not stored, except censored ones.
    censored : ndarray of bool, shape (m,)
        True where the count is only an upper bound.
    name, population : str
        A short name, and who is counted: where, in which period, who is eligible.
    public : bool
        True for published and synthetic counts. Of all others small counts are withheld from files.
    coverage : tuple of Coverage
        Lists that operate only in some strata.
    reading : Reading or None
        How the file was understood that the table was read from; a label too.

    Notes
    -----
    Cells are sorted by strata and then by history, so that the order of the input never matters.

    Examples
    --------
    >>> frame = pd.DataFrame({"police": [1, 0, 1], "shelter": [0, 1, 1], "count": [40, 25, 12]})
    >>> table = CaptureTable.from_counts(frame, public=True)
    >>> table
    CaptureTable 'table': 2 lists (police, shelter), 77 observed in 3 cells
    """

    @classmethod
    @front_door
    def from_counts(
        cls,
        frame: pd.DataFrame | Any,
        lists: Sequence[str] | None = None,
        count: str = COUNT,
        strata: Sequence[str] = (),
        censored: str | None = None,
        *,
        name: str = "table",
        population: str = "",
        public: bool = False,
        coverage: Iterable[Coverage] | None = None,
    ) -> Self:
        """Make a table from one row a cell: 0/1 columns, strata and a count.

        Parameters
        ----------
        frame : DataFrame
            One row a cell; of pandas, polars, pyarrow or another library that narwhals knows.
        lists : sequence of str, optional
            The 0/1 columns, in the order wanted. By default every column that is not named otherwise.
        count : str
            The column of counts.
        strata : sequence of str
            Columns of categorical covariates.
        censored : str, optional
            A boolean column, true where the count is only an upper bound.
        name, population : str
            Labels.
        public : bool
            Whether small counts may leave.
        coverage : iterable of Coverage, optional
            Lists that operate only in some strata.

        Returns
        -------
        CaptureTable
            The observed cells. A row on no list with count 0 is left out.

        Raises
        ------
        TableError
            For faulty values, with all faults in one message.
        UnknownNameError
            For a column that is not there.

        Warns
        -----
        EmptyListWarning, ConstantListWarning
            For a list that caught nobody, or everybody.

        Examples
        --------
        >>> frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "region": ["n", "n", "s"], "n": [4, 5, 6]})
        >>> CaptureTable.from_counts(frame, count="n", strata=["region"]).n_observed
        15
        """
        cells = _frames.read_counts(plain_frame(frame), lists, count, strata, censored)
        return _build(cls, cells, name, population, public, coverage)

    @classmethod
    @front_door
    def from_indicators(
        cls,
        frame: pd.DataFrame | Any,
        lists: Sequence[str] | None = None,
        strata: Sequence[str] = (),
        *,
        name: str = "table",
        population: str = "",
        public: bool = False,
        coverage: Iterable[Coverage] | None = None,
    ) -> Self:
        """Make a table from one row a person: 0/1 columns and strata.

        Parameters
        ----------
        frame : DataFrame
            One row a person; of pandas, polars, pyarrow or another library that narwhals knows.
        lists : sequence of str, optional
            The 0/1 columns, in the order wanted. By default every column that is not in `strata`.
        strata : sequence of str
            Columns of categorical covariates.
        name, population : str
            Labels.
        public : bool
            Whether small counts may leave.
        coverage : iterable of Coverage, optional
            Lists that operate only in some strata.

        Returns
        -------
        CaptureTable
            The people, counted.

        Raises
        ------
        TableError
            For faulty values and for people on no list, with all faults in one message that names people by row and
            quotes nothing that could identify one.
        UnknownNameError
            For a column that is not there.

        Warns
        -----
        EmptyListWarning, ConstantListWarning
            For a list that caught nobody, or everybody.

        Examples
        --------
        >>> people = pd.DataFrame({"police": [1, 0, 1], "shelter": [0, 1, 0]})
        >>> CaptureTable.from_indicators(people).counts.tolist()
        [2, 1]
        """
        cells = _frames.read_indicators(plain_frame(frame), lists, strata)
        return _build(cls, cells, name, population, public, coverage)

    @classmethod
    @front_door
    def from_memberships(
        cls,
        memberships: Iterable[Iterable[str]],
        lists: Sequence[str] | None = None,
        *,
        name: str = "table",
        population: str = "",
        public: bool = False,
        coverage: Iterable[Coverage] | None = None,
    ) -> Self:
        """Make a table from, for each person, the names of the lists that person is on.

        Parameters
        ----------
        memberships : iterable of iterables of str
            The list names of each person; a name that occurs twice counts once.
        lists : sequence of str, optional
            The lists in the order wanted, empty ones included. By default the names found, sorted.
        name, population : str
            Labels.
        public : bool
            Whether small counts may leave.
        coverage : iterable of Coverage, optional
            Lists that operate only in some strata.

        Returns
        -------
        CaptureTable
            The people, counted.

        Raises
        ------
        TableError
            For a person on no list, a missing name, or one that is not in `lists`, with all faults in one message.

        Warns
        -----
        EmptyListWarning, ConstantListWarning
            For a list that caught nobody, or everybody.

        Examples
        --------
        >>> CaptureTable.from_memberships([["police"], ["shelter"], ["police", "shelter"]]).to_dense().tolist()
        [0, 1, 1, 1]
        """
        cells = _frames.read_memberships(memberships, lists)
        return _build(cls, cells, name, population, public, coverage)

    @classmethod
    @front_door
    def from_registrations(
        cls,
        frame: pd.DataFrame | Any,
        person: str,
        list: str,
        strata: Sequence[str] = (),
        lists: Sequence[str] | None = None,
        *,
        conflicts: str = "error",
        date: str | None = None,
        name: str = "table",
        population: str = "",
        public: bool = False,
        coverage: Iterable[Coverage] | None = None,
    ) -> Self:
        """Make a table from one row a registration: a person, a list and strata.

        Parameters
        ----------
        frame : DataFrame
            One row a registration; repeated registrations of a person on a list count once. Of pandas, polars, pyarrow
            or another library that narwhals knows.
        person, list : str
            The columns that say who was registered, and by which list.
        strata : sequence of str
            Columns of categorical covariates.
        lists : sequence of str, optional
            The lists in the order wanted, empty ones included. By default the names found, sorted.
        conflicts : {"error", "first", "last", "mode"}
            Which level counts where the registrations of a person differ in a stratum.
        date : str, optional
            A column that puts the registrations in order, for "first" and "last"; by default the order of the rows.
        name, population : str
            Labels.
        public : bool
            Whether small counts may leave.
        coverage : iterable of Coverage, optional
            Lists that operate only in some strata.

        Returns
        -------
        CaptureTable
            The people, counted.

        Raises
        ------
        TableError
            For a registration without person or list, a list that is not in `lists`, and strata that differ within a
            person, with all faults in one message that names people by position and never by identity.
        UnknownNameError
            For a column that is not there.

        Warns
        -----
        EmptyListWarning, ConstantListWarning
            For a list that caught nobody, or everybody.

        Examples
        --------
        >>> rows = pd.DataFrame({"who": ["x", "y"], "where": ["police", "shelter"]})
        >>> CaptureTable.from_registrations(rows, person="who", list="where").n_observed
        2
        """
        if conflicts not in CONFLICTS:
            raise TableError(f"conflicts={conflicts!r}; choose {', '.join(CONFLICTS)}")
        cells = _frames.read_registrations(
            plain_frame(frame), person, list, strata, lists, conflicts=conflicts, date=date
        )
        return _build(cls, cells, name, population, public, coverage)

    @classmethod
    @front_door
    def read(
        cls,
        source: Any,
        lists: Sequence[str] | None = None,
        count: str | None = None,
        strata: Sequence[str] | None = None,
        censored: str | None = None,
        *,
        person: str | None = None,
        list: str | Sequence[str] | None = None,
        date: str | None = None,
        conflicts: str = "error",
        columns: Sequence[str] | None = None,
        decimal: str | None = None,
        yes: str | None = None,
        visits: str | None = None,
        split: str | None = None,
        sheet: str | None = None,
        name: str | None = None,
        population: str = "",
        public: bool = False,
        coverage: Iterable[Coverage] | None = None,
    ) -> Self:
        r"""Read a table from a file as its owner has it; what can be read in several ways is asked.

        Parameters
        ----------
        source : str, Path, DataFrame or mapping
            A file: csv, tsv or txt, Excel, Stata, SPSS, parquet, Arrow or json, its suffix says which, also with .gz.
            Or a dataframe, or counts by capture history, ``{"110": 12, ...}``.
        lists : sequence of str, optional
            The columns that are lists, in the order wanted; columns that are not named are then set aside. By default
            the columns of 0 and 1, yes and no, and the like.
        count : str, optional
            The column of counts; "none" where a row is a person. By default a column that is called as counts are. Of
            registrations, how often the person was on the list: rows with 0 are left out.
        strata : sequence of str, optional
            Columns of categorical covariates. By default columns of text, and of 0 and 1 with a name such as "sex".
        censored : str, optional
            A boolean column. By default, in a file with counts, a column called "censored".
        person : str, optional
            Of registrations, the column that says who was registered.
        list : str or sequence of str, optional
            Of registrations, the column that names the list; without it, the lists are columns of 0 and 1. Or several
            columns that each name a list of the row, whatever a row is.
        date : str, optional
            Of registrations, the column of days, for `conflicts`.
        conflicts : {"error", "first", "last", "mode"}
            Which level counts where the registrations of a person differ in a stratum.
        columns : sequence of str, optional
            Names for the columns of a file without a line of names.
        decimal : {".", ","}, optional
            The decimal sign, where the file leaves it open.
        yes : str, optional
            The value that says "on the list", where the file leaves it open.
        visits : {"presence"}, optional
            How lists that hold numbers of visits or registrations are read: on the list is who has any.
        split : str, optional
            What stands between lists that are named in one cell, such as "+" or "and"; "letters" where each letter is
            a list, as in AB; "none" where a cell names one list. By default found out where that cannot be misread.
        sheet : str, optional
            Which table, in a file of several: the name of a sheet, or the number of the table.
        name : str, optional
            Label; by default the name of the file.
        population : str
            Label.
        public : bool
            Whether small counts may leave.
        coverage : iterable of Coverage, optional
            Lists that operate only in some strata.

        Returns
        -------
        CaptureTable
            The observed cells; `reading` says how the file was understood.

        Raises
        ------
        TableError
            If the file cannot be read; for faulty values, all in one message; and where it can be read in several
            ways, with the options to choose from.
        UnknownNameError
            For a column that is not there.

        Warns
        -----
        EmptyListWarning, ConstantListWarning
            For a list that caught nobody, or everybody.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "example.csv"
        ...     _ = path.write_text("police,shelter,total\n1,0,40\n0,1,25\n1,1,12\n")
        ...     table = CaptureTable.read(path)
        >>> table
        CaptureTable 'example': 2 lists (police, shelter), 77 observed in 3 cells
        >>> print(table.reading)
        Read 3 rows, one row per combination of lists: lists police, shelter; counts total.
        total is taken for the counts by its name.
        """
        if isinstance(source, type) or not (isinstance(source, str | os.PathLike) or is_frame(source)):
            raise TableError(
                f"a table is read from a file, a dataframe or counts by capture history, and this is of type "
                f"{type(source).__name__}; give the path of a file, or name the columns in a dataframe"
            )
        options = Options(
            lists=lists,
            count=count,
            strata=strata,
            censored=censored,
            person=person,
            list=list,
            date=date,
            conflicts=conflicts,
            columns=columns,
            decimal=decimal,
            yes=yes,
            visits=visits,
            split=split,
            sheet=sheet,
        )
        cells, reading = read_table(source, options)
        label = name if name is not None else _label(source)
        return _build(cls, cells, label, population, public, coverage, reading)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw how the lists overlap (`hiddenpop.plotting.overlap_plot`)."""
        from hiddenpop.plotting import overlap_plot

        return overlap_plot(self, ax=ax, **options)


def _label(source: object) -> str:
    """Name a table after its file, with a mark for what can be neither shown nor stored."""
    if isinstance(source, Mapping) or is_frame(source):
        return "table"
    return "".join(sign if is_written(sign) else "\ufffd" for sign in Path(str(source)).stem)


def _build(
    cls: type[_Table],
    cells: Cells,
    name: str,
    population: str,
    public: bool,
    coverage: Iterable[Coverage] | None,
    reading: Reading | None = None,
) -> _Table:
    table = cls(
        lists=cells.lists,
        histories=cells.histories,
        counts=cells.counts,
        _strata=cells.strata,
        censored=cells.censored,
        name=name,
        population=population,
        public=public,
        coverage=tuple(coverage or ()),
        reading=reading,
    )
    _warn_of_lists(table)
    return table


def _warn_of_lists(table: CaptureTable) -> None:
    totals = table.list_totals
    for name in totals.index[totals == 0]:
        warnings.warn(
            f"list {name!r} caught nobody; estimators leave it out", EmptyListWarning, stacklevel=_CALLER
        )
    for name in totals.index[totals == table.n_observed]:
        warnings.warn(
            f"list {name!r} caught everybody observed, so nobody was seen without it; check that it is a list",
            ConstantListWarning,
            stacklevel=_CALLER,
        )
