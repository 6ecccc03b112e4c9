"""Our answer for each printed number."""

import itertools
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from paper.chance import Pool, deviations, quantile_deviation
from paper.printed import Row, half_unit

from hiddenpop import CaptureTable, HierarchicalModel, datasets
from hiddenpop.errors import HiddenpopWarning
from hiddenpop.estimators.registry import build
from hiddenpop.estimators.resampled import RefitBlock, Resamples, refit
from hiddenpop.kernels.resampling.bootstrap_modes import bootstrap_modes
from hiddenpop.kernels.resampling.counts import draw_multinomial
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.internal_consistency import InternalConsistency, consistency_summary

SEED = 20240344
BLOCK = 1000
"""Resamples that are estimated at a time; small enough for the memory of any machine."""

Answer = dict[str, Any]
"""By quantity our value; `off` holds by quantity how many Monte Carlo standard deviations the printed one is away."""


@dataclass(frozen=True, slots=True)
class Job:
    """Rows that need the same computation."""

    rows: tuple[Row, ...]


def jobs_of(rows: Sequence[Row]) -> list[Job]:
    """Gather rows that need the same computation, the long ones first."""
    ordered = sorted(rows, key=lambda row: (not row.slow, _work(row)))
    return [
        Job(tuple(same)) for _, same in itertools.groupby(ordered, key=lambda row: (not row.slow, _work(row)))
    ]


def _work(row: Row) -> str:
    shared = ("resamples", "n_top") if row.route in ("resampled", "shares") else ()
    options = {key: row.options[key] for key in shared if key in row.options}
    return json.dumps([row.route, row.table, dict(row.prepare), dict(row.fit), options], sort_keys=True)


def answer(job: Job) -> list[Answer]:
    """Compute ours for every row of a job."""
    route = ROUTES[job.rows[0].route]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return route(job.rows)


# --- tables and estimators ---


def table_of(row: Row) -> CaptureTable:
    """Load the counts of a row, prepared as the printed number needs them."""
    table = datasets.load(row.table)
    if row.prepare.get("collapse"):
        table = table.collapse()
    if row.prepare.get("keep_strata"):
        table = table.collapse(
            *(name for name in table.strata.columns if name not in row.prepare["keep_strata"])
        )
    if row.prepare.get("reverse_lists"):
        frame = table.to_frame()
        table = CaptureTable.from_counts(frame, lists=list(reversed(table.lists)), public=True)
    if row.prepare.get("without_caught_on_all"):
        frame = table.to_frame()
        rest = frame[frame[list(table.lists)].sum(axis=1) < table.n_lists]
        table = CaptureTable.from_counts(rest, lists=list(table.lists), public=True)
    return table


def estimator_of(row: Row) -> Any:
    """Make the estimator of a row; the rows are ours, so their own estimators are trusted."""
    settings = {key: None if value == "none" else value for key, value in row.fit.items() if key != "name"}
    return build(row.fit["name"], settings, trust=True)


# --- single fits ---

READERS: dict[str, Callable[[Estimate], Any]] = {
    "n_hat": lambda e: e.n_hat,
    "low": lambda e: e.interval.low,
    "high": lambda e: e.interval.high,
    "status": lambda e: e.status,
    "model": lambda e: e.details["model"],
    "deviance": lambda e: e.details["deviance"],
    "df": lambda e: e.details["goodness_of_fit"]["df"],
    "bic": lambda e: e.details["criteria"]["bic"],
    "aic": lambda e: e.details["criteria"]["aic"],
    "se": lambda e: e.details["n0_standard_error"],
    "profile": lambda e: e.details["profile_maximum"],
    "coverage": lambda e: e.details["sample_coverage"],
    "mean": lambda e: e.details["mean"],
    "n_models": lambda e: e.details["n_models"],
    "n_admissible": lambda e: int((e.details["selection"]["status"] == "ok").sum()),
    "empty_pairs": lambda e: None,
}


