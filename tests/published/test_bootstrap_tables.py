"""Tables 2 to 6 of Silverman, Chan & Vincent (2024), Statistics and Computing 34:44: intervals that redo the selection.

Their limits come from one bootstrap of 1,000 resamples, so they differ from ours by Monte Carlo error, and so do two
bootstraps of ours. The tolerance is taken from that: twenty bootstraps of 1,000 resamples are made, each limit is
given its place in the distribution of all 20,000 draws, where it is nearly normal whatever the lumps, and a printed
limit must lie within four standard deviations of the places of the twenty.

Not reproduced: the rankings of "degree 2" in Table 5, whose neighbourhoods are not defined in what is printed. For
Kosovo with the five best models two 95 % intervals are printed, [8500, 17000] in Table 2 and [7900, 17400] in Table 5.
Ours is about [8080, 17480]; the first lower limit is 2.7 standard deviations off, the second within one.
Resamples in which a model has no maximum count as unknown, or, with "finite", as unbounded. With the best model
only, Korea has 1.5 % of the first kind, which moves its upper limit to about 307 (281 with "finite", 267 with whatever
number an unchecked fit ends at). The 248 printed is nearest to the last, but does not tell the readings apart: it is
2.6 and 2.2 standard deviations from the first two.
"""

from functools import cache

import numpy as np
import pytest

from hiddenpop import Bootstrapped, HierarchicalModel, SelectedLogLinear, datasets
from hiddenpop.estimators.resampled import RefitBlock, refit
from hiddenpop.kernels.resampling.bootstrap_limits import bootstrap_limits
from hiddenpop.kernels.resampling.counts import draw_multinomial

BOOTSTRAPS, SIZE = 20, 1000
DEVIATIONS = 4.0
SEED = 20240344


@cache
def original(name, max_order=None, admissible="exists", search="exhaustive"):
    base = SelectedLogLinear(search=search, admissible=admissible, max_order=max_order)
    return base, base.fit(datasets.load(name))


def top_models(name, n_top, max_order=None, admissible="exists"):
    _, estimate = original(name, max_order, admissible)
    allowed = estimate.details["selection"].query("admissible")["model"].head(n_top)
    n_lists = len(estimate.table.lists)
    return tuple(HierarchicalModel.parse(model, n_lists=n_lists).term_set for model in allowed)


def draws_of(
    name, n_top=None, max_order=None, admissible="exists", search="exhaustive", bootstraps=BOOTSTRAPS
):
    """Estimates of all resamples, those without one person of each history, and the models chosen."""
    return _draws_of(name, n_top, max_order, admissible, search, bootstraps)


@cache
def _draws_of(name, n_top, max_order, admissible, search, bootstraps):
    base, _ = original(name, max_order, admissible, search)
    table = datasets.load(name)
    models = () if n_top is None else top_models(name, n_top, max_order, admissible)
    counts = draw_multinomial(table.counts, bootstraps * SIZE, np.random.default_rng(SEED))
    without_one = table.counts - np.eye(len(table.counts), dtype=np.int64)
    drawn = refit(RefitBlock(base, table, counts, models))
    return drawn.n_hat, refit(RefitBlock(base, table, without_one, models)).n_hat, drawn.models


def limits_of(name, level, **settings):
    """Limits of each of the bootstraps, one row a bootstrap."""
    draws, jackknife, _ = draws_of(name, **settings)
    kept = {key: value for key, value in settings.items() if key not in ("n_top", "bootstraps")}
    _, estimate = original(name, **kept)
    found = [
        bootstrap_limits(
            block,
            estimate.n_hat,
            estimate.n_observed,
            level=level,
            method="bca",
            jackknife=jackknife,
            jackknife_weights=datasets.load(name).counts,
        )
        for block in draws.reshape(-1, SIZE)
    ]
    return np.array([(limits.low, limits.high) for limits in found])


