"""The compiled Newton fit against routes that share nothing with it: statsmodels, scipy's optimiser, sums by hand."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import xlogy
from tests.support.plain import dense_counts, design, model_of, statsmodels_fit, terms_of

import hiddenpop as hp
from hiddenpop.histories import project
from hiddenpop.kernels.poisson.dense import fit_design
from hiddenpop.kernels.poisson.lattice import fit_batch, fit_one, refit_deviances, superset_sums
from hiddenpop.model import HierarchicalModel, enumerate_models

quick = settings(max_examples=60, deadline=None, derandomize=True)


def space(n_lists, every=1):
    return np.concatenate(list(enumerate_models(n_lists)))[::every]


def observable(n_lists):
    use = np.ones(1 << n_lists, dtype=bool)
    use[0] = False
    return use


def random_table(rng, n_lists, low=1, high=400):
    counts = rng.integers(low, high, 1 << n_lists).astype(float)
    counts[0] = 0.0
    return counts


@quick
@given(st.integers(1, 7), st.integers(0, 10**6))
def test_superset_sums_are_sums_over_supersets(n_lists, seed):
    values = np.random.default_rng(seed).integers(-50, 50, 1 << n_lists).astype(float)
    before = values.copy()
    expected = [sum(values[w] for w in range(len(values)) if w & t == t) for t in range(len(values))]
    assert superset_sums(values, n_lists).tolist() == expected
    assert np.array_equal(values, before)


@pytest.mark.parametrize(("n_lists", "every"), [(2, 1), (3, 1), (4, 7), (5, 400)])
def test_dense_tables_agree_with_statsmodels(n_lists, every):
    counts = random_table(np.random.default_rng(n_lists), n_lists)
    for term_set in space(n_lists, every):
        model = HierarchicalModel.from_term_set(term_set, n_lists)
        fit = fit_one(counts, observable(n_lists), terms_of(model), n_lists)
        X = design(range(1, 1 << n_lists), terms_of(model))
        reference = statsmodels_fit(X, counts[1:])
        assert fit.converged
        assert fit.parameters == pytest.approx(reference.params, rel=1e-8, abs=1e-8)
        assert fit.means[1:] == pytest.approx(reference.mu, rel=1e-8)
        assert fit.means[0] == pytest.approx(np.exp(reference.params[-1]), rel=1e-8)
        assert fit.deviance == pytest.approx(reference.deviance, rel=1e-10, abs=1e-9)
        assert fit.log_n0_variance == pytest.approx(reference.cov_params()[-1, -1], rel=1e-4)


@pytest.mark.parametrize("name", ["uk_5", "netherlands_5", "kosovo", "rome_hiv"])
def test_published_tables_agree_with_statsmodels_once_empty_margins_are_out(name):
    counts = dense_counts(hp.datasets.load(name))
    n_lists = len(counts).bit_length() - 1
    margins = superset_sums(counts, n_lists)
    for text in ("independence", "all-pairs"):
        model = model_of(text, n_lists)
        terms = terms_of(model)
        fit = fit_one(counts, observable(n_lists), terms, n_lists)
        live = terms[(margins[terms] > 0) | (terms == 0)]
        dead = [t for t in terms if t not in live]
        cells = [w for w in range(1, 1 << n_lists) if not any(w & t == t for t in dead)]
        reference = statsmodels_fit(design(cells, live), counts[cells])
        assert fit.means[0] == pytest.approx(np.exp(reference.params[-1]), rel=1e-8)
        assert fit.deviance == pytest.approx(reference.deviance, rel=1e-9)
        assert all(fit.parameters[terms == t] == -np.inf for t in dead)
        assert not fit.means[[w for w in range(1, 1 << n_lists) if w not in cells]].any()


def conditional_multinomial_total(counts, terms):
    """N from the likelihood of the observed cells given that they were observed, by a general optimiser."""
    X = design(range(1, len(counts)), terms[:-1])
    y = counts[1:]

    def objective(beta):
        eta = X @ beta
        top = eta.max()
        weights = np.exp(eta - top)
        total = weights.sum()
        return -(y @ eta) / y.sum() + top + np.log(total), -(X.T @ y) / y.sum() + X.T @ weights / total

    found = minimize(
        objective, np.zeros(X.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 2000}
    )
    observed = np.exp(X @ found.x).sum()
    return y.sum() * (1.0 + 1.0 / observed)


@pytest.mark.parametrize("n_lists", [2, 3, 4])
def test_poisson_and_conditional_multinomial_give_one_number(n_lists):
    counts = random_table(np.random.default_rng(40 + n_lists), n_lists)
    for term_set in space(n_lists, 1 if n_lists < 4 else 11):
        terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
        fit = fit_one(counts, observable(n_lists), terms, n_lists)
        expected = conditional_multinomial_total(counts, terms)
        assert counts.sum() + fit.means[0] == pytest.approx(expected, rel=1e-6)
        assert fit.means[1:].sum() == pytest.approx(counts.sum(), rel=1e-10)


@pytest.mark.parametrize(("n_lists", "every"), [(4, 3), (5, 60)])
def test_the_lattice_and_the_dense_kernel_agree(n_lists, every):
    counts = random_table(np.random.default_rng(n_lists), n_lists, high=50_000)
    for term_set in space(n_lists, every):
        terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
        lattice = fit_one(counts, observable(n_lists), terms, n_lists)
        dense = fit_design(design(range(1, 1 << n_lists), terms), counts[1:])
        assert lattice.means[1:] == pytest.approx(dense.means, rel=1e-9)
        assert lattice.parameters == pytest.approx(dense.coefficients, abs=1e-8)
        assert lattice.deviance == pytest.approx(dense.deviance, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ["uk_5", "western_us"])
def test_a_batch_is_the_same_as_one_by_one(name):
    counts = dense_counts(hp.datasets.load(name))
    term_sets = space(5, 23)
    batch = fit_batch(counts, term_sets, 5)
    for m, term_set in enumerate(term_sets):
        alone = fit_batch(counts, term_sets[m : m + 1], 5)
        # Decoded term sets list terms by value; so does this, for the same bytes.
        terms = np.array([*sorted(HierarchicalModel.from_term_set(term_set, 5).terms)[1:], 0])
        one = fit_one(counts, observable(5), terms, 5)
        for field in ("n0", "deviance", "log_n0_variance"):
            assert getattr(alone, field)[0] == getattr(batch, field)[m]
        assert (one.deviance, one.log_n0_variance) == (batch.deviance[m], batch.log_n0_variance[m])
        assert one.means[0] == pytest.approx(batch.n0[m], rel=1e-14)  # exp by numpy, and by the compiled loop
        assert batch.n_parameters[m] == len(terms)
        assert batch.converged[m] == one.converged


def test_many_tables_refitted_are_the_same_as_one_by_one():
    rng = np.random.default_rng(8)
    tables = np.array([random_table(rng, 4, low=0, high=30) for _ in range(40)])
    tables[:, 0] = rng.integers(0, 100, 40)
    terms = terms_of(model_of("[123,14,34]", 4))
    expected = [fit_one(table, observable(4), terms, 4).deviance for table in tables]
    assert refit_deviances(tables, terms, 4).tolist() == expected


def test_the_unobserved_cell_is_never_read_as_data():
    counts = random_table(np.random.default_rng(3), 4)
    supposed = counts.copy()
    supposed[0] = 1e9
    assert fit_batch(supposed, space(4), 4).n0.tolist() == fit_batch(counts, space(4), 4).n0.tolist()


def test_with_a_supposed_dark_figure_the_fit_is_that_of_the_whole_table():
    counts = random_table(np.random.default_rng(9), 3)
    counts[0] = 77.0
    terms = terms_of(model_of("[12,13]", 3))
    fit = fit_one(counts, np.ones(8, dtype=bool), terms, 3)
    reference = statsmodels_fit(design(range(8), terms), counts)
    assert fit.means == pytest.approx(reference.mu, rel=1e-9)
    assert fit.deviance == pytest.approx(reference.deviance, rel=1e-9)


@quick
@given(st.permutations(range(4)), st.integers(0, 112), st.integers(0, 10**6))
def test_relabelling_the_lists_changes_nothing(order, which, seed):
    counts = random_table(np.random.default_rng(seed), 4)
    model = HierarchicalModel.from_term_set(space(4)[which], 4)
    relabelled = np.zeros_like(counts)
    relabelled[project(np.arange(16), order)] = counts
    before = fit_one(counts, observable(4), terms_of(model), 4)
    after = fit_one(relabelled, observable(4), terms_of(model.restrict(order)), 4)
    assert after.means[0] == pytest.approx(before.means[0], rel=1e-8)
    assert after.deviance == pytest.approx(before.deviance, rel=1e-9, abs=1e-9)


@quick
@given(st.floats(1e-3, 1e6), st.integers(0, 10**6))
def test_counts_in_other_units_scale_the_dark_figure(factor, seed):
    counts = random_table(np.random.default_rng(seed), 4)
    terms = terms_of(model_of("[12,13,24]", 4))
    one = fit_one(counts, observable(4), terms, 4)
    many = fit_one(counts * factor, observable(4), terms, 4)
    assert many.means[0] == pytest.approx(factor * one.means[0], rel=1e-6)


def exact_two_by_two_deviance(a, b, c, d):
    """Deviance of independence in a 2x2 table, with 50 digits."""
    getcontext().prec = 50
    table = {(0, 0): Decimal(a), (0, 1): Decimal(b), (1, 0): Decimal(c), (1, 1): Decimal(d)}
    total = sum(table.values())
    deviance = Decimal(0)
    for (i, j), y in table.items():
        mean = (table[i, 0] + table[i, 1]) * (table[0, j] + table[1, j]) / total
        deviance += 2 * (y * (y / mean).ln() - (y - mean))
    return float(deviance)


@pytest.mark.parametrize("scale", [10**4, 10**8, 10**12])
def test_the_deviance_keeps_its_digits_when_counts_reach_a_million_million(scale):
    # Under [13,23] the persons on list 3 form a 2x2 table of lists 1 and 2; the others are fitted exactly.
    shift = round(scale**0.5)
    inside = (scale, 2 * scale + shift, 3 * scale, 6 * scale - shift)
    counts = np.array(
        [0, 5 * scale, 7 * scale, scale // 2, inside[0], inside[1], inside[2], inside[3]], dtype=float
    )
    expected = exact_two_by_two_deviance(*inside)
    assert 0.1 < expected < 10
    terms = terms_of(model_of("[13,23]", 3))
    lattice = fit_one(counts, observable(3), terms, 3)
    dense = fit_design(design(range(1, 8), terms), counts[1:])
    assert lattice.converged
    assert lattice.deviance == pytest.approx(expected, rel=1e-6)
    assert dense.deviance == pytest.approx(expected, rel=1e-6)


def test_twelve_lists_fit():
    rng = np.random.default_rng(12)
    counts = rng.poisson(3.0, 1 << 12).astype(float)
    counts[0] = 0.0
    terms = terms_of(HierarchicalModel.all_pairs(12))
    fit = fit_one(counts, observable(12), terms, 12)
    reference = fit_design(design(range(1, 1 << 12), terms), counts[1:])
    assert fit.means[0] == pytest.approx(np.exp(reference.coefficients[-1]), rel=1e-8)
    assert fit.deviance == pytest.approx(reference.deviance, rel=1e-9)


def test_the_deviance_keeps_its_digits_when_a_mean_is_far_below_its_count():
    counts = np.zeros(16)
    counts[[4, 9, 10, 15]] = [1, 7, 4361, 76]
    terms = terms_of(model_of("[12,13,23,4]", 4))
    fit = fit_one(counts, observable(4), terms, 4)
    reference = statsmodels_fit(design(range(1, 16), terms), counts[1:])
    y, mu = counts[1:], reference.mu
    assert mu.min() < 1e-9
    assert fit.deviance == pytest.approx(2 * (xlogy(y, y / mu) - (y - mu)).sum(), rel=1e-9)
