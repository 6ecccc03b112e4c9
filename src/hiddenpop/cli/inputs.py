"""From the words of a command line to tables, settings and places to write to."""

import dataclasses
import difflib
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hiddenpop.datasets import catalogue, info, load
from hiddenpop.errors import EmptyListWarning, SettingError, TableError, UnknownNameError
from hiddenpop.estimators.compare import standard_panel
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.registry import build
from hiddenpop.table import CaptureTable

__all__ = [
    "check_place",
    "make_method",
    "make_methods",
    "make_panel",
    "read_settings",
    "read_table",
    "split_names",
]

TABLE_SUFFIXES = (".csv", ".parquet")

AMBIGUOUS = "ambiguous"
"""What the catalogue says of a name that stands for two versions of a table; its message names both."""

AS_WRITTEN = ("model", "minimal", "maximal")
"""Settings whose text is their value: "[12,3]" is a model, not a list of two numbers."""

NAMES = ("lists", "by")
"""Settings that hold names, so that "a,b" means two of them."""


def read_table(name: str, *, lists: str | None, count: str | None, strata: str | None) -> CaptureTable:
    """Load a published data set by its name, or read a file.

    Parameters
    ----------
    name : str
        Of a data set, or the path of a csv or parquet file.
    lists, strata : str or None
        Column names, separated by commas, for a file.
    count : str or None
        The column of counts, for a file.

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
    path = Path(name)
    if path.suffix.lower() in TABLE_SUFFIXES or path.parent != Path() or path.is_file():
        chosen = None if strata is None else split_names(strata)
        table = CaptureTable.read(path, None if lists is None else split_names(lists), count, chosen)
    else:
        _refuse_columns(name, {"--lists": lists, "--count": count, "--strata": strata})
        table = _published(name)
    # The table has said which lists are empty; estimators would only say it again.
    warnings.simplefilter("ignore", EmptyListWarning)
    return table


def _refuse_columns(name: str, options: Mapping[str, str | None]) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise SettingError(
            f"{', '.join(given)} name columns of a file, and {name!r} is not one; "
            f"leave them out, or give a .csv or .parquet file"
        )


def _published(name: str) -> CaptureTable:
    try:
        found = info(name)
    except UnknownNameError as error:
        if AMBIGUOUS in str(error):
            raise
        raise UnknownNameError(_neither(name)) from error
    if found.kind != "captures":
        raise TableError(
            f"{name!r} holds repeat counts of one register, so there are no overlaps to estimate from; "
            f"choose a data set with lists (`hiddenpop datasets` shows how many each has)"
        )
    return load(name)


def _neither(name: str) -> str:
    near = difflib.get_close_matches(name, catalogue()["key"].tolist(), n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "check the name"
    return (
        f"{name!r} is neither a file nor a published data set; {hint} "
        f"(`hiddenpop datasets` lists the data sets; a file ends in .csv or .parquet)"
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
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return split_names(text) if key in NAMES and "," in text else text


def _no_number(token: str) -> None:
    raise ValueError(f"{token} is no number")


def make_method(name: str, settings: Mapping[str, Any], level: float | None) -> Estimator:
    """Make an estimator from its name, its settings and the level of its interval."""
    if level is not None and "level" in settings:
        raise SettingError("the level is given twice, by --level and by --set level=; give it once")
    method: Estimator = build(name, settings if level is None else {**settings, "level": level})
    return method


def make_methods(names: Sequence[str], level: float | None) -> dict[str, Estimator]:
    """Make the estimators to compare, by name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or len(names) < 2:
        fault = f"{twice[0]} is named twice" if twice else f"only {names[0]} is named"
        raise SettingError(f"{fault}; name two or more different estimators, or use `hiddenpop estimate`")
    return {name: make_method(name, {}, level) for name in names}


def make_panel(level: float | None, options: Mapping[str, object]) -> dict[str, Estimator]:
    """Make the standard panel, and refuse options that go with one estimator."""
    for option, given in options.items():
        if given:
            raise SettingError(f"{option} goes with one estimator; name it with --estimator")
    panel: dict[str, Any] = dict(standard_panel())
    changes = {} if level is None else {"level": level}
    return {label: dataclasses.replace(method, **changes) for label, method in panel.items()}


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