def deviations(printed, rounding, name, level, **settings):
    """How many Monte Carlo standard deviations each printed limit is from ours; 0 within its rounding."""
    draws = draws_of(name, **settings)[0]
    ordered = np.sort(np.where(np.isnan(draws), np.inf, draws))
    found = []
    for limit, ours in zip(printed, limits_of(name, level, **settings).T, strict=True):
        places = np.searchsorted(ordered, ours, side="right") / len(ordered)
        low, high = np.searchsorted(ordered, [limit - rounding, limit + rounding]) / len(ordered)
        outside = max(low - places.mean(), places.mean() - high, 0.0)
        found.append(outside / max(float(places.std(ddof=1)), 1.0 / len(ordered)))
    return found


def assert_within_error(printed, rounding, name, level, **settings):
    assert max(deviations(printed, rounding, name, level, **settings)) < DEVIATIONS


KOSOVO = [
    (1, 0.8, (9500, 11300)),
    (1, 0.95, (9100, 12000)),
    (5, 0.8, (8500, 11500)),
    (5, 0.95, (8500, 17000)),  # as in Table 2
    (5, 0.95, (7900, 17400)),  # as in Table 5
    (10, 0.8, (7400, 12200)),
    (10, 0.95, (6900, 18000)),
    pytest.param(None, 0.8, (7400, 12200), marks=pytest.mark.slow),
    pytest.param(None, 0.95, (6900, 18000), marks=pytest.mark.slow),
]
KOREA = [
    (1, 0.8, (136, 198)),
    (2, 0.8, (135, 286)),
    (2, 0.95, (130, 348)),
    (None, 0.8, (135, 288)),
    (None, 0.95, (128, 349)),
]


@pytest.mark.parametrize(("n_top", "level", "printed"), KOSOVO)
def test_tables_2_and_5_kosovo(n_top, level, printed):
    assert_within_error(printed, 50, "kosovo", level, n_top=n_top)


@pytest.mark.parametrize(("n_top", "level", "printed"), KOREA)
def test_table_3_korea(n_top, level, printed):
    assert_within_error(printed, 0.5, "korea", level, n_top=n_top)


@pytest.mark.parametrize(("level", "printed"), [(0.8, (136, 198)), (0.95, (131, 248))])
def test_table_3_korea_with_the_best_model_only_where_unbounded_resamples_are_infinite(level, printed):
    assert_within_error(printed, 0.5, "korea", level, n_top=1, admissible="finite")


def test_the_tolerance_tells_the_restricted_bootstraps_apart():
    # Limits for the best model only are far outside the error of the choice among ten, and the other way round.
    assert max(deviations((9100, 12000), 50, "kosovo", 0.95, n_top=10)) > 5 * DEVIATIONS
    assert max(deviations((6900, 18000), 50, "kosovo", 0.95, n_top=1)) > DEVIATIONS
    assert max(deviations((131, 248), 0.5, "korea", 0.95, n_top=2)) > DEVIATIONS


def test_one_bootstrap_of_the_estimator_is_like_any_of_the_twenty():
    base, _ = original("kosovo")
    found = (
        Bootstrapped(base=base, n_top=10, scheme="multinomial", interval="bca")
        .fit(datasets.load("kosovo"), rng=5)
        .interval
    )
    assert max(deviations((found.low, found.high), 0.0, "kosovo", 0.95, n_top=10)) < DEVIATIONS
    ours = limits_of("kosovo", 0.95, n_top=10)
    assert (found.low, found.high) == pytest.approx(np.median(ours, axis=0), rel=0.05)


# --- Table 4: how often the best model of a resample is among the best of the original fit ---------------------------

WITHIN = (1, 5, 10, 50, 100)
TABLE_4 = [
    ("kosovo", None, (375, 929, 997, 1000, 1000)),
    ("uk_5", 2, (216, 583, 739, 930, 954)),
    ("uk_5", None, (156, 622, 732, 898, 943)),
    ("new_orleans_5_186", 2, (357, 622, 698, 915, 958)),
    ("new_orleans_5_186", None, (357, 621, 697, 913, 956)),
]


