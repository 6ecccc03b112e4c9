"""What people give where a table is wanted: a table, the name of a data set, a path, a dataframe, counts."""

import difflib
import os
from pathlib import Path
from typing import Any

from hiddenpop.datasets import info, load
from hiddenpop.datasets.records import catalogue_rows
from hiddenpop.errors import TableError, UnknownNameError
from hiddenpop.reading import SUFFIXES
from hiddenpop.reading.frames import is_frame
from hiddenpop.table import CaptureTable

__all__ = ["TableLike", "as_table", "check_table", "is_file_name", "published"]

TableLike = Any
"""A table, or what `as_table` makes one of: dataframes of any library have no type in common."""

_AMBIGUOUS = "ambiguous"
"""What the catalogue says of a name that stands for two versions of a table; its message names both."""

_LISTED = "`hiddenpop datasets`, in Python hiddenpop.datasets.catalogue(),"


def as_table(source: TableLike) -> CaptureTable:
    """Make a table of what was given in its place.

    Parameters
    ----------
    source : CaptureTable, str, path, DataFrame or mapping
        A text is the path of a file, or else the name of a published data set; a mapping holds counts by capture
        history. What needs more to be read (which column is what) is for `CaptureTable.read`.

    Returns
    -------
    CaptureTable

    Raises
    ------
    TableError
        For anything else, with what to do; and as `CaptureTable.read`.
    UnknownNameError
        For a text that is neither the name of a file nor that of a data set.

    Examples
    --------
    >>> as_table("kosovo").n_observed, as_table({"10": 40, "01": 25, "11": 12}).n_observed
    (4400, 77)
    """
    if isinstance(source, CaptureTable):
        return source
    if isinstance(source, str) and not is_file_name(source):
        return published(source)
    if not isinstance(source, type) and (isinstance(source, str | os.PathLike) or is_frame(source)):
        return CaptureTable.read(source)
    raise TableError(f"{_kind(source)} is not a capture table; {_way_out(source)}")


def check_table(table: object) -> None:
    """Refuse anything but a table where an estimator wants one.

    Raises
    ------
    TableError
        With what makes a table of it.

    Examples
    --------
    >>> check_table(as_table("kosovo"))
    """
    if isinstance(table, CaptureTable):
        return
    if isinstance(table, str | os.PathLike):
        is_path = not isinstance(table, str) or is_file_name(table)
        # A path may name a person or a place; it is not needed to say what to do.
        maker = "CaptureTable.read(path)" if is_path else "hiddenpop.datasets.load(name)"
        advice = f"give {maker}, or call hiddenpop.estimate, which takes names and paths"
    elif not isinstance(table, type) and is_frame(table):
        advice = "give CaptureTable.read(data), or call hiddenpop.estimate, which takes dataframes"
    else:
        advice = _way_out(table)
    raise TableError(f"an estimator is fitted to a CaptureTable, and {_kind(table)} is none; {advice}")


def is_file_name(name: str) -> bool:
    """Tell the name of a file from that of a data set.

    Examples
    --------
    >>> is_file_name("counts.csv"), is_file_name("kosovo")
    (True, False)
    """
    path = Path(name)
    known = path.suffix.lower() in (*SUFFIXES, ".gz")
    return known or path.parent != Path() or path.is_file()


def published(name: str) -> CaptureTable:
    """Load a published data set, or say what is near its name.

    Parameters
    ----------
    name : str

    Returns
    -------
    CaptureTable

    Raises
    ------
    UnknownNameError
        For a text that is not the name of one.
    TableError
        For one without lists.

    Examples
    --------
    >>> published("kosovo").n_observed
    4400
    """
    try:
        info(name)
    except UnknownNameError as error:
        if _AMBIGUOUS in str(error):
            raise
        near = difflib.get_close_matches(name, [str(row["key"]) for row in catalogue_rows()], n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "check the name"
        raise UnknownNameError(
            f"{name!r} is neither a file nor a published data set; {hint} ({_LISTED} lists the data sets; a file ends "
            "in .csv, .xlsx and the like)"
        ) from error
    return load(name)


def _kind(source: object) -> str:
    if isinstance(source, type):
        return f"the class {source.__name__}"
    return "None" if source is None else f"an object of type {type(source).__name__}"


def _way_out(source: object) -> str:
    if isinstance(source, type):
        return f"give what is made with it, not {source.__name__} itself"
    if isinstance(source, list | tuple):
        return "for the lists that each person is on, give CaptureTable.from_memberships(data)"
    if hasattr(source, "__array__"):
        return (
            'give its columns their names first, pandas.DataFrame(data, columns=["police", "shelter", "count"]), and '
            "read that with CaptureTable.read"
        )
    return (
        "give a CaptureTable, the name of a data set, the path of a file, a dataframe, or counts by capture history "
        'such as {"10": 40, "01": 25, "11": 12}'
    )
