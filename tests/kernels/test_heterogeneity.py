import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize

from hiddenpop.histories import captures, decode
from hiddenpop.kernels.poisson.dense import fit_design, robust_fit, steady_fit
from hiddenpop.kernels.poisson.faces import face_of_model
from hiddenpop.kernels.poisson.heterogeneity import (
    ClosedDesign,
    bias_corrected_counts,
    closed_design,
    face_of_design,
    fit_closed,
    fit_lower_bound,
    independent_columns,
    profile_deviance,
)

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


# --- the maximum under which no step is negative ----------------------------------------------------------------------


def bounded_deviance(design: ClosedDesign, counts: np.ndarray) -> float:
    """Deviance at the maximum with no negative step, by a quasi-Newton method with bounds."""
    columns = design.matrix / np.abs(design.matrix).max(axis=0)

    def minus_likelihood(x: np.ndarray) -> tuple[float, np.ndarray]:
        linear = np.minimum(columns @ x, 600.0)
        means = np.exp(linear)
        return float(means.sum() - counts @ linear), columns.T @ (means - counts)

    bounds = [(0.0 if c in design.etas else None, None) for c in range(columns.shape[1])]
    x = np.append(np.zeros(columns.shape[1] - 1), math.log(max(counts.mean(), 0.1)))
    for _ in range(4):
        x = minimize(
            minus_likelihood,
            x,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10, "maxls": 60},
        ).x
    means = np.exp(np.minimum(columns @ x, 600.0))
    logs = np.log(np.where(counts > 0, counts, 1.0) / np.where(counts > 0, means, 1.0))
    return float(2.0 * np.sum(counts * logs - (counts - means)))


def random_counts(size: int, seed: int) -> list[np.ndarray]:
    """Tables of three to six lists whose frequencies of capture are all over the place, some of them 0."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < size:
        t = int(rng.integers(3, 7))
        k = captures(np.arange(1 << t))
        means = np.exp(
            rng.normal(rng.uniform(-1, 3), rng.uniform(0.3, 2.0), 1 << t) + rng.normal(0, 1.5, t + 1)[k]
        )
        counts = rng.poisson(means).astype(float)
        counts[0] = 0.0
        if rng.random() < 0.3:
            counts[k == rng.integers(1, t + 1)] = 0.0
        if (decode(np.arange(1 << t), t).T @ counts).all():
            found.append(counts[1:])
    return found


def with_steps(counts: np.ndarray) -> ClosedDesign:
    return closed_design("Mth", [f"l{i}" for i in range(len(counts).bit_length())], "chao")


def check_constrained_maximum(counts: np.ndarray) -> None:
    """The conditions of Karush, Kuhn and Tucker, and the same maximum by another method."""
    design = with_steps(counts)
    kept, fit = fit_lower_bound(design, counts)
    assert all(fit.coefficients[c] > 0.0 for c in kept.etas if not math.isnan(fit.coefficients[c]))
    residuals = counts - fit.means
    for c, name in enumerate(design.names):
        score = float(design.matrix[:, c] @ residuals) / float(design.matrix[:, c] @ counts + 1.0)
        assert score <= 1e-6
        if name in kept.names:
            assert score >= -1e-6
    # Where the maximum lies at infinity the other method comes near it only.
    assert fit.deviance <= bounded_deviance(design, counts) * (1.0 + 1e-6) + 1e-6
    assert fit.deviance >= bounded_deviance(design, counts) * (1.0 - 1e-3) - 1e-2


@pytest.mark.parametrize("seed", range(4))
def test_the_lower_bound_is_the_maximum_without_negative_steps(seed: int) -> None:
    for counts in random_counts(10, seed):
        check_constrained_maximum(counts)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_the_lower_bound_is_the_maximum_without_negative_steps_on_many_tables(seed: int) -> None:
    for counts in random_counts(50, seed):
        check_constrained_maximum(counts)


COMES_BACK = [
    10,
    6,
    1,
    9,
    3,
    2,
    0,
    6,
    3,
    1,
    1,
    1,
    0,
    1,
    11,
    11,
    1,
    6,
    1,
    2,
    1,
    0,
    9,
    0,
    0,
    0,
    17,
    0,
    5,
    10,
    2,
]


def test_a_step_that_was_set_to_0_comes_back() -> None:
    # All three steps are free at first, eta3 and eta5 then negative; without eta5 the likelihood rises with eta3.
    counts = np.array(COMES_BACK, dtype=float)
    kept, fit = fit_lower_bound(with_steps(counts), counts)
    assert kept.names[5:-1] == ("eta3", "eta4")
    without = fit_closed(kept.without([5]), counts)
    assert fit.deviance == pytest.approx(79.351266, abs=1e-5)
    assert without.deviance == pytest.approx(86.128917, abs=1e-5)
    assert (fit.n0, without.n0) == pytest.approx((34.98978, 17.146199), abs=1e-4)


@pytest.mark.parametrize("seed", [30, 31])
def test_the_profile_is_the_maximum_without_negative_steps_at_every_dark_figure(seed: int) -> None:
    for counts in (np.array(COMES_BACK, dtype=float), *random_counts(6, seed)):
        design = with_steps(counts)
        unobserved = np.append(np.zeros(len(design.names) - 1), 1.0)
        whole = ClosedDesign(np.vstack([unobserved, design.matrix]), design.names, design.etas)
        deviance_at = profile_deviance(design, counts)
        for share in (0.001, 0.1, 0.5, 3.0, 30.0):
            n0 = share * counts.sum()
            other = bounded_deviance(whole, np.append(n0, counts))
            assert deviance_at(n0) <= other * (1.0 + 1e-6) + 1e-6
            assert deviance_at(n0) >= other * (1.0 - 1e-3) - 1e-2


def test_a_step_that_runs_to_minus_infinity_is_negative() -> None:
    # Nobody was seen once: eta3 falls without end while nothing holds it at 0, and the fit is that of model Mt.
    counts = np.array([0.0, 0, 20, 0, 30, 10, 4])
    kept, fit = fit_lower_bound(with_steps(counts), counts)
    assert kept.etas == ()
    assert fit.status == "ok"
    assert fit.n0 == pytest.approx(fit_closed(closed_design("Mt", LISTS[:3]), counts).n0)


@pytest.mark.parametrize("start", ["all", "none"])
def test_the_maximum_is_the_same_wherever_the_search_begins(
    start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [
        c for c in random_counts(60, 40) if 0.0 in np.bincount(captures(np.arange(1, len(c) + 1)), c)[3:]
    ]
    assert len(tables) > 5
    expected = [
        (fit_lower_bound(with_steps(c), c)[1].deviance, profile_deviance(with_steps(c), c)(0.3 * c.sum()))
        for c in tables
    ]
    chosen = {"all": lambda design, _: list(design.etas), "none": lambda *_: []}[start]
    monkeypatch.setattr("hiddenpop.kernels.poisson.heterogeneity.reached_steps", chosen)
    for counts, (deviance, at) in zip(tables, expected, strict=True):
        design = with_steps(counts)
        assert fit_lower_bound(design, counts)[1].deviance == pytest.approx(deviance, rel=1e-8, abs=1e-8)
        assert profile_deviance(design, counts)(0.3 * counts.sum()) == pytest.approx(at, rel=1e-8, abs=1e-8)
