import itertools
import math

import numpy as np
import pytest

from hiddenpop.kernels.dense import fit_design
from hiddenpop.kernels.faces import face_of_model
from hiddenpop.kernels.heterogeneity import (
    bias_corrected_counts,
    closed_design,
    face_of_design,
    fit_closed,
    fit_lower_bound,
    independent_columns,
)
from hiddenpop.kernels.steady import robust_fit, steady_fit

LISTS = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    "kind", [("poisson", 1.01), ("poisson", 30.0), ("gamma", 0.01), ("gamma", 100.0), ("darroch", math.nan)]
)
@pytest.mark.parametrize("model", ["Mh", "Mth"])
@pytest.mark.parametrize("n_lists", [3, 4, 6])
def test_every_admitted_column_is_independent_by_a_wide_margin(
    kind: tuple[str, float], model: str, n_lists: int
) -> None:
    if n_lists == 6 and kind == ("poisson", 30.0):
        kind = ("poisson", 1e6 ** (1 / 4))
    design = closed_design(model, [f"l{i}" for i in range(n_lists)], *kind).matrix
    assert independent_columns(design / np.abs(design).max(axis=0)).all()
    scaled = design / np.abs(design).max(axis=0)
    assert np.linalg.svd(scaled, compute_uv=False)[-1] > 1e-7


def test_faces_agree_with_the_lattice_route_on_every_pattern_of_three_lists() -> None:
    design = closed_design("Mt", LISTS[:3]).matrix
    for pattern in itertools.product([0.0, 5.0], repeat=7):
        counts = np.array([0.0, *pattern])
        if any(not counts[[h for h in range(8) if h >> i & 1]].any() for i in range(3)):
            continue
        status, on_face = face_of_design(design, counts[1:] > 0)
        expected = face_of_model(counts, np.array([1, 2, 4, 0]), 3)
        assert status == expected.status
        assert on_face.tolist() == expected.cells[1:].tolist()


def test_without_a_column_eta_keeps_its_place() -> None:
    design = closed_design("Mth", LISTS, "chao")
    assert design.etas == (4, 5)
    assert design.without([4]).etas == (4,)
    assert design.without([4]).names == ("a", "b", "c", "d", "eta4", "intercept")


def test_steady_and_undamped_steps_reach_the_same_maximum() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        counts = rng.poisson(rng.uniform(1, 50, size=15)).astype(float) + 1.0
        matrix = closed_design("Mth", LISTS, "darroch").matrix
        steady, plain = steady_fit(matrix, counts), fit_design(matrix, counts)
        assert steady.converged
        assert steady.coefficients == pytest.approx(plain.coefficients, rel=1e-5, abs=1e-5)
        assert steady.covariance == pytest.approx(plain.covariance, rel=1e-4, abs=1e-8)
        assert steady.deviance == pytest.approx(plain.deviance, rel=1e-8)


def test_damping_takes_over_where_the_start_leaves_the_range_of_numbers() -> None:
    rng = np.random.default_rng(0)
    histories = (rng.random((60, 12)) < 0.06) @ (1 << np.arange(12))
    counts = np.bincount(histories, minlength=1 << 12).astype(float)
    counts[0] = 3e7
    design = closed_design("Mh", [f"l{i}" for i in range(12)], "poisson", 2.0).matrix
    fit = robust_fit(np.vstack([[0.0, 0.0, 1.0], design]), counts)
    assert fit.converged
    assert fit.means.sum() == pytest.approx(counts.sum(), rel=1e-6)


@pytest.mark.parametrize("t", [2, 3, 4, 7])
def test_pseudo_counts_add_what_the_paper_says(t: int) -> None:
    added = bias_corrected_counts(np.zeros((1 << t) - 1), t)
    histories = np.arange(1, 1 << t)
    assert added.sum() == pytest.approx(t / 2)
    for i in range(t):
        assert added[histories >> i & 1 == 1].sum() == pytest.approx((t + 2) / (2 * t))


def test_bias_correction_solves_the_equation_of_the_paper() -> None:
    counts = np.array([46.0, 30, 6, 20, 4, 3, 1])
    totals = np.array([counts[[h - 1 for h in range(1, 8) if h >> i & 1]].sum() for i in range(3)])
    _, fit = fit_lower_bound(closed_design("Mt", LISTS[:3]), bias_corrected_counts(counts, 3))
    size = counts.sum() + 1.5 + fit.n0
    missed = np.prod(1.0 - (totals + 5 / 6) / size)
    assert missed == pytest.approx(1.0 - (counts.sum() + 1.5) / size, rel=1e-10)


def test_a_parameter_that_the_data_do_not_fix_is_not_a_number() -> None:
    counts = np.array([10.0, 20.0, 0.0, 30.0, 0.0, 0.0, 4.0])
    fit = fit_closed(closed_design("Mth", LISTS[:3], "chao"), counts)
    assert fit.status == "unbounded"
    assert np.isnan(fit.coefficients).all()
    assert fit.rank == 4
