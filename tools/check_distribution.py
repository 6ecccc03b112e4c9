"""Build the wheel and the source distribution, compare them with the source, and try the wheel where nothing else is.

Run by ``make dist`` from the project's environment: ``python tools/check_distribution.py --out dist``. The wheel is
installed with its base dependencies alone, in an empty environment outside the project, and used from another folder.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "hiddenpop"
NEVER = {".pyc", ".nbi", ".nbc", ".part"}
"""Suffixes of what a run leaves behind: compiled code, and files that were being written."""

MUST = {"py.typed", "datasets/catalogue.toml", "datasets/uk.csv", "synthetic/world/settings.toml"}
"""Data without which the package does not work; that the wheel has all files of the source is checked besides."""

NOT_DISTRIBUTED = (".ci/", ".github/", ".gitignore", ".pre-commit-config.yaml")
SMOKE_TIMEOUT = 300
AT_ONCE = 2
BAD_INPUT = 2

OBSERVED_UK = 2744
TYPED = """\
import hiddenpop as hp
estimate = hp.SelectedLogLinear(criterion="bic").fit(hp.datasets.load("uk_5"))
reveal_type(estimate)
"""
EXTRAS = """\
from hiddenpop.errors import MissingExtraError
from hiddenpop.extras import EXTRA_OF, need
for package, extra in EXTRA_OF.items():
    try:
        need(package, "a test")
    except MissingExtraError as error:
        assert f"hiddenpop[{extra}]" in str(error), str(error)
    else:
        raise SystemExit(f"{package} is installed, though it belongs to the extra {extra}")
