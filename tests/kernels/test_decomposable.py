import math
from itertools import product

import numpy as np
import pytest
from scipy.special import betaln, gammaln

from hiddenpop.kernels.bayes import decomposable
from hiddenpop.kernels.bayes.count_posterior import graded_grid, modes
from hiddenpop.kernels.bayes.decomposable import find_peaks, posterior_of
from hiddenpop.kernels.bayes.graphs import (
    SizePrior,
    decomposable_graphs,
    digamma_step,
    graph_density,
    log_gamma_ratio,
)

THREE = np.array([0.0, 41.0, 30.0, 6.0, 20.0, 4.0, 3.0, 5.0])
FOUR = np.array([0.0, 90.0, 70.0, 9.0, 120.0, 11.0, 14.0, 3.0, 40.0, 6.0, 2.0, 1.0, 8.0, 2.0, 3.0, 1.0])
RECIPROCAL, UNIFORM = SizePrior(), SizePrior(power=0.0)

# An order of the lists in which each has these earlier neighbours, for every graph on three lists.
PARENTS = {
    "[1,2,3]": {0: (), 1: (), 2: ()},
    "[12,3]": {0: (), 1: (0,), 2: ()},
    "[13,2]": {0: (), 1: (), 2: (0,)},
    "[23,1]": {0: (), 1: (), 2: (1,)},
    "[12,13]": {0: (), 1: (0,), 2: (0,)},
    "[12,23]": {1: (), 0: (1,), 2: (1,)},
    "[13,23]": {2: (), 0: (2,), 1: (2,)},
    "[123]": {0: (), 1: (0,), 2: (0, 1)},
}


def density_of(counts, delta, prior=RECIPROCAL):
    graphs = decomposable_graphs(int(math.log2(len(counts))))
    return graph_density(counts, graphs, delta, prior, np.zeros(len(graphs.links)))


def by_lists_in_turn(counts, n0, delta, parents, n_lists=3):
    """Log probability of a table and its dark figure: each list given its parents is a beta-binomial."""
    full = counts.copy()
    full[0] = n0
    total = gammaln(full.sum() + 1) - gammaln(full + 1).sum()
    cells = np.arange(len(full))
    for child, given in parents.items():
        prior = delta * 2 ** (n_lists - len(given) - 1)
        for pattern in product((0, 1), repeat=len(given)):
            here = np.all([cells >> p & 1 == bit for p, bit in zip(given, pattern, strict=True)], axis=0)
            on = (
                full[here & (cells >> child & 1 == 1)].sum() if given else full[cells >> child & 1 == 1].sum()
            )
            off = (full[here].sum() if given else full.sum()) - on
            total += betaln(prior + on, prior + off) - betaln(prior, prior)
    return total


# --- gamma functions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [0.25, 3.5, 16.9, 17.0, 1e3, 1e7, 1e12, 1e20])
@pytest.mark.parametrize("steps", [1, 2, 7, 300])
def test_a_gamma_ratio_is_a_sum_of_logarithms(x, steps):
    expected = math.fsum(math.log(x + i) for i in range(steps))
    assert float(log_gamma_ratio(x, steps)) == pytest.approx(expected, rel=1e-13, abs=1e-13)
    slope = math.fsum(1.0 / (x + i) for i in range(steps))
    assert float(digamma_step(x, steps)) == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize("x", [2.0, 40.0, 1e6])
def test_a_gamma_ratio_of_a_large_step(x):
    assert float(log_gamma_ratio(x, 5e4)) == pytest.approx(gammaln(x + 5e4) - gammaln(x), rel=1e-12)


# --- the density ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [0.125, 0.7, 2.0])
def test_every_graph_on_three_lists_by_beta_binomials(delta):
    graphs, density = decomposable_graphs(3), density_of(THREE, delta, UNIFORM)
    n0 = np.array([0.0, 1.0, 5.0, 60.0, 4000.0])
    ours = density.log_density(n0)
    theirs = np.array(
        [
            [by_lists_in_turn(THREE, x, delta, PARENTS[graphs.notation(g)]) for x in n0.tolist()]
            for g in range(8)
        ]
    )
    assert len(PARENTS) == len(graphs.links)
    gap = ours - theirs
    assert np.ptp(gap) < 1e-9  # one constant for all graphs and dark figures


