"""The printed numbers: what papers print and other programs answer, read from `printed.toml` and checked."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PRINTED = FOLDER / "printed.toml"

ROUTES = ("fit", "ranked", "resampled", "shares", "chains", "consistency", "none")


class PrintedError(ValueError):
    """A fault of `printed.toml`, or a difference for which it gives no reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a number was printed.

    Parameters
    ----------
    key : str
        Also the key of the work in `references.bib`, where it stands there.
    label : str
        Short form for a table.
    kind : {"paper", "program"}
        Printed in a paper or on a project's page; or answered by another program on the same counts.
    """

    key: str
    label: str
    kind: str
    cite: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One printed answer, and what is needed to compute ours.

    Parameters
    ----------
    key : str
        Name under which the text of the paper speaks of it.
    group : str
        Table of the paper, and file of results.
    table : str
        Name of the counts in `hiddenpop.datasets`.
    words : str
        Model and interval, for a reader.
    source, where : str
        Key of a `Source`, and the place in it.
    route : str
        One of `ROUTES`.
    fit : mapping
        Name of a registered estimator and its settings.
    printed : mapping of str to str
        The number of each quantity with the digits that were printed: they say how near ours must be.
    interval : str
        Kind of interval, where there is one.
    prepare : mapping
        What is done to the counts first.
    options : mapping
        What a route needs besides.
    why : str
        Why ours is another number, in words. Needed where it is, not allowed where it is not.
    note : str
        What a reader must know although the numbers agree.
    """

    key: str
    group: str
    table: str
    words: str
    source: str
    where: str = ""
    route: str = "fit"
    fit: Mapping[str, Any] = field(default_factory=dict)
    printed: Mapping[str, str] = field(default_factory=dict)
    interval: str = ""
    prepare: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.route not in ROUTES:
            raise PrintedError(
                f"{self.key}: there is no route {self.route!r}; choose one of {', '.join(ROUTES)}"
            )
        if self.route != "none" and not (self.fit and self.printed):
            raise PrintedError(f"{self.key}: a row needs `fit` and `printed`, or route = 'none' and `why`")
        if self.route == "none" and not self.why:
            raise PrintedError(f"{self.key}: a number that is not computed needs `why`")
        if not self.key.startswith(f"{self.group}."):
            raise PrintedError(f"{self.key}: the key must start with the group, {self.group!r}")
        for quantity, value in self.printed.items():
            if not isinstance(value, str):
                raise PrintedError(
                    f"{self.key}: write {quantity} = {value!r} as text, with the digits printed"
                )

    @property
    def slow(self) -> bool:
        """Whether ours takes more than a moment."""
        return self.route in ("resampled", "shares", "chains") or (
            self.route == "consistency" and self.fit["name"] in ("bootstrapped", "latent_class")
        )


@dataclass(frozen=True, slots=True)
class Printed:
    """All rows, with their groups and sources."""

    groups: Mapping[str, str]
    sources: Mapping[str, Source]
    rows: Sequence[Row]

    def of(self, group: str) -> list[Row]:
        """Rows of one group."""
        return [row for row in self.rows if row.group == group]


def read_printed(path: Path = PRINTED) -> Printed:
    """Read the printed numbers.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Printed

    Raises
    ------
    PrintedError
        For an unknown entry, group or source, or a key that is there twice.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    sources = {key: Source(key=key, **value) for key, value in content["sources"].items()}
    rows = [_row(entry) for entry in content["row"]]
    keys = [row.key for row in rows]
    if double := sorted({key for key in keys if keys.count(key) > 1}):
        raise PrintedError(f"the keys {', '.join(double)} are there twice")
    for row in rows:
        if row.source not in sources or row.group not in content["groups"]:
            raise PrintedError(f"{row.key}: unknown source {row.source!r} or group {row.group!r}")
    return Printed(content["groups"], sources, tuple(rows))


def _row(entry: Mapping[str, Any]) -> Row:
    known = {item.name for item in fields(Row)}
    if unknown := sorted(set(entry) - known):
        raise PrintedError(f"{entry.get('key', 'a row')}: unknown entries {', '.join(unknown)}")
    key = entry["key"]
    return Row(**{"group": key.partition(".")[0], **entry})


def decimals(printed: str) -> int:
    """Count the digits behind the point of a printed number.

    Examples
    --------
    >>> decimals("11417.99"), decimals("1184")
    (2, 0)
    """
    return len(printed.partition(".")[2])


def half_unit(printed: str, rounded_to: float = 1.0) -> float:
    """Give half a unit of the last digit printed, or of what a number without decimals was rounded to.

    Examples
    --------
    >>> half_unit("11417.99"), half_unit("9500", 100.0)
    (0.005, 50.0)
    """
    return 0.5 * 10.0 ** -decimals(printed) * (rounded_to if not decimals(printed) else 1.0)
