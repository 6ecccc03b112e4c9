"""Many hidden cells: against exact rational arithmetic, the lattice route, separate strata, and one fit at a time."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from tests.support.exact import AscentCone, exact_pivots
from tests.support.plain import dense_counts, statsmodels_maximum, terms_of

import hiddenpop as hp
from hiddenpop.kernels.poisson import hidden_cells
from hiddenpop.kernels.poisson.dense import fit_design
from hiddenpop.kernels.poisson.faces import lattice_design
from hiddenpop.kernels.poisson.hidden_cells import (
    face_of_cells,
    fit_hidden,
    fit_tables,
    independent_columns,
    null_space,
    refit_hidden,
    total_status,
)
from hiddenpop.kernels.poisson.model_fit import fit_model
from hiddenpop.model import HierarchicalModel, enumerate_models


class Strata:
    """Lists as the low bits of a cell, dummies of covariates with 2 and 3 levels as the next ones."""

    def __init__(self, n_lists, levels):
        self.n_lists = n_lists
        starts = np.cumsum([n_lists, *(size - 1 for size in levels)])
        choices = [
            [0, *(1 << (start + i) for i in range(size - 1))]
            for start, size in zip(starts, levels, strict=False)
        ]
        self.strata = [sum(choice) for choice in itertools.product(*choices)]
        self.cells = np.array([s | h for s in self.strata for h in range(1, 1 << n_lists)])
        self.hidden = np.array(self.strata)
        self.dummies = [
            [1 << (start + i) for i in range(size - 1)] for start, size in zip(starts, levels, strict=False)
        ]
        self.size = 1 << int(starts[-1])

    def terms(self, factor_sets):
        """Bit sets of all columns of the model with these generators, sets of factors; the intercept first."""
        columns = [[1 << i] for i in range(self.n_lists)] + self.dummies
        closed = {
            part for s in factor_sets for r in range(len(s) + 1) for part in itertools.combinations(s, r)
        }
        return np.array(
            [
                sum(pick)
                for part in sorted(closed, key=lambda part: (len(part), part))
                for pick in itertools.product(*(columns[i] for i in part))
            ]
        )

    def counts_by_cell(self, counts):
        full = np.zeros(self.size)
        full[self.cells] = counts
        return full


def random_case(seed):
    rng = np.random.default_rng(seed)
    world = Strata(*[(2, [2, 3]), (2, [3]), (3, [2]), (3, [3]), (2, [2, 2])][rng.integers(5)])
    n_factors = world.n_lists + len(world.dummies)
    pairs = list(itertools.combinations(range(n_factors), 2))
    chosen = [pair for pair in pairs if rng.random() < 0.4] + [(i,) for i in range(n_factors)]
    counts = rng.poisson(rng.choice([0.15, 0.5, 1.5]), len(world.cells)).astype(float)
    return world, world.terms(chosen), counts


@pytest.mark.parametrize(
    "seed", [*range(30), *(pytest.param(n, marks=pytest.mark.slow) for n in range(30, 80))]
)
def test_random_sparse_tables_with_strata_against_exact_arithmetic(seed):
    world, terms, counts = random_case(seed)
    design, hidden = lattice_design(world.cells, terms), lattice_design(world.hidden, terms)
    face = face_of_cells(design, hidden, counts > 0)
    cone = AscentCone(world.counts_by_cell(counts), terms, world.cells)
    assert world.cells[face.on_face].tolist() == [w for w in world.cells if w in set(cone.face())]
    verdict = {
        (False, False): "ok",
        (True, False): "unbounded",
        (False, True): "boundary",
        (True, True): "not_identified",
    }
    exact = [verdict[cone.ascends(w, 1), cone.ascends(w, -1)] for w in world.hidden]
    assert face.hidden_status.tolist() == exact
    assert face.rank == sum(exact_pivots(world.cells[face.on_face], terms))
    dead = [t for t in terms if not counts[(world.cells & t) == t].sum() > 0]
    assert terms[face.dead].tolist() == dead
    live = [w for w in world.cells if not any(w & t == t for t in dead)]
    alone = AscentCone(world.counts_by_cell(counts), [t for t in terms if t not in dead], live)
    assert face.exists == alone.is_a_point()


def test_the_random_tables_hold_every_status():
    found = set()
    for seed in range(80):
        world, terms, counts = random_case(seed)
        face = face_of_cells(
            lattice_design(world.cells, terms), lattice_design(world.hidden, terms), counts > 0
        )
        found |= set(face.hidden_status.tolist())
    assert found == {"ok", "boundary", "unbounded", "not_identified"}


@pytest.mark.parametrize("seed", range(80))
def test_integer_designs_have_their_exact_rank_and_first_independent_columns(seed):
    world, terms, counts = random_case(seed)
    cells = world.cells[counts > 0]
    design = lattice_design(cells, terms)
    assert independent_columns(design).tolist() == np.flatnonzero(exact_pivots(cells, terms)).tolist()
    assert null_space(design).shape[1] == len(terms) - sum(exact_pivots(cells, terms))
    assert np.abs(design @ null_space(design)).max(initial=0.0) < 1e-12


@pytest.mark.parametrize("name", ["artificial_3", "uk_5", "netherlands_5", "western_us"])
def test_lists_alone_agree_with_the_lattice_route(name):
    counts = dense_counts(hp.datasets.load(name))
    n_lists = len(counts).bit_length() - 1
    sets = np.concatenate(list(enumerate_models(n_lists)))
    for term_set in np.random.default_rng(2).choice(sets, min(len(sets), 60), replace=False):
        terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
        expected = fit_model(counts, terms, n_lists)
        hidden = np.zeros((1, len(terms)))
        hidden[0, -1] = 1.0
        fit = fit_hidden(lattice_design(np.arange(1, len(counts)), terms), hidden, counts[1:])
        assert (fit.status, fit.exists, fit.rank) == (
            expected.face.status,
            expected.face.exists,
            expected.face.rank,
        )
        assert fit.on_face.tolist() == expected.face.cells[1:].tolist()
        assert fit.hidden_means[0] == pytest.approx(expected.n0, rel=1e-9, nan_ok=True)
        assert fit.deviance == pytest.approx(expected.deviance, rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(fit.coefficients, expected.coefficients, rtol=1e-6, atol=1e-6)
        errors = np.sqrt(np.diag(fit.covariance))
        np.testing.assert_allclose(errors, expected.standard_errors, rtol=1e-5)


@pytest.mark.parametrize("seed", range(40))
def test_a_model_with_all_covariates_crossed_equals_separate_strata(seed):
    rng = np.random.default_rng(seed)
    world = Strata(3, [3, 2])
    chosen = [pair for pair in itertools.combinations(range(3), 2) if rng.random() < 0.4]
    terms = world.terms([(*pair, 3, 4) for pair in [*chosen, (0,), (1,), (2,)]])
    counts = rng.poisson(rng.choice([0.4, 3.0]), len(world.cells)).astype(float)
    if seed == 0:
        counts[:7] = 0.0
    fit = fit_hidden(lattice_design(world.cells, terms), lattice_design(world.hidden, terms), counts)
    alone = np.array([*(t for t in terms if 0 < t < 8), 0])
    separate = [fit_model(np.array([0.0, *counts[7 * s : 7 * s + 7]]), alone, 3) for s in range(6)]
    assert fit.hidden_status.tolist() == [one.face.status for one in separate]
    np.testing.assert_allclose(fit.hidden_means, [one.n0 for one in separate], rtol=1e-7)
    assert fit.deviance == pytest.approx(sum(one.deviance for one in separate), rel=1e-9, abs=1e-9)
    assert fit.on_face.tolist() == np.concatenate([one.face.cells[1:] for one in separate]).tolist()


def three_levels(interaction=False):
    world = Strata(2, [3])
    terms = world.terms([(0,), (1,), (2,)] + ([(0, 2), (1, 2)] if interaction else []))
    return lattice_design(world.cells, terms), lattice_design(world.hidden, terms)


LAST_LEVEL_EMPTY = np.array([30.0, 20, 10, 6, 8, 4, 0, 0, 0])


def test_a_level_with_nobody_has_no_hidden_persons_and_does_not_spoil_the_total():
    fit = fit_hidden(*three_levels(), LAST_LEVEL_EMPTY)
    assert fit.hidden_status.tolist() == ["ok", "ok", "boundary"]
    assert fit.status == "ok"
    assert fit.hidden_means[2] == 0.0
    together = np.array([0.0, 36, 28, 14])
    assert fit.hidden_means.sum() == pytest.approx(fit_model(together, np.array([1, 2, 0]), 2).n0, rel=1e-9)


def test_a_level_with_nobody_and_list_effects_of_its_own_is_not_identified():
    fit = fit_hidden(*three_levels(interaction=True), LAST_LEVEL_EMPTY)
    assert fit.hidden_status.tolist() == ["ok", "ok", "not_identified"]
    assert fit.status == "not_identified"
    np.testing.assert_allclose(fit.hidden_means, [60.0, 12.0, np.nan], rtol=1e-9)


def test_the_reference_level_may_be_the_empty_one():
    fit = fit_hidden(*three_levels(), LAST_LEVEL_EMPTY[::-1].copy())
    assert fit.hidden_status.tolist() == ["boundary", "ok", "ok"]
    assert np.isnan(fit.coefficients[0])


@pytest.mark.parametrize("seed", range(20))
def test_scores_that_span_the_same_space_as_dummies_change_nothing(seed):
    rng = np.random.default_rng(seed)
    world = Strata(3, [3])
    terms = world.terms([(0, 3), (1, 3), (0, 1), (2,)])
    counts = rng.poisson(1.0, len(world.cells)).astype(float)
    design, hidden = lattice_design(world.cells, terms), lattice_design(world.hidden, terms)
    by_dummies = fit_hidden(design, hidden, counts)
    mix = np.eye(len(terms))
    for first in [i for i, t in enumerate(terms) if t & 8]:
        second = int(np.flatnonzero(terms == terms[first] + 8)[0])
        mix[np.ix_([first, second], [first, second])] = np.array([[-0.3, 1e3], [0.7, 2e3]]).T
    by_scores = fit_hidden(design @ mix, hidden @ mix, counts)
    assert by_scores.hidden_status.tolist() == by_dummies.hidden_status.tolist()
    assert by_scores.on_face.tolist() == by_dummies.on_face.tolist()
    assert by_scores.rank == by_dummies.rank
    np.testing.assert_allclose(by_scores.hidden_means, by_dummies.hidden_means, rtol=1e-7)


def test_a_score_that_is_0_where_people_are_is_not_an_empty_margin():
    """People at the middle level alone, whose linear score is 0: the outer levels fall by the curve, not the line."""
    design, hidden = three_levels()
    counts = np.array([0.0, 0, 0, 30, 20, 10, 0, 0, 0])
    by_dummies = fit_hidden(design, hidden, counts)
    mix = np.eye(5)
    mix[np.ix_([0, 3, 4], [0, 3, 4])] = [[1.0, -1.0, 1.0], [0.0, 1.0, -3.0], [0.0, 2.0, 0.0]]
    by_scores = fit_hidden(design @ mix, hidden @ mix, counts)
    assert (design @ mix)[:, 3].tolist() == [-1.0] * 3 + [0.0] * 3 + [1.0] * 3
    assert by_dummies.hidden_status.tolist() == ["boundary", "ok", "boundary"]
    assert by_scores.hidden_status.tolist() == by_dummies.hidden_status.tolist()
    assert not np.isinf(by_scores.coefficients).any()
    np.testing.assert_allclose(by_scores.hidden_means, [0.0, 60.0, 0.0], rtol=1e-9)


def test_columns_said_twice_change_nothing_but_are_not_determined():
    design, hidden = three_levels()
    counts = np.array([30.0, 20, 10, 6, 8, 4, 9, 7, 1])
    once, twice = (
        fit_hidden(design, hidden, counts),
        fit_hidden(design[:, [0, 1, 2, 3, 4, 4]], hidden[:, [0, 1, 2, 3, 4, 4]], counts),
    )
    np.testing.assert_allclose(twice.hidden_means, once.hidden_means, rtol=1e-9)
    assert (twice.rank, twice.exists) == (5, False)
    assert np.isnan(twice.coefficients).tolist() == [False] * 4 + [True] * 2
    row = np.array([1.0, 0, 0, 0, 1, 0])
    assert row @ twice.estimable_covariance @ row == pytest.approx(hidden[2] @ once.covariance @ hidden[2])
    assert np.isnan(twice.covariance[4]).all()


def test_means_and_covariance_are_those_of_statsmodels():
    world = Strata(3, [2, 3])
    terms = world.terms([(0, 3), (1, 4), (0, 1), (2,), (3, 4)])
    counts = np.random.default_rng(5).poisson(20.0, len(world.cells)).astype(float)
    design = lattice_design(world.cells, terms)
    fit = fit_hidden(design, lattice_design(world.hidden, terms), counts)
    reference = statsmodels_maximum(design, counts)
    np.testing.assert_allclose(fit.means, reference.mu, rtol=1e-9)
    np.testing.assert_allclose(fit.coefficients, reference.params, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fit.covariance, reference.cov_params(), rtol=1e-6, atol=1e-12)


def test_a_table_without_anybody_and_one_with_very_many():
    design, hidden = three_levels()
    nobody = fit_hidden(design, hidden, np.zeros(9))
    assert nobody.status == "not_identified"
    assert nobody.means.tolist() == [0.0] * 9
    counts = np.array([30.0, 20, 10, 6, 8, 4, 9, 7, 1])
    many = fit_hidden(design, hidden, counts * 1e12)
    np.testing.assert_allclose(
        many.hidden_means, fit_hidden(design, hidden, counts).hidden_means * 1e12, rtol=1e-9
    )


@pytest.mark.parametrize(
    ("parts", "total"),
    [
        (["ok", "boundary"], "ok"),
        (["boundary", "boundary"], "boundary"),
        (["ok", "not_identified"], "not_identified"),
        (["not_identified", "unbounded", "ok"], "unbounded"),
    ],
)
def test_the_status_of_the_total(parts, total):
    assert total_status(np.array(parts)) == total


@pytest.mark.parametrize("seed", range(25))
def test_refits_equal_fits_one_by_one(seed):
    world, terms, _ = random_case(seed)
    design, hidden = lattice_design(world.cells, terms), lattice_design(world.hidden, terms)
    tables = np.random.default_rng(seed).poisson(0.8, (12, len(world.cells))).astype(float)
    refits = refit_hidden(design, hidden, tables)
    assert refits.n_not_converged == 0
    for table, means, deviance in zip(tables, refits.hidden_means, refits.deviances, strict=True):
        fit = fit_hidden(design, hidden, table)
        np.testing.assert_allclose(means, fit.hidden_means, rtol=1e-7)
        assert deviance == pytest.approx(fit.deviance, rel=1e-8, abs=1e-8)


def test_a_refit_that_does_not_converge_is_made_by_the_exact_route(monkeypatch):
    design, hidden = three_levels()
    tables = np.random.default_rng(4).poisson(5.0, (3, 9)).astype(float)
    usual = refit_hidden(design, hidden, tables)

    def lost(rows, counts, on_face, start, offset):
        return np.zeros((3, 5)), np.zeros(3), np.array([True, False, False])

    monkeypatch.setattr(hidden_cells, "fit_tables", lost)
    rescued = refit_hidden(design, hidden, tables, start=np.zeros(5))
    assert rescued.hidden_means[0].tolist() == [1.0] * 3
    np.testing.assert_allclose(rescued.hidden_means[1:], usual.hidden_means[1:], rtol=1e-8)
    np.testing.assert_allclose(rescued.deviances[1:], usual.deviances[1:], rtol=1e-8)
    assert rescued.n_not_converged == 0


def test_a_refit_that_no_route_can_make_is_unknown_and_counted(monkeypatch):
    design, hidden = three_levels()
    monkeypatch.setattr(
        hidden_cells, "fit_tables", lambda *_: (np.zeros((1, 5)), np.zeros(1), np.array([False]))
    )
    monkeypatch.setattr(
        hidden_cells, "fit_design", lambda rows, *given: replace(fit_design(rows, *given), converged=False)
    )
    lost = refit_hidden(design, hidden, LAST_LEVEL_EMPTY[None], start=np.zeros(5))
    assert lost.n_not_converged == 1
    assert np.isnan(lost.hidden_means[0]).tolist() == [True, True, False]


def test_refits_start_anywhere():
    design, hidden = three_levels()
    tables = np.random.default_rng(3).poisson(5.0, (20, 9)).astype(float)
    usual = refit_hidden(design, hidden, tables)
    for start in (np.zeros(5), np.full(5, 300.0), np.array([np.nan, -np.inf, 0, 40, -40])):
        other = refit_hidden(design, hidden, tables, start=start)
        np.testing.assert_allclose(other.hidden_means, usual.hidden_means, rtol=1e-8)
        assert other.n_not_converged == 0


def test_no_tables_give_no_refits():
    design, hidden = three_levels()
    assert refit_hidden(design, hidden, np.zeros((0, 9))).hidden_means.shape == (0, 3)


def test_the_compiled_fit_is_the_maximum_whatever_its_start():
    design, _ = three_levels()
    table = np.array([[30.0, 20, 10, 6, 8, 4, 9, 7, 1]])
    reference = statsmodels_maximum(design, table[0])
    for start in (np.zeros(5), np.full(5, 700.0), np.full(5, -9.0)):
        found, _, converged = fit_tables(design, table, table > 0, start, np.zeros(design.shape[0]))
        assert converged.all()
        np.testing.assert_allclose(found[0], reference.params, rtol=1e-8)
