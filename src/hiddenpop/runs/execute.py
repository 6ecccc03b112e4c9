"""From a plan to what it asks for: estimates, checks and parts, step by step."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiddenpop.errors import HiddenpopWarning
from hiddenpop.parallel import parallel
from hiddenpop.result import Estimate
from hiddenpop.runs.manifest import imported_versions
from hiddenpop.runs.parts import make_part
from hiddenpop.runs.plan import Plan
from hiddenpop.runs.steps import BLOCKS, STEPS, Steps, seed_of_step
from hiddenpop.sensitivity.protocol import CheckResult

__all__ = ["Found", "execute"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What a plan led to.

    Attributes
    ----------
    estimates : mapping of str to Estimate
        By label.
    checks : mapping of str to CheckResult
        By name, with a number where one is run twice.
    parts : mapping of str to monitor record
        By label.
    versions : mapping of str to str
        Of every package that was imported on the way.
    """

    estimates: Mapping[str, Estimate]
    checks: Mapping[str, CheckResult]
    parts: Mapping[str, Any]
    versions: Mapping[str, str]


def execute(
    plan: Plan, *, work: Path | None, workers: int | None = None, progress: bool | None = None
) -> Found:
    """Do every step of a plan.

    Parameters
    ----------
    plan : Plan
    work : Path or None
        Folder that keeps finished steps and blocks; None keeps nothing.
    workers : int, optional
        Processes, -1 for every core. The numbers do not depend on it.
    progress : bool, optional
        Show a bar for every long computation.

    Returns
    -------
    Found

    Raises
    ------
    HiddenpopError
        What a step raises, with the name of the step in front.
    """
    steps = Steps(None if work is None else work / STEPS, plan.digest)
    store = None if work is None else work / BLOCKS
    with parallel(workers=workers, progress=progress, store=store), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", HiddenpopWarning
        )  # the results say the same in their diagnostics and notes
        estimates = _done(steps, "estimate", _estimates(plan))
        checks = _done(steps, "check", _checks(plan, estimates))
        parts = _done(steps, "part", _parts(plan, estimates))
    versions = {
        name: text
        for step in (estimates, checks, parts)
        for _, more in step.values()
        for name, text in more.items()
    }
    return Found(
        estimates=_results(estimates), checks=_results(checks), parts=_results(parts), versions=versions
    )


Todo = Iterator[tuple[str, Callable[[], Any]]]
Done = dict[str, tuple[Any, dict[str, str]]]


def _done(steps: Steps, kind: str, todo: Todo) -> Done:
    return {label: steps.done(kind, label, _with_versions(make)) for label, make in todo}


def _with_versions(make: Callable[[], Any]) -> Callable[[], Any]:
    """Note with a result what was imported for it: a run that goes on later may import less."""
    return lambda: (make(), imported_versions())


def _results(done: Done) -> dict[str, Any]:
    return {label: result for label, (result, _) in done.items()}


def _estimates(plan: Plan) -> Todo:
    for label, method in plan.estimators.items():
        seed = seed_of_step(plan.seed, "estimate", label)
        yield label, lambda method=method, seed=seed: method.fit(plan.table, rng=seed)  # type: ignore[misc]


def _checks(plan: Plan, estimates: Done) -> Todo:
    """Check the estimate that is reported, from its own seed: points then differ by what is varied alone."""
    method, seed = plan.estimators[plan.chosen], seed_of_step(plan.seed, "estimate", plan.chosen)
    baseline, _ = estimates[plan.chosen]
    times: Counter[str] = Counter()
    for check in plan.checks:
        times[check.name] += 1
        label = check.name if times[check.name] == 1 else f"{check.name}-{times[check.name]}"
        yield label, lambda check=check: check.run(method, plan.table, baseline, rng=seed)  # type: ignore[misc]


def _parts(plan: Plan, estimates: Done) -> Todo:
    label = plan.parts_of
    for part in plan.parts:
        method, seed = plan.estimators[label], seed_of_step(plan.seed, "estimate", label)
        estimate, _ = estimates[label]
        yield (
            part.label,
            lambda part=part, estimate=estimate, method=method, seed=seed: make_part(  # type: ignore[misc]
                part, estimate, method, plan.table, seed
            ),
        )
