"""How the levels of a covariate become columns: dummies, polynomials and scores."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from hiddenpop._cells import level_text
from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError

__all__ = [
    "DUMMIES",
    "Coding",
    "LevelColumns",
    "check_coding",
    "check_level_order",
    "level_columns",
    "natural_order",
]

Scores = tuple[tuple[str, float], ...]
Coding = str | Scores
"""``"dummies"``, ``"linear"``, ``"poly(2)"``, or a score for each level."""

DUMMIES = "dummies"
POLYNOMIAL = re.compile(r"poly\(\s*([1-9]\d?)\s*\)")
SAME_VALUE = 1e-12
"""Two standardised numbers nearer than this are one number, written in two ways."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelColumns:
    """Columns of a covariate.

    Attributes
    ----------
    matrix : ndarray, shape (levels, k)
    labels : tuple of str
        What each column stands for, such as the level of a dummy.
    saturated : bool
        Whether they give each level a coefficient of its own.
    note : str
        What had to be changed, or empty.
    """

    matrix: Floats
    labels: tuple[str, ...]
    saturated: bool
    note: str = ""


def check_coding(coding: Any) -> tuple[tuple[str, Coding], ...]:
    """Bring codings of covariates into one form, and refuse what is none.

    Examples
    --------
    >>> check_coding({"year": "poly(2)", "age": {"young": 1, "old": 2.5}})
    (('age', (('young', 1.0), ('old', 2.5))), ('year', 'poly(2)'))
    """
    pairs = _pairs(coding, "coding", "{'year': 'poly(2)'}")
    return tuple(sorted((name, _checked(name, value)) for name, value in pairs))