"""
PLAN = """\
[analysis]
title = "Women held at Palembang"
question = "How many were there?"
population = "Korean women held at Palembang"
seed = 1
[data]
table = "korea"
[[estimator]]
name = "loglinear"
model = "[12,3]"
[choice]
estimator = "loglinear"
why = "It is the model of the source."
[report]
formats = []
"""
MODULES = """\
import importlib, pkgutil, hiddenpop
names = [found.name for found in pkgutil.walk_packages(hiddenpop.__path__, "hiddenpop.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
assert len(names) > 100, names
"""


class DistributionError(Exception):
    """Something about the distribution is wrong."""


@dataclass(frozen=True, slots=True)
class Place:
    """The empty environment and the folder from which it is used."""

    folder: Path
    environment: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.environment / "bin" / "python"

    @property
    def command(self) -> str:
        """The command that the wheel installs."""
        return str(self.environment / "bin" / PACKAGE)

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run something in the folder, with nothing of the project in sight."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))
        }
        kept["HIDDENPOP_KEY_FILE"] = str(self.folder / "key")
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=kept,
            capture_output=True,
            text=True,
            timeout=SMOKE_TIMEOUT,
            check=False,
        )
        if done.returncode != code:
            raise DistributionError(
                f"{' '.join(words)[:200]} ended with {done.returncode}, not {code}:\n{done.stderr[-2000:]}"
            )
        return done

    def python_says(self, script: str) -> str:
        """Run a script in the environment."""
        return self.run(str(self.python), "-c", script).stdout


def main() -> int:
    """Check everything; the exit code is 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder in which to leave wheel and source distribution")
    parser.add_argument("--no-install", action="store_true", help="compare the contents only")
    chosen = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="hiddenpop-dist-") as name:
            _check(Path(name), chosen.out, install=not chosen.no_install)
    except DistributionError as fault:
        print(f"distribution: {fault}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _check(folder: Path, out: Path | None, *, install: bool) -> None:
    with _step("build"):
        sdist, wheel = build(folder / "dist")
        _, direct = build(folder / "direct", "--wheel")
    with _step("contents"):
        faults = [*wheel_faults(wheel, direct, source_files()), *sdist_faults(sdist, tracked_files())]
        if faults:
            raise DistributionError("\n  - ".join(["the files are not what they should be:", *faults]))
    if install:
        with _step("install"):
            place = install_wheel(wheel, folder)
        with _step("use"), ThreadPoolExecutor(AT_ONCE) as pool:
            for check in [pool.submit(check, place) for check in SMOKE]:
                check.result()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for path in (sdist, wheel):
            shutil.copy(path, out)


@contextmanager
def _step(name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"distribution: {name}: {time.monotonic() - start:.0f} s", flush=True)  # noqa: T201


# --- what is in the files ---


def build(out: Path, *kinds: str) -> tuple[Path, Path]:
    """Build with the pinned backend; without `kinds` the source distribution, and from it the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), *kinds, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DistributionError(f"the build failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return next(out.glob("*.tar.gz"), out), next(out.glob("*.whl"))


def source_files() -> dict[str, bytes]:
    """Read every file of the package in the source tree, by its path in the wheel."""
    base = ROOT / "src"
    return {
        path.relative_to(base).as_posix(): path.read_bytes()
        for path in sorted((base / PACKAGE).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in NEVER
    }


def tracked_files() -> list[str]:
    """Name the files under version control; nothing outside a repository."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def wheel_content(path: Path) -> dict[str, bytes]:
    """Read the members of a wheel, without the list of checksums, whose order is free."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith(("/", "/RECORD"))]
        return {name: archive.read(name) for name in names}


def wheel_faults(wheel: Path, direct: Path, source: Mapping[str, bytes]) -> list[str]:
    """Say how the wheel differs from the source, and from the one built without a source distribution."""
    content = wheel_content(wheel)
    package = {name: data for name, data in content.items() if name.startswith(f"{PACKAGE}/")}
    strange = [name for name in content if name not in package and ".dist-info/" not in name]
    faults = [f"the wheel lacks {name}" for name in sorted(source.keys() - package.keys())]
    faults += [
        f"the wheel has {name}, which the source has not" for name in sorted(package.keys() - source.keys())
    ]
    faults += [
        f"{name} differs from the source"
        for name in sorted(source.keys() & package.keys())
        if source[name] != package[name]
    ]
    faults += [f"the wheel has {name} outside the package" for name in strange]
    faults += [
        f"the wheel lacks {PACKAGE}/{name}" for name in sorted(MUST) if f"{PACKAGE}/{name}" not in package
    ]
    if not any(name.endswith("/licenses/LICENSE") for name in content):
        faults.append("the wheel lacks the licence")
    if content != wheel_content(direct):
        faults.append("the wheel made from the source distribution is not the one made from the source")
    return faults


def sdist_faults(sdist: Path, tracked: list[str]) -> list[str]:
    """Say which files under version control are not in the source distribution, and what should not be there."""
    with tarfile.open(sdist) as archive:
        names = {
            str(PurePosixPath(*PurePosixPath(m.name).parts[1:])) for m in archive.getmembers() if m.isfile()
        }
    wanted = [name for name in tracked if not name.startswith(NOT_DISTRIBUTED)]
    faults = [f"the source distribution lacks {name}" for name in wanted if name not in names]
    left = [n for n in sorted(names) if PurePosixPath(n).suffix in NEVER or "__pycache__" in n]
    return faults + [f"the source distribution has {name}" for name in left]


# --- what the wheel does where nothing else is ---


def install_wheel(wheel: Path, folder: Path) -> Place:
    """Install the wheel with its base dependencies, pinned, in an environment of its own."""
    place = Place(folder / "elsewhere", folder / "empty")
    place.folder.mkdir()
    venv.create(place.environment, with_pip=False, symlinks=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(place.python),
        "install",
        "--quiet",
        "--no-compile",
    ]
    constraints = ["-c", str(ROOT / "constraints.txt"), str(wheel)]
    done = subprocess.run([*command, *constraints], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DistributionError(f"the wheel cannot be installed:\n{done.stderr[-2000:]}")
    return place


def version(place: Place) -> None:
    """Import the installed package, whose version the command agrees on."""
    script = "import hiddenpop as hp; print(hp.__version__); print(hp.__file__)"
    number, path = place.python_says(script).split("\n")[:2]
    if not Path(path).is_relative_to(place.environment):
        raise DistributionError(f"hiddenpop was imported from {path}, outside the empty environment")
    said = place.run(place.command, "--version").stdout
    if said != f"hiddenpop {number}\n":
        raise DistributionError(f"hiddenpop --version says {said!r}; the package is {number}")


def estimate_and_plot(place: Place) -> None:
    """Run the usual methods on a published table, and write a figure."""
    said = place.run(place.command, "estimate", "uk_5", "--json", "--plot", "uk.png").stdout
    estimates = json.loads(said)["estimates"]
    if {entry["n_observed"] for entry in estimates} != {OBSERVED_UK} or len(estimates) < 5:
        raise DistributionError(
            f"estimate uk_5 --json gave {len(estimates)} estimates; expected five or more of {OBSERVED_UK}"
        )
    if not (place.folder / "uk.png").read_bytes().startswith(b"\x89PNG"):
        raise DistributionError("estimate --plot wrote no png")


def describe_and_simulate(place: Place) -> None:
    """Describe a table, draw one and read it back."""
    place.run(place.command, "describe", "uk_5")
    place.run(place.command, "simulate", "like-kosovo", "--out", "worlds", "--seed", "1")
    place.run(place.command, "describe", "worlds/like-kosovo.csv", "--json")


def bayesian_estimate(place: Place) -> None:
    """Get a posterior from a Bayesian estimator."""
    said = place.run(
        place.command, "estimate", "kosovo", "--estimator", "decomposable", "--seed", "1", "--json"
    )
    found = json.loads(said.stdout)
    if found["status"] != "ok" or not found["n_hat"] > found["n_observed"]:
        raise DistributionError(
            f"decomposable on kosovo has status {found['status']} and n_hat {found['n_hat']}"
        )


def every_module(place: Place) -> None:
    """Import every module without any extra."""
    place.python_says(MODULES)


def run_and_reproduce(place: Place) -> None:
    """Carry out a plan, and do it again with the same numbers."""
    (place.folder / "analysis.toml").write_text(PLAN)
    place.run(place.command, "run", "analysis.toml", "--out", "first", "--workers", "1")
    place.run(place.command, "reproduce", "first", "--workers", "1")


def missing_extras(place: Place) -> None:
    """Ask for packages of extras that are not there; each error names the extra, on the command line in one line."""
    place.python_says(EXTRAS)
    (place.folder / "report.toml").write_text(PLAN.replace("formats = []", 'formats = ["html"]'))
    told = place.run(place.command, "run", "report.toml", "--out", "second", code=BAD_INPUT).stderr
    if "hiddenpop[report]" not in told or told.count("\n") != 1:
        raise DistributionError(f"a report without its extra is told as {told!r}")


def types_are_seen(place: Place) -> None:
    """Let the mypy of the project, where it is at hand, read the types of the installed package."""
    mypy = Path(sys.executable).with_name("mypy")
    if not mypy.exists():
        return
    (place.folder / "typed.py").write_text(TYPED)
    options = ["--python-executable", str(place.python), "--cache-dir", str(place.folder / ".mypy")]
    said = place.run(str(mypy), *options, "--follow-imports=silent", "typed.py").stdout
    if 'Revealed type is "hiddenpop.result.Estimate"' not in said:
        raise DistributionError(f"the installed package is not seen as typed: {said}")


SMOKE: tuple[Callable[[Place], None], ...] = (
    version,
    missing_extras,
    estimate_and_plot,
    describe_and_simulate,
    bayesian_estimate,
    run_and_reproduce,
    every_module,
    types_are_seen,
)

if __name__ == "__main__":
    sys.exit(main())
