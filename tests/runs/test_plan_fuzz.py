"""Whatever stands in a plan, it is a plan or a list of faults, one a line, and nothing else happens."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.runs.conftest import COUNTS

from hiddenpop.errors import SettingError
from hiddenpop.estimators.registry import ESTIMATORS
from hiddenpop.runs.plan import ANALYSIS, REPORT, plan_of_text
from hiddenpop.runs.sections import KEYS, KINDS, VERBS
from hiddenpop.sensitivity.registry import CHECKS

WORDS = [
    "police",
    "shelter",
    "sex",
    "f",
    "selected",
    "loglinear",
    "counts.csv",
    "korea",
    "year",
    "standard",
    "",
]
KEYS_OF_ALL = [
    "name",
    "settings",
    "label",
    "base",
    "model",
    "level",
    "by",
    "lists",
    "claim",
    "estimator",
    "why",
]
simple = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
values = st.recursive(
    simple,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS_OF_ALL, "police", "year"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def section(keys: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from([*keys, "more"]), values, max_size=4)


def method(names: Any, keys: list[str]) -> st.SearchStrategy[Any]:
    named = st.fixed_dictionaries({"name": st.sampled_from([*names, "nobody"])})
    return st.builds(lambda one, more: {**more, **one}, named, section(keys))


SETTINGS = [
    *KEYS_OF_ALL,
    "n_boot",
    "interval",
    "odds_ratios",
    "strata",
    "order",
    "structural_zeros",
    "prior",
    "coding",
]
OF_CHECKS = ["pairs", "list", "lists", "claim", "shares", "choices", "priors", "moves", "gammas"]
plans = st.fixed_dictionaries(
    {},
    optional={
        "analysis": section(ANALYSIS) | values,
        "data": section(KEYS)
        | st.builds(lambda x: {"file": "counts.csv", "strata": ["sex"], **x}, section(VERBS))
        | values,
        "estimator": st.lists(method(ESTIMATORS, SETTINGS), max_size=2) | values,
        "choice": section(["estimator", "why"]) | values,
        "sensitivity": st.builds(lambda x: {"checks": x}, st.lists(method(CHECKS, OF_CHECKS), max_size=2))
        | values,
        "monitor": st.dictionaries(
            st.sampled_from([*KINDS, "estimator"]), values | section(["by", "residents"]), max_size=3
        )
        | values,
        "report": section(REPORT) | values,
        "extra": values,
    },
)


def written(value: Any) -> str:
    """Write a value as TOML; inline, which nests as deep as one likes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else repr(value)


def judged(plan: dict[str, Any], folder: Path) -> None:
    text = "\n".join(f"{key} = {written(value)}" for key, value in plan.items())
    try:
        plan_of_text(text, folder / "analysis.toml", folder)
        return
    except SettingError as error:
        told = str(error)
    head, *faults = told.split("\n  - ")
    assert "fault" in head, told
    assert faults
    assert all(fault.strip() and "\n" not in fault for fault in faults)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fuzz")
    (place / "counts.csv").write_text(COUNTS)
    return place


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(plan=plans)
def test_any_plan_is_read_or_refused(plan: dict[str, Any], folder: Path) -> None:
    judged(plan, folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans)
def test_any_of_many_plans_is_read_or_refused(plan: dict[str, Any], folder: Path) -> None:
    judged(plan, folder)
