"""The route in numpy and the compiled one take the same steps: on every table the same answers, but for rounding."""

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from tests.support.drawn import counts_by_history
from tests.support.plain import statsmodels_dark_figure, terms_of

from hiddenpop.kernels.poisson import lattice, plain
from hiddenpop.kernels.poisson.faces import faces_of_batch
from hiddenpop.model import HierarchicalModel, enumerate_models

SPACES = {t: np.concatenate(list(enumerate_models(t))) for t in (2, 3, 4)}
SAME = 1e-9
ROUNDING_PER_PERSON = 1e-14
"""Sums over so many persons are known to so much of them at worst, and what is left of them for the intercept is one
over its variance."""

STOPPED = 1e-7
"""On the way to a face every step takes the rest of the deviance down by a factor e, and one route may stop a step
before the other: by the stopping rule so much is then left, and in every cell what is so small a share of all persons
that its parameter counts as aliased."""

MANY_PERSONS = 1e6
"""Beyond it rounding may decide whether a step is the last."""


def judged(examples: int) -> Any:
    # To make a table smaller that fails takes minutes, and tells little: what differs is a last digit.
    return settings(
        max_examples=examples, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
    )


offsets = st.none() | st.tuples(st.integers(0, 2**31), st.sampled_from([0.1, 1.0, 3.0]))


def offset_of(seeded: tuple[int, float] | None, size: int) -> np.ndarray | None:
    return None if seeded is None else np.random.default_rng(seeded[0]).normal(0.0, seeded[1], size)


def agree(
    one: Any,
    other: Any,
    counts: np.ndarray,
    attained: Any = True,
    *,
    variance: Any = 0.0,
    floor: bool = False,
) -> None:
    """Compare where the maximum is attained to 1e-9, with what sums lose by rounding and a variance magnifies."""
    n = float(counts.sum())
    lost = ROUNDING_PER_PERSON * n * np.maximum(1.0, variance)
    allowed = lost + np.where(attained, SAME, STOPPED + 2.0 * len(counts) * plain.PIVOT_TOLERANCE * n)
    with np.errstate(invalid="ignore"):
        gap = np.abs(np.subtract(one, other))
        near = (one == other) | (gap <= allowed * (np.abs(other) + floor))
    assert np.all(near), (gap, allowed)


@judged(150)
@given(counts_by_history(), offsets)
def test_many_models_on_one_table(table: tuple[int, np.ndarray], seeded: tuple[int, float] | None) -> None:
    n_lists, counts = table
    sets, offset = SPACES[n_lists], offset_of(seeded, len(counts))
    one = plain.fit_batch(counts, sets, n_lists, offset)
    other = lattice.fit_batch(counts, sets, n_lists, offset)
    margins = plain.superset_sums(counts, n_lists)
    found, identified = lattice.ranks_of_people(counts, margins, sets)
    attained = found == np.bitwise_count(sets & plain.terms_with_people(margins))
    if counts.sum() <= MANY_PERSONS:
        assert one.converged[attained].tolist() == other.converged[attained].tolist()
    assert one.n_parameters.tolist() == other.n_parameters.tolist()
    both = one.converged & other.converged
    agree(one.deviance[both], other.deviance[both], counts, attained[both], floor=True)
    known = both & identified
    variance, attained = other.log_n0_variance[known], attained[known]
    agree(one.n0[known], other.n0[known], counts, attained, variance=variance)
    agree(one.log_n0_variance[known], variance, counts, attained, variance=variance)


@judged(300)
@given(counts_by_history(), offsets, st.data())
def test_one_model_with_any_cells_in_the_likelihood(
    table: tuple[int, np.ndarray], seeded: tuple[int, float] | None, data: Any
) -> None:
    """A supposed dark figure in the cell of nobody, as a profile has it, and cells left out, as off a face."""
    n_lists, counts = table
    terms = terms_of(
        HierarchicalModel.from_term_set(data.draw(st.sampled_from(SPACES[n_lists].tolist())), n_lists)
    )
    counts[0] = data.draw(st.sampled_from([0.0, 1e-6, 0.3, 40.0, 1e6]))
    use = np.array(data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts))))
    use |= (counts > 0) & (np.arange(len(counts)) > 0)
    given_cells = counts, use, terms, n_lists, offset_of(seeded, len(counts))
    one, other = plain.fit_one(*given_cells), lattice.fit_one(*given_cells)
    active, live = plain.live_part(plain.superset_sums(np.where(use, counts, 0.0), n_lists), terms)
    attained = bool(lattice.independent_terms(np.flatnonzero(use & (counts > 0)), terms[active]).all())
    if attained and counts.sum() <= MANY_PERSONS:
        assert (one.converged, one.iterations) == (other.converged, other.iterations)
    assume(one.converged and other.converged)
    assert (
        np.isneginf(one.parameters).tolist() == np.isneginf(other.parameters).tolist() == (~active).tolist()
    )
    assert not one.means[~live].any()
    agree(one.means[1:], other.means[1:], counts, attained, floor=True)
    agree(one.deviance, other.deviance, counts, attained, floor=True)


