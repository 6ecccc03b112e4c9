"""What is kept between two runs lies in the clone, and where nothing has ever been compiled nothing is heard of it."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numba
from tools.caches import CACHE, keep_inside, places

import hiddenpop

ROOT = Path(__file__).parents[1]
PACKAGE = Path(hiddenpop.__file__).parent
WORK = """
import os, sys
sys.path.append(os.getcwd())
from tools.caches import keep_inside
keep_inside()
import hiddenpop as hp
table = hp.datasets.load("korea")
hp.SelectedLogLinear(search="exhaustive").fit(table).plot().figure.savefig(os.devnull, format="png")
hp.report.Report(title="t", question="q", population="p", why="w", table=table, chosen="a",
                 estimates={"a": hp.LogLinear(model="[12,3]").fit(table)}).pdf()
from hiddenpop.bayes.inference_data import load_arviz
load_arviz()
import pytensor, IPython.paths, jupyter_core.paths, dask, distributed, numba, matplotlib
from hiddenpop.kernels.compiled import cache_folder
print(cache_folder(), numba.config.CACHE_DIR, pytensor.config.compiledir,
      matplotlib.get_configdir(), matplotlib.get_cachedir(),
      IPython.paths.get_ipython_dir(), jupyter_core.paths.jupyter_runtime_dir(), jupyter_core.paths.jupyter_data_dir(),
      dask.config.PATH, sep=chr(10))
"""


def test_the_makefile_and_what_is_started_by_hand_agree() -> None:
    exported = dict(
        re.findall(r"^export (\w+) := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    assert exported == places(Path("$(CACHE)"))
    assert CACHE == ROOT / ".venv" / "cache"


def test_the_variables_are_set_before_anything_is_imported_that_reads_them() -> None:
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR
    assert mpl.get_configdir() == str(Path(os.environ["MPLCONFIGDIR"]).resolve())


def test_what_is_set_already_stays() -> None:
    given = {"NUMBA_CACHE_DIR": "mine", "PYTENSOR_FLAGS": "base_compiledir=mine", "MPLCONFIGDIR": ""}
    kept = dict(given)
    keep_inside(kept)
    assert kept == {**places(), **given, "MPLCONFIGDIR": places()["MPLCONFIGDIR"]}
    flags = {"PYTENSOR_FLAGS": "floatX=float64"}
    keep_inside(flags)
    assert flags["PYTENSOR_FLAGS"] == f"floatX=float64,{places()['PYTENSOR_FLAGS']}"


def test_nothing_is_kept_in_the_home_folder(tmp_path: Path) -> None:
    """And ArviZ, which warns once a day and notes the day in a folder of its own, is imported in silence."""
    home, fresh = tmp_path / "home", tmp_path / "fresh"
    home.mkdir()
    bare = {
        name: os.environ[name] for name in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WORK],
        cwd=ROOT,
        env={**bare, "HOME": str(home), "XDG_CACHE_HOME": str(fresh)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(Path(line).resolve().is_relative_to(CACHE.resolve()) for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == 9
    assert list(home.rglob("*")) == []
    assert [path.name for path in (fresh / "arviz").iterdir()] == ["daily_warning"]


ALLOWED = {
    "load_arviz": "filters the notice",
    "load_pymc": "has loaded ArviZ before",
    "_by_nutpie": "called where the notices are filtered",
    "_by_pymc": "called where the notices are filtered",
    "_one_call": "called where the notices are filtered",
}


def noisy_imports(node: ast.AST, function: str = "") -> Iterator[str]:
    """Name the functions that import a package that imports ArviZ."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef) else function
        names = [a.name for a in child.names] if isinstance(child, ast.Import) else []
        names += [str(child.module)] if isinstance(child, ast.ImportFrom) else []
        if {name.split(".")[0] for name in names} & {"arviz", "pymc", "nutpie"}:
            yield inside
        yield from noisy_imports(child, inside)


def test_packages_that_warn_once_a_day_are_imported_where_that_is_filtered() -> None:
    found = {
        function
        for path in PACKAGE.rglob("*.py")
        for function in noisy_imports(ast.parse(path.read_text("utf-8")))
    }
    assert found == set(ALLOWED)
