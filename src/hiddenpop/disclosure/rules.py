"""`ReleaseRules`: what may leave, as settings with a name and a version."""

import tomllib
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from hiddenpop._files import parse_toml
from hiddenpop.errors import SettingError

__all__ = ["ReleaseRules"]

Marks = Literal["small", "one"]
Zeros = Literal["shown", "withheld"]
Cost = Literal["value", "equal"]
Protection = Literal["withhold", "round"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRules:
    """What may leave of a table that is not public.

    Parameters
    ----------
    name : str
        Printed in whatever is released under these rules.
    version : int
        Raised whenever a setting of rules of this name changes.
    threshold : int
        Fewest persons (unweighted) behind a number that is shown.
    zeros : {"shown", "withheld"}
        Whether a count of 0 may be shown. "nobody in this town was helped" tells of everybody there.
    marks : {"small", "one"}
        ``"small"``: ``<10`` for a count of 1 to 9 and ``.`` for a number withheld to protect another. ``"one"``: ``.``
        for both, which tells less.
    width : float
        How wide the interval of a withheld small number must be for an outsider who knows everything that is shown.
    values : int
        How many whole numbers in that interval must be possible.
    own_record : bool
        Whether the outsider is thought to know of one person, himself, in every group.
    cost : {"value", "equal"}
        What withholding a number costs: its value, or the same for each.
    exact_up_to : int
        Up to so many numbers the cheapest pattern is found, above it is approached.
    dominance : tuple of (int, float)
        ``(n, k)``: a magnitude is withheld when its `n` largest contributors hold more than the share `k`.
    p_ratio : float
        A magnitude is withheld when all but its two largest contributors together are less than this share of the
        largest.
    group_share : float
        A cell above this share of its row or column total tells of (nearly) everybody in it: its row or column is
        withheld. 1 turns the rule off.
    extremes : bool
        Whether a smallest or largest value, one person's, may be shown.
    degrees_of_freedom : int
        Fewest persons observed less parameters behind a model.
    survival_step : int
        Fewest events behind a step of a survival curve.
    rounding : int
        Base to which counts are rounded where they are rounded.
    digits : int
        Digits of an estimate and its limits that may leave at most, where the digits play a part.
    finest : int
        No estimate is given finer than this.
    enumerate_up_to : int
        Up to so many tables that agree with what is shown, all of them are tried.
    witnesses : int
        How many goals may be missed, one after the other, before an answer is made coarser: fewer of large tables.
    evaluations : int
        How often an answer may be worked out for another table before the search is given up.
    protection : {"withhold", "round"}
        ``"withhold"``: numbers are withheld. ``"round"``: all counts of a base are rounded together, so that they
        still add up, and none is withheld.

    Raises
    ------
    SettingError
        If a value cannot be.

    Notes
    -----
    The defaults, ``cbs-like-1``, follow the rules that Statistics Netherlands sets to researchers, as far as they are
    published: 10 units, 10 degrees of freedom, dominance of one contributor from 50 % and of two from 90 %, p-ratio
    10 %, group disclosure from 90 %. The width and the number of values are ours.

    References
    ----------
    Hundepool, A. et al. (2012). Statistical Disclosure Control. Wiley. doi:10.1002/9781118348239

    Examples
    --------
    >>> ReleaseRules().label
    'cbs-like-1, version 1'
    >>> ReleaseRules(name="of the ministry", threshold=15).threshold
    15
    """

    name: str = "cbs-like-1"
    version: int = 1
    threshold: int = 10
    zeros: Zeros = "shown"
    marks: Marks = "small"
    width: float = 5.0
    values: int = 5
    own_record: bool = False
    cost: Cost = "value"
    exact_up_to: int = 100
    dominance: tuple[tuple[int, float], ...] = ((1, 0.5), (2, 0.9))
    p_ratio: float = 0.1
    group_share: float = 0.9
    extremes: bool = False
    degrees_of_freedom: int = 10
    survival_step: int = 10
    rounding: int = 5
    digits: int = 2
    finest: int = 10
    enumerate_up_to: int = 100_000
    witnesses: int = 20
    evaluations: int = 200
    protection: Protection = "withhold"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dominance", tuple((int(n), float(k)) for n, k in self.dominance))
        faults = [fault for one in fields(self) if (fault := _fault(one.name, getattr(self, one.name)))]
        if self.marks == "small" and self.width > self.threshold - 2:
            faults.append(
                f"width={self.width:g} with marks='small': a mark <{self.threshold} says 1 to {self.threshold - 1}, "
                f"{self.threshold - 2} wide; ask for less, or give marks='one'"
            )
        if faults:
            raise SettingError(f"rules {self.name!r}: " + "; ".join(faults))

    @property
    def label(self) -> str:
        """Name and version, as printed in a release."""
        return f"{self.name}, version {self.version}"

    @property
    def small_mark(self) -> str:
        """What stands for a number that is withheld by itself."""
        return f"<{self.threshold}" if self.marks == "small" else OTHER_MARK

    @classmethod
    def read(cls, path: str | Path) -> "ReleaseRules":
        """Read rules from a TOML file.

        Parameters
        ----------
        path : str or Path
            A file with settings of rules, one a line; those left out are as in ``cbs-like-1``. A name is needed where
            anything differs.

        Returns
        -------
        ReleaseRules

        Raises
        ------
        SettingError
            If the file cannot be read, or has a setting that rules do not have.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"rules {Path(path).name} cannot be read: {error}") from error
        return cls.of_text(text, name=Path(path).name)

    @classmethod
    def of_text(cls, text: str, *, name: str = "rules") -> "ReleaseRules":
        r"""Read rules from the text of a TOML file; `name` is what messages call it.

        Examples
        --------
        >>> ReleaseRules.of_text('name = "strict"\nthreshold = 15').threshold
        15
        """
        try:
            settings = parse_toml(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingError(f"{name} is not TOML: {error}") from error
        return cls.from_dict(settings)

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> "ReleaseRules":
        """Make rules from plain settings, such as the section ``[release.rules]`` of a plan."""
        known = [one.name for one in fields(cls)]
        for key in settings:
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(known)}"
                raise SettingError(f"rules have no setting {key!r}; {hint}")
        rules = cls(**settings)
        if rules != cls() and rules.label == cls().label:
            raise SettingError(
                f"these rules differ from {cls().label} and bear its name; give them a name of their own"
            )
        return rules

    def to_dict(self) -> dict[str, Any]:
        """Give all settings as plain values."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**found, "dominance": [list(pair) for pair in self.dominance]}

    def to_toml(self) -> str:
        """Write all settings as a TOML file.

        Examples
        --------
        >>> ReleaseRules.of_text(ReleaseRules().to_toml()) == ReleaseRules()
        True
        """
        return "".join(f"{key} = {_toml(value)}\n" for key, value in self.to_dict().items())


OTHER_MARK = "."
"""What stands for a number that is withheld to protect another, as in tables of Statistics Netherlands."""

_LEAST = {
    "version": 1,
    "threshold": 1,
    "width": 0,
    "values": 1,
    "exact_up_to": 0,
    "p_ratio": 0,
    "group_share": 0,
    "degrees_of_freedom": 0,
    "survival_step": 1,
    "rounding": 2,
    "digits": 1,
    "finest": 1,
    "enumerate_up_to": 0,
    "witnesses": 0,
    "evaluations": 0,
}


def _fault(name: str, value: Any) -> str:
    kind = get_type_hints(ReleaseRules)[name]
    if choices := get_args(kind) if kind in {Marks, Zeros, Cost, Protection} else ():
        return "" if value in choices else f"{name}={value!r} is none of {', '.join(map(repr, choices))}"
    if name == "dominance":
        wrong = [pair for pair in value if pair[0] < 1 or not 0 < pair[1] <= 1]
        return f"dominance {wrong[0]} is not a pair of a number from 1 and a share up to 1" if wrong else ""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (name == "name" and not value.strip()):
        return f"{name}={value!r} is not {'text' if kind is str else f'of type {kind.__name__}'}"
    if name in _LEAST and not value >= _LEAST[name]:
        return f"{name}={value!r} is below {_LEAST[name]}"
    return ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
