"""Schemes and limits of the bootstrap compared in worlds of known size. As a script it draws, and judges what it drew.

python -m tests.statistical.bootstrap_schemes draw FOLDER      resamples of every world into FOLDER (about 25 minutes)
python -m tests.statistical.bootstrap_schemes double FOLDER    a double bootstrap on six worlds (about 8 minutes)
python -m tests.statistical.bootstrap_schemes judge FOLDER     the table of coverage, misses, widths and scores
"""

import math
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import hiddenpop as hp
from hiddenpop.errors import HiddenpopWarning
from hiddenpop.estimators.bootstrapped import Bootstrapped
from hiddenpop.estimators.resampled import RefitBlock, refit
from hiddenpop.kernels.resampling.bootstrap_limits import bootstrap_limits, type8_quantile
from hiddenpop.kernels.resampling.counts import draw_semiparametric
from hiddenpop.synthetic import LIBRARY

SEED, LEVEL, N_BOOT = 20261127, 0.95, 200
SCHEMES = ("multinomial", "semiparametric", "parametric")
CHOSEN = hp.SelectedLogLinear(search="exact")
MOST_LISTS_CHOSEN = 6
Z = 1.959964
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
DOUBLE_REPLICATES, OUTER, INNER = 100, 100, 50
SIX_WORLDS = (
    "independent-three",
    "large-overlaps-three",
    "large-overlaps-pair-three",
    "tiny-overlaps-three",
    "two-pairs-four",
    "like-kosovo",
)


def worlds():
    """Name of the world and the base, of every world whose model space holds the truth, strata one by one included."""
    for name, world in sorted(LIBRARY.items()):
        if not {"linked", "in_scope"} <= world.assumptions or world.distortions:
            continue
        if world.model is not None:
            if len(world.lists) <= MOST_LISTS_CHOSEN:
                yield name, "chosen", CHOSEN, {5: 100, 6: 12}.get(len(world.lists), 200)
            yield name, "true model", hp.LogLinear(model=world.model), 100 if len(world.lists) == 8 else 200
        if world.covariates:
            yield f"{name} by stratum", "chosen", CHOSEN, 100
            yield f"{name} by stratum", "true model", hp.LogLinear(), 100


def draw(folder):
    """Resamples of many tables of every world, with what limits are made from."""
    for name, kind, base, n_rep in worlds():
        out, start = folder / f"{name}, {kind}.npz", time.process_time()
        if out.exists():
            continue
        world = LIBRARY[name.removesuffix(" by stratum")]
        seeds = np.random.default_rng([SEED, *name.encode()]).spawn(n_rep)
        rows = [row for rep, rng in enumerate(seeds) for row in replicate(world, name, base, rep, rng)]
        np.savez_compressed(out, **{key: np.array([row[key] for row in rows]) for key in rows[0]})
        sys.stderr.write(f"{out.stem}: {time.process_time() - start:.1f} CPU s\n")


def replicate(world, name, base, rep, rng):
    table = world.draw(rng=rng)
    if not name.endswith("by stratum"):
        return [
            {
                "rep": rep,
                "stratum": 0,
                **one(table.collapse() if table.has_strata else table, world.truth, base, rng),
            }
        ]
    sizes = world.truth_by_stratum().set_index(list(world.covariates))["n"]
    rows = []
    for k, (levels, part) in enumerate(table.split()):
        truth = sizes[tuple(levels.values()) if len(levels) > 1 else next(iter(levels.values()))]
        rows.append({"rep": rep, "stratum": k, **one(part, int(truth), base, rng)})
    return rows


def one(table, truth, base, rng):
    """Draws of N and the persons in each resample, by scheme, and the estimates without one person of each cell."""
    estimate = base.fit(table, rng=rng)
    row = {
        "truth": truth, "n": estimate.n_observed, "n_hat": estimate.n_hat, "ok": estimate.status == "ok",
        "low": estimate.interval.low, "high": estimate.interval.high,
    }  # fmt: skip
    size = 1 << table.n_lists
    cells = np.zeros(size)
    np.add.at(cells, table.histories, table.counts)
    row["cells"] = cells
    jack = np.full(size, math.nan)
    for scheme in SCHEMES:
        draws = observed = np.full(N_BOOT, math.nan)
        covariances = np.full(size, math.nan)
        if row["ok"]:
            setting = Bootstrapped(base=base, n_boot=N_BOOT, scheme=scheme, interval="percentile")
            drawn_from, counts = setting._resampled_counts(table, estimate, rng)
            draws, observed = refit(RefitBlock(base, drawn_from, counts)).n_hat, counts.sum(axis=1)
            dense = np.zeros((N_BOOT, size))
            dense[:, drawn_from.histories] = counts
            with np.errstate(invalid="ignore"):
                covariances = (draws - draws.mean()) @ (dense - cells) / N_BOOT
        row |= {
            f"{scheme} draws": draws,
            f"{scheme} observed": observed,
            f"{scheme} covariances": covariances,
        }
    if row["ok"]:
        without = table.counts - np.eye(len(table.counts), dtype=np.int64)
        jack[table.histories] = refit(RefitBlock(base, table, without)).n_hat
    return {**row, "jackknife": jack}


