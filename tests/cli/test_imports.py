"""What a command loads: nothing that it has no use for, each looked at in a process of its own."""

import subprocess
import sys

import pytest

PLOTS_AND_MODELS = ("matplotlib", "statsmodels", "pymc", "pytensor", "arviz", "formulaic", "joblib")
COMPILER = ("numba", "llvmlite")
OPTIMISERS = ("scipy.stats", "scipy.optimize", "scipy.sparse", "scipy.integrate", "scipy.interpolate")
NUMBERS = ("numpy", "pandas", "scipy", "pyarrow")

ONE_FIT = (*PLOTS_AND_MODELS, *COMPILER, *OPTIMISERS)
LISTING = (*PLOTS_AND_MODELS, *COMPILER, *NUMBERS)

RUN = """
import sys
from hiddenpop.cli import main
code = main(sys.argv[1:])
print()
print(code, *sorted(sys.modules))
"""


def loaded_by(code: str, *arguments: str) -> tuple[str, set[str]]:
    """Run code in a process; give the first word of its last line, and the names after it."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    first, *names = done.stdout.splitlines()[-1].split()
    return first, set(names)


def test_the_package_alone_loads_no_package_beside_it() -> None:
    _, names = loaded_by("import sys, hiddenpop; print(0, *sys.modules)")
    assert names.isdisjoint({*LISTING, "typer"})


@pytest.mark.parametrize("arguments", ["--help", "--version", "datasets", "estimate --help"])
def test_help_and_catalogue_load_neither_arrays_nor_compiler(arguments: str) -> None:
    code, names = loaded_by(RUN, *arguments.split())
    assert code == "0"
    assert names.isdisjoint(LISTING)


@pytest.mark.parametrize(
    "arguments",
    [
        "describe uk_5",
        "describe artificial_3",  # no model has a finite answer: the faces of all are judged
        "estimate hares --estimator closed_population",
        "estimate hares --estimator closed_population --set model=Mb",
        "estimate hares --estimator loglinear",
        "estimate artificial_3 --estimator loglinear --set model=all-pairs",
        "estimate uk_5 --estimator loglinear --seed 1",  # with tables drawn for the goodness of fit
        "estimate hares --estimator chao",
        "estimate hares --estimator chao --set list_effects=false",
        "estimate hares --estimator sample_coverage",
        "estimate kosovo --estimator lincoln_petersen --set lists=EXH,ABA",
        "estimate kosovo --estimator chapman --set lists=EXH,ABA",
    ],
)
def test_one_fit_loads_neither_compiler_nor_optimiser(arguments: str) -> None:
    code, names = loaded_by(RUN, *arguments.split())
    assert code == "0"
    assert names.isdisjoint(ONE_FIT)


def test_what_is_looked_for_is_found_where_it_is_needed() -> None:
    """A search of models does load the compiler, under the names that the tests above look for."""
    _, names = loaded_by(RUN, "estimate", "korea", "--estimator", "selected")
    assert set(COMPILER) <= names
