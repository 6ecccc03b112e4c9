"""Public functions given other kinds of arguments than they take: an error of the package that says what to give."""

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hiddenpop as hp
from hiddenpop._front_door import front_door
from hiddenpop.errors import ArgumentError, HiddenpopError
from hiddenpop.estimators.registry import ESTIMATORS, estimator_class

ROOMS = ("datasets", "monitor", "plotting", "report", "runs", "sensitivity", "synthetic", "validation")
WRONG: dict[str, Any] = {
    "nothing": None,
    "number": 3,
    "text": "a",
    "list": [],
    "dict": {},
    "array": np.eye(3),
    "frame": pd.DataFrame({"x": [1.5, 2.5]}),
}
READERS = ("from_counts", "from_indicators", "from_memberships", "from_registrations", "read")


def is_protocol(thing: object) -> bool:
    return bool(getattr(thing, "_is_protocol", False))


def doors() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Name every public function and class, the readers of a table, and every fit."""
    for owner in (hp, *(importlib.import_module(f"hiddenpop.{room}") for room in ROOMS)):
        for name in owner.__all__:
            thing = getattr(owner, name)
            if callable(thing) and not is_protocol(thing):
                yield f"{owner.__name__}.{name}", thing
    for name in READERS:
        yield f"hiddenpop.CaptureTable.{name}", getattr(hp.CaptureTable, name)
    for name in ESTIMATORS:
        yield f"{name}.fit", default(name).fit


def default(name: str) -> Any:
    return estimator_class(name)(**({"by": ("year",)} if name == "stratified" else {}))


DOORS = dict(doors())


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p for p in inspect.signature(function).parameters.values() if p.kind not in skipped]


def call(function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Call with these values; only an error of the package may come out, and it must say something."""
    given = [p for p in parameters_of(function) if p.name in values]
    by_name = {p.name: values[p.name] for p in given if p.kind is p.KEYWORD_ONLY}
    try:
        function(*(values[p.name] for p in given if p.kind is not p.KEYWORD_ONLY), **by_name)
    except HiddenpopError as error:
        assert len(str(error)) > 20  # noqa: PT017 - what is raised differs from door to door


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Work in an empty folder, and leave no figure open."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("door", DOORS)
def test_arguments_of_a_wrong_kind_are_refused_by_the_package(door, kind):
    required = [p.name for p in parameters_of(DOORS[door]) if p.default is p.empty]
    call(DOORS[door], dict.fromkeys(required, WRONG[kind]))


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
@pytest.mark.usefixtures("nowhere")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(DOORS)), st.data())
def test_any_mixture_of_wrong_arguments_is_refused_by_the_package(door, data):
    required = [p.name for p in parameters_of(DOORS[door]) if p.default is p.empty]
    kinds = {name: data.draw(st.sampled_from(sorted(WRONG)), label=name) for name in required}
    call(DOORS[door], {name: WRONG[kind] for name, kind in kinds.items()})


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: hp.compare("kosovo", ["chao"], seed=1),
        lambda: hp.LogLinear(seed=1),
        lambda: hp.LogLinear().fit(hp.datasets.load("kosovo"), seed=1),
        lambda: hp.estimate("kosovo", seed=1),
        lambda: hp.estimate("kosovo", "chao", seed=1),
    ],
)
def test_a_seed_is_refused_with_where_it_goes(attempt):
    with pytest.raises(HiddenpopError, match=r"give rng=1"):
        attempt()


@pytest.mark.parametrize("rng", ["a", -1, 1.5, [1], {}])
def test_what_is_neither_seed_nor_generator_is_refused(rng):
    for attempt in (
        lambda: hp.estimate("kosovo", "chao", rng=rng),
        lambda: hp.compare("kosovo", ["chao"], rng=rng),
        lambda: hp.LogLinear().fit(hp.datasets.load("kosovo"), rng=rng),
    ):
        with pytest.raises(ArgumentError, match=r"neither a seed nor a generator; give .* rng=1"):
            attempt()


def test_settings_that_are_misspelt_or_not_named_are_refused_with_their_names():
    with pytest.raises(ArgumentError, match="LogLinear has no argument 'modl'; did you mean 'model'"):
        hp.LogLinear(modl="[12,3]")
    with pytest.raises(
        ArgumentError, match=r"no positional settings; name them, as in LogLinear\(model=\.\.\.\)"
    ):
        hp.LogLinear("[12,3]")
    with pytest.raises(ArgumentError, match="describe: missing a required argument: 'table'"):
        hp.describe()


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            lambda: hp.monitor.trend(3),
            r"estimate is of type int, and must be an Estimate; give hiddenpop\.estimate",
        ),
        (lambda: hp.CaptureTable.from_memberships(None), "memberships is None, and must be a list of"),
    ],
)
def test_the_error_names_the_argument_and_what_gives_one(attempt, message):
    with pytest.raises(ArgumentError, match=message):
        attempt()


def test_a_fault_within_is_raised_as_it_is():
    @front_door
    def faulty(number: float) -> float:
        return {}[number]

    with pytest.raises(KeyError) as raised:
        faulty(2.0)
    assert not isinstance(raised.value, HiddenpopError)
    with pytest.raises(ArgumentError, match="number is of type list, and must be a number"):
        faulty([])
