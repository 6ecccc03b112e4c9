"""Intervals where few persons carry the estimate: coverage over laws with small cells, overall and at the boundary.

The laws have an expected smallest cell from .05 to 5. Held to: in every law with a smallest cell of 0 or 1 in 2 % of
the tables or more, overall coverage of at least .93 and the truth above the interval in at most .05 of the tables;
coverage given the status ``boundary`` of at least .90 where that is at least a tenth of the tables. With
``--log-cli-level=INFO`` the figures of every law are shown.
"""

import logging
import math
from collections import Counter

import numpy as np
import pytest

from hiddenpop.estimators.outcome import terms_of
from hiddenpop.kernels.poisson.heterogeneity import closed_design, fit_closed, profile_of_design
from hiddenpop.kernels.poisson.model_fit import fit_model, hidden_profile
from hiddenpop.kernels.poisson.profile import profile_limits
from hiddenpop.model import HierarchicalModel

pytestmark = pytest.mark.slow

LOG = logging.getLogger(__name__)
LEVEL = 0.95
BOUNDARY_TABLES = 300
MOST_TABLES = 3000


def independent(size, *shares):
    """Expected counts by history of independent lists."""
    cells = np.arange(2 ** len(shares))
    law = np.ones(len(cells))
    for position, share in enumerate(shares):
        law *= np.where(cells >> position & 1, share, 1.0 - share)
    return size * law


def paired(size, shares, interactions):
    """Expected counts by history of three lists with interactions of the pairs 12, 13 and 23."""
    cells = np.arange(8)
    a, b, c = (cells >> position & 1 for position in range(3))
    odds = sum(np.log(p / (1 - p)) * x for p, x in zip(shares, (a, b, c), strict=True))
    odds = odds + interactions[0] * a * b + interactions[1] * a * c + interactions[2] * b * c
    return size * np.exp(odds) / np.exp(odds).sum()


def common_propensity(size, logits, spread):
    """Expected counts by history where persons differ in a normal propensity that adds to the logit of every list."""
    cells = np.arange(2 ** len(logits))
    at, weights = np.polynomial.hermite_e.hermegauss(41)
    law = np.zeros(len(cells))
    for point, weight in zip(at, weights / weights.sum(), strict=True):
        p = 1 / (1 + np.exp(-(np.array(logits) + spread * point)))
        law += weight * independent(1.0, *p)
    return size * law


TWO = {
    f"{kind}, smallest cell {target:g}": law
    for target in (0.05, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0)
    for kind, law in {
        "rare overlap of unlike lists": independent(2000, 0.05, target / 100),
        "rare overlap of like lists": independent(500, math.sqrt(target / 500), math.sqrt(target / 500)),
        "few on the first list alone": independent(200, 0.3, 1 - target / 60),
        "everybody nearly on both": independent(60, 1 - target / 60, 1 - target / 60),
        "a small list": independent(2000, target / 1000, 0.5),
    }.items()
}
THREE = {
    "sparse": paired(6000, (0.03, 0.02, 0.015), (0, 0, 0)),
    "less sparse": paired(3000, (0.05, 0.04, 0.03), (0, 0, 0)),
    "a thousand": paired(1000, (0.1, 0.08, 0.06), (0, 0, 0)),
    "four hundred": paired(400, (0.2, 0.15, 0.1), (0, 0, 0)),
    "two positive pairs": paired(2000, (0.05, 0.04, 0.03), (1, 1, 0)),
    "all positive": paired(2000, (0.1, 0.04, 0.03), (0.5, 0.5, 0.5)),
    "both signs": paired(500, (0.2, 0.1, 0.1), (1, -0.5, 0)),
    "one positive": paired(800, (0.2, 0.2, 0.05), (0, 0, 1)),
    "a hundred": paired(100, (0.3, 0.3, 0.3), (0, 0, 0)),
    "sixty": paired(60, (0.5, 0.4, 0.3), (0, 0, 0)),
    "sixty, high coverage": paired(60, (0.7, 0.6, 0.5), (0, 0, 0)),
    "one tiny list": paired(3000, (0.005, 0.3, 0.3), (0, 0, 0)),
    "two large lists": paired(200, (0.9, 0.9, 0.05), (0, 0, 0)),
}
HETEROGENEOUS = {
    "three lists": common_propensity(400, (-2.5, -2.5, -3.0), 1.0),
    "four lists": common_propensity(500, (-3.0, -2.5, -3.0, -3.5), 0.7),
    "four large lists": common_propensity(60, (0.5, 0.0, 0.0, 0.5), 0.7),
    "five lists": common_propensity(300, (-3.0, -3.0, -3.5, -2.5, -3.0), 0.5),
}


