"""`CaptureTable`: who was caught by which lists, counted."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pandas as pd

from hiddenpop import _frames
from hiddenpop._cells import COUNT, Cells, Coverage, is_written
from hiddenpop._verbs import RNGLike, TableVerbs
from hiddenpop._views import DENSE_LIMIT, TableSummary
from hiddenpop.errors import ConstantListWarning, EmptyListWarning

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DENSE_LIMIT", "CaptureTable", "Coverage", "RNGLike", "TableSummary"]

_Table = TypeVar("_Table", bound="CaptureTable")
_CALLER = 4  # a warning points at the line that called the constructor


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class CaptureTable(TableVerbs):
    """Counts of observed people by capture history and stratum, immutable.

    Use a constructor for the shape of your data: `from_counts`, `from_indicators`, `from_memberships`,
    `from_registrations` or `read`. Two tables are equal when they hold the same lists, cells, coverage and censoring;
    name, population and `public` are labels.

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
    def from_counts(
        cls,
        frame: pd.DataFrame,
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
            One row a cell.
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
        cells = _frames.read_counts(frame, lists, count, strata, censored)
        return _build(cls, cells, name, population, public, coverage)

    @classmethod
    def from_indicators(
        cls,
        frame: pd.DataFrame,
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
            One row a person.
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
        cells = _frames.read_indicators(frame, lists, strata)
        return _build(cls, cells, name, population, public, coverage)

    @classmethod
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
    def from_registrations(
        cls,
        frame: pd.DataFrame,
        person: str,
        list: str,
        strata: Sequence[str] = (),
        lists: Sequence[str] | None = None,
        *,
        name: str = "table",
        population: str = "",
        public: bool = False,
        coverage: Iterable[Coverage] | None = None,
    ) -> Self:
        """Make a table from one row a registration: a person, a list and strata.

        Parameters
        ----------
        frame : DataFrame
            One row a registration; repeated registrations of a person on a list count once.
        person, list : str
            The columns that say who was registered, and by which list.
        strata : sequence of str
            Columns of categorical covariates, the same in all rows of a person.
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
        cells = _frames.read_registrations(frame, person, list, strata, lists)
        return _build(cls, cells, name, population, public, coverage)

    @classmethod
    def read(
        cls,
        path: str | Path,
        lists: Sequence[str] | None = None,
        count: str | None = None,
        strata: Sequence[str] | None = None,
        censored: str | None = None,
        *,
        name: str | None = None,
        population: str = "",
        public: bool = False,
        coverage: Iterable[Coverage] | None = None,
    ) -> Self:
        r"""Read a table from a csv file (comma, semicolon or tab) or a parquet file.

        Parameters
        ----------
        path : str or Path
            The file; its suffix says which kind.
        lists : sequence of str, optional
            The 0/1 columns, in the order wanted. By default every column that is not named otherwise.
        count : str, optional
            The column of counts. By default a column called "count"; without one, a row is a person.
        strata : sequence of str, optional
            Columns of categorical covariates. By default the text columns.
        censored : str, optional
            A boolean column. By default, in a file with counts, a column called "censored".
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
            The observed cells.

        Raises
        ------
        TableError
            If the file cannot be read, or for the faults of `from_counts` and `from_indicators`.
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
        ...     _ = path.write_text("police,shelter,count\n1,0,40\n0,1,25\n1,1,12\n")
        ...     CaptureTable.read(path)
        CaptureTable 'example': 2 lists (police, shelter), 77 observed in 3 cells
        """
        given = None if strata is None else [str(column) for column in strata]
        cells = _frames.read_table(Path(path), lists, count, given, censored)
        return _build(cls, cells, _label(Path(path)) if name is None else name, population, public, coverage)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw how the lists overlap (`hiddenpop.plotting.overlap_plot`)."""
        from hiddenpop.plotting import overlap_plot

        return overlap_plot(self, ax=ax, **options)


def _label(path: Path) -> str:
    """Name a table after its file, with a mark for what can be neither shown nor stored."""
    return "".join(sign if is_written(sign) else "\ufffd" for sign in path.stem)


def _build(
    cls: type[_Table],
    cells: Cells,
    name: str,
    population: str,
    public: bool,
    coverage: Iterable[Coverage] | None,
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
