"""The stepwise search against one that fits every candidate by another route."""

import itertools

import numpy as np
import pytest
from scipy.special import gammaln

from hiddenpop.kernels.poisson.dense import fit_design
from hiddenpop.kernels.poisson.hidden_cells import fit_hidden, likelihood_bound
from hiddenpop.kernels.search.stepwise import SearchSpace, stepwise_path


def space_of(seed, order=2, size=1.0, minimal=None):
    """Three lists and two covariates, one of them with an orthogonal polynomial of its three levels."""
    rng = np.random.default_rng(seed)
    rows = np.array(
        [(*h, x, z) for x in (0, 1) for z in (0, 1, 2) for h in itertools.product((0, 1), repeat=3) if any(h)]
    )
    line, curve = np.array([-1.0, 0, 1])[rows[:, 4]], np.array([1.0, -2, 1])[rows[:, 4]]
    columns = [rows[:, [i]].astype(float) for i in range(4)] + [np.column_stack([line, curve])]
    terms = [s for r in range(1, order + 1) for s in itertools.combinations(range(5), r)]
    blocks = [np.ones((len(rows), 1))]
    for term in terms:
        block = np.ones((len(rows), 1))
        for i in term:
            block = (block[:, :, None] * columns[i][:, None, :]).reshape(len(rows), -1)
        blocks.append(block)
    term_of = np.repeat(np.arange(-1, len(terms)), [block.shape[1] for block in blocks])
    masks = tuple(sum(1 << i for i in term) for term in terms)
    mains = frozenset(1 << i for i in range(5))
    counts = rng.poisson(size * np.exp(rng.normal(0.0, 1.0, len(rows)))).astype(float)
    return SearchSpace(np.hstack(blocks), term_of, masks, mains if minimal is None else minimal, counts)


def value(space, included, penalty):
    """Criterion by the fit on the face and the rank of the design."""
    places = [-1, *(i for i, term in enumerate(space.terms) if term in included)]
    design = space.design[:, np.isin(space.term_of, places)]
    deviance = fit_hidden(design, design[:1], space.counts).deviance
    return deviance + penalty * np.linalg.matrix_rank(design)


def plain_search(space, penalties):
    """Fit everything one term away; take the lowest, the first of equals, while it is lower than what there is."""
    current = [term for term in space.terms if term in space.minimal]
    path = [tuple(current)]
    for stage, penalty in enumerate(penalties):
        while True:
            drops = (
                []
                if stage
                else [
                    [t for t in current if t != out]
                    for out in current
                    if out not in space.minimal and not any(t != out and t & out == out for t in current)
                ]
            )
            adds = [
                [t for t in space.terms if t in current or t == new]
                for new in space.terms
                if new not in current and all(new & ~(1 << i) in current for i in range(5) if new >> i & 1)
            ]
            now = value(space, current, penalty)
            values = [value(space, model, penalty) for model in drops + adds]
            if not values or min(values) > now - 1e-6:
                break
            current = (drops + adds)[int(np.argmin(np.round(values, 6)))]
            path.append(tuple(current))
    return path


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 12))]
)
@pytest.mark.parametrize("size", [0.5, 3.0, 40.0])
def test_the_path_is_that_of_a_search_that_fits_everything(seed, size):
    space = space_of(seed, size=size)
    penalties = [np.log(space.counts.sum()), 2.0, 1.0]
    path = stepwise_path(space, penalties)
    assert [step.included for step in path] == plain_search(space, penalties)
    for step in path:
        places = [-1, *(i for i, term in enumerate(space.terms) if term in step.included)]
        design = space.design[:, np.isin(space.term_of, places)]
        assert step.n_parameters == np.linalg.matrix_rank(design)
        expected = fit_hidden(design, design[:1], space.counts).deviance
        assert step.deviance == pytest.approx(expected, rel=1e-8, abs=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_terms_of_three_factors_wait_for_their_parts(seed):
    space = space_of(seed, order=3, size=20.0)
    path = stepwise_path(space, [2.0, 0.5])
    assert [step.included for step in path] == plain_search(space, [2.0, 0.5])
    for step in path:
        for term in step.included:
            assert all(
                term & ~(1 << i) in step.included for i in range(5) if term >> i & 1 and term != 1 << i
            )


def test_a_minimal_model_that_is_the_maximal_one_is_the_whole_path():
    space = space_of(1, size=30.0)
    fixed = SearchSpace(space.design, space.term_of, space.terms, frozenset(space.terms), space.counts)
    (only,) = stepwise_path(fixed, [2.0])
    assert only.included == space.terms
    assert only.n_parameters == np.linalg.matrix_rank(space.design)


def test_without_a_penalty_everything_comes_in():
    space = space_of(1, size=30.0)
    path = stepwise_path(space, [0.0])
    assert [step.change for step in path] == ["", *["+"] * 10]
    assert path[-1].included == space.terms


def test_drops_happen_under_the_first_penalty_alone():
    dropped = {False: 0, True: 0}
    for seed in range(30):
        space = space_of(seed, size=6.0)
        for step in stepwise_path(space, [3.0, 1.0]):
            dropped[step.penalty == 3.0] += step.change == "-"
    assert dropped[True] > 0
    assert dropped[False] == 0


def test_far_fewer_candidates_are_fitted_than_there_are():
    space = space_of(3, size=40.0)
    path = stepwise_path(space, [2.0])
    assert sum(step.n_fitted for step in path) < 3 * len(path)


def test_a_term_that_adds_no_parameter_is_no_candidate():
    space = space_of(2, size=30.0)
    new = 1 | 2 | 4
    aliased = SearchSpace(
        np.column_stack([space.design, space.design[:, 1] + space.design[:, 2]]),
        np.append(space.term_of, len(space.terms)),
        (*space.terms, new),
        space.minimal,
        space.counts,
    )
    one, other = stepwise_path(space, [0.0]), stepwise_path(aliased, [0.0])
    assert [step.included for step in other] == [step.included for step in one]


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_is_never_below_the_likelihood(seed):
    space = space_of(seed, size=5.0)
    counts = space.counts + 1.0
    full, part = space.design, space.design[:, : -1 - seed % 3]
    best = fit_design(full, counts)
    likelihood = best_likelihood(counts, best.means)
    means = fit_design(part, counts).means
    step = np.linalg.solve(full.T @ (means[:, None] * full), full.T @ (counts - means))
    bound = likelihood_bound(means * (1.0 + full @ step))
    assert bound >= likelihood - 1e-9 * abs(likelihood)
    assert bound < likelihood + 5.0
    assert likelihood_bound(best.means) == pytest.approx(likelihood, rel=1e-9)


def best_likelihood(counts, means):
    return float((counts * np.log(means) - means).sum())


def test_a_negative_mean_gives_no_bound():
    assert likelihood_bound(np.array([1.0, -1e-3])) == np.inf
    assert likelihood_bound(np.array([0.0, 1.0])) == -1.0


def test_deviance_and_likelihood_go_together():
    space = space_of(4, size=5.0)
    path = stepwise_path(space, [2.0])
    places = [-1, *range(5)]
    fit = fit_design(space.design[:, np.isin(space.term_of, places)], space.counts)
    saturated = np.where(space.counts > 0, space.counts * np.log(np.maximum(space.counts, 1.0)), 0.0)
    logs = (saturated - space.counts - gammaln(space.counts + 1.0)).sum()
    direct = (space.counts * np.log(fit.means) - fit.means - gammaln(space.counts + 1.0)).sum()
    assert path[0].deviance == pytest.approx(2.0 * (logs - direct), rel=1e-9)
