"""The judge of a fitted model, the room for models found, and the end of a search."""

import io

import numpy as np
import pytest
from tests.support.full_search import FullSearch, space, terms_array
from tests.support.plain import dense_counts

import hiddenpop as hp
from hiddenpop.kernels.poisson.faces import face_of_model
from hiddenpop.kernels.poisson.lattice import fit_one, superset_sums
from hiddenpop.kernels.search import bound
from hiddenpop.kernels.search.best_models import NO_LIMIT, TIE, best_models, penalties
from hiddenpop.kernels.search.bound import (
    ADMISSIBLE,
    BEST,
    DOUBTFUL,
    FITS,
    FOUND,
    INADMISSIBLE,
    LOST,
    PROVEN,
    Problem,
    compact,
    from_words,
    judge,
    n_words,
    new_catch,
    run_search,
    to_words,
)
from hiddenpop.parallel import parallel


def problem_of(counts, n_lists, **changes):
    use = np.ones(len(counts), dtype=bool)
    use[0] = False
    whole = Problem(
        counts,
        superset_sums(counts, n_lists),
        use,
        n_lists,
        np.zeros(len(counts)),
        penalties("bic", len(counts), float(counts.sum())),
        False,
        TIE,
        NO_LIMIT,
        np.zeros((0, n_words(n_lists)), dtype=np.uint64),
        True,
    )
    return whole._replace(**changes)


def verdict(counts, n_lists, term_set, *, exists, means=None):
    problem = problem_of(counts, n_lists, exists=exists)
    terms = terms_array(term_set)
    fit = fit_one(counts, problem.use, terms, n_lists)
    live = np.array(
        [not any(w & t == t and problem.margins[t] == 0 for t in terms) for w in range(len(counts))]
    )
    return judge(
        problem.counts, problem.margins, problem.exists, terms, fit.means if means is None else means, live
    )


def by_linear_programme(counts, n_lists, term_set, exists):
    face = face_of_model(counts, terms_array(term_set), n_lists)
    return face.exists if exists else face.status == "ok"


@pytest.mark.parametrize("exists", [True, False], ids=["exists", "finite"])
@pytest.mark.parametrize("name", ["korea", "artificial_3", "kosovo", "australia", "rome_hiv", "uk_4"])
def test_the_judge_agrees_with_linear_programming_wherever_it_is_sure(name, exists):
    counts = dense_counts(hp.datasets.load(name))
    n_lists = len(counts).bit_length() - 1
    sure = 0
    for term_set in space(n_lists):
        code = verdict(counts, n_lists, int(term_set), exists=exists)
        if code != DOUBTFUL:
            sure += 1
            assert (code == ADMISSIBLE) is by_linear_programme(counts, n_lists, int(term_set), exists)
    assert sure > 0.9 * len(space(n_lists))


def test_every_verdict_occurs():
    counts = dense_counts(hp.datasets.load("australia"))
    found = {verdict(counts, 4, int(s), exists=True) for s in space(4)}
    assert found >= {ADMISSIBLE, INADMISSIBLE}


def test_means_between_surely_off_and_surely_on_the_face_are_doubtful():
    counts = dense_counts(hp.datasets.load("korea"))
    term_set = 0b1111111  # every pair: with an empty cell its maximum lies on a face
    empty = [w for w in range(1, 8) if counts[w] == 0]
    assert empty
    means = counts.copy()
    for value, wanted in [(1e-9, INADMISSIBLE), (1e-7, DOUBTFUL), (5e-6, DOUBTFUL)]:
        means[empty] = value
        assert verdict(counts, 3, term_set, exists=True, means=means) == wanted


def searched(counts, n_lists, capacity=1 << 12, **changes):
    largest = sum(1 << t for t in range(1 << n_lists) if t.bit_count() < n_lists)
    smallest = sum(1 << t for t in range(1 << n_lists) if t.bit_count() <= 1)
    catch = new_catch(capacity, n_words(n_lists))
    problem = problem_of(counts, n_lists, **changes)
    run_search(problem, to_words(smallest, n_lists), to_words(largest, n_lists), catch)
    return catch


def kept(catch):
    return {from_words(words) for words in catch.sets[: catch.tally[FOUND]]}


