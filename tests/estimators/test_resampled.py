"""The compiled refits of many resamples against `fit`, one resample at a time."""

import dataclasses
import math
import warnings
from typing import ClassVar

import numpy as np
import pytest
from tests.contract.cases import quietly, split_into_strata
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop import AveragedLogLinear, LogLinear, SelectedLogLinear
from hiddenpop.errors import CapabilityError, HiddenpopWarning
from hiddenpop.estimators.resampled import RefitBlock, join_resamples, refit
from hiddenpop.kernels.resampling.counts import draw_multinomial, draw_semiparametric


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The same estimator under a name that has no compiled route."""

    name: ClassVar[str] = "tests.estimators.test_resampled:Plain"
    inner: object

    def fit(self, table, *, rng=None):
        return self.inner.fit(table, rng=rng)


def both_routes(table, base, size, seed=1):
    counts = draw_multinomial(table.counts, size, np.random.default_rng(seed))
    return refit(RefitBlock(base, table, counts)), refit(RefitBlock(Plain(inner=base), table, counts))


def assert_same(table, base, size, seed=1):
    quick, slow = both_routes(table, base, size, seed)
    assert quick.n_boundary == slow.n_boundary
    assert quick.n_hat == pytest.approx(slow.n_hat, rel=1e-6, nan_ok=True)
    assert len(quick.models) == len(slow.models) == size
    return quick, slow


MODELS = {"kosovo": "[123,14,34]", "korea": "[12,23]", "artificial_3": "[12,3]", "australia": "[12,234]"}


@pytest.mark.parametrize("name", MODELS)
def test_one_model(name):
    table = hp.datasets.load(name)
    for model in ("independence", "all-pairs", MODELS[name]):
        quick, slow = assert_same(table, LogLinear(model=model), 25)
        assert quick.models == slow.models


@pytest.mark.parametrize("admissible", ["finite", "exists"])
@pytest.mark.parametrize("search", ["exact", "exhaustive"])
@pytest.mark.parametrize("name", MODELS)
def test_the_choice_of_model(name, search, admissible):
    base = SelectedLogLinear(search=search, admissible=admissible)
    quick, slow = assert_same(hp.datasets.load(name), base, 2 if name == "australia" else 6)
    assert quick.models == slow.models


@pytest.mark.parametrize("criterion", ["aic", "aicc"])
@pytest.mark.parametrize("name", ["korea", "kosovo"])
def test_the_choice_of_model_by_other_criteria(name, criterion):
    quick, slow = assert_same(hp.datasets.load(name), SelectedLogLinear(criterion=criterion), 15)
    assert quick.models == slow.models


@pytest.mark.parametrize(("search", "max_order"), [("exact", 2), ("exhaustive", 2), ("exact", 1)])
def test_a_limit_on_the_order(search, max_order):
    base = SelectedLogLinear(search=search, max_order=max_order)
    quick, slow = assert_same(hp.datasets.load("kosovo"), base, 15)
    assert quick.models == slow.models


def test_five_lists():
    quick, slow = assert_same(hp.datasets.load("uk_5"), SelectedLogLinear(search="exhaustive"), 1)
    assert quick.models == slow.models


@pytest.mark.slow
@pytest.mark.parametrize("admissible", ["finite", "exists"])
@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc"])
@pytest.mark.parametrize("name", [*MODELS, "rome_hiv", "uk_4", "uk_5", "western_us"])
def test_many_resamples(name, criterion, admissible):
    base = SelectedLogLinear(criterion=criterion, admissible=admissible)
    assert_same(hp.datasets.load(name), base, 20 if name in ("uk_5", "western_us") else 100, seed=4)


RARE = [0, 41, 30, 6, 20, 11, 8, 3, 1, *(0,) * 7]
TINY = [0, 4, 3, 1, 2, 0, 1, 0]


@pytest.mark.parametrize(
    "base",
    [
        LogLinear(),
        LogLinear(model="[12,34]"),
        SelectedLogLinear(),
        SelectedLogLinear(search="exact", admissible="exists"),
        SelectedLogLinear(criterion="aic"),
        SelectedLogLinear(criterion="aicc"),
    ],
)
def test_a_list_that_is_empty_in_a_resample(base):
    table = table_of(RARE)
    counts = draw_multinomial(table.counts, 40, np.random.default_rng(1))
    assert (counts[:, table.histories & 8 > 0].sum(axis=1) == 0).any()
    assert_same(table, base, 12)


@pytest.mark.parametrize("cells", [TINY, [0, 30, 2, 1], [0, 5, 4, 1], [0, 9, 0, 1, 0, 0, 0, 3]])
@pytest.mark.parametrize("base", [LogLinear(), SelectedLogLinear(), SelectedLogLinear(admissible="exists")])
def test_resamples_of_very_small_tables_have_the_same_number_or_the_same_lack_of_one(base, cells):
    assert_same(table_of(cells), base, 15)


def test_small_tables_hold_every_kind_of_answer():
    found = np.concatenate([refit_of([0, 30, 2, 1], LogLinear()), refit_of([0, 5, 4, 1], LogLinear())])
    assert np.isposinf(found).any()
    assert np.isnan(found).any()
    assert np.isfinite(found).any()


def refit_of(cells, base):
    table = table_of(cells)
    return refit(RefitBlock(base, table, draw_multinomial(table.counts, 60, np.random.default_rng(2)))).n_hat


def test_a_table_with_strata():
    table = split_into_strata(hp.datasets.load("korea"), np.random.default_rng(6))
    for base in (LogLinear(), SelectedLogLinear()):
        assert_same(table, base, 15)


def test_a_table_with_a_list_that_caught_nobody():
    cells = hp.datasets.load("korea").to_dense()
    wider, plain = table_of([*cells, *(0,) * 8]), table_of(cells)
    counts = draw_multinomial(plain.counts, 30, np.random.default_rng(3))
    assert wider.empty_lists
    for base in (LogLinear(), SelectedLogLinear()):
        found = refit(RefitBlock(base, wider, counts))
        assert found.n_hat == pytest.approx(refit(RefitBlock(base, plain, counts)).n_hat, rel=1e-9)


@pytest.mark.parametrize(
    "base",
    [
        SelectedLogLinear(count="rank", search="exhaustive"),
        SelectedLogLinear(search="downhill"),
        AveragedLogLinear(),
    ],
)
def test_an_estimator_without_a_compiled_route_is_fitted_one_by_one(base):
    table = hp.datasets.load("korea")
    counts = draw_multinomial(table.counts, 4, np.random.default_rng(5))
    wanted = [quietly(base.fit, dataclasses.replace(table, counts=row)) for row in counts]
    found = refit(RefitBlock(base, table, counts))
    assert found.n_hat.tolist() == [estimate.n_hat for estimate in wanted]
    assert found.models == tuple(str(estimate.details.get("model", "")) for estimate in wanted)


def test_a_resample_that_the_estimator_cannot_treat_has_no_number():
    table = table_of([0, 5, 4, 1])
    counts = np.array([[5, 4, 1], [10, 0, 0]])
    found = refit(RefitBlock(Plain(inner=LogLinear()), table, counts))
    assert math.isfinite(found.n_hat[0])
    assert math.isnan(found.n_hat[1])
    assert found.models == ("[1,2]", "")


def test_any_other_fault_of_an_estimator_is_not_swallowed():
    with pytest.raises(ZeroDivisionError, match="division"):
        refit(RefitBlock(Faulty(), table_of([0, 5, 4, 1]), np.array([[5, 4, 1]])))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """An estimator with a mistake in it."""

    name: ClassVar[str] = "tests.estimators.test_resampled:Faulty"

    def fit(self, table, *, rng=None):
        return 1 // (table.n_observed - table.n_observed)


def test_a_restricted_choice_is_the_best_of_the_list():
    table = hp.datasets.load("kosovo")
    counts = draw_multinomial(table.counts, 60, np.random.default_rng(9))
    base = SelectedLogLinear()
    models = tuple(hp.HierarchicalModel.parse(m, n_lists=4).term_set for m in ("[123,14,34]", "[134,12,23]"))
    found = refit(RefitBlock(base, table, counts, models))
    alone = {
        m: refit(RefitBlock(LogLinear(model=m), table, counts)).n_hat for m in ("[123,14,34]", "[134,12,23]")
    }
    assert set(found.models) == set(alone)
    assert found.n_hat == pytest.approx([alone[m][row] for row, m in enumerate(found.models)], rel=1e-9)


def test_refits_are_silent_about_each_resample_but_not_about_anything_else():
    table = table_of(RARE)
    counts = draw_multinomial(table.counts, 20, np.random.default_rng(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", HiddenpopWarning)
        assert len(refit(RefitBlock(Plain(inner=LogLinear()), table, counts)).n_hat) == 20


def test_a_table_that_no_list_estimator_can_treat_is_refused_before_any_resample():
    table = hp.datasets.load("scottish_pwid")
    with pytest.raises(CapabilityError, match="only an upper bound"):
        refit(RefitBlock(LogLinear(), table, np.array([table.counts])))


def test_estimators_that_draw_get_a_generator_of_their_own():
    table = table_of([0, 5, 4, 1])
    counts = np.array([[5, 4, 1], [5, 4, 1]])
    rngs = tuple(np.random.default_rng(3).spawn(2))
    found = refit(RefitBlock(Lottery(), table, counts, (), rngs))
    assert found.n_hat[0] != found.n_hat[1]
    again = refit(RefitBlock(Lottery(), table, counts, (), tuple(np.random.default_rng(3).spawn(2))))
    assert again.n_hat.tolist() == found.n_hat.tolist()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lottery:
    """An estimator that answers with a random number."""

    name: ClassVar[str] = "tests.estimators.test_resampled:Lottery"

    def fit(self, table, *, rng=None):
        fitted = LogLinear().fit(table)
        return dataclasses.replace(fitted, n_hat=10.0 + float(rng.random()))


NUMBERED = [
    LogLinear(),
    LogLinear(model="[12,3]"),
    SelectedLogLinear(),
    SelectedLogLinear(search="exact", criterion="aic"),
    SelectedLogLinear(search="stepwise_p"),
    SelectedLogLinear(search="downhill", admissible="exists"),
]


@pytest.mark.parametrize("base", NUMBERED, ids=repr)
@pytest.mark.parametrize(
    "cells",
    [
        (0, 41, 30, 6, 20, 1, 3, 0),
        (0, 10, 20, 0, 15, 0, 0, 0),
        (0, 0, 0, 0, 0, 0, 0, 50),
        (0, 1, 0, 0, 0, 0, 1, 0),
    ],
    ids=["sparse", "unbounded", "boundary", "nearly nothing"],
)
def test_the_number_alone_is_that_of_the_whole_fit(base, cells):
    table = table_of(cells)
    n_hat, _ = quietly(base.number, table)
    whole = quietly(base.fit, table)
    assert n_hat == pytest.approx(whole.n_hat, rel=1e-12, nan_ok=True)


def test_one_person_beside_million_millions_is_not_lost_in_a_compiled_fit():
    big = 10**12
    table = table_of((0, big, big, 1))
    resamples = np.array([[big, big + 1, 0], [big, big, 1], [big, big - 1, 2]])
    found = quietly(refit, RefitBlock(LogLinear(), table, resamples)).n_hat
    assert found[0] == math.inf
    np.testing.assert_allclose(found[1:], [1e24, 5e23], rtol=1e-9)


def test_counts_that_are_not_whole_are_fitted_or_have_no_number():
    """A compiled loop fits them; an estimator without one would cut them to whole numbers, so it gives none."""
    table = hp.datasets.load("kosovo")
    halves = table.counts[None] + 0.5
    fitted = refit(RefitBlock(hp.LogLinear(), table, halves)).n_hat[0]
    whole = [refit(RefitBlock(hp.LogLinear(), table, table.counts[None] + k)).n_hat[0] for k in (0, 1)]
    assert min(whole) < fitted < max(whole)
    assert np.isnan(refit(RefitBlock(hp.ChaoLowerBound(), table, halves)).n_hat[0])


@pytest.mark.parametrize("base", [LogLinear(), AveragedLogLinear(), hp.Chapman()])
def test_resamples_with_nobody_hidden_are_counted(base):
    table = table_of([0, 40, 1, 20])
    counts = np.array([[40, 0, 21], [40, 1, 20], [40, 0, 20], [40, 2, 19]])
    found = refit(RefitBlock(base, table, counts))
    assert found.n_boundary == 2
    assert (found.n_hat == counts.sum(axis=1)).tolist() == [True, False, True, False]


def test_blocks_joined_are_one_block():
    table = table_of([0, 40, 1, 20])
    counts = draw_semiparametric(table.counts, 63.0, 40, np.random.default_rng(3))
    whole = refit(RefitBlock(LogLinear(), table, counts))
    joined = join_resamples(
        [refit(RefitBlock(LogLinear(), table, counts[cut])) for cut in (slice(25), slice(25, 40))]
    )
    assert joined.n_hat.tobytes() == whole.n_hat.tobytes()
    assert (joined.models, joined.n_boundary) == (whole.models, whole.n_boundary)
    assert 0 < joined.n_boundary < 40
    assert join_resamples([]).n_hat.shape == (0,)
