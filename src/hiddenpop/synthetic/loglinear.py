"""`LogLinearLaw`: captures by a log-linear model with given coefficients, and any dark figure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.histories import captures
from hiddenpop.model import HierarchicalModel, term_label
from hiddenpop.synthetic.laws import distinct_names

__all__ = ["LogLinearLaw"]

NEWTON_STEPS = 1000
LONGEST_STEP = 10.0  # where hardly anybody is caught the slope is so small that a full step would overshoot


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLinearLaw:
    """Lists that depend on each other as a hierarchical log-linear model says.

    The chance of history w is proportional to the exponential of the sum of the coefficients of the terms within w,
    over all 2**t histories, the one of never being caught included.

    Parameters
    ----------
    lists : tuple of str
        Names of the t lists.
    coefficients : mapping of str to float, or tuple of pairs
        Coefficients (log scale) by term: ``"police"``, ``"police*shelter"``, or by positions ``"1"``, ``"12"``
        (``"1.10"`` with ten or more lists). Every main effect, and every term within a term. ``-inf`` for an
        interaction is a structural zero.
    hidden_share : float, optional
        The share of persons never caught, above 0 and below 1. By default it follows from the coefficients.

    Raises
    ------
    SettingError
        For a term that cannot be read or is given twice, a set of terms that is not hierarchical, a coefficient that
        is not a number, or a share that is none.

    Notes
    -----
    With `hidden_share` one constant is added to all main effects, so that every interaction stays what it is, and the
    model with it; the constant is found by Newton steps, on a convex function.

    Examples
    --------
    >>> law = LogLinearLaw(
    ...     lists=("police", "shelter"),
    ...     coefficients={"police": -1.0, "shelter": -1.5, "police*shelter": 1.0},
    ...     hidden_share=0.5,
    ... )
    >>> law.cell_probabilities().round(3).tolist()
    [0.5, 0.216, 0.131, 0.153]
    """

    lists: tuple[str, ...]
    coefficients: tuple[tuple[str, float], ...]
    hidden_share: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lists", distinct_names("lists", self.lists))
        given: object = self.coefficients
        pairs = given.items() if isinstance(given, Mapping) else self.coefficients
        values: dict[int, float] = {}
        for text, value in pairs:
            term = _read_term(str(text), self.lists)
            if term in values:
                raise SettingError(
                    f"coefficients gives the term {text!r} twice, counting other spellings; give it once"
                )
            values[term] = _checked(text, value, term)
        _check_hierarchy(values, self.lists)
        named = tuple((_term_text(term, self.lists), values[term]) for term in sorted(values))
        object.__setattr__(self, "coefficients", named)
        _check_hidden_share(self.hidden_share)

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.lists)

    @property
    def model(self) -> str:
        """The hierarchical model of the terms given, in bracket notation."""
        terms = tuple(_read_term(text, self.lists) for text, _ in self.coefficients)
        return str(HierarchicalModel(self.n_lists, terms))

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        logs = np.zeros(1 << self.n_lists)
        for text, value in self.coefficients:
            logs[_read_term(text, self.lists)] = value
        for position in range(self.n_lists):
            halves = logs.reshape(-1, 2, 1 << position)
            halves[:, 1] += halves[:, 0]
        if self.hidden_share is not None:
            logs += captures(np.arange(len(logs))) * _shift(logs, self.hidden_share)
        cells: Floats = np.exp(logs - logs.max())
        cells /= cells.sum()
        return cells


def _shift(logs: Floats, hidden_share: float) -> float:
    """Find what to add to each main effect, so that the first cell has the share wanted."""
    sizes = captures(np.arange(len(logs))).astype(np.float64)
    target, shift = -math.log(hidden_share), 0.0
    for _ in range(NEWTON_STEPS):
        values = logs + sizes * shift
        top = float(values.max())
        weights = np.exp(values - top)
        total = float(weights.sum())
        excess = top + math.log(total) - target
        slope = float(weights @ sizes) / total
        step = min(excess / slope, LONGEST_STEP) if excess > -slope * LONGEST_STEP else -LONGEST_STEP
        shift -= step
        if abs(step) < 1e-14 * (1.0 + abs(shift)):
            break
    return shift


def _read_term(text: str, lists: tuple[str, ...]) -> int:
    """Read one term as a bit mask of lists."""
    token = text.strip()
    parts = [part.strip() for part in re.split(r"[*:]", token)] if token not in lists else [token]
    if all(part in lists for part in parts):
        positions = [lists.index(part) for part in parts]
    elif re.fullmatch(r"[0-9.]+", token):
        numbers = token.split(".") if len(lists) >= 10 or "." in token else list(token)
        positions = [int(number or 0) - 1 for number in numbers]
    else:
        positions = [-1]
    if not all(0 <= position < len(lists) for position in positions) or len(set(positions)) < len(positions):
        raise SettingError(
            f"coefficients: {text!r} is not a term of {', '.join(lists)}; write {'*'.join(lists[:2])!r} or '12'"
        )
    return sum(1 << position for position in positions)


def _term_text(term: int, lists: tuple[str, ...]) -> str:
    return "*".join(name for position, name in enumerate(lists) if term >> position & 1)


def _checked(text: str, value: float, term: int) -> float:
    given: object = value
    number = math.nan if isinstance(given, bool) or not isinstance(given, Real) else float(value)
    if math.isnan(number) or number == math.inf or (number == -math.inf and not term & (term - 1)):
        raise SettingError(
            f"coefficients: {text!r} has {value!r}; give a finite number, or -inf for an interaction that is "
            "a structural zero"
        )
    return number


def _check_hierarchy(values: Mapping[int, float], lists: tuple[str, ...]) -> None:
    needed = {1 << position for position in range(len(lists))}
    for term in values:
        needed |= {term & ~(1 << position) for position in range(len(lists)) if term >> position & 1}
    missing = sorted(needed - set(values) - {0})
    if missing:
        raise SettingError(
            f"coefficients lacks the term {_term_text(missing[0], lists)!r} ({term_label(missing[0], len(lists))}): "
            "a hierarchical model has every main effect and every term within a term; give it, perhaps as 0"
        )


def _check_hidden_share(share: float | None) -> None:
    given: object = share
    if given is None:
        return
    if isinstance(given, bool) or not isinstance(given, Real) or not 0.0 < float(given) < 1.0:
        raise SettingError(f"hidden_share={share!r} must lie between 0 and 1, e.g. 0.6")
