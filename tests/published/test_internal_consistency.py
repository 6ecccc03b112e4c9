"""The internal consistency table of Binette & Steorts (2022): known sizes of lists, estimated from the other lists.

Five tables, four estimators; printed are mean, standard deviation (divisor n - 1), root mean square and median of the
log relative bias, and the coverage. Which lists are behind each row is not printed and follows from the numbers:

- lists of which at least 30 persons are on another list, without list K of the Netherlands (49 persons, nobody of them
  on two other lists, where independence is unbounded and the others are far off). These are ten lists. With K none of
  the rows comes out.
- for independence eight of the ten: LA of the United Kingdom and R of the Netherlands are missing. They are the two
  in whose reduced tables another list is empty, where the program had no profile interval. Of all ways to leave out up
  to three lists, this one alone gives the four numbers printed.
- dga on a grid of 1,000 dark figures up to 30 times the observed, empty lists counted among the lists.

Ours differ where the estimator does: decomposable averaging over all dark figures and without empty lists has a root
mean square of .62 in place of .60, and independence with all ten lists .59 in place of .55.
"""

import itertools
import math
from functools import cache

import pandas as pd
import pytest
from tests.golden.internal_consistency.their_grid import TheirGrid

from hiddenpop import Bootstrapped, DecomposableAveraging, LatentClass, LogLinear, SelectedLogLinear, datasets
from hiddenpop.sensitivity.internal_consistency import InternalConsistency, consistency_summary

TABLES = ("uk_5", "netherlands_5", "new_orleans_5_185", "western_us", "australia")
LEFT_OUT = "K"
WITH_AN_EMPTY_LIST = ["LA", "R"]

pytestmark = pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")


@cache
def rows(estimator) -> pd.DataFrame:
    found = [InternalConsistency().run(estimator, datasets.load(name), rng=20220185).table for name in TABLES]
    every = pd.concat([table[table["status"] != "refused"] for table in found], ignore_index=True)
    return every[every["list"] != LEFT_OUT]


def row(frame: pd.DataFrame) -> list[float]:
    figures = consistency_summary([frame])
    return [figures[name] for name in ("mean", "sd", "rmse", "median", "coverage")]


def printed(*figures: float) -> list[object]:
    return [pytest.approx(figure, abs=0.005001) for figure in figures]


def test_the_ten_lists():
    assert rows(LogLinear())["list"].tolist() == ["LA", "NG", "PFNCA", "GO", "IO", "P", "R", "Z", "B", "C"]


def test_decomposable_graphs_on_their_grid():
    assert row(rows(TheirGrid())) == printed(-0.34, 0.52, 0.60, -0.22, 0.80)


def test_decomposable_graphs_with_every_dark_figure():
    assert row(rows(DecomposableAveraging(n_draws=0))) == printed(-0.33, 0.55, 0.62, -0.22, 0.80)


def test_independence():
    found = rows(LogLinear())
    assert row(found[~found["list"].isin(WITH_AN_EMPTY_LIST)]) == printed(-0.29, 0.50, 0.55, -0.28, 0.875)
    assert row(found) == printed(-0.29, 0.54, 0.59, -0.28, 0.90)


def test_no_other_choice_of_lists_gives_the_row_of_independence():
    found = rows(LogLinear())
    fits = []
    for n_out in range(4):
        for out in itertools.combinations(found["list"], n_out):
            if row(found[~found["list"].isin(out)])[:4] == printed(-0.29, 0.50, 0.55, -0.28):
                fits.append(list(out))
    assert fits == [WITH_AN_EMPTY_LIST]


def test_stepwise_by_p_value():
    assert row(rows(SelectedLogLinear(search="stepwise_p")))[:4] == printed(-0.17, 0.64, 0.63, -0.15)


@pytest.mark.slow
def test_stepwise_by_p_value_with_bca_limits():
    found = rows(
        Bootstrapped(
            base=SelectedLogLinear(search="stepwise_p"), n_boot=2000, scheme="multinomial", interval="bca"
        )
    )
    assert row(found) == printed(-0.17, 0.64, 0.63, -0.15, 0.90)


@pytest.mark.slow
def test_latent_classes():
    # Medians of N move by about 2 % between runs, and the printed ones come from other chains. An upper limit this
    # close to the known size falls on either side of it: those of NG and IO, in most runs.
    found = rows(LatentClass(n_draws=1000))
    assert row(found)[:4] == pytest.approx([-0.52, 0.52, 0.72, -0.50], abs=0.02)
    undecided = (found["high"] / found["known"]).map(math.log).abs() < 0.05
    sure = int((found["covered"].astype(bool) & ~undecided).sum())
    assert undecided.sum() <= 2
    assert sure <= 6 <= sure + undecided.sum()


def test_the_row_would_not_come_out_with_the_wrong_known_size():
    # Known sizes taken from what the others see: every estimate would be far too large.
    found = rows(SelectedLogLinear(search="stepwise_p"))
    wrong = (found["n_hat"] / found["observed_by_others"]).map(math.log).mean()
    assert wrong > 1.0