def _fitted(rows: Sequence[Row]) -> list[Answer]:
    table = table_of(rows[0])
    estimate = estimator_of(rows[0]).fit(table, rng=SEED)
    return [_read(row, table, estimate) for row in rows]


def _read(row: Row, table: CaptureTable, estimate: Estimate) -> Answer:
    found = {name: READERS[name](estimate) for name in row.printed}
    if "empty_pairs" in found:
        found["empty_pairs"] = len(table.empty_overlaps)
    if "n_hat" in found:
        found["n_hat"] += row.options.get("add", 0)
    return {**found, "n": table.n_observed, "our_status": estimate.status}


def _ranked(rows: Sequence[Row]) -> list[Answer]:
    """Read places of the ranking behind a selection."""
    table = table_of(rows[0])
    ranking = estimator_of(rows[0]).fit(table).details["selection"]
    found = []
    for row in rows:
        place = ranking.query("admissible").iloc[row.options["place"] - 1]
        values = {name: place[name] for name in row.printed}
        found.append({**values, "n": table.n_observed, "our_status": "ok"})
    return found


# --- bootstraps ---


def _pool_of(rows: Sequence[Row]) -> tuple[Pool, Resamples, list[str]]:
    """Estimate many resamples; with them the models chosen, and the ranking of the table itself."""
    row = rows[0]
    table, base = table_of(row), estimator_of(row)
    estimate = base.fit(table)
    ranking = _ranking(estimate)
    models = _term_sets(ranking[: row.options["n_top"]], table) if "n_top" in row.options else ()
    rng = np.random.default_rng(SEED)
    drawn = [
        refit(RefitBlock(base, table, draw_multinomial(table.counts, BLOCK, child), models))
        for child in rng.spawn(row.options["resamples"] // BLOCK)
    ]
    without_one = table.counts - np.eye(len(table.counts), dtype=np.int64)
    jackknife = refit(RefitBlock(base, table, without_one, models)).n_hat
    draws = np.concatenate([block.n_hat for block in drawn])
    chosen = tuple(itertools.chain.from_iterable(block.models for block in drawn))
    pool = Pool(
        draws=draws,
        jackknife=jackknife,
        weights=table.counts,
        n_hat=estimate.n_hat,
        n_observed=table.n_observed,
    )
    return pool, Resamples(draws, chosen), ranking


def _ranking(estimate: Estimate) -> list[str]:
    selection = estimate.details.get("selection")
    if selection is None or "admissible" not in selection:
        return []
    return list(selection.query("admissible")["model"])


def _term_sets(models: Sequence[str], table: CaptureTable) -> tuple[int, ...]:
    return tuple(HierarchicalModel.parse(model, n_lists=table.n_lists).term_set for model in models)


def _resampled(rows: Sequence[Row]) -> list[Answer]:
    pool, _, _ = _pool_of(rows)
    return [_limits(row, pool) for row in rows]


def _limits(row: Row, pool: Pool) -> Answer:
    level = row.options["level"]
    limits = pool.limits(level)
    values = {"n_hat": pool.n_hat, "low": limits.low, "high": limits.high}
    unit = row.options.get("rounded_to", 1.0)
    printed = [float(row.printed[name]) for name in ("low", "high")]
    halves = [half_unit(row.printed[name], unit) for name in ("low", "high")]
    off = deviations(
        pool, printed, halves, level=level, size=row.options.get("printed_resamples", 1000), seed=SEED
    )
    found = {name: values[name] for name in row.printed}
    shared = {"n": pool.n_observed, "our_status": "ok", "off": dict(zip(("low", "high"), off, strict=True))}
    shared["resamples"] = len(pool.draws)
    if row.options.get("histogram"):
        shared["histogram"] = _histogram(pool)
    return {**found, **shared}


BINS = 120


def _histogram(pool: Pool) -> dict[str, Any]:
    """Count the resamples between numbers evenly spaced on the log scale, and name the lumps."""
    finite = pool.draws[np.isfinite(pool.draws)]
    ends = np.quantile(finite, [0.002, 0.998])
    edges = np.round(np.geomspace(ends[0], ends[1], BINS + 1))
    counts, _ = np.histogram(finite, edges)
    found = bootstrap_modes(pool.draws, pool.n_observed)
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "lumps": [{"n": round(lump.n, -2), "share": round(lump.share, 2)} for lump in found],
    }


