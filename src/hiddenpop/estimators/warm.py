"""Compile beforehand what the registered estimators need, by fitting each of them once to small tables."""

import dataclasses
import itertools
import typing
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from hiddenpop import datasets
from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.registry import ESTIMATORS, STANDARD_PANEL, build, estimator_class
from hiddenpop.parallel import run_blocks

__all__ = ["to_compile", "warm_up"]

TABLES = ("korea", "spina_bifida")
"""Lists alone, and lists with covariates. What is compiled depends on neither the number of lists nor the counts."""

FEW = (
    {"level": 0.5, "n_boot": 20, "n_draws": 100, "n_tune": 100, "n_chains": 2, "n_steps": 500},
    {"level": 0.5, "n_boot": 20, "n_draws": 1000, "n_tune": 200, "n_chains": 2, "n_steps": 500},
)
"""How long to draw, as few draws compile as much as many: an estimator gets the first of these that it takes."""

ONE_OF_A_SHAPE = "hiddenpop.bayes"
"""Estimators here may compile a model of PyMC for every shape of table. That is nothing to do beforehand for each of
their choices: only their defaults are fitted, which leaves the parts that models have in common."""


def warm_up() -> None:
    """Fit every estimator, on the workers that `parallel` has set, so that no later fit compiles.

    Notes
    -----
    An estimator that takes neither of the tables is left out.
    """
    tasks = list(itertools.product(to_compile(), TABLES))
    run_blocks(_fit, tasks, label="compiling")


def to_compile() -> tuple[Estimator, ...]:
    """List the methods shown side by side, and each registered estimator with every choice it offers.

    Examples
    --------
    >>> {method.name for method in to_compile()} == set(ESTIMATORS)
    True
    """
    panel = (build(name, settings) for name, settings in STANDARD_PANEL.values())
    single = (_variants(estimator_class(name)) for name in ESTIMATORS)
    return tuple(dict.fromkeys(itertools.chain(panel, *single)))


def _fit(task: tuple[Estimator, str]) -> None:
    estimator, table = task
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nobody looks at the numbers
        try:
            estimator.fit(datasets.load(table), rng=1)
        except HiddenpopError:
            return


def _variants(kind: type[Any]) -> Iterator[Estimator]:
    """Give an estimator with its defaults, then with one other choice at a time; those that cannot be are left out."""
    few = _few(kind)
    yield kind(**few)
    if kind.__module__.startswith(ONE_OF_A_SHAPE):
        return
    for name, hint in typing.get_type_hints(kind).items():
        for value in _values(name, hint):
            try:
                yield kind(**{**few, name: value})
            except HiddenpopError:
                continue


def _few(kind: type[Any]) -> dict[str, float]:
    """Give the settings that make an estimator draw little; none where it refuses them."""
    for few in FEW:
        known = {field.name: few[field.name] for field in dataclasses.fields(kind) if field.name in few}
        try:
            kind(**known)
        except HiddenpopError:
            continue
        return known
    return {}


def _values(name: str, hint: Any) -> Iterable[Any]:
    """List what a setting may be: its words, on or off, or any estimator for one that wraps another."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    if hint is bool:
        return (True, False)
    return [other(**_few(other)) for other in _bases()] if name == "base" else ()


def _bases() -> Iterator[type[Any]]:
    """Give what may be wrapped and wraps nothing itself."""
    for kind in map(estimator_class, ESTIMATORS):
        wraps = any(field.name == "base" for field in dataclasses.fields(kind))
        if not (wraps or kind.__module__.startswith(ONE_OF_A_SHAPE)):
            yield kind
