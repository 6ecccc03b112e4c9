"""What was asked of a reader, and what it says that it understood."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from hiddenpop._typing import Ints
from hiddenpop.disclosure import THRESHOLD, is_small
from hiddenpop.errors import TableError

__all__ = ["CONFLICTS", "PRESENCE", "ROLES", "Options", "Reading", "number_of", "people", "places"]

CONFLICTS = ("error", "first", "last", "mode")
DECIMAL_SIGNS = (".", ",")
PRESENCE = "presence"
"""What is typed to say that a number of visits above 0 means being on the list."""

ROLES = ("list", "count", "stratum", "person", "date", "censored", "set aside")
"""What a column can be; with registrations, one column names the list: the role "list name"."""

MOST_ROWS = 5
"""Rows that a message names."""

UNITS = {
    "cell": "one row per combination of lists",
    "person": "one row per person",
    "registration": "one row per registration",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user says of a file; everything that is None is found out.

    Parameters
    ----------
    lists, strata, columns : sequence of str or None
        Columns that are lists; columns that are strata; names for the columns of a file without a header line.
    count, censored, person, date : str or None
        One column each. The count "none" says that a row is a person, whatever the columns are called.
    list : str, sequence of str or None
        The column that names the list of a registration; or several that each name a list of the row.
    conflicts : {"error", "first", "last", "mode"}
        Which stratum counts where the registrations of a person differ.
    decimal : {".", ","} or None
        The decimal sign of the file.
    yes : str or None
        The value that says "on the list" in a file of two values.
    visits : {"presence"} or None
        How lists that hold numbers of visits are read: on the list is who was there at least once.
    split : str or None
        What stands between the names of lists in one cell, "letters" or "none".
    sheet : str or None
        Which table of a file that holds several: a sheet, or a number.

    Raises
    ------
    TableError
        For a choice that does not exist.
    """

    lists: Sequence[str] | None = None
    count: str | None = None
    strata: Sequence[str] | None = None
    censored: str | None = None
    person: str | None = None
    list: str | Sequence[str] | None = None
    date: str | None = None
    conflicts: str = "error"
    columns: Sequence[str] | None = None
    decimal: str | None = None
    yes: str | None = None
    visits: str | None = None
    split: str | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        for name in ("lists", "strata", "columns"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise TableError(
                    f"{name} is the text {given!r}; give a sequence of names, such as [{given!r}]"
                )
            if given is not None:
                object.__setattr__(self, name, tuple(map(str, given)))
        if self.list is not None and not isinstance(self.list, str):
            names = tuple(map(str, self.list))
            if not names or len(set(names)) < len(names):
                raise TableError(
                    "list names no column, or one twice; name the column, or several that each name a list"
                )
            object.__setattr__(self, "list", names[0] if len(names) == 1 else names)
        if self.sheet is not None:
            object.__setattr__(self, "sheet", str(self.sheet))
        if self.columns == ():
            raise TableError("columns names none; name every column of the file, in order")
        if self.conflicts not in CONFLICTS:
            raise TableError(f"conflicts={self.conflicts!r}; choose {', '.join(CONFLICTS)}")
        if self.decimal not in (None, *DECIMAL_SIGNS):
            raise TableError(f"decimal={self.decimal!r}; choose . or ,")
        if self.visits not in (None, PRESENCE):
            raise TableError(
                f"visits={self.visits!r}; say {PRESENCE!r}, which reads every number above 0 as being on the list"
            )
        if self.visits is not None and self.yes is not None:
            raise TableError("yes and visits both say what means being on a list; give one of them")
        if self.split is not None and not self.split.strip():
            raise TableError(
                "split is blank; give the sign or word between the names of lists in one cell, such as +"
            )

    @property
    def list_column(self) -> str | None:
        """The one column that names the list of a registration; None where there are several, or none."""
        return self.list if isinstance(self.list, str) else None

    @property
    def lists_beside(self) -> Sequence[str]:
        """Several columns that each name a list of the row; empty where there is one, or none."""
        return () if self.list is None or isinstance(self.list, str) else self.list

    def of_registrations(self) -> Sequence[str]:
        """Name the options that were set and go with registrations only."""
        only = ("date", "conflicts") if self.lists_beside else ("list", "date", "conflicts")
        defaults = {entry.name: entry.default for entry in fields(self) if entry.name in only}
        return [name for name, default in defaults.items() if getattr(self, name) != default]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file was understood. It holds names of columns and never a value of a person.

    Parameters
    ----------
    unit : {"cell", "person", "registration"}
        What a row is.
    rows : int
        Rows that were read.
    persons : int or None
        Persons that registrations were brought together to.
    roles : mapping of str to str
        What each column is, one of `ROLES`.
    notes : tuple of str
        Sentences on what was guessed, left out or read over.

    Examples
    --------
    >>> print(Reading("cell", 3, None, {"a": "list", "b": "list", "n": "count"}, ("n was taken for the counts",)))
    Read 3 rows, one row per combination of lists: lists a, b; counts n.
    n was taken for the counts.
    """

    unit: str
    rows: int
    persons: int | None
    roles: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "roles", MappingProxyType(dict(self.roles)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process: a read-only mapping cannot."""
        return type(self), (self.unit, self.rows, self.persons, dict(self.roles), self.notes)

    def __str__(self) -> str:
        """Write the reading as lines."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Give the sentences, first what a row and each column is."""
        brought = "" if self.persons is None else f" of {people(self.persons)}"
        head = f"Read {number_of(self.rows, 'row')}, {UNITS[self.unit]}{brought}"
        return [f"{head}: {self._columns()}.", *(f"{note}." for note in self.notes)]

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return {
            "unit": self.unit,
            "rows": self.rows,
            "persons": None if self.persons is None or is_small(self.persons) else self.persons,
            "roles": dict(self.roles),
            "notes": list(self.notes),
        }

    def _columns(self) -> str:
        words = {
            "list": ("list", "lists"), "list name": ("lists named in", "lists named in"), "count": ("counts", "counts"),
            "stratum": ("stratum", "strata"), "person": ("person", "persons"), "date": ("date", "dates"),
            "censored": ("censored", "censored"), "set aside": ("set aside", "set aside"),
        }  # fmt: skip
        parts = []
        for role, (one, several) in words.items():
            names = [name for name, held in self.roles.items() if held == role]
            if names:
                parts.append(f"{one if len(names) == 1 else several} {', '.join(names)}")
        return "; ".join(parts)


def number_of(number: int, noun: str) -> str:
    """Count things.

    Examples
    --------
    >>> number_of(1, "row"), number_of(1209, "row")
    ('1 row', '1,209 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def people(number: int) -> str:
    """Count persons in words that may leave: small numbers are not told.

    Examples
    --------
    >>> people(1209), people(3)
    ('1,209 persons', 'fewer than 10 persons')
    """
    return f"fewer than {THRESHOLD} persons" if is_small(number) else number_of(number, "person")


def places(rows: Sequence[int] | Ints) -> str:
    """Name rows by their numbers, from 1, the first few of them.

    Examples
    --------
    >>> places([2]), places(range(7))
    ('1 row (3)', '7 rows (1, 2, 3, 4, 5 and more)')
    """
    shown = ", ".join(str(row + 1) for row in rows[:MOST_ROWS])
    return f"{number_of(len(rows), 'row')} ({shown}{' and more' if len(rows) > MOST_ROWS else ''})"
