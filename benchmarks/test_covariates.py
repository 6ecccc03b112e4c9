"""Models with covariates: the stepwise search and the bootstrap on simdat, beside statsmodels in the same run."""

import time
import warnings

import numpy as np
import pytest
import statsmodels.api as sm

import hiddenpop as hp
from hiddenpop.estimators.covariate_design import covariate_design
from hiddenpop.estimators.covariate_formula import model_of_table
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.estimators.selected_covariates import SelectedCovariateLogLinear
from hiddenpop.kernels.poisson.dense import one_thread

MSE_CPU_SECONDS = 36.992
"""R's mse 1.0 on the same search, the example of its help page; recorded, not run here."""

SEARCH_TARGET = MSE_CPU_SECONDS / 10
REFITS, REFIT_TARGET = 1_000, 30.0
QUADRATIC = {"Y": "poly(2)"}
GLM_FITS = 10


def search(interval="lognormal"):
    return SelectedCovariateLogLinear(coding=QUADRATIC, interval=interval)


def candidates_of(path):
    """Count the models one term away from those of a path: 36 pairs, each in or out, and later only out."""
    inside = path["model"].str.count(r"\*")
    log_n = int(path["bic"].idxmin())
    return sum(36 if place <= log_n else 36 - inside[place] for place in range(len(path)))


def seconds_of_glm(table, model):
    """Give the seconds of one fit of the model by statsmodels, the mean of several."""
    whole = model_of_table(model, table)
    design = covariate_design(
        table, covariates=whole.covariates, coding=tuple(QUADRATIC.items()), estimator="benchmark"
    )
    columns = design.columns(whole.onto(design.factors).terms)[0]
    with warnings.catch_warnings(), one_thread():  # as ours, for on a busy machine more threads are slower
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        for _ in range(GLM_FITS):
            sm.GLM(design.counts, columns, family=sm.families.Poisson()).fit()
    return (time.perf_counter() - start) / GLM_FITS


def test_search_from_main_effects_to_all_pairs(benchmark, report):
    """Target: a tenth of the CPU seconds of mse, 3.7."""
    table = hp.datasets.load("simdat")
    search().fit(table)  # compiled before the clock starts
    cpu = time.process_time()
    estimate = search().fit(table)
    cpu = time.process_time() - cpu
    benchmark.pedantic(search().fit, args=(table,), rounds=3)
    ours, path = benchmark.stats.stats.median, estimate.details["path"]
    glm = seconds_of_glm(table, estimate.details["model"])
    n_candidates = candidates_of(path)
    assert cpu < SEARCH_TARGET
    report(
        f"simdat: a path of {len(path)} models among 36 pairs of nine factors, each judged and fitted in full, in "
        f"{ours:.2f} s ({cpu:.2f} CPU s); mse {MSE_CPU_SECONDS:.0f} CPU s ({MSE_CPU_SECONDS / cpu:.0f} times as long, "
        f"recorded); statsmodels {n_candidates * glm:.0f} s for the {n_candidates:,} candidates at {glm * 1e3:.0f} ms, "
        f"scaled from {GLM_FITS} fits ({n_candidates * glm / ours:.0f} times as long)"
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_bootstrap_of_the_chosen_model(benchmark, report, workers):
    """Target: 30 s on two cores."""
    table = hp.datasets.load("simdat")
    model = search().fit(table).details["model"]
    estimator = CovariateLogLinear(model=model, coding=QUADRATIC, n_boot=REFITS)
    with hp.parallel(workers=workers):
        estimator.fit(table, rng=1)  # processes started, code compiled
        estimate = benchmark.pedantic(estimator.fit, args=(table,), kwargs={"rng": 1}, rounds=1, iterations=1)
    ours, glm = benchmark.stats.stats.median, seconds_of_glm(table, model)
    assert ours < REFIT_TARGET
    assert np.isfinite(estimate.interval.high)
    report(
        f"simdat: {REFITS:,} replicates of 1,440 cells and {estimate.details['n_parameters']} parameters in {ours:.2f} "
        f"s on {workers} core{'s' if workers > 1 else ''}; statsmodels {REFITS * glm:.0f} s, scaled from {GLM_FITS} "
        f"fits ({REFITS * glm / ours:.0f} times as long); N {estimate.n_hat:,.0f} [{estimate.interval.low:,.0f}, "
        f"{estimate.interval.high:,.0f}], {estimate.n_failed} replicates without a number"
    )
