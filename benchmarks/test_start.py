"""What a user waits for: CPU seconds of a process of its own, beside the goal and the imports that it must make."""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

REPEATS = 3

# Goals in CPU seconds, warm (with what an earlier call has compiled) and first-ever (with nothing compiled).
WARM = {
    "--help": 0.3,
    "datasets": 0.5,
    "estimate hares --estimator closed_population": 1.1,
    "describe uk_5": 1.4,
    "estimate uk_5": 2.5,
}
FIRST_EVER = {
    "estimate hares --estimator closed_population": 1.1,
    "estimate uk_5": 12.0,
    "estimate uk_5 --estimator bootstrapped --seed 1": 15.0,
}

# R (Rcapture) on the same table from the shell, CPU seconds; recorded, not run here.
R_SECONDS = {"estimate hares --estimator closed_population": 0.23}


def cpu_seconds(*arguments: str, caches: Path | None = None) -> float:
    """Run Python in a process on one thread; with a folder for its caches, nothing is compiled but what lies there."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    fresh = (
        {}
        if caches is None
        else {name: str(caches / name) for name in ("NUMBA_CACHE_DIR", "HIDDENPOP_CACHE_DIR")}
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, env={**os.environ, **threads, **fresh}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def repeated(*arguments: str) -> float:
    """Median of a few runs, after one that fills the caches."""
    cpu_seconds(*arguments)
    return statistics.median(cpu_seconds(*arguments) for _ in range(REPEATS))


def floor() -> float:
    return repeated("-c", "import numpy, pandas, scipy.special")


def in_words(command: str, what: str, seconds: float, goal: float) -> str:
    beside = f", R {R_SECONDS[command]} (recorded)" if command in R_SECONDS else ""
    return (
        f"hiddenpop {command}, {what}: {seconds:.2f} CPU s (goal {goal}){beside}; "
        f"import numpy, pandas, scipy.special {floor():.2f}"
    )


def test_import(report):
    ours, alone = repeated("-c", "import hiddenpop"), repeated("-c", "pass")
    report(
        f"import hiddenpop: {ours:.2f} CPU s, Python alone {alone:.2f}; numpy, pandas, scipy.special {floor():.2f}"
    )


@pytest.mark.parametrize("command", WARM)
def test_warm(report, command):
    report(in_words(command, "warm", repeated("-m", "hiddenpop", *command.split()), WARM[command]))


@pytest.mark.parametrize("command", FIRST_EVER)
def test_first_ever(report, tmp_path, command):
    """With empty caches of compiled code, as on a fresh machine."""
    seconds = cpu_seconds("-m", "hiddenpop", *command.split(), caches=tmp_path)
    report(in_words(command, "first-ever", seconds, FIRST_EVER[command]))


def test_memory_of_the_model_spaces(report):
    """Peak memory of a process that fits the four model spaces and does nothing else."""
    code = (
        "import resource, numpy as np, hiddenpop as hp\n"
        "from hiddenpop.model import enumerate_models\n"
        "from hiddenpop.kernels.poisson.lattice import fit_batch\n"
        "for name, t, order in [('uk_5', 5, None), ('netherlands_5', 5, None), ('uk', 6, 2), ('netherlands', 6, 2)]:\n"
        "    y = hp.datasets.load(name).to_dense().astype(float)\n"
        "    fit_batch(y, np.concatenate(list(enumerate_models(t, max_order=order))), t)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    report(f"peak memory of fitting all four model spaces: {float(done.stdout):.0f} MB")