def assert_shares_are_those_printed(name, max_order, printed, bootstraps):
    models = draws_of(name, max_order=max_order, bootstraps=bootstraps)[2]
    ranked = original(name, max_order)[1].details["selection"].query("admissible")["model"].tolist()
    for k, times in zip(WITHIN, printed, strict=True):
        share = np.isin(models, ranked[:k]).mean()
        # Binomial error of theirs and of ours; the last terms are for a share at 0 or 1, and for rounding.
        error = np.sqrt(share * (1 - share) * (1 / SIZE + 1 / len(models)))
        assert times / SIZE == pytest.approx(share, abs=DEVIATIONS * error + 0.002)


@pytest.mark.slow
def test_table_4_kosovo():
    assert_shares_are_those_printed(*TABLE_4[0], bootstraps=BOOTSTRAPS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "max_order", "printed"), TABLE_4[1:])
def test_table_4_five_lists(name, max_order, printed):
    assert_shares_are_those_printed(name, max_order, printed, bootstraps=BOOTSTRAPS)


# --- Table 6: every model, and the descent ----------------------------------------------------------------------------


@pytest.mark.slow
def test_table_6_estimates_of_every_model_and_of_the_descent():
    found = {
        (name, max_order, search): round(original(name, max_order, search=search)[1].n_hat)
        for name, max_order, search, *_ in (*EVERY_MODEL, *DESCENT)
    }
    assert found == {
        (name, order, search): n_hat for name, order, search, n_hat, _ in (*EVERY_MODEL, *DESCENT)
    }


EVERY_MODEL = [
    ("uk_5", None, "exhaustive", 25311, (11168, 56052)),
    ("uk_5", 2, "exhaustive", 22991, (11456, 43894)),
    ("new_orleans_5_186", None, "exhaustive", 981, (397, 1511)),
    ("new_orleans_5_186", 2, "exhaustive", 981, (397, 1505)),
    ("kosovo", None, "exhaustive", 10357, (6947, 18010)),
    ("kosovo", 2, "exhaustive", 14342, (12451, 16273)),
    ("korea", None, "exhaustive", 157, (128, 349)),
]
DESCENT = [
    ("uk_5", None, "downhill", 12262, (9330, 32115)),
    ("uk_5", 2, "downhill", 12262, (9332, 28954)),
    ("uk", 2, "downhill", 12350, (9643, 25508)),
    ("new_orleans_5_186", None, "downhill", 981, (397, 1564)),
    ("new_orleans_5_186", 2, "downhill", 981, (397, 1564)),
    ("new_orleans_186", 2, "downhill", 1110, (586, 1512)),
    ("kosovo", None, "downhill", 10357, (7133, 18681)),
    ("kosovo", 2, "downhill", 14342, (12525, 16477)),
    ("korea", None, "downhill", 157, (128, 349)),
]


@pytest.mark.parametrize(("name", "max_order", "search", "n_hat", "printed"), [EVERY_MODEL[6]])
def test_table_6_every_model_of_three_lists(name, max_order, search, n_hat, printed):
    assert_within_error(printed, 0.5, name, 0.95, max_order=max_order, search=search)


@pytest.mark.slow
def test_table_6_every_model_of_four_lists():
    assert_within_error((6947, 18010), 0.5, "kosovo", 0.95)
    assert_within_error((12451, 16273), 0.5, "kosovo", 0.95, max_order=2)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "max_order", "search", "n_hat", "printed"), EVERY_MODEL[:4])
def test_table_6_every_model_of_five_lists(name, max_order, search, n_hat, printed):
    # The published bootstraps choose among the hundred best models of the original fit.
    assert_within_error(printed, 0.5, name, 0.95, n_top=100, max_order=max_order, search=search)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "max_order", "search", "n_hat", "printed"), DESCENT)
def test_table_6_descent(name, max_order, search, n_hat, printed):
    # Fitted one by one, so four bootstraps: their spread, with three degrees of freedom, is worth less.
    ours = limits_of(name, 0.95, max_order=max_order, search=search, bootstraps=4)
    found = deviations(printed, 0.5, name, 0.95, max_order=max_order, search=search, bootstraps=4)
    assert ours.shape == (4, 2)
    assert max(found) < 3 * DEVIATIONS
