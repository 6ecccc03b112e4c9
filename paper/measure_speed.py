"""Measure speed once, by hand: `OMP_NUM_THREADS=1 python paper/measure_speed.py` writes `paper/measured/speed.json`.

A time is not the same on two days, so making the paper only reads what this wrote. Processor seconds on one core, the
median of several runs after compilation.
"""

import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from math import lgamma, log
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import statsmodels.api as sm
from paper.printed import FOLDER
from paper.results import write_json

import hiddenpop as hp
from hiddenpop.estimators.covariate_design import covariate_design
from hiddenpop.estimators.covariate_formula import model_of_table
from hiddenpop.kernels.bayes.graphs import decomposable_graphs
from hiddenpop.kernels.poisson.dense import one_thread
from hiddenpop.kernels.poisson.lattice import fit_batch
from hiddenpop.kernels.resampling.counts import draw_multinomial
from hiddenpop.kernels.search.best_models import best_of_each
from hiddenpop.model import HierarchicalModel, enumerate_models

MEASURED = FOLDER / "measured" / "speed.json"
ROUNDS = 5
SAMPLED = 60
"""Models or fits of the baseline that are timed; the rest is scaled from them."""

RESAMPLES = 200
QUADRATIC = {"Y": "poly(2)"}


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Give the median processor seconds of some runs, after one that compiles."""
    work()
    return statistics.median(_once(work) for _ in range(rounds))


def _once(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def glm_seconds(counts: np.ndarray[Any, Any], designs: list[np.ndarray[Any, Any]]) -> float:
    """Give the processor seconds of one Poisson fit by statsmodels, the mean over designs."""
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")

        def fit_all() -> None:
            for design in designs:
                sm.GLM(counts, design, family=sm.families.Poisson()).fit()

        return seconds(fit_all, rounds=1) / len(designs)


def all_models(name: str, n_lists: int) -> dict[str, Any]:
    """Fit every hierarchical model of a table of five lists."""
    counts = hp.datasets.load(name).to_dense().astype(float)
    term_sets = np.concatenate(list(enumerate_models(n_lists)))
    ours = seconds(lambda: fit_batch(counts, term_sets, n_lists))
    theirs = glm_seconds(counts[1:], _designs(term_sets, n_lists)) * len(term_sets)
    return entry(
        f"{len(term_sets):,} models on {name}", f"statsmodels, scaled from {SAMPLED} models", ours, theirs
    )


def _designs(term_sets: np.ndarray[Any, Any], n_lists: int) -> list[np.ndarray[Any, Any]]:
    sample = term_sets[np.linspace(0, len(term_sets) - 1, SAMPLED).astype(int)]
    cells = np.arange(1, 1 << n_lists)
    models = [np.array(HierarchicalModel.from_term_set(int(s), n_lists).terms) for s in sample]
    return [((cells[:, None] & terms) == terms).astype(float) for terms in models]


def bootstrap(name: str, n_lists: int) -> dict[str, Any]:
    """Choose the best model in many resamples, proven, beside fitting all models to each."""
    table = hp.datasets.load(name)
    cells = np.zeros((RESAMPLES, 1 << n_lists))
    drawn = draw_multinomial(table.to_dense()[1:], RESAMPLES, np.random.default_rng(1))
    cells[:, 1:] = drawn
    term_sets = np.concatenate(list(enumerate_models(n_lists)))
    ours = seconds(lambda: best_of_each(cells, n_lists), rounds=3)
    one = glm_seconds(cells[0, 1:], _designs(term_sets, n_lists))
    return entry(
        f"best of {len(term_sets):,} models in {RESAMPLES} resamples of {name}",
        f"statsmodels, scaled from {SAMPLED} models",
        ours,
        one * len(term_sets) * RESAMPLES,
    )


def covariates() -> dict[str, Any]:
    """Refit a model of lists and covariates to bootstrap replicates."""
    table = hp.datasets.load("simdat")
    model = hp.SelectedCovariateLogLinear(coding=QUADRATIC, interval="lognormal").fit(table).details["model"]
    estimator = hp.CovariateLogLinear(model=model, coding=QUADRATIC, n_boot=RESAMPLES)
    ours = seconds(lambda: estimator.fit(table, rng=1), rounds=3)
    whole = model_of_table(model, table)
    design = covariate_design(
        table, covariates=whole.covariates, coding=tuple(QUADRATIC.items()), estimator="speed"
    )
    columns = design.columns(whole.onto(design.factors).terms)[0]
    theirs = glm_seconds(design.counts, [columns] * 3) * RESAMPLES
    return entry(
        f"{RESAMPLES} replicates of a model with {columns.shape[1]} parameters on simdat",
        "statsmodels, scaled from 3 fits",
        ours,
        theirs,
    )


def decomposable(name: str, most: int) -> dict[str, Any]:
    """Sum the posterior over every decomposable graph and every dark figure up to a number."""
    table = hp.datasets.load(name)
    estimator = hp.DecomposableAveraging(n_missing=(0, most), n_draws=0)
    ours = seconds(lambda: estimator.fit(table), rounds=3)
    counts = [int(count) for count in table.to_dense()]
    graphs = len(decomposable_graphs(table.n_lists).links)
    some = 200
    one_graph = seconds(lambda: saturated_in_python(counts, some), rounds=1) / some
    return entry(
        f"{graphs} graphs and {most + 1:,} dark figures on {name}",
        f"plain Python, scaled from one graph and {some} dark figures",
        ours,
        one_graph * graphs * (most + 1),
    )


def saturated_in_python(counts: list[int], most: int) -> list[float]:
    """Log posterior of each dark figure under the saturated graph, cell by cell."""
    delta = 1.0 / len(counts)
    found = []
    for hidden in range(most):
        cells = [hidden, *counts[1:]]
        size = sum(cells)
        dirichlet = sum(lgamma(count + delta) - lgamma(delta) for count in cells) - lgamma(size + 1.0)
        ways = lgamma(size + 1.0) - sum(lgamma(count + 1.0) for count in cells)
        found.append(dirichlet + ways - log(size))
    return found


def entry(what: str, baseline: str, ours: float, theirs: float) -> dict[str, Any]:
    """Write one measurement with the digits it deserves."""
    return {
        "what": what,
        "baseline": baseline,
        "ours": _number(ours),
        "theirs": _number(theirs),
        "ratio": _number(_two_digits(theirs / ours)),
    }


def _two_digits(value: float) -> float:
    """Round a ratio to the digits that it deserves."""
    return float(f"{value:.2g}")


def _number(value: float) -> dict[str, Any]:
    digits = 0 if value >= 20 else 1 if value >= 2 else 3
    return {"value": round(value, digits), "digits": digits}


def machine() -> dict[str, Any]:
    """Describe what the times were measured on."""
    return {
        "note": "Measured once, by hand. Times differ from day to day and from machine to machine.",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("hiddenpop", "numpy", "scipy", "numba", "statsmodels")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def main() -> None:
    """Measure everything and write the file."""
    measurements = [
        all_models("uk_5", 5),
        all_models("netherlands_5", 5),
        bootstrap("uk_5", 5),
        bootstrap("netherlands_5", 5),
        covariates(),
        decomposable("kosovo", 60_000),
    ]
    write_json(MEASURED, {"machine": machine(), "measurements": measurements})


if __name__ == "__main__":
    main()
