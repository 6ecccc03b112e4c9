"""The standard validation, read from what `hiddenpop validate` wrote into docs/validation."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from paper.printed import FOLDER
from paper.results import RESULTS, write_json

DOCS = FOLDER.parent / "docs"
PERFORMANCE, PAGE = DOCS / "validation" / "performance.csv", DOCS / "validation.md"

ESTIMATORS = (
    "independence",
    "best BIC model",
    "best BIC model, BCa bootstrap",
    "model-averaged",
    "stepwise",
    "lower bound",
)
SCENARIOS = (
    "independent-three",
    "one-pair-three",
    "two-pairs-four",
    "like-kosovo",
    "like-uk",
    "sparse-eight",
    "highest-order-three",
    "latent-classes-four",
    "rasch-strong-four",
    "gap-unknown-three",
    "missed-links-three",
    "over-coverage-three",
)


def write_validation(folder: Path = RESULTS) -> Path:
    """Write the figures of the standard validation that the paper shows."""
    return write_json(
        folder / "validation.json", validation(pd.read_csv(PERFORMANCE), PAGE.read_text("utf-8"))
    )


def validation(performance: pd.DataFrame, page: str) -> dict[str, Any]:
    """Gather counts, a table of coverage and bias, and what each estimator is held to.

    Parameters
    ----------
    performance : DataFrame
        One row a scenario, estimator and measure.
    page : str
        The page of the standard validation.

    Returns
    -------
    dict
        Plain values.
    """
    wide = performance.set_index(["scenario", "estimator", "measure"])
    values, errors = wide["value"].unstack("measure"), wide["mcse"].unstack("measure")  # noqa: PD010
    held = held_to_level(page)
    return {
        "n_estimators": int(performance["estimator"].nunique()),
        "n_scenarios": int(performance["scenario"].nunique()),
        "most_replicates": int(values["replicates"].max()),
        "least_replicates": int(values["replicates"].min()),
        "seed": int(_found(r"seed (\d+)", page)),
        "held": sum(row["held"] for row in held),
        "kept": sum(row["kept"] for row in held),
        "estimators": list(ESTIMATORS),
        "table": [
            {
                "scenario": scenario,
                "what": _found(rf"\| {scenario} \| ([^|]*?)\.? \|", page),
                "cells": [_cell(values, errors, (scenario, name)) for name in ESTIMATORS],
            }
            for scenario in SCENARIOS
        ],
        "by_estimator": held,
    }


def _cell(values: pd.DataFrame, errors: pd.DataFrame, key: tuple[str, str]) -> dict[str, float | None]:
    """Coverage with its Monte Carlo error and relative bias, None where the estimator does not apply."""
    if key not in values.index:
        return {"coverage": None, "mcse": None, "bias": None}
    found = (values.loc[key, "coverage"], errors.loc[key, "coverage"], values.loc[key, "relative_bias"])
    return dict(zip(("coverage", "mcse", "bias"), map(_rounded, found, (2, 3, 2)), strict=True))


def _rounded(value: Any, digits: int) -> float | None:
    """Round once, to the digits that are shown: rounded twice, a number could come out otherwise."""
    return round(float(value), digits) + 0.0 if math.isfinite(value) else None


HELD = re.compile(
    r"held to its level in (\d+|no) scenarios? and keeps it in (\d+)|held to its level in no scenario"
)


def held_to_level(page: str) -> list[dict[str, Any]]:
    """Read, estimator by estimator, in how many scenarios it is held to its level and keeps it."""
    found = []
    for section in page.split("\n### ")[1:]:
        match = HELD.search(section)
        if match:
            held, kept = (int(text) if text and text.isdigit() else 0 for text in match.groups())
            found.append({"estimator": section.partition("\n")[0], "held": held, "kept": kept})
    return found


def _found(pattern: str, page: str) -> str:
    match = re.search(pattern, page)
    if match is None:
        raise ValueError(
            f"docs/validation.md holds nothing like {pattern!r}; make it again with `make validation`"
        )
    return match.group(1)


def coverage_by_estimator(performance: pd.DataFrame) -> list[tuple[str, Sequence[float]]]:
    """Coverage in every scenario, estimator by estimator, in the order of the median."""
    rows = performance[performance["measure"] == "coverage"]
    grouped = [(str(name), part["value"].dropna().tolist()) for name, part in rows.groupby("estimator")]
    return sorted(grouped, key=lambda item: (pd.Series(item[1]).median(), item[0]))
