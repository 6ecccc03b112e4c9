"""The plan of a study: which estimator meets which scenario, cut into blocks, each with a key of its own."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.protocol import Estimator, check_whole, spec_of
from hiddenpop.estimators.registry import build
from hiddenpop.synthetic import Scenario, scenario
from hiddenpop.table import RNGLike
from hiddenpop.validation.content import content_digest, source_digest, versions
from hiddenpop.validation.seeds import Words, root_words

__all__ = ["BLOCK", "SCHEMA_VERSION", "Cell", "Contestant", "Contestants", "Plan", "make_plan"]

Contestant: TypeAlias = str | Estimator | Callable[[Scenario], Estimator]
Contestants: TypeAlias = Mapping[str, Contestant] | Sequence[str | Estimator]

BLOCK = 50
"""Replicates a block. Results do not depend on it: every replicate has its own random numbers."""

SCHEMA_VERSION = 2
"""Of what a study leaves in its folder."""

_NAME_LENGTH, _KEY_LENGTH = 40, 16


class Cell(NamedTuple):
    """One estimator in one block of one scenario; without an estimator, the reason why it does not apply there."""

    scenario: str
    label: str
    start: int
    stop: int
    estimator: Estimator | None
    reason: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A study before it is run.

    Attributes
    ----------
    scenarios : tuple of Scenario
    entries : dict
        By scenario and label: the estimator, or None and the reason why there is none.
    n_rep : int
        Replicates of each scenario.
    root : tuple of int
        What all random numbers come from.
    seed : int or None
        As given, where it was a number.
    block_size : int
    """

    scenarios: tuple[Scenario, ...]
    entries: dict[tuple[str, str], tuple[Estimator | None, str]]
    n_rep: int
    root: Words
    seed: int | None
    block_size: int

    def cells(self) -> Iterator[Cell]:
        """Give every estimator in every block, in order."""
        common = {"root": self.root, "source": source_digest(), "versions": versions()}
        worlds = {world.name: content_digest([world, world.cell_probabilities()]) for world in self.scenarios}
        for (name, label), (estimator, reason) in self.entries.items():
            entry = content_digest([common, worlds[name], label, estimator, reason])
            for start in range(0, self.n_rep, self.block_size):
                stop = min(start + self.block_size, self.n_rep)
                file = _file(name, label, start, content_digest([entry, start, stop]))
                yield Cell(name, label, start, stop, estimator, reason, file)

    def manifest(self) -> dict[str, Any]:
        """Write the study down: settings, seed, versions, and the file of every block. It holds no clock."""
        return {
            "schema_version": SCHEMA_VERSION,
            "n_rep": self.n_rep,
            "block_size": self.block_size,
            "seed": self.seed,
            "entropy": list(self.root),
            "versions": versions(),
            "source": source_digest(),
            "scenarios": [_scenario_record(world) for world in self.scenarios],
            "estimators": [
                {"scenario": name, "label": label, **_estimator_record(estimator, reason)}
                for (name, label), (estimator, reason) in self.entries.items()
            ],
            "blocks": [cell.file for cell in self.cells()],
        }


def _file(scenario: str, label: str, start: int, key: str) -> str:
    names = "--".join(
        re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:_NAME_LENGTH] for name in (scenario, label)
    )
    return f"{names}--{start:06d}-{key[:_KEY_LENGTH]}.block"


def _scenario_record(world: Scenario) -> dict[str, Any]:
    return {
        "scenario": world.name,
        "description": world.description,
        "truth": int(world.truth),
        "n_lists": len(world.lists),
        "smallest_overlap": world.expected_overlap(),
        "assumptions": sorted(world.assumptions),
        "model": world.model,
    }


def _estimator_record(estimator: Estimator | None, reason: str) -> dict[str, Any]:
    if estimator is None:
        return {"name": None, "settings": None, "reason": reason}
    spec = spec_of(estimator)
    return {"name": spec.name, "settings": dict(spec.settings), "reason": reason}


def make_plan(
    estimators: Contestants,
    scenarios: Sequence[str | Scenario],
    *,
    n_rep: int,
    rng: RNGLike,
    block_size: int = BLOCK,
) -> Plan:
    """Check everything before the first slow step, and plan a study.

    Parameters
    ----------
    estimators, scenarios, n_rep, rng, block_size
        As for `hiddenpop.validation.study`.

    Returns
    -------
    Plan

    Raises
    ------
    SettingError
        If there is nothing to do, a name or label is given twice, or a number is impossible.
    UnknownNameError
        For a scenario or an estimator that is not there.
    """
    check_whole("n_rep", n_rep)
    check_whole("block_size", block_size)
    labelled = _labelled(estimators)
    worlds = _worlds(scenarios)
    entries = {(w.name, label): _entry(item, w) for w in worlds for label, item in labelled.items()}
    seed = int(rng) if isinstance(rng, int | np.integer) else None
    return Plan(
        scenarios=worlds, entries=entries, n_rep=int(n_rep), root=root_words(rng), seed=seed, block_size=int(block_size)
    )  # fmt: skip


def _worlds(scenarios: Sequence[str | Scenario]) -> tuple[Scenario, ...]:
    if isinstance(scenarios, str) or not hasattr(scenarios, "__iter__") or not list(scenarios):
        raise SettingError(
            f"there are no scenarios in {scenarios!r}; give a list of scenarios or of their names"
        )
    worlds = tuple(scenario(item) if isinstance(item, str) else item for item in scenarios)
    _refuse_twice("scenario", [world.name for world in worlds])
    return worlds


def _labelled(estimators: Contestants) -> dict[str, Any]:
    if isinstance(estimators, str) or not hasattr(estimators, "__iter__") or not estimators:
        raise SettingError(
            f'there are no estimators in {estimators!r}; give a list such as ["loglinear", "chao"], or a mapping'
        )
    if isinstance(estimators, Mapping):
        return {str(label): _resolved(item) for label, item in estimators.items()}
    items = [_resolved(item) for item in estimators]
    labels = [
        given if isinstance(given, str) else spec_of(item).label
        for given, item in zip(estimators, items, strict=True)
    ]
    _refuse_twice("estimator", labels)
    return dict(zip(labels, items, strict=True))


def _resolved(item: Any) -> Any:
    """Build what is named; an estimator, and a function that gives one for a scenario, stay what they are."""
    if isinstance(item, str):
        return build(item, {})
    if isinstance(item, type) or not (hasattr(item, "fit") or callable(item)):
        raise SettingError(
            f"{item!r} is not an estimator; give a registered name, an estimator such as LogLinear(), or a function "
            "that gives one for a scenario"
        )
    return item


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingError(f"{what} {twice[0]!r} is there twice; results go by name, so give each its own")


def _entry(item: Any, world: Scenario) -> tuple[Estimator | None, str]:
    """Choose the estimator for a scenario; a function may refuse one as a `fit` does."""
    if hasattr(item, "fit"):
        return item, ""
    try:
        return item(world), ""
    except CapabilityError as error:
        return None, str(error)
