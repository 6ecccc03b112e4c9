"""The density and its gradient against a plain one, written down from the model."""

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp

from hiddenpop.bayes.pooled import PooledLogLinear, design_of, prior_of
from hiddenpop.bayes.pooled_model import data_of
from hiddenpop.kernels.bayes.pooled_density import density, n_parameters, packed, packed_density, unpacked
from hiddenpop.synthetic.local import draw_local
from hiddenpop.table import CaptureTable, Coverage

SETTINGS = {
    "places": (PooledLogLinear(place="municipality", region="region", residents=None), {}, ()),
    "years and forms": (
        PooledLogLinear(place="municipality", year="year", order=3),
        {"years": (2015, 2016, 2019), "forms": ("labour", "sexual", "criminal")},
        (),
    ),
    "a list that starts": (
        PooledLogLinear(place="municipality", year="year", level_prior=(5.0, 10.0)),
        {"years": (2015, 2016, 2017)},
        (Coverage("list_2", "year", ("2016", "2017")), Coverage("list_3", "year", ("2015", "2016"))),
    ),
    "one place": (PooledLogLinear(place="municipality"), {"n_places": 1}, ()),
}


def case(name):
    setting, options, coverage = SETTINGS[name]
    world = draw_local(**{"n_places": 12, "n_persons": 300, "rng": 2, **options})
    frame = world.table.to_frame()
    for entry in coverage:
        frame.loc[~frame[entry.covariate].isin(entry.levels), entry.list] = 0
    lists = list(world.table.lists)
    frame = (
        frame[frame[lists].sum(axis=1) > 0].groupby([*lists, *world.table.strata.columns]).sum().reset_index()
    )
    table = CaptureTable.from_counts(
        frame, lists=lists, strata=list(world.table.strata.columns), coverage=coverage, public=True
    )
    design = design_of(setting, table)
    return design, prior_of(setting), data_of(design, prior_of(setting))


def plain(x, design, prior, data):
    """The log posterior as the model says it, stratum by stratum, without any of the short cuts."""
    n_lists = len(design.lists)
    parts = iter(np.split(x, np.cumsum(sizes(design, data))[:-1]))
    raw, logs = next(parts), data.logs > 0
    unit = np.where(logs, np.exp(raw), raw)
    sd, value = data.scales * unit, -0.5 * (unit**2).sum() + raw[logs].sum()
    mean = data.centre + data.spread @ next(parts)
    value -= 0.5 * ((mean / data.mean_sd) ** 2).sum()
    level = (
        data.level[0] + data.level[1] * next(parts)[0] - np.log1p(-np.exp(-logsumexp(design.columns @ mean)))
    )
    value -= 0.5 * prior.log_size[1] * (level - prior.log_size[0]) ** 2
    theta = np.tile(mean, (design.n_strata, 1))
    size = np.full(design.n_strata, level) + design.log_offset
    u, lists = next(parts), next(parts)
    at, own = 0, data.places[3:]
    if design.place.n_free:
        lists = lists.reshape(own.shape[1], -1)
        spread = sd[np.r_[1 : n_lists + 1, np.full(design.n_pairs, n_lists + 1)]]
        power = np.hstack([own.T, np.zeros((own.shape[1], design.n_pairs))])
        effects, more = freed(lists, spread, power)
        value += more
        theta[:, : len(spread)] += effects[design.place.index]
        at = 1 + n_lists + (design.n_pairs > 0)
    for factor in design.factors[1:]:
        n_pairs = 0 if factor.kind == "walk" else design.n_pairs
        z = next(parts).reshape(factor.n_free, 1 + n_lists + n_pairs)
        which = np.r_[at, np.full(n_lists, at + 1), np.full(n_pairs, at + 2)]
        z, more = freed(z, sd[which], data.own[which])
        value, effects = value + more, factor.contrasts @ z
        size += effects[factor.index, 0]
        theta[:, : n_lists + n_pairs] += effects[factor.index, 1:]
        at += 2 + (n_pairs > 0)
    share = shares(theta, design)
    seen = 1.0 - share[:, 0]
    if design.place.n_free:
        expected = np.bincount(design.place.index, np.exp(size) * seen)
        centred = data.places[0] > 0.0
        effect = np.where(centred, data.places[1] + data.places[2] * u - np.log(expected), u * sd[0])
        value += np.where(centred, -0.5 * (effect / sd[0]) ** 2 - np.log(sd[0]), -0.5 * u**2).sum()
        size = size + effect[design.place.index]
    fit, log_hidden = likelihood(design, size, share, sd)
    return value + fit, log_hidden


