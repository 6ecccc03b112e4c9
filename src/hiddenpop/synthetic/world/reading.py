"""From ``settings.toml`` to `WorldSettings`."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from hiddenpop._files import parse_toml
from hiddenpop.errors import SettingError
from hiddenpop.synthetic.world.checks import known_fields
from hiddenpop.synthetic.world.harder import HarderRules
from hiddenpop.synthetic.world.settings import (
    Agency,
    Ages,
    CaseRules,
    ErrorRates,
    KeyRules,
    MeasureRules,
    Municipality,
    Referral,
    SuspectRules,
    VictimRules,
    Visibility,
    WorldSettings,
)

__all__ = ["read_settings"]


def read_settings(path: str | Path | None = None, *, version: Literal["1", "2"] = "1") -> WorldSettings:
    """Read the settings of the register world.

    Parameters
    ----------
    path : str or Path, optional
        A file of your own with the same keys; by default the one that is included, which gives a source for each value.
    version : {"1", "2"}
        Of the rules: 2 adds the errors of ``harder.toml``, so that links are harder to find.

    Returns
    -------
    WorldSettings

    Raises
    ------
    SettingError
        If the file cannot be read, lacks a key, or has an impossible value.
    UnknownNameError
        For a key that is not there.

    Examples
    --------
    >>> read_settings().years
    (2015, 2016, 2017, 2018, 2019)
    """
    if version not in ("1", "2"):
        raise SettingError(f"version={version!r} of the world does not exist; choose '1' or '2'")
    content = _fixed(_read(path) | (_read(None, "harder.toml") if version == "2" else {}))
    values = known_fields(WorldSettings, content, "settings.toml")
    for key, kind in _SECTIONS.items():
        if key not in values:
            continue
        values[key] = _section(kind, values[key], key)
    values["agency"] = {
        name: _section(Agency, table, f"agency.{name}") for name, table in _items(values["agency"], "agency")
    }
    values["referral"] = tuple(
        _section(Referral, _renamed(table), f"referral[{i}]")
        for i, table in _numbered(values["referral"], "referral")
    )
    values["municipality"] = tuple(
        _section(Municipality, table, f"municipality[{i}]")
        for i, table in _numbered(values["municipality"], "municipality")
    )
    return WorldSettings(**values)


_SECTIONS: dict[str, type] = {
    "victims": VictimRules,
    "errors": ErrorRates,
    "keys": KeyRules,
    "measures": MeasureRules,
    "suspects": SuspectRules,
    "cases": CaseRules,
    "harder": HarderRules,
}
_INNER: dict[str, type] = {"ages": Ages, "visibility": Visibility}


def _read(path: str | Path | None, own: str = "settings.toml") -> dict[str, Any]:
    try:
        if path is None:
            text = files("hiddenpop.synthetic.world").joinpath(own).read_text("utf-8")
        else:
            text = Path(path).read_text("utf-8")
        return parse_toml(text)
    except OSError as error:
        raise SettingError(f"cannot read {path}: {error.strerror or error}; check the name") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not TOML file: {error}; correct it") from error


def _fixed(value: Any) -> Any:
    """Turn lists into tuples, all the way down."""
    if isinstance(value, dict):
        return {key: _fixed(item) for key, item in value.items()}
    return tuple(_fixed(item) for item in value) if isinstance(value, list) else value


def _section(kind: type, table: Any, key: str) -> Any:
    values = known_fields(kind, table, key)
    for name, inner in _INNER.items():
        if name in values:
            values[name] = _section(inner, values[name], f"{key}.{name}")
    return kind(**values)


def _items(table: Any, key: str) -> list[tuple[str, Any]]:
    if not isinstance(table, Mapping):
        raise SettingError(f"{key}={table!r} must be a table of tables")
    return list(table.items())


def _numbered(tables: Any, key: str) -> list[tuple[int, Any]]:
    if not isinstance(tables, tuple):
        raise SettingError(f"{key}={tables!r} must be a list of tables, [[{key}]]")
    return list(enumerate(tables))


def _renamed(table: Any) -> Any:
    """Call the ends of a referral by names that Python allows."""
    ends = {"from": "source", "to": "target"}
    return (
        {ends.get(key, key): value for key, value in table.items()} if isinstance(table, Mapping) else table
    )
