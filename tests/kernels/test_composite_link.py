"""Sums of log-linear cells: against the exact route where sums are log-linear, plain EM, and answers known by hand."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from hiddenpop.kernels.poisson.composite_link import (
    NOT_DETERMINED,
    CompositeCells,
    Part,
    climb,
    fit_composite,
    refit_composite,
)
from hiddenpop.kernels.poisson.dense import fit_design, poisson_deviance
from hiddenpop.kernels.poisson.hidden_cells import fit_hidden, independent_columns


class World:
    """Lists a, b, c, ... in several years, some of them absent in some years."""

    def __init__(self, n_lists, n_years, absent, generators):
        self.n_lists, self.n_years, self.absent = n_lists, n_years, dict(absent)
        names = "abcdefgh"[:n_lists]
        sets = {
            part
            for g in generators
            for r in range(len(g) + 1)
            for part in itertools.combinations(sorted(g), r)
        }
        self.terms = sorted(sets, key=lambda part: (len(part), part))
        cells, row_of = [], []
        histories = list(itertools.product((0, 1), repeat=n_lists))
        keys = {}
        order = sorted(
            ((y, h) for y in range(n_years) for h in histories),
            key=lambda cell: (not any(self.seen(*cell)), cell[0], self.seen(*cell)),
        )
        for y, h in order:
            key = (y, self.seen(y, h))
            row_of.append(keys.setdefault(key, len(keys)))
            cells.append(self.row(y, dict(zip(names, h, strict=True))))
        rows = list(keys)
        self.row_year = np.array([y for y, _ in rows])
        self.n_rows = sum(any(seen) for _, seen in rows)
        self.table = CompositeCells(np.array(cells), np.array(row_of), self.n_rows, n_years)
        # The same rows, with the absent lists out of the columns.
        self.linear = np.array([self.row(y, dict(zip(names, seen, strict=True))) for y, seen in rows])

    def seen(self, year, history):
        gone = self.absent.get(year, "")
        return tuple(0 if "abcdefgh"[i] in gone else on for i, on in enumerate(history))

    def row(self, year, on):
        columns = []
        for term in self.terms:
            lists = np.prod([on[name] for name in term if name != "y"])
            if "y" in term:
                columns += [lists * (year == level) for level in range(1, self.n_years)]
            else:
                columns.append(lists)
        return [float(value) for value in columns]

    def split(self):
        """Design of the observed and the hidden rows with the absent lists out."""
        return self.linear[: self.n_rows], self.linear[self.n_rows :]

    def draw(self, seed, mean):
        rng = np.random.default_rng(seed)
        effects = rng.normal(0, 0.4, self.table.cells.shape[1])
        effects[0] = 0.0
        full = mean * np.exp(self.table.cells @ effects)
        sums = np.bincount(self.table.row_of, full)
        return rng.poisson(sums[: self.n_rows]).astype(float), sums[self.n_rows :]


ABSORBED = {
    "separate": (3, 3, {0: "c"}, ["ay", "by", "cy"]),
    "no interaction": (3, 3, {0: "c"}, ["ay", "by", "c"]),
    "interaction": (3, 3, {0: "c", 2: "c"}, ["ay", "by", "cy", "ac"]),
    "two at once": (4, 3, {0: "cd", 1: "d"}, ["ay", "by", "cy", "dy", "ab"]),
    "two that interact": (4, 3, {0: "cd"}, ["ay", "by", "cdy", "ab"]),
    "pair": (3, 2, {1: "c"}, ["ab", "by", "acy"]),
}
TANGLED = {
    "pair": (3, 3, {0: "c"}, ["ac", "b", "y"]),
    "all pairs": (4, 3, {0: "d"}, ["ab", "ac", "ad", "bc", "bd", "cd", "y"]),
    "two absent": (4, 3, {0: "d", 1: "c"}, ["ad", "bc", "y"]),
    "years differ": (3, 3, {0: "c"}, ["ac", "bc", "ay", "y"]),
}


@pytest.mark.parametrize("name", ABSORBED)
@pytest.mark.parametrize("seed", range(6))
def test_sums_that_are_log_linear_have_the_exact_fit(name, seed):
    world = World(*ABSORBED[name])
    counts, _ = world.draw(seed, 60.0)
    fit, exact = fit_composite(world.table, counts), fit_hidden(*world.split(), counts)
    assert fit.converged
    assert fit.hidden_status.tolist() == exact.hidden_status.tolist() == ["ok"] * world.n_years
    np.testing.assert_allclose(fit.means, exact.means, rtol=1e-6)
    np.testing.assert_allclose(fit.hidden_means, exact.hidden_means, rtol=1e-6)
    np.testing.assert_allclose(fit.deviance, exact.deviance, atol=1e-8)
    assert fit.rank == fit.n_parameters == exact.rank
    hidden = world.split()[1]
    np.testing.assert_allclose(
        fit.hidden_gradient @ fit.estimable_covariance @ fit.hidden_gradient.T,
        hidden @ exact.estimable_covariance @ hidden.T,
        rtol=1e-5,
        atol=1e-9,
    )


@pytest.mark.parametrize("name", ABSORBED)
@pytest.mark.parametrize("seed", range(25))
def test_every_status_is_that_of_the_exact_face_when_sums_are_log_linear(name, seed):
    world = World(*ABSORBED[name])
    counts, _ = world.draw(100 + seed, [0.4, 1.0, 2.0][seed % 3])
    fit, exact = fit_composite(world.table, counts), fit_hidden(*world.split(), counts)
    np.testing.assert_allclose(fit.deviance, exact.deviance, atol=1e-6)
    assert fit.hidden_status.tolist() == exact.hidden_status.tolist()
    assert fit.status == exact.status
    assert (fit.on_face == exact.on_face).all()
    ok = exact.hidden_status == "ok"
    np.testing.assert_allclose(fit.hidden_means[ok], exact.hidden_means[ok], rtol=1e-5)


@pytest.mark.parametrize("seed", range(30))
def test_without_gaps_everything_is_that_of_hidden_cells(seed):
    world = World(3, 2, {}, ["ab", "cy", "ay"])
    counts, _ = world.draw(seed, [0.4, 1.5, 30.0][seed % 3])
    fit, exact = fit_composite(world.table, counts), fit_hidden(*world.split(), counts)
    assert fit.hidden_status.tolist() == exact.hidden_status.tolist()
    assert fit.rank == exact.rank
    np.testing.assert_allclose(fit.hidden_means, exact.hidden_means, rtol=1e-6)
    np.testing.assert_allclose(fit.coefficients, exact.coefficients, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit.covariance, exact.covariance, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fit.means, exact.means, rtol=1e-6, atol=1e-9)


def plain_em(table, counts, steps):
    """EM by the book: spread the counts, fit all cells of observed rows, and again."""
    here = table.row_of < table.n_rows
    cells, row = table.cells[here], table.row_of[here]
    kept = independent_columns(cells)
    means = np.ones(len(cells))
    for _ in range(steps):
        sums = np.bincount(row, means)
        fit = fit_design(cells[:, kept], counts[row] * means / sums[row])
        means = fit.means
    hidden = np.exp(table.cells[~here][:, kept] @ fit.coefficients)
    sums = np.bincount(row, means)
    return (
        sums,
        np.bincount(table.row_of[~here] - table.n_rows, hidden),
        poisson_deviance(counts, sums),
        means,
    )


@pytest.mark.parametrize("name", TANGLED)
@pytest.mark.parametrize("seed", range(2))
def test_plain_em_ends_in_the_same_maximum(name, seed):
    world = World(*TANGLED[name])
    counts, _ = world.draw(10 + seed, 80.0)
    fit = fit_composite(world.table, counts)
    means, hidden, deviance, _ = plain_em(world.table, counts, 600)
    assert fit.status == "ok"
    assert fit.deviance <= deviance + 1e-9
    np.testing.assert_allclose(deviance, fit.deviance, atol=1e-4)
    np.testing.assert_allclose(means, fit.means, rtol=1e-3)
    np.testing.assert_allclose(hidden, fit.hidden_means, rtol=5e-3)


@pytest.mark.parametrize("name", TANGLED)
@pytest.mark.parametrize("seed", range(8))
def test_no_general_optimiser_climbs_higher_in_sparse_tables(name, seed):
    world = World(*TANGLED[name])
    counts, _ = world.draw(40 + seed, [1.0, 4.0][seed % 2])
    fit = fit_composite(world.table, counts)
    here = world.table.row_of < world.n_rows
    cells, row = world.table.cells[here], world.table.row_of[here]

    def minus(b):
        each = np.exp(np.minimum(cells @ b, 50.0))
        sums = np.maximum(np.bincount(row, each), 1e-300)
        return sums.sum() - counts @ np.log(sums), cells.T @ (each * (1.0 - (counts / sums)[row]))

    rng = np.random.default_rng(seed)
    starts = [rng.normal(0, 1, cells.shape[1]) for _ in range(4)]
    best = min(minimize(minus, start, jac=True, method="L-BFGS-B").fun for start in starts)
    sums = fit.means[fit.on_face]
    own = sums.sum() - counts[fit.on_face] @ np.log(sums)
    assert own <= best + 1e-5


def test_the_variance_is_that_of_the_jacobian_of_the_means():
    world = World(*TANGLED["all pairs"])
    counts, _ = world.draw(3, 200.0)
    fit = fit_composite(world.table, counts)
    table = world.table

    def sums(b):
        return np.bincount(table.row_of, np.exp(table.cells @ b))

    eps = 1e-6
    steps = eps * np.eye(len(fit.coefficients))
    jacobian = np.array(
        [(sums(fit.coefficients + s) - sums(fit.coefficients - s)) / (2 * eps) for s in steps]
    ).T
    seen, hidden = jacobian[: world.n_rows], jacobian[world.n_rows :]
    information = seen.T @ (seen / fit.means[:, None])
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(information), rtol=1e-4, atol=1e-8)
    variance = hidden @ np.linalg.inv(information) @ hidden.T
    spread = fit.hidden_means[:, None] * fit.hidden_gradient
    np.testing.assert_allclose(spread @ fit.estimable_covariance @ spread.T, variance, rtol=1e-4)


@pytest.mark.parametrize("name", TANGLED)
def test_expected_counts_give_the_hidden_persons_back(name):
    world = World(*TANGLED[name])
    effects = np.linspace(-0.4, 0.5, world.table.cells.shape[1])
    effects[0] = 5.0
    sums = np.bincount(world.table.row_of, np.exp(world.table.cells @ effects))
    fit = fit_composite(world.table, sums[: world.n_rows])
    assert fit.status == "ok"
    np.testing.assert_allclose(fit.deviance, 0.0, atol=1e-9)
    np.testing.assert_allclose(fit.hidden_means, sums[world.n_rows :], rtol=1e-5)
    np.testing.assert_allclose(fit.coefficients, effects, rtol=1e-4, atol=1e-5)


# --- nothing to be known ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_one_operating_list_everywhere_tells_nothing(seed):
    world = World(2, 2, {0: "b", 1: "a"}, ["a", "b", "y"])
    counts, _ = world.draw(seed, 50.0)
    fit = fit_composite(world.table, counts)
    assert fit.status == "not_identified"
    assert np.isnan(fit.hidden_means).all()
    assert fit.reason == NOT_DETERMINED


@pytest.mark.parametrize("seed", range(5))
def test_two_lists_that_never_operate_together_have_no_known_interaction(seed):
    absent = {0: "c", 1: "b"}
    counts, _ = World(3, 2, absent, ["ab", "ac", "bc", "y"]).draw(seed, 80.0)
    joint = fit_composite(World(3, 2, absent, ["ab", "ac", "bc", "y"]).table, counts)
    assert joint.status == "not_identified"
    free = fit_composite(World(3, 2, absent, ["a", "b", "c", "y"]).table, counts)
    assert free.status == "ok"


def test_a_ridge_on_which_only_means_of_empty_rows_change_is_no_answer():
    world = World(*TANGLED["all pairs"])
    counts, _ = world.draw(115, 0.4)
    assert counts.sum() == 7.0
    fit = fit_composite(world.table, counts)
    assert fit.converged
    assert fit.hidden_status.tolist() == ["not_identified"] * 3
    refit = refit_composite(world.table, counts[None], start=np.zeros(world.table.cells.shape[1]))
    assert refit.status.tolist() == ["not_identified"]


@pytest.mark.parametrize("start", [0.0, 1e-3])
def test_a_climb_leaves_a_saddle(start):
    cells = np.array(
        [[1.0, 0.0], [1.0, 1.0], [1.0, -1.0]]
    )  # 10 = exp(a), 52 = 20 cosh(b): b is 1.6094 or minus that
    peak = climb(Part.of(cells, np.array([0, 1, 1]), np.array([10.0, 52.0])), np.array([2.0, start]))
    assert peak.converged
    np.testing.assert_allclose(np.exp(np.abs(peak.coefficients)), [10.0, 5.0], rtol=1e-6)


def test_only_the_year_without_information_is_given_up():
    world = World(3, 3, {0: "bc"}, ["ay", "by", "cy"])
    counts, _ = world.draw(4, 60.0)
    fit = fit_composite(world.table, counts)
    assert fit.hidden_status.tolist() == ["not_identified", "ok", "ok"]
    assert fit.status == "not_identified"


@pytest.mark.parametrize(
    ("overlap", "only_a", "only_b", "status"),
    [(0, 20, 30, "unbounded"), (10, 0, 30, "boundary"), (10, 0, 0, "boundary"), (10, 20, 30, "ok")],
)
def test_two_lists_left_in_a_year_that_stands_alone(overlap, only_a, only_b, status):
    world = World(3, 2, {1: "c"}, ["ay", "by", "cy"])
    counts, _ = world.draw(1, 60.0)
    year = world.row_year[: world.n_rows] == 1
    assert year.sum() == 3
    counts[year] = [only_b, only_a, overlap]  # rows are sorted by a, then b
    fit = fit_composite(world.table, counts)
    assert fit.hidden_status.tolist() == ["ok", status]
    if status == "ok":
        np.testing.assert_allclose(fit.hidden_means[1], 60.0, rtol=1e-6)


# --- extremes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1.0, 1e3, 1e9])
def test_large_counts_keep_their_digits(size):
    world = World(*TANGLED["years differ"])
    counts, _ = world.draw(2, 30.0)
    small, large = fit_composite(world.table, counts), fit_composite(world.table, counts * size)
    assert large.converged
    np.testing.assert_allclose(large.hidden_means, small.hidden_means * size, rtol=1e-5)


def test_a_list_that_operates_in_one_year_only():
    world = World(3, 5, {0: "c", 1: "c", 2: "c", 3: "c"}, ["ac", "bc", "y"])
    effects = np.zeros(world.table.cells.shape[1])
    effects[0], effects[world.terms.index(("a",))] = 6.0, -0.5
    sums = np.bincount(world.table.row_of, np.exp(world.table.cells @ effects))
    fit = fit_composite(world.table, sums[: world.n_rows])
    np.testing.assert_allclose(fit.hidden_means, sums[world.n_rows :], rtol=1e-4)


# --- many tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "mean"), [("pair", 40.0), ("years differ", 2.0), ("all pairs", 6.0)])
def test_refits_are_fits(name, mean):
    world = World(*TANGLED[name])
    tables = np.array([world.draw(seed, mean)[0] for seed in range(12)])
    start = fit_composite(world.table, tables.mean(axis=0)).coefficients
    many = refit_composite(world.table, tables, start=start)
    for counts, means, deviance, status in zip(
        tables, many.hidden_means, many.deviances, many.status, strict=True
    ):
        one = fit_composite(world.table, counts)
        assert one.deviance <= deviance + 1e-6
        if deviance <= one.deviance + 1e-6:
            assert status == one.status
            np.testing.assert_allclose(means, one.hidden_means, rtol=1e-4, atol=1e-6)
