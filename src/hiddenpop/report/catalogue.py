"""The words of a report by language: one TOML file each, with the same keys and the same placeholders."""

import math
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hiddenpop._cells import unknown_name
from hiddenpop.report.document import Run, Runs
from hiddenpop.result import format_level, format_persons

__all__ = ["LANGUAGES", "Words", "words_in"]

LANGUAGES: tuple[str, ...] = ("en", "nl")
"""Languages that a report can be written in."""

_SWAPPED = str.maketrans(",.", ".,")


@dataclass(frozen=True, slots=True)
class Words:
    """Phrases and numbers in one language.

    Attributes
    ----------
    language : str
    phrases : mapping of str to str
        By their dotted keys.
    """

    language: str
    phrases: Mapping[str, str]

    def say(self, key: str, **values: object) -> str:
        """Write a phrase with its placeholders filled in.

        Raises
        ------
        KeyError
            If there is no such phrase, or a placeholder has no value.
        """
        return "".join(run.text for run in self.runs(key, **values))

    def runs(self, key: str, **values: object) -> Runs:
        """Write a phrase as stretches of text; a value that is one itself keeps its kind."""
        found: list[Run] = []
        for text, name, _, _ in string.Formatter().parse(self.phrases[key]):
            if text:
                found.append(Run(text))
            if name is not None:
                value = values[name]
                found.extend(value if isinstance(value, tuple) else [_as_run(value)])
        return tuple(found)

    def has(self, key: str) -> bool:
        """Tell whether there is such a phrase."""
        return key in self.phrases

    def count(self, n: float) -> str:
        """Write a number of persons in full."""
        return self.number(f"{n:,.0f}")

    def persons(self, n: float, width: float, least: float = 0.0) -> str:
        """Write a size with the digits that an interval of this width supports."""
        if math.isnan(n):
            return self.say("number.none")
        if math.isinf(n):
            return self.say("number.infinite")
        return self.number(format_persons(n, width, least))

    def percent(self, share: float, digits: int = 0) -> str:
        """Write a share in per cent."""
        if not math.isfinite(share):
            return self.say("number.none")
        text = f"{share:.{digits}%}"
        if share < 1.0 and text.startswith("100"):  # nearly all is not all
            text = f"{math.floor(share * 1000.0) / 10.0:.1f}%"
        return self.number(text)

    def level(self, level: float) -> str:
        """Write the level of an interval in per cent, with the digits that it has."""
        return self.number(format_level(level))

    def general(self, x: float, digits: int = 3) -> str:
        """Write a number with so many significant digits."""
        if math.isnan(x):
            return self.say("number.none")
        if math.isinf(x):
            return self.say("number.infinite")
        return self.number(f"{x:,.0f}" if abs(x) >= 10.0**digits else f"{x:.{digits}g}")

    def number(self, text: str) -> str:
        """Turn the points and commas of an English number into those of this language."""
        return text.translate(_SWAPPED) if self.phrases["number.comma"] == "," else text

    def series(self, parts: list[str]) -> str:
        """Join names by commas, the last by "and"."""
        if len(parts) < 2:
            return "".join(parts)
        return self.say("page.last_of_series", first=", ".join(parts[:-1]), last=parts[-1])


def _as_run(value: object) -> Run:
    return value if isinstance(value, Run) else Run(str(value))


def words_in(language: str) -> Words:
    """Give the words of a language.

    Parameters
    ----------
    language : str
        One of `LANGUAGES`.

    Returns
    -------
    Words

    Raises
    ------
    UnknownNameError
        For another language.

    Examples
    --------
    >>> words_in("nl").count(12345.0), words_in("en").percent(0.125, 1)
    ('12.345', '12.5%')
    """
    if language not in LANGUAGES:
        raise unknown_name("language", str(language), LANGUAGES)
    return _read(language)


@cache
def _read(language: str) -> Words:
    text = Path(__file__).with_name(f"{language}.toml").read_text(encoding="utf-8")
    return Words(language, MappingProxyType(dict(_flat(tomllib.loads(text)))))


def _flat(tree: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in tree.items():
        key = f"{before}{name}"
        found += _flat(value, f"{key}.") if isinstance(value, Mapping) else [(key, str(value))]
    return found
