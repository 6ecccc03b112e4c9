"""What is called with other arguments than it takes is refused with what to type, whatever went wrong within."""

import collections.abc
import difflib
import functools
import inspect
import types
import typing
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, Union

from hiddenpop.errors import ArgumentError, HiddenpopError

__all__ = ["front_door", "front_doors"]

Called = ParamSpec("Called")
Answer = TypeVar("Answer")
Kind = TypeVar("Kind", bound=type)

WRONG_KIND = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What an argument of another kind makes Python and its libraries raise from within."""

MADE_BY = {
    "Axes": "matplotlib.pyplot.gca()",
    "Calibration": "hiddenpop.validation.calibrate(...)",
    "CaptureTable": "hiddenpop.CaptureTable.read(path)",
    "Check": "hiddenpop.sensitivity.standard_checks(...)",
    "CheckResult": "check.run(table, estimator)",
    "DataFrame": "pandas.DataFrame(data)",
    "Estimate": 'hiddenpop.estimate(table, "loglinear")',
    "Estimator": "hiddenpop.LogLinear()",
    "Figure": "ax.figure",
    "HierarchicalModel": 'hiddenpop.HierarchicalModel.parse("[12,3]", n_lists=3)',
    "Plan": "hiddenpop.runs.read_plan(path)",
    "Ranks": "hiddenpop.monitor.ranks(...)",
    "Rates": "hiddenpop.monitor.rates(...)",
    "Report": "hiddenpop.report.Report(...)",
    "Scenario": "hiddenpop.synthetic.scenario(name)",
    "Study": "hiddenpop.validation.study(...)",
    "Subgroups": "hiddenpop.monitor.subgroups(estimate, by)",
    "Trend": "hiddenpop.monitor.trend(estimate)",
    "TrendByList": "hiddenpop.monitor.trend_by_list(...)",
}


def front_door(function: Callable[Called, Answer]) -> Callable[Called, Answer]:
    """Explain what is wrong with the arguments of a public function where a call fails because of them.

    A call that succeeds is left alone. One that raises an error of the package is too. Where Python or a library
    raises instead, the arguments are held against the annotations; if all are of their kinds the fault lies within, and
    the error is raised as it is.

    Parameters
    ----------
    function : callable
        Annotated; ``rng`` is a seed or a generator wherever it stands.

    Returns
    -------
    callable

    Examples
    --------
    >>> @front_door
    ... def double(number: float) -> float:
    ...     return 2.0 * number.real
    >>> double(2.0)
    4.0
    >>> double(None)
    Traceback (most recent call last):
    hiddenpop.errors.ArgumentError: double: number is None, and must be a number
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Called.args, **settings: Called.kwargs) -> Answer:
        try:
            bound = signature.bind(*args, **settings)
        except TypeError as error:
            raise _unbound(function, signature, settings, str(error)) from None
        if "rng" in bound.arguments:
            _check_rng(bound.arguments["rng"])
        try:
            return function(*args, **settings)
        except HiddenpopError:
            raise
        except WRONG_KIND as error:
            wrong = _wrong_kinds(signature, bound.arguments)
            if not wrong:
                raise
            raise ArgumentError(f"{_name(function)}: {'; '.join(wrong)}") from error

    return call


def front_doors(*methods: str) -> Callable[[Kind], Kind]:
    """Put a front door before methods of a class, ``__init__`` among them."""

    def decorate(kind: Kind) -> Kind:
        for method in methods:
            setattr(kind, method, front_door(getattr(kind, method)))
        return kind

    return decorate


def _name(function: Callable[..., Any]) -> str:
    return function.__qualname__.removesuffix(".__init__")


def _unbound(
    function: Callable[..., Any], signature: inspect.Signature, settings: Any, why: str
) -> ArgumentError:
    """Say which argument is missing, one too many or unknown."""
    name = _name(function)
    known = [p for p in signature.parameters if p not in ("self", "cls")]
    unknown = [setting for setting in settings if setting not in known]
    if "seed" in unknown:
        at = "" if "rng" in known else " to fit, hiddenpop.estimate or hiddenpop.compare"
        return ArgumentError(f"{name} takes no seed; give rng={settings['seed']!r:.20}{at}")
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return ArgumentError(
            f"{name} has no argument {unknown[0]!r}; {hint}it takes {', '.join(known) or 'none'}"
        )
    if why.startswith("too many positional"):
        return ArgumentError(
            f"{name} takes no positional settings; name them, as in {name}({known[0] if known else ''}=...)"
        )
    return ArgumentError(f"{name}: {why}; it is called with {', '.join(known)}")