def test_two_lists_by_products_of_beta_functions():
    counts, delta = np.array([0.0, 30.0, 20.0, 10.0]), 0.25
    n0 = np.arange(2000.0)
    size = n0 + 60.0
    coefficient = gammaln(size + 1) - gammaln(n0 + 1)
    apart = betaln(2 * delta + 40, 2 * delta + size - 40) + betaln(2 * delta + 30, 2 * delta + size - 30)
    apart -= 2 * betaln(2 * delta, 2 * delta)
    linked = gammaln(4 * delta) - 4 * gammaln(delta) - gammaln(size + 4 * delta)
    linked = linked + gammaln(n0 + delta) + gammaln(np.array([30.0, 20.0, 10.0]) + delta).sum()
    joint = np.exp(np.array([apart, linked]) + coefficient - np.log(size) + 200)
    found = posterior_of(density_of(counts, delta), 0, 1999)
    assert found.probabilities == pytest.approx(joint.sum(axis=1) / joint.sum(), rel=1e-10)
    assert found.missing.probability(n0) == pytest.approx(joint.sum(axis=0) / joint.sum(), rel=1e-9)


def test_slopes_are_those_of_the_density():
    density, n0 = density_of(FOUR, 0.0625), np.array([0.5, 20.0, 3e3, 1e6])
    step = 1e-4 * n0
    rise = (density.log_density(n0 + step) - density.log_density(n0 - step)) / (2 * step)
    assert density.slope(n0) == pytest.approx(rise, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("prior", [RECIPROCAL, UNIFORM])
def test_exponents_are_those_of_the_tail(prior):
    density = density_of(THREE, 0.4, prior)
    far = np.array([1e9])
    assert -density.slope(far)[:, 0] * far == pytest.approx(1.0 + density.exponents, rel=1e-5)
    assert density.exponents[-1] == pytest.approx(7 * 0.4 - 1.0 + prior.power)


def test_the_density_of_single_graphs_is_that_of_all():
    density = density_of(FOUR, 0.0625)
    graphs, n0 = np.array([0, 13, 60, 60]), np.array([0.0, 7.0, 33.0, 1e5])
    single = density.of_graphs(graphs)
    for found, whole in (
        (single.log_density(n0), density.log_density(n0)),
        (single.slope(n0), density.slope(n0)),
    ):
        assert found == pytest.approx(whole[graphs, np.arange(4)], rel=1e-12)


@pytest.mark.parametrize("prior", [RECIPROCAL, UNIFORM, SizePrior(0.0, 3.0, 1e-6)])
def test_an_anchor_moves_no_density(prior):
    density = density_of(1000.0 * FOUR, 0.0625, prior)
    anchored = density.anchored(2e6)
    n0 = np.array([50.0, 1.9e6, 1.99e6, 2e6, 2.01e6, 3e6])
    assert anchored.anchor == 2e6
    moved = anchored.log_density(n0) + anchored.reference
    assert moved == pytest.approx(density.log_density(n0), abs=1e-6)


# --- sums -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [THREE, FOUR], ids=["three", "four"])
@pytest.mark.parametrize("prior", [RECIPROCAL, SizePrior(0.0, 3.0, 0.004)])
@pytest.mark.parametrize(("first", "last"), [(0, 30_000), (40, 20_000), (5000, 40_000)])
def test_panels_give_the_sum_number_by_number(monkeypatch, counts, prior, first, last):
    density = density_of(counts, 2.0 ** -math.log2(len(counts)), prior)
    panels = posterior_of(density, first, last)
    monkeypatch.setattr(decomposable, "MOST_SINGLE_NUMBERS", 10**6)
    one_by_one = posterior_of(density, first, last)
    numbers = np.arange(first, last + 1)
    assert len(panels.missing.grid.starts) < 1000 < len(one_by_one.missing.grid.starts)
    assert panels.missing.below(numbers) == pytest.approx(one_by_one.missing.below(numbers), abs=1e-10)
    assert panels.missing.probability(numbers) == pytest.approx(
        one_by_one.missing.probability(numbers), rel=1e-6, abs=1e-12
    )
    heavy = one_by_one.probabilities > 1e-12
    assert panels.probabilities[heavy] == pytest.approx(one_by_one.probabilities[heavy], rel=1e-8)
    assert panels.means[heavy] == pytest.approx(one_by_one.means[heavy], rel=1e-8)
    assert panels.log_evidence == pytest.approx(one_by_one.log_evidence, abs=1e-10)
    levels = np.linspace(0.01, 0.99, 50)
    assert panels.missing.quantile(levels).tolist() == one_by_one.missing.quantile(levels).tolist()


@pytest.mark.parametrize("factor", [1.0, 1e-3])
def test_the_tail_in_closed_form_is_that_of_a_longer_grid(monkeypatch, factor):
    # A grid of a thousand times the data, or of ten times only, against one of a million times.
    density = density_of(np.array([0.0, 40.0, 30.0, 6.0, 20.0, 0.0, 0.0, 0.0]), 0.125)
    monkeypatch.setattr(decomposable, "TAIL_FROM", 1e4 * factor)
    short = posterior_of(density)
    monkeypatch.setattr(decomposable, "TAIL_FROM", 1e7)
    long = posterior_of(density)
    accuracy = 1e-8 if factor == 1.0 else 1e-3
    assert short.missing.tail.start < 1e-2 * long.missing.tail.start
    edge = np.array([short.missing.tail.start - 1.0])
    assert short.missing.tail.mass > 1e-6
    assert short.missing.tail.mass == pytest.approx(
        1.0 - float(long.missing.below(edge)[0]), rel=10 * accuracy
    )
    far = np.array([0.99, 0.9999, 0.999999])
    assert short.missing.quantile(far) == pytest.approx(long.missing.quantile(far), rel=10 * accuracy)
    assert short.probabilities == pytest.approx(long.probabilities, rel=accuracy)


def test_the_sum_to_infinity_is_the_limit_of_bounded_ones():
    density = density_of(THREE, 0.5)
    whole, part = posterior_of(density), posterior_of(density, 0, 90_000)
    share = float(whole.missing.below(90_000)[0])
    assert 1e-12 < 1 - share < 1e-6
    numbers = np.array([0, 3, 50, 700, 8000])
    assert whole.missing.below(numbers) / share == pytest.approx(part.missing.below(numbers), rel=1e-10)
    # Mean of the saturated graph: exponent 3.5, so that it exists.
    assert whole.missing.mean() == pytest.approx(part.missing.mean(), rel=1e-7)


def test_a_mean_counts_its_tail(monkeypatch):
    # Exponent 1.1: a tail of little mass holds a good part of the mean.
    density = density_of(THREE, 1.1 / 7.0)
    whole = posterior_of(density)
    monkeypatch.setattr(decomposable, "TAIL_FROM", 1e8)
    longer = posterior_of(density)
    assert whole.missing.tail.mass < 1e-4
    assert whole.missing.mean() == pytest.approx(longer.missing.mean(), rel=1e-6)
    assert whole.means[-1] == pytest.approx(longer.means[-1], rel=1e-6)


def test_a_mean_that_does_not_exist_is_infinite():
    found = posterior_of(density_of(THREE, 0.125))
    assert found.missing.mean() == found.means[-1] == math.inf
    assert math.isfinite(found.means[0])


def test_the_saturated_graph_alone_is_a_ratio_of_gamma_functions():
    density = density_of(THREE, 0.4).select(np.array([7]))
    n0 = np.arange(3_000_000.0)
    size = n0 + THREE.sum()
    log_p = gammaln(n0 + 0.4) - gammaln(n0 + 1) + gammaln(size + 1) - gammaln(size + 3.2) - np.log(size)
    p = np.exp(log_p - log_p.max())
    missing = posterior_of(density).missing
    lost = p[-1] * n0[-1] / 2.8
    for at in (0, 10, 500, 90_000):
        assert float(missing.below(at)[0]) == pytest.approx(p[: at + 1].sum() / (p.sum() + lost), rel=1e-9)


def test_a_constant_in_the_log_prior_changes_nothing():
    density = density_of(THREE, 0.125, UNIFORM)
    weights = -np.log(np.arange(2000.0) + THREE.sum())
    plain, moved = (posterior_of(density, 0, 1999, weights + constant) for constant in (0.0, 1e5))
    assert moved.probabilities == pytest.approx(plain.probabilities, rel=1e-9)
    reciprocal = posterior_of(density_of(THREE, 0.125), 0, 1999)
    assert plain.probabilities == pytest.approx(reciprocal.probabilities, rel=1e-12)
    assert moved.log_evidence - plain.log_evidence == pytest.approx(1e5)


def test_impossible_dark_figures_have_no_probability():
    weights = np.zeros(500)
    weights[100:300] = -math.inf
    weights[0] = -math.inf
    found = posterior_of(density_of(THREE, 0.125, UNIFORM), 0, 499, weights).missing
    assert found.probability(np.array([0, 100, 299])).tolist() == [0.0, 0.0, 0.0]
    assert found.below(299) == pytest.approx(found.below(99))
    assert found.probability(np.arange(500)).sum() == pytest.approx(1.0)
    assert not np.isin(found.quantile(np.linspace(0.01, 1, 99)), np.arange(100, 300)).any()


@pytest.mark.parametrize("last", [None, 40_000])
def test_quantiles_and_probabilities_below_agree(last):
    found = posterior_of(density_of(FOUR, 0.0625), 0, last).missing
    levels = np.concatenate([np.linspace(0.001, 0.999, 333), [0.9999999]])
    numbers = found.quantile(levels)
    assert (found.below(numbers) >= levels - 1e-12).all()
    assert (found.below(numbers - 1) < levels)[numbers > 0].all()


def test_probabilities_add_up():
    found = posterior_of(density_of(FOUR, 0.0625))
    assert found.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.missing.masses.sum() + found.missing.tail.mass == pytest.approx(1.0, abs=1e-10)
    inside = found.missing.probability(np.arange(200_000)).sum()
    assert inside == pytest.approx(float(found.missing.below(199_999)[0]), abs=1e-10)


# --- peaks, grids, modes ----------------------------------------------------------------------------------------------


def test_peaks_are_where_the_density_is_highest():
    density = density_of(FOUR, 0.0625)
    peaks = find_peaks(density, 0, None)
    everywhere = density.log_density(np.arange(20_000.0))
    for g in range(density.n_graphs):
        own = peaks.graphs == g
        best = peaks.positions[own][np.argmax(peaks.heights[own])]
        assert peaks.heights[own].max() >= everywhere[g].max() - 1e-9
        assert abs(best - np.argmax(everywhere[g])) <= 1.0 or best == 0.0


@pytest.mark.parametrize(("peak", "width"), [(5e4, 300.0), (7e6, 2e3), (3e12, 2e6)])
def test_a_graded_grid_sums_a_narrow_peak(peak, width):
    grid = graded_grid(0, int(100 * peak), np.array([peak]), np.array([width]))
    total = grid.weights @ np.exp(-0.5 * ((grid.points - peak) / width) ** 2)
    assert total == pytest.approx(width * math.sqrt(2 * math.pi), rel=1e-10)
    assert len(grid.points) < 4000


def test_a_graded_grid_blind_to_the_peak_misses_it():
    grid = graded_grid(0, 10**8, np.array([1.0]), np.array([1.0]))
    total = grid.weights @ np.exp(-0.5 * ((grid.points - 7e6) / 2e3) ** 2)
    assert total != pytest.approx(2e3 * math.sqrt(2 * math.pi), rel=0.01)


@pytest.mark.parametrize("last", [0, 1, 127, 128, 1000, 10**6])
def test_a_grid_holds_every_number_once(last):
    grid = graded_grid(0, last + 1, np.array([300.0]), np.array([500.0]))
    assert grid.starts[0] == 0
    assert grid.stops[-1] == last + 1
    assert grid.starts[1:].tolist() == grid.stops[:-1].tolist()
    points, weights = grid.points, grid.weights
    assert weights.sum() == pytest.approx(last + 1)
    assert weights @ points == pytest.approx(last * (last + 1) / 2)


def test_modes_are_those_of_the_whole_posterior():
    found = posterior_of(density_of(np.array([0.0, 41, 5, 4, 30, 5, 7, 31]), 0.125)).missing
    summits = modes(found, 0.01)
    p = found.probability(np.arange(5000))
    inner = [i for i in range(1, 4999) if p[i - 1] < p[i] >= p[i + 1]]
    assert [mode.position for mode in summits if mode.position > 0] == inner
    assert summits[-1].position == 0
    assert p[0] > p[1]
    valley = int(np.argmin(p[: inner[0]]))
    assert summits[-1].weight == pytest.approx(float(found.below(valley)[0]), abs=2 * p[valley])
    assert sum(mode.weight for mode in summits) == pytest.approx(1.0)


def test_millions_of_millions_have_one_mode_and_a_width_that_is_right():
    big = 1e12
    found = posterior_of(density_of(np.array([0.0, *[big] * 7]), 0.125)).missing
    assert [mode.position for mode in modes(found, 0.01)] == pytest.approx([big], rel=1e-5)
    low, high = found.quantile([0.025, 0.975]).tolist()
    # Independence with capture probabilities q = 1/2 (Darroch): var(N) = N / (1/(1-q)^3 + 2 - 3/(1-q)) = N/4.
    assert high - low == pytest.approx(2 * 1.959964 * math.sqrt(8 * big / 4), rel=1e-4)