def freed(u, sd, own):
    """Effects of variables that are free of their standard deviation to the power `own`, with their log density."""
    size = np.abs(sd) ** own
    return u * sd / size, (-0.5 * (u / size) ** 2 - np.log(size)).sum()


def shares(theta, design):
    """Probabilities of histories by stratum, over the lists that operate."""
    n_lists, n_cells = len(design.lists), design.counts.shape[1]
    share = np.exp(theta @ design.columns.T)
    share /= share.sum(axis=1, keepdims=True)
    for s in range(design.n_strata):
        gone = int(design.absent[s] @ (1 << np.arange(n_lists)))
        for w in range(n_cells):
            if w & gone:
                share[s, w & ~gone] += share[s, w]
                share[s, w] = 0.0
    return share


def likelihood(design, size, share, sd):
    n, seen = design.observed, 1.0 - share[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        cells = np.where(design.counts > 0.0, design.counts * np.log(share / seen[:, None]), 0.0)
    mu = np.exp(size) * seen
    if design.has_residual:
        k = 1.0 / (sd[-1] ** 2 + 1e-8)
        fit = gammaln(n + k) - gammaln(k) + k * np.log(k / (k + mu)) + n * np.log(mu / (k + mu))
        return cells.sum() + fit.sum(), np.log(share[:, 0] / (k * np.exp(-size) + seen))
    return cells.sum() + (n * np.log(mu) - mu).sum(), size + np.log(share[:, 0])


def sizes(design, data):
    n_lists, n_places = len(design.lists), data.places.shape[1]
    return [
        len(data.scales), len(data.centre), 1, n_places, n_places * (n_lists + design.n_pairs),
        *(
            f.n_free * (1 + n_lists + (0 if f.kind == "walk" else design.n_pairs)) for f in design.factors[1:]
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_the_density_is_that_of_the_model(name):
    design, prior, data = case(name)
    rng = np.random.default_rng(1)
    values = []
    for _ in range(3):
        x = 0.7 * rng.standard_normal(n_parameters(data))
        found, expected = density(x, data), plain(x, design, prior, data)
        np.testing.assert_allclose(found[2], expected[1], rtol=1e-9, atol=1e-9)
        values.append((found[0], expected[0]))
    found, expected = np.transpose(values)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-9)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_gradient_is_that_of_the_density(name):
    _, _, data = case(name)
    rng = np.random.default_rng(2)
    x = 0.7 * rng.standard_normal(n_parameters(data))
    gradient = density(x, data)[1]
    for i in rng.permutation(len(x))[:80]:
        step = np.zeros(len(x))
        step[i] = 1e-5
        slope = (density(x + step, data)[0] - density(x - step, data)[0]) / 2e-5
        assert gradient[i] == pytest.approx(slope, rel=1e-5, abs=1e-5), i


def test_one_vector_holds_the_same():
    _, _, data = case("a list that starts")
    x = 0.5 * np.random.default_rng(3).standard_normal(n_parameters(data))
    value, gradient, *kept = density(x, data)
    found = packed_density(x, packed(data))
    assert found[0] == value
    np.testing.assert_array_equal(found[1 : 1 + len(x)], gradient)
    named = unpacked(found[1 + len(x) :], data)
    for name, expected in zip(("log_hidden", "hyper", "log_level", "mean"), kept, strict=True):
        np.testing.assert_array_equal(named[name], expected)
