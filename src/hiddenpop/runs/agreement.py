"""Two sets of results compared number by number: equal, equal but for rounding or for chance, or different."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hiddenpop.runs.monte_carlo import Allowances

__all__ = ["VERDICTS", "Comparing", "Finding", "compared", "flattened"]

Path = tuple[str, ...]

ROUNDING, NOTHING = 1e-6, 1e-9
"""Relative and absolute change that rounding can make.

Another processor adds in another order. A maximum found by comparing values is then good to the root of their rounding,
1e-8, and a limit that rests on it to some times that.
"""

EQUAL, AGREES, CHANCE = "equal", "equal but for rounding", "within Monte Carlo error"
UNEXPLAINED = "moved within Monte Carlo error, on the same versions and machine"
NOT_COMPARED, DIFFERS = "not compared", "different"
VERDICTS = (EQUAL, AGREES, CHANCE, NOT_COMPARED, UNEXPLAINED, DIFFERS)

ABSENT = "(not there)"
JUDGED = ("status", "passed", "label", "seed", "n_points")
"""What has to be the same however often the random numbers are drawn."""

DIGITS = re.compile(r"[0-9][0-9,.]*")


@dataclass(frozen=True, slots=True)
class Finding:
    """One value before and after.

    Parameters
    ----------
    where : str
        Such as ``"estimates[BIC].interval.low"``.
    before, after : object
    verdict : str
        One of `VERDICTS`.
    change, allowed : float
        Of a number; nan of anything else.
    """

    where: str
    before: Any
    after: Any
    verdict: str
    change: float = math.nan
    allowed: float = math.nan

    @property
    def in_words(self) -> str:
        """The finding in a line."""
        told = f"{self.where}: {_shown(self.before)} then, {_shown(self.after)} now"
        if math.isnan(self.change):
            return told
        return f"{told} (changed by {self.change:.3g}, allowed {self.allowed:.3g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """What is known of two runs when their numbers are compared.

    Parameters
    ----------
    allowed : dict
        How far numbers that come from draws may move.
    drawn : frozenset of tuple of str
        Beginnings of the paths of estimates, checks and parts that come from draws.
    same_makings : bool
        Whether versions and machine are the same, so that nothing may move.
    same_key : bool
        Whether keyed hashes of data that are not public can be compared.
    """

    allowed: Allowances
    drawn: frozenset[Path]
    same_makings: bool
    same_key: bool


def _shown(value: Any) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def flattened(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Give every value with its path; items of a list go by their label, or their place.

    Examples
    --------
    >>> dict(flattened({"estimates": [{"label": "BIC", "n": 3}], "none": []}))
    {('estimates', 'BIC', 'label'): 'BIC', ('estimates', 'BIC', 'n'): 3, ('none',): []}
    """
    items: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = list(zip(_names_of(value), value, strict=True))
    if not items:
        yield path, value
    for name, item in items:
        yield from flattened(item, (*path, name))


def _names_of(items: list[Any]) -> list[str]:
    labels = [item.get("label") if isinstance(item, Mapping) else None for item in items]
    unique = all(isinstance(label, str) for label in labels) and len(set(labels)) == len(labels)
    return [str(label) for label in labels] if unique else [str(place) for place in range(len(items))]


def compared(before: Any, after: Any, known: Comparing, root: str = "") -> tuple[Finding, ...]:
    """Compare two trees of plain values.

    Parameters
    ----------
    before, after : dict
    known : Comparing
    root : str
        What stands in front of every path in words.

    Returns
    -------
    tuple of Finding
        One a value, equal ones included.

    Examples
    --------
    >>> known = Comparing(allowed={("n",): 2.0}, drawn=frozenset(), same_makings=False, same_key=True)
    >>> [finding.verdict for finding in compared({"n": 10.0, "m": 1.0}, {"n": 11.0, "m": 2.0}, known)]
    ['within Monte Carlo error', 'different']
    """
    old, new = dict(flattened(before)), dict(flattened(after))
    return tuple(
        _finding(path, old.get(path, ABSENT), new.get(path, ABSENT), known, root) for path in {**old, **new}
    )


def _finding(path: Path, before: Any, after: Any, known: Comparing, root: str) -> Finding:
    where = root + _in_words(path)
    if _is_number(before) and _is_number(after):
        old, new = _as_float(before), _as_float(after)
        change, allowed = abs(new - old), _rounding(old, new)
        chance = known.allowed.get(path, 0.0)
        verdict = _verdict_of_number(before == after, change <= allowed, change <= chance, path, known)
        return Finding(where, before, after, verdict, change, max(allowed, chance))
    same = before == after and isinstance(before, bool) == isinstance(after, bool)
    return Finding(where, before, after, EQUAL if same else _verdict_of_text(path, before, after, known))


def _in_words(path: Path) -> str:
    """Write a path: names of items in brackets."""
    text = ""
    for place, name in enumerate(path):
        item = name.isdigit() or (place == 1 and path[0] in ("estimates", "estimators", "checks", "parts"))
        text += f"[{name}]" if item else (f".{name}" if text else name)
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: float) -> float:
    """Give a number as one that can be subtracted; of one that is too large nothing is near."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _rounding(before: float, after: float) -> float:
    """Give what rounding can change; nothing of what is not finite, which only a file edited by hand holds."""
    largest = max(abs(before), abs(after))
    return max(NOTHING, ROUNDING * largest) if math.isfinite(largest) else 0.0


def _verdict_of_number(equal: bool, rounded: bool, chance: bool, path: Path, known: Comparing) -> str:
    if equal:
        return EQUAL
    if rounded and path[-1] not in JUDGED:
        return AGREES
    if chance:
        return UNEXPLAINED if known.same_makings else CHANCE
    return NOT_COMPARED if _may_move(path, known) and path not in known.allowed else DIFFERS


def _verdict_of_text(path: Path, before: Any, after: Any, known: Comparing) -> str:
    if "versions" in path and "provenance" in path and not known.same_makings:
        return NOT_COMPARED
    if path[-1] == "fingerprint" and not known.same_key:
        return NOT_COMPARED
    if ABSENT in (before, after) and not _may_move(path, known):
        return DIFFERS
    alike = (
        isinstance(before, str) and isinstance(after, str) and DIGITS.sub("", before) == DIGITS.sub("", after)
    )
    supporting = alike or {"details", "diagnostics"} & set(path)
    return NOT_COMPARED if supporting and _may_move(path, known) else DIFFERS


def _may_move(path: Path, known: Comparing) -> bool:
    """Whether a value rests on draws that other versions or another machine make otherwise."""
    return not known.same_makings and path[:2] in known.drawn and path[-1] not in JUDGED
