"""Hierarchical models of lists and covariates, and the formulas they are written as."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from numbers import Real
from operator import or_
from typing import Any

import numpy as np

from hiddenpop._cells import level_text, unknown_name
from hiddenpop._typing import Floats
from hiddenpop.errors import ModelError, SettingError
from hiddenpop.histories import bit_positions, subset_order
from hiddenpop.table import CaptureTable

__all__ = [
    "DUMMIES",
    "Coding",
    "CovariateModel",
    "LevelColumns",
    "check_coding",
    "check_level_order",
    "factor_label",
    "joint_coding",
    "level_columns",
    "model_of_table",
    "natural_order",
]

Terms = frozenset[int]

WORDS = ("main-effects", "all-pairs")
PLAIN_NAME = re.compile(r"[^\W\d]\w*")
CALL = re.compile(r"(\w+)\(\s*(?:`([^`]+)`|([^\W\d][\w.]*))\s*(?:,\s*(?:degree\s*=\s*)?([1-9]\d?)\s*)?\)")
POWER = re.compile(r"[0-9]{1,3}")
HIGHEST_POWER = 63
MOST_PRODUCTS = 1 << 20
"""A model with as many terms could not be fitted; the formula is refused before they fill the memory."""
REFUSED = {
    "-": "the intercept and every main effect are always in a model, and nothing is taken out; leave the sign - and "
    "the number 0 out",
    "~": "the counts of the table are the response; leave the sign ~ and what stands before it out",
    "/": "write a + a:b for a/b",
    "in": "write a:b for nested terms",
    "|": "a model has one part; leave the sign | out",
}

Scores = tuple[tuple[str, float], ...]
Coding = str | Scores
"""``"dummies"``, ``"linear"``, ``"poly(2)"``, or a score for each level."""

DUMMIES = "dummies"
POLYNOMIAL = re.compile(r"poly\(\s*([1-9]\d?)\s*\)")
SAME_VALUE = 1e-12
"""Two standardised numbers nearer than this are one number, written in two ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CovariateModel:
    """A hierarchical log-linear model of lists and covariates.

    Parameters
    ----------
    factors : tuple of str
        Lists first, then the covariates in the model.
    n_lists : int
        How many of the factors are lists.
    terms : tuple of int
        Sets of factors as bit masks (bit i is factor i), without the empty one; sorted by size and then by position.
    coding : tuple of (str, str or tuple)
        Codings that the formula gives to covariates.

    Raises
    ------
    ModelError
        If a term is there without its parts, or a factor without its main effect.

    Examples
    --------
    >>> model = CovariateModel.parse("police*year + shelter", lists=("police", "shelter"), covariates=("sex", "year"))
    >>> model.factors, model.terms
    (('police', 'shelter', 'year'), (1, 2, 4, 5))
    >>> model.formula()
    'police*year + shelter'
    """

    factors: tuple[str, ...]
    n_lists: int
    terms: tuple[int, ...]
    coding: tuple[tuple[str, Coding], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", tuple(self.factors))
        ordered = tuple(sorted({int(term) for term in self.terms}, key=subset_order))
        object.__setattr__(self, "terms", ordered)
        everything = (1 << len(self.factors)) - 1
        for term in ordered:
            if not 0 < term <= everything:
                raise ModelError(f"{term} is not a set of {len(self.factors)} factors; use 1 to {everything}")
        _refuse_gaps(self, ":".join(map(quoted, self.factors)))
        absent = [name for i, name in enumerate(self.factors) if 1 << i not in ordered]
        if absent:
            raise ModelError(f"the model leaves out {', '.join(absent)}; add their main effects")

    @classmethod
    def parse(cls, formula: str, *, lists: Sequence[str], covariates: Sequence[str]) -> "CovariateModel":
        """Read a model from a formula.

        Parameters
        ----------
        formula : str
            Such as ``"police*shelter + coordinator + year*police"``: ``a*b`` is ``a + b + a:b``, ``(a+b+c)**2`` all
            pairs of them, ``.`` every list and covariate; odd names stand between backticks. ``poly(year, 2)``,
            ``linear(age)`` and ``C(sex)`` also say how a covariate is coded. The words ``"main-effects"`` and
            ``"all-pairs"`` stand for ``.`` and ``(.)**2``.
        lists, covariates : sequence of str
            Names of the table.

        Returns
        -------
        CovariateModel

        Raises
        ------
        ModelError
            If the formula cannot be read, is not hierarchical, or leaves a list out.
        UnknownNameError
            For a name that is neither a list nor a covariate.

        Examples
        --------
        >>> names = {"lists": ("A", "B"), "covariates": ("age", "odd name")}
        >>> CovariateModel.parse("(A + B + `odd name`)**2", **names).formula()
        'A*B + A*`odd name` + B*`odd name`'
        """
        names = (*lists, *covariates)
        reading = _Reading(formula, names, len(lists))
        try:
            terms, coding = reading.terms(), reading.coding()
        except RecursionError:
            raise ModelError(f"the model is too deeply nested to be read: {formula[:60]!r} ...") from None
        used = reduce(or_, terms, 0)
        left_out = [quoted(name) for i, name in enumerate(lists) if not used >> i & 1]
        if left_out:
            raise ModelError(
                f"model {formula!r} leaves out {', '.join(left_out)}; every list needs its main effect: "
                f"add + {' + '.join(left_out)}"
            )
        kept = [i for i in range(len(names)) if used >> i & 1]
        _refuse_missing_parts(terms, names, formula)
        return cls(
            factors=tuple(names[i] for i in kept),
            n_lists=len(lists),
            terms=tuple(_moved(term, kept) for term in terms),
            coding=tuple(sorted(coding.items())),
        )

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the lists."""
        return self.factors[: self.n_lists]

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the covariates in the model."""
        return self.factors[self.n_lists :]

    @property
    def generators(self) -> tuple[int, ...]:
        """Terms inside no other."""
        return tuple(t for t in self.terms if not any(t != other and t & other == t for other in self.terms))

    def onto(self, factors: Sequence[str]) -> "CovariateModel":
        """Leave factors out of the model: keep those named, in their order, and the terms of these alone."""
        kept = [self.factors.index(name) for name in factors]
        gone = ~reduce(or_, (1 << i for i in kept), 0)
        return CovariateModel(
            factors=tuple(factors),
            n_lists=sum(name in self.lists for name in factors),
            terms=tuple(_moved(term, kept) for term in self.terms if not term & gone),
            coding=tuple(pair for pair in self.coding if pair[0] in factors),
        )

    def label(self, term: int) -> str:
        """Write a term, as ``police*year``."""
        return factor_label(self.factors, term)

    def formula(self) -> str:
        """Write the model so that `parse` reads it again."""
        parts = ("*".join(quoted(self.factors[i]) for i in bit_positions(term)) for term in self.generators)
        return " + ".join(
            part for _, part in sorted(zip(self._by_position(), parts, strict=True), key=lambda pair: pair[0])
        )

    def _by_position(self) -> list[tuple[int, ...]]:
        return [bit_positions(term) for term in self.generators]

    def __str__(self) -> str:
        return self.formula()


def model_of_table(model: str | CovariateModel, table: CaptureTable) -> CovariateModel:
    """Read a model for the lists and covariates of a table."""
    if isinstance(model, CovariateModel):
        return model
    return CovariateModel.parse(model, lists=table.lists, covariates=list(map(str, table.strata.columns)))


def joint_coding(setting: Any, *models: CovariateModel) -> tuple[tuple[str, Coding], ...]:
    """Put the codings of the setting and of formulas together, and refuse contradictions."""
    found: dict[str, Coding] = dict(setting)
    for model in models:
        for name, coding in model.coding:
            if found.setdefault(name, coding) != coding:
                raise SettingError(
                    f"the model codes {name} as {coding} and another place as {found[name]}; say it once"
                )
    return tuple(sorted(found.items()))


def factor_label(factors: Sequence[str], term: int) -> str:
    """Write a set of factors, as ``police*year``.

    Examples
    --------
    >>> factor_label(("police", "shelter", "year"), 0b101)
    'police*year'
    """
    return "*".join(factors[i] for i in bit_positions(term))


def quoted(name: str) -> str:
    """Write a name so that a formula can be read back.

    Examples
    --------
    >>> quoted("police"), quoted("odd name")
    ('police', '`odd name`')
    """
    return name if PLAIN_NAME.fullmatch(name) else f"`{name}`"


def _moved(term: int, kept: Sequence[int]) -> int:
    """Code a term by the places of its factors among those kept."""
    return sum(1 << new for new, old in enumerate(kept) if term >> old & 1)


def _refuse_gaps(model: CovariateModel, text: str) -> None:
    _refuse_missing_parts(frozenset(model.terms), model.factors, text)


def _refuse_missing_parts(terms: Iterable[int], names: Sequence[str], text: str) -> None:
    """Refuse a model that has an interaction without what is inside it."""
    known = frozenset(terms)
    for term in sorted(known, key=subset_order):
        inside = sorted((term & ~(1 << i) for i in bit_positions(term)), key=subset_order)
        missing = [part for part in inside if part and part not in known]
        if missing:
            whole = [quoted(names[i]) for i in bit_positions(term)]
            parts = [":".join(quoted(names[i]) for i in bit_positions(part)) for part in missing]
            raise ModelError(
                f"model {text!r} has {':'.join(whole)} without {', '.join(parts)}; a hierarchical model has all that "
                f"is inside its terms: write {'*'.join(whole)}"
            )


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reading:
    """A formula, and the names that it may use."""

    text: str
    names: tuple[str, ...]
    n_lists: int

    def terms(self) -> Terms:
        word = self._word()
        everything = frozenset(1 << i for i in range(len(self.names)))
        if word is not None:
            return everything if word == "main-effects" else _power(everything, 2)
        tree = self._tree()
        if tree is None:
            raise ModelError(f"model {self.text!r} is empty; write it as 'police*shelter + year'")
        return self._value(tree)

    def _word(self) -> str | None:
        word = self.text.strip().lower().replace("_", "-").replace(" ", "-")
        return word if word in WORDS and self.text.strip() not in self.names else None

    def coding(self) -> dict[str, Coding]:
        """Codings that the formula gives; a covariate stands in one way throughout."""
        found: dict[str, set[Coding]] = {}
        if self._word() is None:
            for token in _tokens(self.text):
                if _kind(token) in ("name", "python"):
                    name, coding = self._factor(token)
                    found.setdefault(name, set()).add(coding)
        for name, codings in found.items():
            if len(codings) > 1:
                ways = " and ".join(sorted(_call(name, coding) for coding in codings))
                raise ModelError(f"model {self.text!r} has {ways}; write {name} in one way")
        return {name: coding for name, (coding,) in found.items() if coding}

    def _tree(self) -> Any:
        from formulaic.errors import FormulaicError  # type: ignore[import-untyped]
        from formulaic.parser import DefaultFormulaParser  # type: ignore[import-untyped]

        if self.text.strip().startswith("["):
            raise ModelError(
                f"model {self.text!r} is in brackets, which only LogLinear reads; write it with names"
            )
        try:
            return DefaultFormulaParser(include_intercept=False).get_ast(self.text)
        except (FormulaicError, SyntaxError) as error:
            reason = str(error).split("\n", 1)[0].rstrip(".")
            raise ModelError(
                f"model {self.text!r} cannot be read: {reason}; write it as 'police*shelter + year', with odd names "
                f"between backticks"
            ) from None

    def _value(self, node: Any) -> Terms:
        """Terms of a part of the formula."""
        operator = getattr(node, "operator", None)
        if operator is None:
            return frozenset([1 << self.names.index(self._factor(node)[0])])
        symbol = str(operator.symbol)
        if symbol == ".":
            return frozenset(1 << i for i in range(len(self.names)))
        if symbol in ("**", "^"):
            return _power(self._value(node.args[0]), self._exponent(node.args[1]))
        join = JOINS.get(symbol)
        if join is None:
            why = REFUSED.get(symbol, "only + * : ** and ( ) are read")
            raise ModelError(f"model {self.text!r} has the sign {symbol}: {why}")
        self._refuse_twice(node, symbol)
        return reduce(join, (self._value(part) for part in node.args))

    def _refuse_twice(self, node: Any, symbol: str) -> None:
        if symbol == "+":
            return
        names = [self._factor(leaf)[0] for leaf in _leaves(node, symbol)]
        for name in names:
            if names.count(name) > 1:
                powers = (
                    f", or code it as poly({quoted(name)}, 2)" if name in self.names[self.n_lists :] else ""
                )
                raise ModelError(
                    f"model {self.text!r} has an interaction of {quoted(name)} with itself; name it once{powers}"
                )

    def _exponent(self, node: Any) -> int:
        text = str(getattr(node, "token", ""))
        if not POWER.fullmatch(text) or not 1 <= int(text) <= HIGHEST_POWER:
            raise ModelError(f"model {self.text!r} has a power that is not a whole number of at least 1")
        return int(text)

    def _factor(self, token: Any) -> tuple[str, Coding]:
        """Name and coding of one factor, the coding empty where none is said."""
        text, kind = str(token.token), _kind(token)
        if kind == "value":
            raise ModelError(f"model {self.text!r} has {text}: {self._value_hint(text)}")
        name, coding = (text, "") if kind == "name" else self._called(text)
        if name not in self.names:
            raise unknown_name("list or covariate", name, self.names)
        if coding and name in self.names[: self.n_lists]:
            raise ModelError(f"model {self.text!r} codes {quoted(name)}, which is a list: on it or not")
        return name, coding

    def _value_hint(self, text: str) -> str:
        name = text.strip("'\"")
        if name in self.names:
            return f"write names without quotes, and one that is a number between backticks, {quoted(name)}"
        return "the intercept is always in a model; leave numbers out"

    def _called(self, text: str) -> tuple[str, Coding]:
        match = CALL.fullmatch(text)
        function = match.group(1) if match else ""
        degree = match.group(4) if match else None
        if match is None or function not in ("poly", "linear", "C") or (function == "poly") != bool(degree):
            raise ModelError(
                f"model {self.text!r} has {text}; of functions only poly(year, 2), linear(age) and C(sex) are "
                f"read, and odd names stand between backticks"
            )
        coding = {"poly": f"poly({int(degree or 0)})", "linear": "linear", "C": "dummies"}[function]
        return match.group(2) or match.group(3), coding


def _call(name: str, coding: Coding) -> str:
    if not coding:
        return quoted(name)
    written = {"linear": f"linear({quoted(name)})", "dummies": f"C({quoted(name)})"}
    return written.get(str(coding), f"poly({quoted(name)}, {str(coding)[5:-1]})")


def _tokens(text: str) -> list[Any]:
    from formulaic.parser import DefaultFormulaParser

    return list(DefaultFormulaParser(include_intercept=False).get_tokens(text))


def _kind(token: Any) -> str:
    return str(token.kind.value) if token.kind else ""


def _leaves(node: Any, symbol: str) -> list[Any]:
    """Names that a chain of one sign joins directly."""
    if getattr(node, "operator", None) is None:
        return [node] if _kind(node) in ("name", "python") else []
    if str(node.operator.symbol) not in (symbol, ":", "*") or str(node.operator.symbol) == "+":
        return []
    return [leaf for part in node.args for leaf in _leaves(part, symbol)]


def _both(one: Terms, other: Terms) -> Terms:
    if len(one) * len(other) > MOST_PRODUCTS:
        raise ModelError(
            "the model has far more terms than can be fitted; write one of lower order, such as (.)**2"
        )
    return frozenset(a | b for a in one for b in other)


def _power(terms: Terms, exponent: int) -> Terms:
    result = terms
    for _ in range(min(exponent, HIGHEST_POWER) - 1):
        wider = result | _both(result, terms)
        if wider == result:
            break
        result = wider
    return result


JOINS: dict[str, Callable[[Terms, Terms], Terms]] = {
    "+": lambda one, other: one | other,
    ":": _both,
    "*": lambda one, other: one | other | _both(one, other),
}


# === how the levels of a covariate become columns: dummies, polynomials and scores ====================================


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
                f"coding of {covariate} is poly({degree}) and its level {level!r} is not a number; use dummies, or "
                "give every level a score"
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
