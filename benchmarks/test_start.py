"""What a user waits for: the import, the help text, the first estimate."""

import subprocess
import sys
import time

import pytest

REPEATS = 5


def _seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def test_import(benchmark, report):
    baseline = min(_seconds(sys.executable, "-c", "import numpy, pandas") for _ in range(REPEATS))
    benchmark.pedantic(
        _seconds,
        args=(sys.executable, "-c", "import numpy, pandas, hiddenpop"),
        rounds=REPEATS,
        warmup_rounds=1,
    )
    ours = benchmark.stats.stats.min
    report(
        f"import hiddenpop: {ours:.3f} s; import numpy, pandas: {baseline:.3f} s; above it {ours - baseline:.3f} s"
    )


@pytest.mark.parametrize("arguments", [("--help",), ("estimate", "uk"), ("describe", "uk_5")], ids=" ".join)
def test_command(benchmark, report, arguments):
    command = (sys.executable, "-m", "hiddenpop", *arguments)
    benchmark.pedantic(_seconds, args=command, rounds=3, warmup_rounds=1)
    report(f"hiddenpop {' '.join(arguments)}: {benchmark.stats.stats.median:.2f} s warm")


def test_first_estimate_cold(benchmark, report, tmp_path, monkeypatch):
    """With an empty cache of compiled code, as on a fresh machine."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    benchmark.pedantic(_seconds, args=(sys.executable, "-m", "hiddenpop", "estimate", "uk"), rounds=1)
    report(f"hiddenpop estimate uk, compiling everything: {benchmark.stats.stats.median:.2f} s")


def test_memory_of_the_model_spaces(report):
    """Peak memory of a process that fits the four model spaces and does nothing else."""
    code = (
        "import resource, numpy as np, hiddenpop as hp\n"
        "from hiddenpop.model import enumerate_models\n"
        "from hiddenpop.kernels.lattice import fit_batch\n"
        "for name, t, order in [('uk_5', 5, None), ('netherlands_5', 5, None), ('uk', 6, 2), ('netherlands', 6, 2)]:\n"
        "    y = hp.datasets.load(name).to_dense().astype(float)\n"
        "    fit_batch(y, np.concatenate(list(enumerate_models(t, max_order=order))), t)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    report(f"peak memory of fitting all four model spaces: {float(done.stdout):.0f} MB")