def check_level_order(levels: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Bring orders of levels into one form, and refuse what is none.

    Examples
    --------
    >>> check_level_order({"age": ["young", "old"], "year": [2020, 2021]})
    (('age', ('young', 'old')), ('year', ('2020', '2021')))
    """
    example = "{'age': ('0-17', '18-29')}"
    found = []
    for name, given in _pairs(levels, "levels", example):
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise SettingError(f"levels of {name} are {given!r}; give its levels in order, e.g. {example}")
        order = tuple(level_text(level) for level in given)
        if len(set(order)) < len(order) or not order:
            raise SettingError(f"levels of {name} are {order}; name each level once")
        found.append((name, order))
    return tuple(sorted(found))


def _pairs(given: Any, setting: str, example: str) -> list[tuple[str, Any]]:
    items = list(given.items()) if isinstance(given, Mapping) else given
    if not isinstance(items, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in items
    ):
        raise SettingError(f"{setting}={given!r} must be a mapping from covariates, e.g. {example}")
    names = [name for name, _ in items]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"{setting} names {name!r} twice; say it once")
    return [(name, value) for name, value in items]


def _checked(name: str, value: Any) -> Coding:
    if isinstance(value, str):
        word = value.strip()
        match = POLYNOMIAL.fullmatch(word)
        if match:
            return f"poly({match.group(1)})"
        if word in (DUMMIES, "linear"):
            return word
    elif isinstance(value, Mapping | list | tuple):
        return _scores(name, value)
    raise SettingError(
        f"coding of {name} is {value!r}; use 'dummies', 'linear', 'poly(2)', or a number for each level, e.g. "
        f"{{{name!r}: {{'0-17': 8.5, '18-29': 24}}}}"
    )


def _scores(name: str, value: Any) -> Scores:
    pairs = list(value.items()) if isinstance(value, Mapping) else list(value)
    scores = []
    for pair in pairs:
        level, score = pair if isinstance(pair, list | tuple) and len(pair) == 2 else (pair, None)
        if isinstance(score, bool) or not isinstance(score, Real) or not math.isfinite(score):
            raise SettingError(f"coding of {name} gives level {level!r} the score {score!r}; give a number")
        scores.append((level_text(level), float(score)))
    if len({level for level, _ in scores}) < len(scores):
        raise SettingError(f"coding of {name} names a level twice; give each level one score")
    if len({score for _, score in scores}) < 2:
        raise SettingError(f"coding of {name} gives every level the same score; give at least two scores")
    return tuple(scores)


def natural_order(levels: Iterable[str]) -> tuple[str, ...]:
    """Sort levels: as numbers where all are numbers, else as text.

    Examples
    --------
    >>> natural_order(["10", "9"]), natural_order(["10", "9", "unknown"])
    (('9', '10'), ('10', '9', 'unknown'))
    """
    names = list(levels)
    numbers = {name: _number(name) for name in names}
    if any(number is None for number in numbers.values()):
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (numbers[name], name)))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def level_columns(
    covariate: str,
    levels: Sequence[str],
    coding: Coding,
    rows_a_level: float,
    scale: Sequence[str] | None = None,
) -> LevelColumns:
    """Make the columns of a covariate.

    Parameters
    ----------
    covariate : str
        Name for the messages.
    levels : sequence of str
        In order; the first is the reference.
    coding : str or tuple
    rows_a_level : float
        So many rows with each level make the columns of a polynomial orthonormal.
    scale : sequence of str, optional
        All levels in order, of which some may not exist: equally spaced scores count these.

    Returns
    -------
    LevelColumns

    Raises
    ------
    SettingError
        For a polynomial of levels that are no numbers, and for a level without a score.

    Notes
    -----
    Scores are measured from that of the first level, so that the intercept belongs to the first level of every
    covariate. The polynomial columns are orthonormal over the levels, each with `rows_a_level` rows; the column of
    degree d has a positive coefficient of the d-th power.

    Examples
    --------
    >>> level_columns("age", ("a", "b", "c"), "linear", 1).matrix.ravel().tolist()
    [0.0, 1.0, 2.0]
    >>> level_columns("year", ("2019", "2020", "2021"), "poly(2)", 1).matrix[:, 1].round(3).tolist()
    [0.408, -0.816, 0.408]
    """
    if coding == DUMMIES:
        return LevelColumns(np.eye(len(levels))[:, 1:], tuple(levels[1:]), True)
    if coding == "linear":
        places = list(levels if scale is None else scale)
        steps = np.array([places.index(level) for level in levels], dtype=np.float64)
        return LevelColumns((steps - steps[0])[:, None], ("linear",), len(levels) <= 2)
    if isinstance(coding, str):
        return _polynomial(covariate, levels, int(coding[5:-1]), rows_a_level)
    scores = dict(coding)
    _refuse_absent(covariate, [level for level in levels if level not in scores])
    values = np.array([scores[level] for level in levels])
    distinct = len(set(values.tolist()))
    return LevelColumns((values - values[0])[:, None], ("score",), distinct == len(levels) <= 2)


def _refuse_absent(covariate: str, absent: list[str]) -> None:
    if absent:
        raise SettingError(
            f"coding of {covariate} has no score for {', '.join(map(repr, absent))}; give every level one"
        )


def _polynomial(covariate: str, levels: Sequence[str], degree: int, rows_a_level: float) -> LevelColumns:
    numbers = {level: _number(level) for level in levels}
    for level, number in numbers.items():
        if number is None:
            raise SettingError(
                f"coding of {covariate} is poly({degree}) and its level {level!r} is no number; use dummies, or give "
                f"every level a score"
            )
    values = np.array([number for number in numbers.values() if number is not None])
    centred = values - values.mean()
    centred /= max(np.abs(centred).max(), 1e-300)
    distinct = 1 + int(np.sum(np.diff(np.sort(centred)) > SAME_VALUE))
    used = min(degree, distinct - 1)
    note = (
        f"{covariate} has {distinct} different numbers, which carry a polynomial of degree {used} and not {degree}"
        if used < degree
        else ""
    )
    orthogonal, triangle = np.linalg.qr(np.vander(centred, used + 1, increasing=True))
    signed = orthogonal * np.sign(np.diag(triangle))
    columns = signed[:, 1:] / math.sqrt(rows_a_level)
    labels = tuple(f"poly {power}" for power in range(1, used + 1))
    return LevelColumns(columns, labels, used == len(levels) - 1, note)