def _check_rng(rng: object) -> None:
    """Refuse what is not a seed and no generator.

    Raises
    ------
    ArgumentError
    """
    is_seed = isinstance(rng, Integral) and int(rng) >= 0
    if rng is None or is_seed or type(rng).__module__.startswith("numpy.random"):
        return
    raise ArgumentError(
        f"rng={rng!r:.40} is neither a seed nor a generator; give a whole number of at least 0, such as rng=1, or "
        f"numpy.random.default_rng(1)"
    )


def _wrong_kinds(signature: inspect.Signature, arguments: dict[str, Any]) -> list[str]:
    """Say of each argument that is not of its kind what it is, what it must be and what gives one."""
    found = []
    for name, value in arguments.items():
        parameter = signature.parameters[name]
        hint = parameter.annotation
        if parameter.kind is parameter.VAR_POSITIONAL:
            fits = all(_fits(item, hint) for item in value)
        else:
            fits = parameter.kind is parameter.VAR_KEYWORD or _fits(value, hint)
        if not fits:
            made = [MADE_BY[word] for word in _class_names(hint) if word in MADE_BY]
            way_out = f"; give {made[0]}" if made else ""
            found.append(f"{name} is {_what(value)}, and must be {_words(hint)}{way_out}")
    return found


def _what(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether a value is of the kind that an annotation asks for, its elements included.

    What is imported for type checkers alone is annotated by a text; then the name of the class decides.
    """
    if hint is Any or hint is inspect.Parameter.empty or isinstance(hint, TypeVar):
        return True
    if hint is None or value is None:
        return _may_be_none(hint)
    if isinstance(hint, str):
        return any(kind.__name__ in _class_names(hint) for kind in type(value).__mro__)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str | int) and value in inner
    return _is_of(value, origin or hint, inner)


def _may_be_none(hint: Any) -> bool:
    if isinstance(hint, str):
        return "None" in hint
    return hint in (None, type(None)) or type(None) in typing.get_args(hint)


def _is_of(value: Any, kind: Any, inner: tuple[Any, ...]) -> bool:
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if kind is collections.abc.Callable or not isinstance(kind, type):
        return callable(value) or kind is not collections.abc.Callable
    try:
        is_kind = isinstance(value, kind)
    except TypeError:  # a protocol that is not made for this
        return True
    if isinstance(value, str | bytes):
        return is_kind and not inner
    return is_kind and _elements_fit(value, inner)


def _elements_fit(value: Any, inner: tuple[Any, ...]) -> bool:
    if isinstance(value, collections.abc.Mapping) and len(inner) == 2:
        return all(_fits(key, inner[0]) and _fits(item, inner[1]) for key, item in value.items())
    if isinstance(value, collections.abc.Collection) and len(inner) == 1 and not hasattr(value, "__array__"):
        return all(_fits(item, inner[0]) for item in value)
    return True


def _class_names(hint: Any) -> list[str]:
    text = hint if isinstance(hint, str) else _words(hint)
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


PLAIN: dict[Any, str] = {
    None: "None",
    type(None): "None",
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
}


def _words(hint: Any) -> str:
    """Write an annotation out."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(one) for one in inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if isinstance(hint, str):
        return hint
    return PLAIN[hint] if hint in PLAIN else _words_of_class(origin or hint, inner)


def _words_of_class(kind: Any, inner: tuple[Any, ...]) -> str:
    if kind is collections.abc.Callable:
        return "a function"
    name = getattr(kind, "__name__", str(kind))
    if isinstance(kind, type) and issubclass(kind, collections.abc.Mapping) and len(inner) == 2:
        return f"a dict of {_words(inner[0])} to {_words(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, collections.abc.Iterable) and inner and name != "ndarray":
        return f"a list of {_words(inner[0])}"
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"
