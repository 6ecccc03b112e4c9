"""Numbers that the prose of the paper speaks of besides those of its tables."""

import math
from pathlib import Path
from typing import Any

from paper.chance import AGAIN
from paper.printed import read_printed
from paper.results import RESULTS, read_json, write_json
from paper.verdicts import AGREES, BY_CHANCE, DEVIATIONS, DIFFERS, NOT_COMPUTED

import hiddenpop as hp
from hiddenpop.estimators.registry import ESTIMATORS


def write_summary(folder: Path = RESULTS) -> Path:
    """Count verdicts and name what the package holds, as numbers with their digits."""
    return write_json(
        folder / "summary.json", {key: _number(value) for key, value in summary(folder).items()}
    )


def _number(value: float) -> dict[str, Any]:
    return {"value": value, "digits": 0 if float(value).is_integer() else 2}


def summary(folder: Path = RESULTS) -> dict[str, float]:
    """Numbers by name."""
    rows = [row for group in read_printed().groups for row in read_json(folder / f"{group}.json")["rows"]]
    counted = {
        word: sum(row["status"] == word for row in rows)
        for word in (AGREES, BY_CHANCE, DIFFERS, NOT_COMPUTED)
    }
    every_uk = next(row for row in rows if row["key"] == "bootstrap.every.uk_5_all")
    lumps = every_uk["histogram"]["lumps"]
    off = [quantity["off"] for row in rows for quantity in row["quantities"] if "off" in quantity]
    return {
        "rows": len(rows),
        "computed": len(rows) - counted[NOT_COMPUTED],
        "agree": counted[AGREES],
        "by_chance": counted[BY_CHANCE],
        "differ": counted[DIFFERS],
        "not_computed": counted[NOT_COMPUTED],
        "from_papers": sum(row["source_kind"] == "paper" for row in rows),
        "tables": len({row["table"] for row in rows if row["n"]}),
        "estimators": len(ESTIMATORS),
        "datasets": len(hp.datasets.catalogue()),
        "deviations": int(DEVIATIONS),
        "again": AGAIN,
        "limits": len(off),
        "root_mean_square": round(math.sqrt(sum(x * x for x in off) / len(off)), 2),
        "resamples": every_uk["resamples"],
        "models_four_lists": _models("kosovo"),
        "models_five_lists": _models("uk_5"),
        "lump_low": lumps[0]["n"],
        "lump_high": lumps[1]["n"],
        "bic_apart": round(_bic(rows, "uk.five.second") - _bic(rows, "uk.five.bic"), 2),
    }


def _models(name: str) -> int:
    return int(hp.SelectedLogLinear(search="exhaustive").fit(hp.datasets.load(name)).details["n_models"])


def _bic(rows: list[dict[str, Any]], key: str) -> float:
    row = next(row for row in rows if row["key"] == key)
    return float(next(quantity["ours"] for quantity in row["quantities"] if quantity["name"] == "bic"))
