"""Hierarchical models of lists and covariates, and the formulas they are written as."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from hiddenpop._cells import unknown_name
from hiddenpop.errors import ModelError, SettingError
from hiddenpop.estimators.covariate_coding import Coding
from hiddenpop.histories import bit_positions, subset_order
from hiddenpop.table import CaptureTable

__all__ = ["CovariateModel", "factor_label", "joint_coding", "model_of_table"]

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
                raise ModelError(f"{term} is no set of {len(self.factors)} factors; use 1 to {everything}")
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
