"""Each entry of faces.json, ours and once more by statsmodels on the exact face."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.exact import exact_existence, exact_face, exact_status
from tests.support.plain import dense_counts, statsmodels_dark_figure, terms_of

import hiddenpop as hp
from hiddenpop.kernels.poisson.lattice import fit_batch
from hiddenpop.kernels.poisson.model_fit import fit_model
from hiddenpop.model import HierarchicalModel

ENTRIES = json.loads((Path(__file__).parent / "faces.json").read_text())
TABLES = {"Australia": "australia", "UKdat_5": "uk_5", "Artificial_3": "artificial_3", "Korea": "korea"}
FIXED = [name for name, entry in ENTRIES.items() if entry["intercept_estimable_on_face"]]
UNBOUNDED = [name for name, entry in ENTRIES.items() if not entry["intercept_estimable_on_face"]]


def case(name):
    entry = ENTRIES[name]
    counts = dense_counts(hp.datasets.load(TABLES[entry["table"]]))
    n_lists = len(counts).bit_length() - 1
    model = HierarchicalModel.parse(entry["model"], n_lists=n_lists)
    return entry, counts, model, fit_model(counts, terms_of(model), n_lists)


def test_both_kinds_are_there():
    assert len(FIXED) == 5
    assert UNBOUNDED == ["Artificial_3 [12,3]", "Korea [12,13,23]"]


@pytest.mark.parametrize("name", ENTRIES)
def test_the_face_is_the_reference_face(name):
    entry, counts, model, fit = case(name)
    n_lists = model.n_lists
    assert fit.face.exists is exact_existence(counts, terms_of(model)) is False
    assert np.flatnonzero(fit.face.cells).tolist() == exact_face(counts, terms_of(model))
    assert (1 << n_lists) - 1 - fit.face.cells.sum() == entry["n_face_cells_dropped"]
    assert fit.face.rank == entry["rank_on_face"]
    assert fit.deviance == pytest.approx(entry["deviance"], rel=1e-9, abs=1e-9)
    assert fit.converged


@pytest.mark.parametrize("name", FIXED)
def test_n_is_finite_where_the_face_fixes_it(name):
    entry, counts, model, fit = case(name)
    n = counts.sum()
    assert fit.face.status == exact_status(counts, terms_of(model)) == "ok"
    assert n + fit.n0 == pytest.approx(entry["N_face"], rel=1e-10)
    assert n + fit.n0 == pytest.approx(entry["N_eps1e-12"], rel=1e-10)
    assert n + statsmodels_dark_figure(counts, terms_of(model))[0] == pytest.approx(
        entry["N_face"], rel=1e-10
    )
    in_batch = fit_batch(counts, np.array([model.term_set], dtype=np.uint64), model.n_lists)
    assert n + in_batch.n0[0] == pytest.approx(entry["N_face"], rel=1e-8)


@pytest.mark.parametrize("name", UNBOUNDED)
def test_n_is_infinite_where_the_perturbed_fits_explode(name):
    entry, counts, model, fit = case(name)
    assert fit.face.status == exact_status(counts, terms_of(model)) == "unbounded"
    assert fit.n0 == np.inf
    assert np.isnan(fit.log_n0_variance)
    assert entry["N_eps1e-14"] > 100 * entry["N_eps1e-10"] > 1e6 * counts.sum()


@pytest.mark.parametrize(
    ("table", "model", "n_hat"),
    [
        ("australia", "[234,12]", 2440.4),
        ("australia", "[234,1]", 1187.5),
        ("uk_5", "[1234,5]", 40790.4),
        ("western_us", "[135,2,4]", 2573.73),
    ],
)
def test_models_that_other_programs_refuse(table, model, n_hat):
    estimate = hp.estimate(hp.datasets.load(table), "loglinear", model=model)
    assert estimate.status == "ok"
    assert estimate.n_hat == pytest.approx(n_hat, abs=0.005)


@pytest.mark.parametrize(
    ("table", "model", "status"),
    [
        ("artificial_3", "[12,3]", "unbounded"),
        ("korea", "[12,13,23]", "unbounded"),
        ("artificial_3", "all-pairs", "not_identified"),
    ],
)
def test_models_without_a_finite_answer_have_none(table, model, status):
    estimate = hp.estimate(hp.datasets.load(table), "loglinear", model=model)
    assert estimate.status == status
    assert not np.isfinite(estimate.n_hat)
    assert estimate.reason
