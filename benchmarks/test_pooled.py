"""342 municipalities pooled: from an empty cache to draws of every one of them."""

import json
import os
import subprocess
import sys

import pytest

RUN = """
import json, time
import numpy as np
import hiddenpop as hp
from hiddenpop.bayes.pooled import PooledLogLinear
from hiddenpop.bayes.pooled import agreement
from hiddenpop.synthetic.local import draw_local
world = draw_local(**{world!r}, rng=1)
places = dict(zip(world.residents["municipality"], world.residents["region"]))
setting = PooledLogLinear(place="municipality", region="region", places=places, **{settings!r})
start = time.perf_counter()
estimate = setting.fit(world.table, rng=1)
seconds = time.perf_counter() - start
spreads, worst = estimate.details["hyperparameters"], estimate.details["worst"]
print(json.dumps({{
    "seconds": seconds, "status": estimate.status, "strata": len(estimate.by_stratum),
    "rhat": max(worst["stratum"]["rhat"], worst["spread"]["rhat"]),
    "of_strata": worst["stratum"]["ess_bulk"], "of_spreads": float(spreads["ess_bulk"].min()),
    "n_divergent": estimate.details["convergence"]["n_divergent"]}}))
"""

COUNTRY = {"n_places": 342, "n_persons": 6000}
BY_YEAR_AND_FORM = {
    **COUNTRY,
    "n_persons": 20_000,
    "years": (2015, 2016, 2017, 2018, 2019),
    "forms": ("domestic", "cross_border", "labour", "criminal"),
}
CASES = {
    "342 municipalities": (COUNTRY, {}, 90.0, 1000.0),
    "342 municipalities, 5 years, 4 forms": (BY_YEAR_AND_FORM, {"year": "year"}, 900.0, 400.0),
}


def run(world, settings, folder):
    """Fit in a fresh process in which nothing has been compiled."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN.format(world=world, settings=settings)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CASES)
def test_from_nothing_compiled(benchmark, report, tmp_path, name):
    world, settings, target, effective = CASES[name]
    found = benchmark.pedantic(run, args=(world, settings, tmp_path), rounds=1)
    report(
        f"{name}: {found['status']}, {found['strata']:,} strata in {found['seconds']:.0f} s with nothing compiled "
        f"before (target {target:.0f}), R-hat at most {found['rhat']:.4f}, {found['n_divergent']} divergent; effective "
        f"draws of every N {found['of_strata']:,.0f} or more, of every standard deviation {found['of_spreads']:,.0f}"
    )
    assert found["seconds"] < target
    assert found["rhat"] <= 1.01
    assert min(found["of_strata"], found["of_spreads"]) >= effective