def double(folder):
    """A bootstrap of the bootstrap: how often the percentile limit of a resample at each level holds the estimate."""
    rows = []
    for name in SIX_WORLDS:
        start = time.process_time()
        for rng in np.random.default_rng([SEED, 2, *name.encode()]).spawn(DOUBLE_REPLICATES):
            rows.append(
                {"world": name, "truth": LIBRARY[name].truth, **calibrated(LIBRARY[name].draw(rng=rng), rng)}
            )
        sys.stderr.write(f"{name}: {time.process_time() - start:.1f} CPU s\n")
    pd.DataFrame(rows).to_csv(folder / "double.csv", index=False)


def calibrated(table, rng):
    """Limits at the shares of the draws that hold the estimate in 95 % of resamples, beside those at 2.5 and 97.5 %."""
    estimate = CHOSEN.fit(table, rng=rng)
    n, n_hat = estimate.n_observed, estimate.n_hat
    if estimate.status != "ok":
        return dict.fromkeys(("low", "calibrated_low"), estimate.interval.low) | dict.fromkeys(
            ("high", "calibrated_high"), estimate.interval.high
        )
    counts = draw_semiparametric(table.counts, n_hat, OUTER, rng)
    outer = refit(RefitBlock(CHOSEN, table, counts)).n_hat
    known = np.flatnonzero(np.isfinite(outer))
    inner_counts = [draw_semiparametric(counts[b], outer[b], INNER, rng) for b in known]
    inner = refit(RefitBlock(CHOSEN, table, np.concatenate(inner_counts))).n_hat.reshape(len(known), INNER)
    inner = np.where(np.isnan(inner), math.inf, inner)
    below = np.zeros(OUTER)  # an unbounded resample has resamples that are all above the estimate
    below[known] = (inner < n_hat).mean(axis=1) + (inner == n_hat).mean(axis=1) / 2
    shares = np.quantile(below, TAILS)
    found = dict(zip(("low", "high"), quantiles(outer, n, TAILS), strict=True))
    return found | dict(zip(("calibrated_low", "calibrated_high"), quantiles(outer, n, shares), strict=True))


def quantiles(draws, n, shares):
    """Quantiles of draws of N, an unknown one where it widens the interval; none below the number observed."""
    low, high = (np.sort(np.where(np.isnan(draws), at, draws)) for at in (n, math.inf))
    return max(type8_quantile(low, shares[0], "lower"), n), max(type8_quantile(high, shares[1], "upper"), n)


# --- judging ----------------------------------------------------------------------------------------------------------


def judge(folder):
    """Coverage, misses, width and score of every scheme with every limits in every world; half of the worlds choose."""
    files = sorted(folder.glob("*.npz"))
    names = sorted({file.stem.split(", ")[0].removesuffix(" by stratum") for file in files})
    half = {name: ("choose", "confirm")[place % 2] for place, name in enumerate(names)}
    frames = []
    for file in files:
        name, kind = file.stem.split(", ")
        rows = pd.DataFrame([row for one in read(file) for row in judged(one)])
        frame = summary(rows).assign(world=name, base=kind, half=half[name.removesuffix(" by stratum")])
        frames.append(frame)
        if name.endswith("by stratum"):
            frames += [
                f.assign(world=name, base=kind, half=frame["half"].iloc[0])
                for f in together(list(read(file)))
            ]
    found = pd.concat(frames)[[*COLUMNS]]
    found.round(5).to_csv(folder / "bootstrap_schemes.csv", index=False)
    return found


COLUMNS = (
    "world", "base", "half", "part", "scheme", "limits", "tables", "coverage", "lower_miss", "upper_miss",
    "median_width", "endless", "score",
)  # fmt: skip


def read(file):
    with np.load(file) as kept:
        fields = {key: kept[key] for key in kept.files}
    return [{key: values[i] for key, values in fields.items()} for i in range(len(fields["n"]))]


def judged(row):
    """One row a scheme and kind of limits, for one table."""
    base = (row["low"], row["high"])
    found = {("none", "of the base"): base}
    for scheme in SCHEMES:
        limits = limits_of(row, scheme) if row["ok"] else dict.fromkeys(LIMITS[scheme], base)
        found |= {(scheme, name): limits[name] for name in LIMITS[scheme]}
    return [
        {
            "part": "stratum" if row["stratum"] >= 0 else "",
            "scheme": scheme,
            "limits": name,
            **measured(row, *limits),
        }
        for (scheme, name), limits in found.items()
    ]


LIMITS = {
    "multinomial": ("percentile", "bca", "basic", "bagged", "percentile, unseen added"),
    "semiparametric": ("percentile", "bca", "basic", "ratio", "bagged"),
    "parametric": ("percentile", "bca", "basic", "ratio"),
}
"""Limits of each scheme. The bagged ones are log-normal about the mean of the draws; "ratio" is the basic interval on
the log of the estimated over the realised dark figure; "unseen added" draws the dark figure of each resample from its
negative binomial law given n and the share that the resample says is seen."""