def test_an_excluded_model_is_inadmissible_and_no_longer_narrows_the_window():
    counts = dense_counts(hp.datasets.load("kosovo"))
    full = FullSearch(counts, 4)
    first, second = (int(s) for s in full.term_sets[:2])
    plain = searched(counts, 4)
    assert kept(plain) == {first}
    without = searched(counts, 4, excluded=np.array([to_words(first, 4)]))
    assert kept(without) == {first, second}
    codes = dict(zip((from_words(w) for w in without.sets[:2]), without.codes[:2].tolist(), strict=True))
    assert codes == {first: INADMISSIBLE, second: ADMISSIBLE}
    assert without.state[BEST] == pytest.approx(full.values[1])


def test_inadmissible_models_are_left_out_when_asked():
    counts = dense_counts(hp.datasets.load("western_us"))
    with_them = searched(counts, 5, window=20.0, exists=True, keep_inadmissible=True)
    without = searched(counts, 5, window=20.0, exists=True, keep_inadmissible=False)
    codes = with_them.codes[: with_them.tally[FOUND]]
    assert (codes == INADMISSIBLE).any()
    assert len(kept(without)) == int((codes != INADMISSIBLE).sum())
    assert kept(without) < kept(with_them)


def test_models_that_find_no_room_are_counted():
    counts = dense_counts(hp.datasets.load("uk_5"))
    wide = searched(counts, 5, window=12.0)
    assert wide.tally[LOST] == 0
    narrow = searched(counts, 5, window=12.0, capacity=20)
    assert narrow.tally[FOUND] <= 20
    assert narrow.tally[LOST] > 0
    # What is lost is only models to list: the best value does not hang on the room.
    assert narrow.state[BEST] == wide.state[BEST]


def test_dropping_what_is_out_of_the_window_keeps_the_rest_in_order():
    catch = new_catch(4, 1)
    catch.values[:] = [3.0, 1.0, 9.0, 2.0]
    catch.sets[:, 0] = [3, 1, 9, 2]
    catch.figures[:] = np.array([3.0, 1.0, 9.0, 2.0])[:, None]
    catch.codes[:] = ADMISSIBLE
    catch.state[BEST], catch.tally[FOUND] = 1.0, 4
    compact(catch, 2.5)
    assert catch.tally[FOUND] == 2
    assert catch.values[:2].tolist() == [1.0, 2.0]
    assert catch.sets[:2, 0].tolist() == [1, 2]
    assert catch.figures[:2, 2].tolist() == [1.0, 2.0]


def test_a_finished_search_leaves_nothing_unproven_and_an_unfinished_one_says_how_much():
    counts = dense_counts(hp.datasets.load("uk_5"))
    full = FullSearch(counts, 5)
    assert np.isinf(searched(counts, 5).state[PROVEN])
    cut = searched(counts, 5, max_fits=30)
    assert 30 < cut.tally[FITS] < 100
    assert cut.state[PROVEN] <= full.values[0]


def test_the_smallest_space_is_one_model():
    counts = np.array([0.0, 30, 20, 10])
    catch = searched(counts, 2)
    assert kept(catch) == {0b111}
    assert catch.figures[0, 1] == pytest.approx(60.0)
    assert np.isinf(catch.state[PROVEN])


class Screen(io.StringIO):
    """A terminal that keeps what is written on it."""

    def isatty(self) -> bool:
        return True


def test_a_long_search_shows_how_far_it_is_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = hp.datasets.load("hares").to_dense().astype(float)
    quiet = best_models(counts, 6, max_fits=5_000, window=10.0)
    screen = Screen()
    with monkeypatch.context() as patched, parallel(progress=True):
        patched.setattr("sys.stderr", screen)
        shown = best_models(counts, 6, max_fits=5_000, window=10.0)
    assert "search of models, at most 5,000 fits" in screen.getvalue()
    assert "3/3" in screen.getvalue()
    assert (shown.term_sets, shown.n_fits) == (quiet.term_sets, quiet.n_fits)


def test_a_search_in_stretches_finds_what_one_in_a_single_piece_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = hp.datasets.load("uk").to_dense().astype(float)
    whole = best_models(counts, 6)
    monkeypatch.setattr(bound, "STRETCH", 7)
    pieces = best_models(counts, 6)
    assert (pieces.term_sets, pieces.n_fits, pieces.finished) == (whole.term_sets, whole.n_fits, True)
    cut = best_models(counts, 6, max_fits=100)
    assert not cut.finished
    assert 100 < cut.n_fits < 200
