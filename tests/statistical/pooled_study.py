"""Many small places: pooled, each by itself, and all alike. As a script it prints the comparison.

python -m tests.statistical.pooled_study 20
"""

import sys
import warnings

import numpy as np
import pandas as pd
from scipy.stats import nbinom

from hiddenpop import LogLinear
from hiddenpop.bayes.pooled import PooledLogLinear
from hiddenpop.errors import HiddenpopWarning
from hiddenpop.synthetic.local import draw_local

SIZES = {"0 to 5": 5, "6 to 20": 20, "21 to 100": 100, "over 100": np.inf}
POOLED = PooledLogLinear(place="municipality", n_draws=700, n_tune=400, target_accept=0.85)
LEVEL = 0.95


def study(n_rep, *, rng, setting=POOLED, alone=("independence", "all-pairs"), **world):
    """One row a place, replicate and method: truth, estimate and limits; an estimate may be infinite or missing."""
    seeds = np.random.default_rng(rng).spawn(n_rep)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return pd.concat([replicate(seed, setting, alone, world) for seed in seeds], ignore_index=True)


def replicate(rng, setting, alone, world):
    drawn = draw_local(**world, rng=rng)
    table, truth = drawn.table.collapse("region"), drawn.truth.set_index("municipality")
    by_method = {
        "pooled": by_pooling(table, drawn.places, setting, rng),
        "all alike": all_alike(table, truth),
        **{f"alone, {model}": one_by_one(table, truth, model) for model in alone},
    }
    return pd.concat(
        [found.assign(n=truth["n"], method=method).reset_index() for method, found in by_method.items()]
    )


def by_pooling(table, places, setting, rng):
    pooled = PooledLogLinear(
        **{name: getattr(setting, name) for name in setting.__slots__} | {"places": places}
    )
    estimate = pooled.fit(table, rng=rng)
    found = estimate.by_stratum.set_index("municipality")[["low", "high"]]
    return found.assign(
        n_hat=np.median(estimate.stratum_draws, axis=0), rhat=estimate.details["worst"]["spread"]["rhat"]
    )


def all_alike(table, truth):
    """One model for the whole country, and the same chance of being seen everywhere."""
    whole = LogLinear(model="all-pairs").fit(table.collapse())
    seen = whole.n_observed / whole.n_hat
    n = truth["n_observed"]
    tails = [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0]
    low, high = (n + nbinom.ppf(tail, n + 1.0, seen) for tail in tails)
    return pd.DataFrame({"n_hat": n / seen, "low": low, "high": high})


def one_by_one(table, truth, model):
    rows = {place: one_place(table, place, model) for place in truth.index[truth["n_observed"] > 0]}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["n_hat", "low", "high"])
    return found.reindex(truth.index)


def one_place(table, place, model):
    own = table.select(municipality=place)
    if sum(own.list_totals > 0) < 2:
        return np.nan, np.nan, np.nan
    estimate = LogLinear(model=model).fit(own)
    return estimate.n_hat, estimate.interval.low, estimate.interval.high


def summary(rows):
    """By method and true size: places, share without a number, errors of the others, coverage, width."""
    edges = [-1.0, *SIZES.values()]
    size = pd.cut(rows["n"], edges, labels=list(SIZES))
    known = np.isfinite(rows["n_hat"])
    measured = rows.assign(
        size=size,
        without=~known,
        square=((rows["n_hat"] - rows["n"]) ** 2).where(known),
        bias=(rows["n_hat"] - rows["n"]).where(known),
        covered=(rows["low"] <= rows["n"]) & (rows["n"] <= rows["high"]),
        width=(rows["high"] - rows["low"]).replace(np.inf, np.nan),
    )
    found = measured.groupby(["size", "method"], observed=True)[
        ["without", "square", "bias", "covered", "width"]
    ].mean()
    found.insert(0, "places", measured.groupby(["size", "method"], observed=True).size())
    return found.assign(rmse=np.sqrt(found.pop("square")))


if __name__ == "__main__":
    sys.stdout.write(f"{summary(study(int(sys.argv[1]), rng=20261125)).round(3).to_string()}\n")
