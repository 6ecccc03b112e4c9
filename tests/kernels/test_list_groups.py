"""Independent groups of lists in closed form, against the fits on all cells and against the equations themselves."""

import math

import numpy as np
import pytest
from tests.contract.cases import quietly

from hiddenpop import HierarchicalModel, datasets
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.poisson.heterogeneity import (
    closed_design,
    fit_lower_bound,
    frequency_design,
    profile_of_design,
)
from hiddenpop.kernels.poisson.list_groups import fit_groups, free_group, profile_of_groups
from hiddenpop.kernels.poisson.model_fit import fit_model, hidden_profile
from hiddenpop.kernels.poisson.profile import profile_limits

TABLES = ("kosovo", "uk_5", "korea", "netherlands", "rome_hiv")
MODELS = ("independence", "[12,...]", "[123,...]")
CASES = [(name, text) for name in TABLES for text in MODELS if (name, text) != ("korea", "[123,...]")]


def dense_table(name):
    table = quietly(datasets.load(name).collapse)
    return table, table.to_dense().astype(float)


def model_of(text, n_lists):
    if text == "independence":
        return HierarchicalModel.independence(n_lists)
    first = len(text.strip("[]").split(",", maxsplit=1)[0])
    return HierarchicalModel(n_lists, ((1 << first) - 1, *(1 << i for i in range(first, n_lists))))


def groups_of(model):
    return [free_group(bit_positions(generator)) for generator in model.generators]


@pytest.mark.parametrize(("name", "text"), CASES)
def test_groups_are_the_fit_on_all_cells(name, text):
    table, counts = dense_table(name)
    model = model_of(text, table.n_lists)
    terms = np.array([*model.terms[1:], 0], dtype=np.int64)
    dense = fit_model(counts, terms, table.n_lists)
    fit = fit_groups(table.histories, table.counts.astype(float), groups_of(model))
    assert fit.status == dense.face.status
    assert fit.n0 == pytest.approx(dense.n0, rel=1e-9, nan_ok=True)
    assert fit.rank == dense.face.rank
    assert fit.deviance == pytest.approx(dense.deviance, rel=1e-9, abs=1e-6)
    assert fit.means == pytest.approx(dense.means[table.histories], rel=1e-6)
    if fit.status != "ok":
        return
    assert fit.log_n0_variance == pytest.approx(dense.log_n0_variance, rel=1e-6)
    place = [fit.terms.index(term) for term in terms]
    assert fit.coefficients[place] == pytest.approx(dense.coefficients, rel=1e-6, abs=1e-9, nan_ok=True)
    finite = np.isfinite(dense.coefficients)
    assert fit.standard_errors[place][finite] == pytest.approx(dense.standard_errors[finite], rel=1e-6)


@pytest.mark.parametrize("text", MODELS[:2])
def test_profiles_of_groups_are_those_of_all_cells(text):
    table, counts = dense_table("kosovo")
    model = model_of(text, table.n_lists)
    terms = np.array([*model.terms[1:], 0], dtype=np.int64)
    dense = hidden_profile(counts, terms, table.n_lists, fit_model(counts, terms, table.n_lists))
    cells = table.histories, table.counts.astype(float), groups_of(model)
    grouped = profile_of_groups(*cells, fit_groups(*cells))
    for n0 in (0.0, 1.0, 100.0, 3000.0, 1e6):
        assert grouped.deviance_at(n0) == pytest.approx(dense.deviance_at(n0), rel=1e-9)
    wanted, found = profile_limits(dense, 0.95), profile_limits(grouped, 0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-7)


@pytest.mark.parametrize(
    ("histories", "counts", "status"),
    [
        ([1, 2, 4], [5, 3, 2], "unbounded"),
        ([1, 3, 5], [5, 3, 2], "boundary"),
        ([1, 2, 6, 4], [5, 3, 1, 2], "ok"),
    ],
)
def test_statuses_follow_from_who_was_seen_twice_and_by_all(histories, counts, status):
    fit = fit_groups(np.array(histories), np.array(counts, dtype=float), [free_group([i]) for i in range(3)])
    assert fit.status == status
    assert fit.n0 == pytest.approx({"unbounded": math.inf, "boundary": 0.0, "ok": fit.n0}[status])
    assert fit.means.sum() <= sum(counts) + 1e-9


@pytest.mark.parametrize("heterogeneity", [None, "chao", "poisson", "darroch", "gamma"])
@pytest.mark.parametrize("name", ["kosovo", "uk_5", "hares"])
def test_frequencies_are_the_fit_on_all_cells(name, heterogeneity):
    table, counts = dense_table(name)
    parameter = {"poisson": 2.0, "gamma": 3.5}.get(heterogeneity, math.nan)
    model = "M0" if heterogeneity is None else "Mh"
    whole = closed_design(model, table.lists, heterogeneity, parameter)
    kept, dense = fit_lower_bound(whole, counts[1:])
    design = frequency_design(table.n_lists, heterogeneity, parameter)
    frequencies = table.capture_frequencies.astype(float)
    grouped, fit = fit_lower_bound(design, frequencies)
    assert (grouped.names, fit.status, fit.rank) == (kept.names, dense.status, dense.rank)
    assert fit.n0 == pytest.approx(dense.n0, rel=1e-7)
    assert fit.n0_standard_error == pytest.approx(dense.n0_standard_error, rel=1e-5)
    wanted = profile_limits(profile_of_design(whole, counts[1:], dense), 0.95)
    found = profile_limits(profile_of_design(design, frequencies, fit), 0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-7)
