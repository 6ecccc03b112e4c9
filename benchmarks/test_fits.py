"""Fitting a whole model space, beside statsmodels GLM on the same cells in the same run."""

import resource
import time
import warnings

import numpy as np
import pytest
import statsmodels.api as sm

import hiddenpop as hp
from hiddenpop.kernels.poisson.dense import one_thread
from hiddenpop.kernels.poisson.lattice import fit_batch

SAMPLED_MODELS = 40
REPEATS = 20
RATIO_GOAL = 400

# CPU seconds of R (MultipleSystemsEstimation 1.2.0, all models of the table) as published with the reference answers.
R_SECONDS = {"uk_5": "9 to 19", "netherlands_5": "9 to 19", "uk": "87 to 177", "netherlands": "87 to 177"}


def _cpu_seconds(function, *arguments) -> float:
    """Mean CPU seconds of a call, once everything is compiled."""
    function(*arguments)
    start = time.process_time()
    for _ in range(REPEATS):
        function(*arguments)
    return (time.process_time() - start) / REPEATS


def _glm_seconds_per_model(counts, term_sets, n_lists, dense_design) -> float:
    """Time statsmodels on an evenly spaced sample of the models; sparse ones warn and are part of the work."""
    sample = term_sets[np.linspace(0, len(term_sets) - 1, SAMPLED_MODELS).astype(int)]
    designs = [dense_design(int(s), n_lists) for s in sample]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        for design in designs:
            sm.GLM(counts[1:], design, family=sm.families.Poisson()).fit()
        return (time.process_time() - start) / len(designs)


@pytest.mark.parametrize(
    ("name", "n_lists", "max_order"),
    [("uk_5", 5, None), ("netherlands_5", 5, None), ("uk", 6, 2), ("netherlands", 6, 2)],
)
def test_every_model_of_a_table(
    benchmark, dense_counts, all_models, dense_design, report, name, n_lists, max_order
):
    counts, term_sets = dense_counts(name), all_models(n_lists, max_order)
    fit_batch(counts, term_sets[:1], n_lists)  # compiled before the clock starts
    benchmark(fit_batch, counts, term_sets, n_lists)
    ours = _cpu_seconds(fit_batch, counts, term_sets, n_lists)
    glm = _glm_seconds_per_model(counts, term_sets, n_lists, dense_design)
    ratio = glm * len(term_sets) / ours
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(
        f"{name}: {len(term_sets):,} models in {ours:.3f} CPU s; statsmodels GLM {glm * 1e3:.2f} ms a model, "
        f"{ratio:,.0f} times as long; R {R_SECONDS[name]} s; peak memory {memory:.0f} MB (statsmodels included)"
    )


@pytest.mark.parametrize("name", ["uk_5", "netherlands_5"])
def test_the_whole_estimate_with_every_model_fitted(dense_counts, all_models, dense_design, report, name):
    """All that `fit` does, choice, interval and remarks included, beside statsmodels' fits alone.

    The frame of all models is made when it is read, which is timed apart.
    """
    table, estimator, term_sets = (
        hp.datasets.load(name),
        hp.SelectedLogLinear(search="exhaustive"),
        all_models(5),
    )
    with one_thread():
        ours = _cpu_seconds(estimator.fit, table)
        with_frame = _cpu_seconds(lambda: estimator.fit(table).details["selection"])
        glm = _glm_seconds_per_model(dense_counts(name), term_sets, 5, dense_design) * len(term_sets)
    report(
        f"{name}: SelectedLogLinear(search='exhaustive').fit on {len(term_sets):,} models in {ours * 1e3:.1f} ms of "
        f"CPU ({with_frame * 1e3:.1f} with the frame of all models); statsmodels GLM {glm:.1f} s, {glm / ours:,.0f} "
        f"times as long (goal {RATIO_GOAL})"
    )