def limits_of(row, scheme):
    n, n_hat, draws, observed = (
        float(row["n"]),
        float(row["n_hat"]),
        row[f"{scheme} draws"],
        row[f"{scheme} observed"],
    )
    here = row["cells"] > 0
    jackknife, persons, n0 = row["jackknife"][here], row["cells"][here], n_hat - n
    if scheme != "multinomial" and n0 > 0:
        jackknife, persons = np.append(jackknife, n_hat), np.append(persons, n0)
    found = {}
    for name in ("percentile", "bca", "basic"):
        limits = bootstrap_limits(
            draws, n_hat, n, level=LEVEL, method=name, jackknife=jackknife, jackknife_weights=persons
        )
        found[name] = limits.low, limits.high
    found["ratio"] = ratio_limits(draws, observed, n, n_hat)
    found["bagged"] = bagged_limits(row, scheme, draws, n, n_hat) or found["percentile"]
    found["percentile, unseen added"] = with_unseen(draws, n)
    return found


def ratio_limits(draws, observed, n, n_hat):
    """Dark figures that would make the estimate lie between the quantiles of estimated over realised dark figures."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(draws <= observed, 0.0, (draws - observed) / np.maximum(n_hat - observed, 0.0))
    upper = type8_quantile(np.sort(np.where(np.isnan(ratio), math.inf, ratio)), TAILS[1], "upper")
    lower = type8_quantile(np.sort(np.where(np.isnan(ratio), 0.0, ratio)), TAILS[0], "lower")
    return n + (n_hat - n) / upper if upper > 0 else n, n + (n_hat - n) / lower if lower > 0 else math.inf


def bagged_limits(row, scheme, draws, n, n_hat):
    """Log-normal limits about the mean of the draws, None where it is not finite."""
    here, mean = row["cells"] > 0, float(draws.mean())
    if scheme == "parametric" or not math.isfinite(mean) or mean <= n:
        return None
    covariances, cells = row[f"{scheme} covariances"][here], row["cells"][here]
    noise, n0 = float(((draws - mean) ** 2).mean()) / len(draws), n_hat - n
    variance = float(np.sum(covariances**2 / cells)) - (here.sum() - (scheme == "multinomial")) * noise
    variance += n_hat * n0 / n if scheme == "multinomial" else float(covariances.sum()) ** 2 / n0
    factor = math.exp(Z * math.sqrt(max(variance, 0.0)) / (mean - n))
    return n + (mean - n) / factor, n + (mean - n) * factor


def with_unseen(draws, n):
    rng = np.random.default_rng(SEED)
    sizes = np.clip(np.where(np.isnan(draws), math.inf, draws), n, 1e12)
    hidden = rng.negative_binomial(n, n / sizes).astype(float)
    hidden[np.isposinf(draws)], hidden[np.isnan(draws)] = math.inf, math.nan
    return quantiles(n + hidden, n, TAILS)


def measured(row, low, high):
    n, truth = float(row["n"]), float(row["truth"])
    least, most, share = n / high, n / low, n / truth
    beyond = max(least - share, 0.0) + max(share - most, 0.0)
    return {
        "lower": truth < low, "upper": truth > high, "width": (high - low) / truth,
        "score": most - least + 2.0 / (1.0 - LEVEL) * beyond,
    }  # fmt: skip


def summary(rows):
    """Shares over tables. The score is the interval score of the share observed, n / N, which is always finite."""
    groups = rows.groupby(["part", "scheme", "limits"], sort=False)
    found = groups.agg(
        tables=("lower", "size"), lower_miss=("lower", "mean"), upper_miss=("upper", "mean"),
        median_width=("width", "median"), endless=("width", lambda w: np.isinf(w).mean()), score=("score", "mean"),
    ).reset_index()  # fmt: skip
    return found.assign(coverage=1.0 - found["lower_miss"] - found["upper_miss"])


def together(rows):
    """Percentile limits of the total of the strata, and of the ratio of the last to the first."""
    tables = pd.DataFrame(rows).groupby("rep")
    found = {"total": [], "change": []}
    for _, table in tables:
        if not table["ok"].all():
            continue
        for scheme in SCHEMES:
            draws = np.array(table[f"{scheme} draws"].tolist())
            whole = {"n": table["n"].sum(), "truth": table["truth"].sum(), "draws": draws.sum(axis=0)}
            first, last = table.iloc[0], table.iloc[-1]
            change = {"n": 1.0, "truth": last["truth"] / first["truth"], "draws": draws[-1] / draws[0]}
            for part, row in (("total", whole), ("change", change)):
                least = row["n"] if part == "total" else 0.0
                limits = quantiles(row["draws"], least, TAILS)
                found[part].append(
                    {"part": part, "scheme": scheme, "limits": "percentile", **measured(row, *limits)}
                )
    return [summary(pd.DataFrame(one)) for one in found.values()]


if __name__ == "__main__":
    place = Path(sys.argv[2])
    place.mkdir(exist_ok=True, parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        {"draw": draw, "double": double, "judge": judge}[sys.argv[1]](place)
