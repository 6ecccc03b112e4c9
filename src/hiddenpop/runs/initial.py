"""`initial_plan`: a plan for a file, with what was found in it filled in and what only a person knows left open."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hiddenpop.errors import TableError
from hiddenpop.estimators.registry import build
from hiddenpop.reading import Options
from hiddenpop.runs.sections import STANDARD, refusal
from hiddenpop.sensitivity.registry import CHECKS
from hiddenpop.table import CaptureTable

__all__ = ["initial_plan"]

NUMBER = 3
SELECTED: dict[str, Any] = {"name": "selected", "criterion": "bic"}
METHODS: dict[str, dict[str, Any]] = {
    "best BIC model, resampled": {"name": "bootstrapped", "n_boot": 400, "base": SELECTED},
    "best BIC model": SELECTED,
    "lower bound": {"name": "chao"},
    "two lists": {"name": "chapman"},
    "independence": {"name": "loglinear"},
    "posterior": {"name": "bayesian_loglinear"},
}
"""What is proposed, in this order, of what can treat the table."""

WHY = {
    "bootstrapped": "Its interval repeats the choice of the model on every resample, so it takes no model as known.",
    "selected": "It is the model with the lowest BIC; its interval takes that model as known.",
    "chapman": "There are two lists, which are taken to be independent.",
}
ANY_OTHER_WHY = "Say here why this estimate is the one that is reported."


def initial_plan(path: Path, columns: Mapping[str, Any], plan: Path) -> str:
    """Write a plan for a file.

    Parameters
    ----------
    path : Path
        The file with the table.
    columns : mapping
        What is known of its columns, as arguments of `CaptureTable.read`.
    plan : Path
        Where the plan will stand.

    Returns
    -------
    str
        TOML with comments. The population is left blank: a plan without one is refused.

    Raises
    ------
    TableError
        As `CaptureTable.read`, where the file leaves a question open.
    """
    table = CaptureTable.read(path, **columns)
    methods = _methods(table)
    chosen = next(iter(methods))
    sections = [
        _head(path, table, plan),
        _analysis(),
        _data(path, columns, table, plan.parent),
        *(_estimator(label, settings) for label, settings in methods.items()),
        _choice(chosen, methods[chosen]["name"]),
        _checks(),
        _report(),
    ]
    return "\n\n".join(sections) + "\n"


def _methods(table: CaptureTable) -> dict[str, dict[str, Any]]:
    """Take the first methods that can treat the table."""
    reasons = {label: refusal(_built(settings), table) for label, settings in METHODS.items()}
    fit = [label for label, why in reasons.items() if not why]
    if not fit:
        raise TableError(f"no estimator can treat the table: {next(iter(reasons.values()))}")
    return {label: METHODS[label] for label in fit[:NUMBER]}


def _built(settings: Mapping[str, Any]) -> Any:
    given = {key: _spec(value) for key, value in settings.items() if key != "name"}
    return build(settings["name"], given)


def _spec(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {"name": value["name"], "settings": {key: held for key, held in value.items() if key != "name"}}


def _head(path: Path, table: CaptureTable, plan: Path) -> str:
    read = "" if table.reading is None else "".join(f"\n# {line}" for line in table.reading.lines())
    return (
        f"# A plan for {_comment(path.name)}. Fill in the population, read the rest, and run it: "
        f"hiddenpop run {_comment(plan.name)}{read}"
    )


def _comment(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _analysis() -> str:
    return """[analysis]
title = "How many persons there are"
question = "How many persons were there, those on none of the lists included?"
# Who is counted: who, where, in which period, who is eligible. The run is refused until this is filled in.
population = ""
# Random numbers are drawn from this number, so that the same run gives the same answer.
seed = 1"""


def _data(path: Path, columns: Mapping[str, Any], table: CaptureTable, folder: Path) -> str:
    name = Path(os.path.relpath(path, folder)).as_posix()
    lines = ["[data]", f"file = {_toml(name)}"]
    lines += [f"{key} = {_toml(value)}" for key, value in _found(columns, table).items()]
    return "\n".join(
        [
            *lines,
            "# Of data that are not public, counts below 10 are withheld from all that leaves.",
            "public = false",
        ]
    )


def _found(columns: Mapping[str, Any], table: CaptureTable) -> dict[str, Any]:
    """Say every role in so many words, so that the plan guesses nothing when it is run."""
    roles = {} if table.reading is None else table.reading.roles
    single = {role: name for name, role in roles.items() if role in ("count", "censored", "person", "date")}
    named = {name for name, role in roles.items() if role == "list name"}
    strata = [name for name, role in roles.items() if role == "stratum"]
    found: dict[str, Any] = {"lists": list(table.lists), **single}
    if named:
        found["list"] = named.pop()
    if strata:
        found["strata"] = strata
    return found | {key: columns[key] for key in Options().__slots__ if key in columns and key not in found}


def _toml(value: Any) -> str:
    """Write a text, number or list, or a table on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(held)}" for key, held in value.items()) + " }"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _estimator(label: str, settings: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_toml(value)}" for key, value in settings.items()]
    return "\n".join(["[[estimator]]", f"label = {_toml(label)}", *lines])


def _choice(label: str, name: str) -> str:
    return "\n".join(
        [
            "# The estimate that is reported, and why that one.",
            "[choice]",
            f"estimator = {_toml(label)}",
            f"why = {_toml(WHY.get(name, ANY_OTHER_WHY))}",
        ]
    )


def _checks() -> str:
    names = list(CHECKS)
    return "\n".join(
        [
            "# What would have to be true for the answer to change; a claim is held against each check.",
            f"# The standard ones are {', '.join(names[:-1])} and {names[-1]}.",
            "# To run only some, name them in a list.",
            "[sensitivity]",
            '# claim = "more than 1,000"',
            f"checks = {_toml(STANDARD)}",
        ]
    )


def _report() -> str:
    return "\n".join(
        [
            "# A report in Dutch and one in English.",
            "[report]",
            'formats = ["html"]',
            'languages = ["nl", "en"]',
        ]
    )