def _shares(rows: Sequence[Row]) -> list[Answer]:
    """How often, in a thousand, the best model of a resample is among the best of the table."""
    pool, drawn, ranking = _pool_of(rows)
    models = np.array(drawn.models)
    found = []
    for row in rows:
        values, off = {}, {}
        for name, times in row.printed.items():
            share = float(np.isin(models, ranking[: int(name.removeprefix("top"))]).mean())
            error = math.sqrt(share * (1 - share) * (1 / 1000 + 1 / len(models)))
            beyond = max(abs(int(times) / 1000 - share) - 0.0005, 0.0)
            values[name], off[name] = 1000 * share, beyond / max(error, 0.0005)
        found.append({**values, "n": pool.n_observed, "our_status": "ok", "off": off})
    return found


# --- chains ---

SHARES = {"median": 0.5, "low": 0.025, "high": 0.975, "low80": 0.1, "high80": 0.9}


def _chains(rows: Sequence[Row]) -> list[Answer]:
    table = table_of(rows[0])
    estimate = estimator_of(rows[0]).fit(table, rng=SEED)
    return [_quantiles(row, table, estimate) for row in rows]


def _quantiles(row: Row, table: CaptureTable, estimate: Estimate) -> Answer:
    """Compare quantiles of N, or of n plus the expected dark figure where the reference gives that."""
    draws = np.asarray(estimate.draws, dtype=float)
    if row.options.get("expected"):
        draws = estimate.details["idata"].posterior["expected"].to_numpy().ravel()
    ours = float(estimate.details["convergence"]["ess_bulk"])
    effective = (float(row.options["their_draws"]), ours)
    values: Answer = {}
    off = {}
    for name, printed in row.printed.items():
        if name == "retained":
            values[name] = ", ".join(estimate.details["retained"]).replace("*", ":")
            continue
        values[name] = float(np.quantile(draws, SHARES[name]))
        off[name] = quantile_deviation(draws, float(printed), SHARES[name], effective)
    return {**values, "n": table.n_observed, "our_status": estimate.status, "off": off}


# --- internal consistency ---

CONSISTENCY_TABLES = ("uk_5", "netherlands_5", "new_orleans_5_185", "western_us", "australia")
LEFT_OUT = ("K",)


def _consistency(rows: Sequence[Row]) -> list[Answer]:
    """Mean, spread, root mean square and median of the log relative bias over lists of known size, and coverage."""
    estimator = estimator_of(rows[0])
    found = [
        InternalConsistency().run(estimator, datasets.load(name), rng=SEED).table
        for name in CONSISTENCY_TABLES
    ]
    lists = pd.concat([table[table["status"] != "refused"] for table in found], ignore_index=True)
    answers = []
    for row in rows:
        out = (*LEFT_OUT, *row.options.get("without", ()))
        figures = consistency_summary([lists[~lists["list"].isin(out)]])
        kept = {name: float(figures[name]) for name in row.printed}
        answers.append({**kept, "n_lists": int((~lists["list"].isin(out)).sum()), "our_status": "ok"})
    return answers


def _not_computed(rows: Sequence[Row]) -> list[Answer]:
    return [{"our_status": "not computed"} for _ in rows]


ROUTES: Mapping[str, Callable[[Sequence[Row]], list[Answer]]] = {
    "fit": _fitted,
    "ranked": _ranked,
    "resampled": _resampled,
    "shares": _shares,
    "chains": _chains,
    "consistency": _consistency,
    "none": _not_computed,
}
