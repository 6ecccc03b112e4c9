"""The catalogue of shipped tables as frozen records, read from ``catalogue.toml``."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from hiddenpop._front_door import front_door
from hiddenpop.errors import TableError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DataSet", "Kind", "PublishedFigure", "Variable", "catalogue", "catalogue_rows", "info"]

Kind = Literal["captures", "repeat counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """A number known for exactly one table: printed in a paper, or computed on it by a named program.

    Parameters
    ----------
    value : float or None
        The estimate; None where only a range was published.
    low, high : float or None
        Limits of the interval or of the published range.
    level : float or None
        Confidence or credibility level, 0.95 for 95 %; None where none was stated.
    interval : str
        The type of the limits, because papers mix types; empty without limits.
    model : str
        The model, with lists by position, or how it was chosen.
    source : str
        Who printed or computed it.
    quantity : str
        What the number counts.
    note : str
        What a reader should know before relying on it.
    """

    model: str
    source: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    interval: str = ""
    quantity: str = "population size"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """A column of a shipped table and what it means."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """What is known about one shipped table.

    Parameters
    ----------
    key : str
        The name by which `load` or `load_counts` reads it.
    title : str
        One line for a heading.
    kind : {"captures", "repeat counts"}
        A capture table, or how often each unit was seen in a single register.
    n : int
        Observed persons (or units).
    population : str
        Who, where, which period, who is eligible.
    citation, doi : str
        Where the table was published; `doi` is empty where none is known.
    note : str
        Versions and pitfalls.
    lists, strata, columns : tuple of Variable
        Meaning of the list columns and covariates of a capture table, and of every column of repeat counts.
    censored : str
        Name of the boolean column that marks counts which are only upper bounds; empty without such cells.
    figures : tuple of PublishedFigure
        Numbers known for this table.

    Examples
    --------
    >>> uk = info("uk")
    >>> uk.list_names
    ('LA', 'NG', 'PF', 'GO', 'GP', 'NCA')
    >>> uk.figures[0].low, uk.figures[0].high
    (10000, 13000)
    """

    key: str
    title: str
    kind: Kind
    n: int
    population: str
    citation: str
    doi: str = ""
    note: str = ""
    lists: tuple[Variable, ...] = ()
    strata: tuple[Variable, ...] = ()
    columns: tuple[Variable, ...] = ()
    censored: str = ""
    figures: tuple[PublishedFigure, ...] = ()

    @property
    def list_names(self) -> tuple[str, ...]:
        """Names of the lists, in the order that model notation by position refers to."""
        return tuple(variable.name for variable in self.lists)

    @property
    def strata_names(self) -> tuple[str, ...]:
        """Names of the covariates."""
        return tuple(variable.name for variable in self.strata)


@front_door
def info(name: str) -> DataSet:
    """Look up what is known about a shipped table.

    Parameters
    ----------
    name : str
        Key of a data set; `catalogue` lists them.

    Returns
    -------
    DataSet
        Title, source, population, lists, notes and published figures.

    Raises
    ------
    UnknownNameError
        If no table has this name, or if it stands for more than one version of a table.
    TableError
        If it is not text.

    Examples
    --------
    >>> info("kosovo").n
    4400
    """
    if not isinstance(name, str):
        raise TableError(f"{name!r:.60} is not a name of a data set; give one name as text, such as 'kosovo'")
    records, ambiguous = _read_catalogue()
    if name in ambiguous:
        raise UnknownNameError(f"data set {name!r} is ambiguous: {ambiguous[name]}.")
    if name not in records:
        raise UnknownNameError(_unknown(name, tuple(records)))
    return records[name]


@front_door
def catalogue() -> "pd.DataFrame":
    """List every shipped table.

    Returns
    -------
    pandas.DataFrame
        One row a data set: ``key``, ``title``, ``kind``, ``lists`` (their number), ``strata`` (names), ``n``,
        ``figures`` (how many published figures are known), ``citation``, ``doi`` and ``note``.

    Examples
    --------
    >>> print(catalogue()[["key", "kind", "lists", "n"]].head(2).to_string(index=False))
     key     kind  lists    n
      uk captures      6 2744
    uk_5 captures      5 2744
    """
    import pandas as pd

    return pd.DataFrame(catalogue_rows())


def catalogue_rows() -> list[dict[str, str | int]]:
    """Give the rows of `catalogue` as plain values, for those who do not want to wait for pandas."""
    records, _ = _read_catalogue()
    return [_row(record) for record in records.values()]


def _row(record: DataSet) -> dict[str, str | int]:
    return {
        "key": record.key,
        "title": record.title,
        "kind": record.kind,
        "lists": len(record.lists),
        "strata": ", ".join(record.strata_names),
        "n": record.n,
        "figures": len(record.figures),
        "citation": record.citation,
        "doi": record.doi,
        "note": record.note,
    }


def _unknown(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"there is no data set {name!r}{hint} The data sets are: {', '.join(known)}."


@cache
def _read_catalogue() -> tuple[dict[str, DataSet], dict[str, str]]:
    content = tomllib.loads((files("hiddenpop.datasets") / "catalogue.toml").read_text(encoding="utf-8"))
    ambiguous: dict[str, str] = content.pop("ambiguous")
    return {key: _record(key, entry) for key, entry in content.items()}, ambiguous


def _record(key: str, entry: Mapping[str, Any]) -> DataSet:
    plain: dict[str, Any] = {field: value for field, value in entry.items() if isinstance(value, str | int)}
    return DataSet(
        key=key,
        lists=_variables(entry, "lists"),
        strata=_variables(entry, "strata"),
        columns=_variables(entry, "columns"),
        figures=tuple(PublishedFigure(**figure) for figure in entry.get("figures", ())),
        **plain,
    )


def _variables(entry: Mapping[str, Any], field: str) -> tuple[Variable, ...]:
    return tuple(Variable(name, meaning) for name, meaning in entry.get(field, {}).items())
