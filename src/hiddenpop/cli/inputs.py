"""From the words of a command line to tables, settings and places to write to."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hiddenpop._files import parse_json
from hiddenpop.errors import EmptyListWarning, SettingError
from hiddenpop.estimators.compare import standard_panel
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.registry import build
from hiddenpop.sources import is_file_name, published
from hiddenpop.table import CaptureTable

__all__ = [
    "check_place",
    "is_file_name",
    "make_method",
    "make_methods",
    "make_panel",
    "read_columns",
    "read_mergers",
    "read_settings",
    "read_table",
    "split_names",
]

SEVERAL = ("lists", "strata", "columns", "list")
"""Options on columns that hold several names."""

AS_WRITTEN = ("model", "minimal", "maximal")
"""Settings whose text is their value: "[12,3]" is a model, not a list of two numbers."""

NAMES = ("lists", "by")
"""Settings that hold names, so that "a,b" means two of them."""


def read_table(name: str, columns: Mapping[str, str | None] | None = None) -> CaptureTable:
    """Load a published data set by its name, or read a file.

    Parameters
    ----------
    name : str
        Of a data set, or the path of a file.
    columns : mapping of str to str or None
        What was typed of the columns of a file, by option, names between commas; and ``merge``, lists to make one of.

    Returns
    -------
    CaptureTable

    Raises
    ------
    UnknownNameError
        If it is neither.
    TableError, SettingError
        As `CaptureTable.read`; and for column options beside a data set.
    """
    given = {option: value for option, value in (columns or {}).items() if value is not None}
    mergers = given.pop("merge", None)
    if is_file_name(name):
        table = CaptureTable.read(Path(name), **read_columns(given))
    else:
        _refuse_columns(name, given)
        table = published(name)
    if mergers is not None:
        table = table.merge_lists(read_mergers(mergers))
    # The table has said which lists are empty; estimators would only say it again.
    warnings.simplefilter("ignore", EmptyListWarning)
    return table


def read_columns(typed: Mapping[str, str]) -> dict[str, Any]:
    """Turn what was typed of columns into arguments of `CaptureTable.read`."""
    return {option: split_names(text) if option in SEVERAL else text for option, text in typed.items()}


def read_mergers(text: str) -> dict[str, list[str]]:
    """Read ``new=a+b`` between commas as the parts of new lists.

    Raises
    ------
    SettingError
        For a merger of another form, or a new list that is named twice.

    Examples
    --------
    >>> read_mergers("care=clinic+shelter, law=police+court")
    {'care': ['clinic', 'shelter'], 'law': ['police', 'court']}
    """
    found: dict[str, list[str]] = {}
    for merger in split_names(text) or [text]:
        new, _, parts = (part.strip() for part in merger.partition("="))
        lists = [name.strip() for name in parts.split("+") if name.strip()]
        if not new or len(lists) < 2:
            raise SettingError(
                f"--merge {merger!r} is not of the form new=a+b; write for instance --merge care=clinic+shelter"
            )
        if new in found:
            raise SettingError(
                f"--merge has the new list {new} twice; name all its parts once, as {new}=a+b+c"
            )
        found[new] = lists
    return found


def _refuse_columns(name: str, given: Mapping[str, str]) -> None:
    if given:
        raise SettingError(
            f"{', '.join(f'--{option}' for option in given)} name columns of a file, and {name!r} is not one; "
            f"leave them out, or give a file such as counts.csv"
        )


def split_names(text: str) -> list[str]:
    """Cut "a,b,c" into names.

    Examples
    --------
    >>> split_names("police, shelter"), split_names("")
    (['police', 'shelter'], [])
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def read_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` pairs; a value is JSON where it can be read so, and text otherwise.

    Parameters
    ----------
    pairs : sequence of str

    Returns
    -------
    dict

    Raises
    ------
    SettingError
        If a pair has no ``=`` or no name, or a setting is given twice.

    Examples
    --------
    >>> read_settings(["model=[12,3]", "level=0.9", "max_order=null", "lists=a,b", "interval=wald"])
    {'model': '[12,3]', 'level': 0.9, 'max_order': None, 'lists': ['a', 'b'], 'interval': 'wald'}
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise SettingError(
                f"--set {pair!r} is not of the form key=value; write for instance --set level=0.9"
            )
        if key in settings:
            raise SettingError(f"--set {key} is given twice; give it once")
        settings[key] = _read_value(key, value.strip())
    return settings


def _read_value(key: str, text: str) -> Any:
    if key in AS_WRITTEN:
        return text
    try:
        return parse_json(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return split_names(text) if key in NAMES and "," in text else text


def _no_number(token: str) -> None:
    raise ValueError(f"{token} is not a number")


def make_method(
    name: str, settings: Mapping[str, Any], level: float | None, *, trust: bool = False
) -> Estimator:
    """Make an estimator from its name, its settings and the level of its interval."""
    if level is not None and "level" in settings:
        raise SettingError("the level is given twice, by --level and by --set level=; give it once")
    given = settings if level is None else {**settings, "level": level}
    method: Estimator = build(name, given, trust=trust)
    return method


def make_methods(names: Sequence[str], level: float | None, *, trust: bool = False) -> dict[str, Estimator]:
    """Make the estimators to compare, by name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or len(names) < 2:
        fault = f"{twice[0]} is named twice" if twice else f"only {names[0]} is named"
        raise SettingError(f"{fault}; name two or more different estimators, or use `hiddenpop estimate`")
    return {name: make_method(name, {}, level, trust=trust) for name in names}


def make_panel(
    table: CaptureTable, level: float | None, options: Mapping[str, object]
) -> dict[str, Estimator]:
    """Make the standard panel for a table, and refuse options that go with one estimator."""
    for option, given in options.items():
        if given:
            raise SettingError(f"{option} goes with one estimator; name it with --estimator")
    return standard_panel(table) if level is None else standard_panel(table, level=level)


def check_place(option: str, path: Path | None, suffixes: Sequence[str]) -> None:
    """Refuse a place that cannot be written to before the work begins, not after it.

    Raises
    ------
    SettingError
        For another suffix, a missing folder, or a folder in place of a file.
    """
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise SettingError(f"{option} {path}: the suffix is {path.suffix!r}; choose {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise SettingError(f"{option} {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise SettingError(f"{option} {path} is a folder; name a file in it")