def model_profile(text, n_lists):
    terms = terms_of(HierarchicalModel.parse(text, n_lists=n_lists))

    def profile(counts):
        fit = fit_model(counts, terms, n_lists)
        return fit.face.status, hidden_profile(counts, terms, n_lists, fit)

    return profile


def darroch_profile(n_lists):
    design = closed_design("Mth", [f"l{i}" for i in range(n_lists)], "darroch")

    def profile(counts):
        fit = fit_closed(design, counts[1:])
        return fit.status, profile_of_design(design, counts[1:], fit)

    return profile


def study(expected, profile_of, rng, level=LEVEL):
    """Cover the truth by the interval of the package on tables of one law."""
    size = round(expected.sum())
    n_lists = len(expected).bit_length() - 1
    members = [np.flatnonzero(np.arange(len(expected)) >> i & 1) for i in range(n_lists)]
    small, missed_above, missed, at_boundary, boundary_missed = 0, 0, 0, 0, 0
    n, widths = 0, []
    while n < 400 or (n < MOST_TABLES and 0.1 * n <= at_boundary < BOUNDARY_TABLES):
        counts = rng.multinomial(size, expected / expected.sum()).astype(float)
        hidden, counts[0] = counts[0], 0.0
        if any(counts[cells].sum() == 0 for cells in members):
            continue
        n += 1
        status, profile = profile_of(counts)
        low, high = size - hidden, math.inf
        if status != "not_identified":
            limits = profile_limits(profile, level)
            low, high = limits.low, limits.high
        small += counts[1:].min() <= 1
        missed_above += size > high
        missed += not low <= size <= high
        at_boundary += status == "boundary"
        boundary_missed += status == "boundary" and not low <= size <= high
        widths.append(high - low)
    return Counter(
        n=n, small=small, missed=missed, above=missed_above, boundary=at_boundary, lost=boundary_missed,
    ), float(np.median(widths))  # fmt: skip


def hold(name, found, width):
    n, boundary = found["n"], found["boundary"]
    coverage, above = 1 - found["missed"] / n, found["above"] / n
    given = f", at the boundary {1 - found['lost'] / boundary:.3f}" if boundary else ""
    LOG.info(
        "%s: %s",
        name,
        f"{n} tables, smallest cell 0 or 1 in {found['small'] / n:.2f}, boundary {boundary / n:.2f}: "
        f"coverage {coverage:.3f}, truth above {above:.3f}{given}, median width {width:,.0f}",
    )
    if found["small"] / n < 0.02:
        return
    assert coverage >= 0.93, name
    assert above <= 0.05, name
    if boundary >= 0.1 * n:
        assert boundary >= BOUNDARY_TABLES or n == MOST_TABLES
        assert 1 - found["lost"] / boundary >= 0.90, name


@pytest.mark.parametrize("name", TWO)
def test_two_lists(name):
    found, width = study(TWO[name], model_profile("[1,2]", 2), np.random.default_rng(11))
    hold(f"two lists, {name}", found, width)


@pytest.mark.parametrize("name", THREE)
def test_all_pairs_of_three_lists(name):
    found, width = study(THREE[name], model_profile("[12,13,23]", 3), np.random.default_rng(12))
    hold(f"three lists, {name}", found, width)


@pytest.mark.parametrize("name", HETEROGENEOUS)
def test_darroch_heterogeneity(name):
    expected = HETEROGENEOUS[name]
    n_lists = len(expected).bit_length() - 1
    found, width = study(expected, darroch_profile(n_lists), np.random.default_rng(13))
    hold(f"Mth darroch, {name}", found, width)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.999])
def test_other_levels(level):
    for name in ("sparse", "four hundred", "sixty"):
        found, _ = study(THREE[name], model_profile("[12,13,23]", 3), np.random.default_rng(14), level)
        error = math.sqrt(level * (1 - level) / found["n"])
        assert 1 - found["missed"] / found["n"] >= level - 0.02 - 3 * error, name