@judged(60)
@given(counts_by_history(), offsets, st.data())
def test_one_model_on_many_counts_by_history(
    table: tuple[int, np.ndarray], seeded: tuple[int, float] | None, data: Any
) -> None:
    n_lists, counts = table
    term_set = data.draw(st.sampled_from(SPACES[n_lists].tolist()))
    terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
    drawn = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    resampled = drawn.multinomial(int(counts.sum()), counts / counts.sum(), size=20).astype(np.float64)
    resampled[:, 0] = 5.0  # not used
    given_tables = resampled, terms, n_lists, offset_of(seeded, len(counts))
    agree(
        plain.refit_deviances(*given_tables),
        lattice.refit_deviances(*given_tables),
        counts,
        attained=False,  # resamples have empty cells that the table has not
        floor=True,
    )


@judged(200)
@given(counts_by_history())
def test_ranks_are_the_same_to_the_last_one(table: tuple[int, np.ndarray]) -> None:
    n_lists, counts = table
    margins = plain.superset_sums(counts, n_lists)
    assert margins.tolist() == lattice.superset_sums(counts, n_lists).tolist()
    sets = SPACES[n_lists]
    rank_, identified = plain.ranks_of_people(counts, margins, sets)
    compiled = lattice.ranks_of_people(counts, margins, sets)
    assert (rank_.tolist(), identified.tolist()) == (compiled[0].tolist(), compiled[1].tolist())


@judged(200)
@given(st.data(), st.integers(2, 5))
def test_pivots_are_the_same_to_the_last_one(data: Any, n_lists: int) -> None:
    histories = st.integers(0, (1 << n_lists) - 1)
    cells = np.array(data.draw(st.lists(histories, max_size=20)), dtype=np.int64)
    terms = np.array(data.draw(st.lists(histories, min_size=1, max_size=16)), dtype=np.int64)
    one, other = plain.independent_terms(cells, terms), lattice.independent_terms(cells, terms)
    assert one.tolist() == other.tolist()


def test_a_model_is_judged_alike_alone_and_beside_others() -> None:
    """Beside a model whose terms it lacks, a design must not lose the cells that those terms would use up."""
    counts = np.zeros(16)
    counts[[4, 6, 7, 10, 12, 13, 15]] = 1.0
    margins, sets = plain.superset_sums(counts, 4), SPACES[4]
    rank_, identified = plain.ranks_of_people(counts, margins, sets)
    for m in range(len(sets)):
        alone = plain.ranks_of_people(counts, margins, sets[m : m + 1])
        assert (alone[0][0], alone[1][0]) == (rank_[m], identified[m])


@pytest.mark.parametrize("route", [plain, lattice], ids=["numpy", "compiled"])
@judged(60)
@given(table=counts_by_history(("sparse", "mixed", "full")), data=st.data())
def test_both_routes_give_the_answer_of_statsmodels(
    route: Any, table: tuple[int, np.ndarray], data: Any
) -> None:
    n_lists, counts = table
    term_set = data.draw(st.sampled_from(SPACES[n_lists].tolist()))
    sets = np.array([term_set], dtype=np.uint64)
    assume(faces_of_batch(counts, sets, n_lists).status[0] == "ok")
    terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
    n0, deviance = statsmodels_dark_figure(counts, terms)
    fit, n = route.fit_batch(counts, sets, n_lists), counts.sum()
    assert n + fit.n0[0] == pytest.approx(n + n0, rel=1e-7)
    assert fit.deviance[0] == pytest.approx(deviance, rel=1e-7, abs=1e-7)
