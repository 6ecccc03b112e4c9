"""Sections of a plan: which keys they have, what each may hold, and every fault at once."""

import datetime
import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hiddenpop.serial import steering_text

__all__ = [
    "Key",
    "a_choice_of",
    "anything",
    "date",
    "flag",
    "named_groups",
    "near",
    "number_below_one",
    "read_section",
    "seed",
    "shown",
    "text",
    "texts",
]

Faults = list[str]
Complaint = Callable[[Any], str]

LONGEST_SHOWN = 60
"""Letters of a value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section.

    Parameters
    ----------
    complaint : callable
        Says what is wrong with a value, nothing where all is well.
    required : str
        Why it has to be there; empty where it may be left out.
    """

    complaint: Complaint
    required: str = ""


def read_section(name: str, given: Any, keys: Mapping[str, Key], faults: Faults) -> dict[str, Any]:
    """Keep of a section what is right, and add to the faults what is not.

    Parameters
    ----------
    name : str
        As it stands in the plan, such as ``"[data]"``.
    given : object
        What was read; None where the section is not there.
    keys : mapping of str to Key
    faults : list of str
        Grows.

    Returns
    -------
    dict
        The keys with values that can be used.

    Examples
    --------
    >>> faults = []
    >>> read_section("[data]", {"tabel": "uk"}, {"table": Key(text)}, faults), faults
    ({}, ["[data] has no key 'tabel'; did you mean 'table'?"])
    """
    if given is not None and not isinstance(given, Mapping):
        faults.append(f"{name} must be a section with keys; got {shown(given)}")
        given = None
    section = dict(given or {})
    faults.extend(f"{name} has no key {shown(key)}; {near(key, keys)}" for key in section if key not in keys)
    for key, rule in keys.items():
        if key in section and (wrong := rule.complaint(section[key])):
            advice = f"; {rule.required}" if rule.required and section[key] == "" else ""
            faults.append(f"{name} {key} {wrong}; got {shown(section[key])}{advice}")
        elif key not in section and rule.required:
            faults.append(f"{name} has no {key}: {rule.required}")
    return {key: value for key, value in section.items() if key in keys and not keys[key].complaint(value)}


def near(name: object, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Say what a name may have meant, or what there is."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known)}"


def shown(value: object) -> str:
    """Show a value, a long one only at its beginning."""
    whole = repr(value)
    return whole if len(whole) <= LONGEST_SHOWN else f"{whole[:LONGEST_SHOWN]}..."


def text(value: Any) -> str:
    """Ask for text that is not blank and does not steer a terminal."""
    if not isinstance(value, str) or not value.strip():
        return "must be text, and not blank"
    return "must hold no control characters" if steering_text(value) else ""


def texts(value: Any) -> str:
    """Ask for a list of texts."""
    right = isinstance(value, list) and value and not any(map(text, value))
    return "" if right else 'must be a list of texts, such as ["a", "b"]'


def named_groups(value: Any) -> str:
    """Ask for a text, a list of texts, or a list of such lists."""
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        return "" if not any(map(texts, value)) else 'must name covariates, such as [["sex"], ["sex", "age"]]'
    return "" if not text(value) or not texts(value) else "must name covariates, each in quotes"


def flag(value: Any) -> str:
    """Ask for true or false."""
    return "" if isinstance(value, bool) else "must be true or false"


def seed(value: Any) -> str:
    """Ask for a whole number of at least 0."""
    right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if right else "must be a whole number of at least 0"


def number_below_one(value: Any) -> str:
    """Ask for a number between 0 and 1."""
    right = isinstance(value, float) and math.isfinite(value) and 0.0 < value < 1.0
    return "" if right else "must lie between 0 and 1, e.g. 0.95"


def date(value: Any) -> str:
    """Ask for a date, with or without quotes."""
    right = isinstance(value, datetime.date) or not text(value)
    return "" if right else 'must be a date, such as "2026-11-26"'


def anything(value: Any) -> str:
    """Leave the judgement to whoever uses the value."""
    return ""


def a_choice_of(*choices: str, fewest: int = 1) -> Complaint:
    """Ask for a list of some of these texts, each once."""

    def complaint(value: Any) -> str:
        right = isinstance(value, list) and all(isinstance(item, str) and item in choices for item in value)
        if right and fewest <= len(value) == len(set(value)):
            return ""
        return f"must be a list of some of {', '.join(map(repr, choices))}, each once"

    return complaint
