"""What the package answers, written down before its files are moved, and compared after every move.

python -m tools.freeze write [FILE] [PART...]      every answer into FILE, by default tools/frozen.json
python -m tools.freeze compare [FILE] [PART...]    every answer again; what differs is named, and the exit code is 1

Parts are kernels, estimators, checks and plans; all of them without a name.

Answers of every registered estimator in every variant of the contract on eight tables (of those that sample on two), of
every check around three estimators, of both example plans, and of the kernels on 300 random and 60 extreme tables. An
answer is a digest of what leaves (provenance apart) and of the draws. It goes with the moves that it guards.
"""

import contextlib
import hashlib
import io
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests.contract.cases import PRIVATE, VARIANTS, label, make, split_into_strata, table_of, tables

import hiddenpop as hp
from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.registry import ESTIMATORS
from hiddenpop.kernels.poisson import dense, lattice
from hiddenpop.model import enumerate_models
from hiddenpop.sensitivity import CHECKS, build_check

ROOT = Path(__file__).parents[1]
FROZEN = ROOT / "tools" / "frozen.json"
SEED = 20261130
RANDOM, EXTREME = 300, 60
DIGITS = 9
"""Significant digits of kernels whose order of sums may change."""


def eight_tables() -> dict[str, hp.CaptureTable]:
    """Give published, sparse, private and stratified tables."""
    kosovo = hp.datasets.load("kosovo")
    return {
        **tables(),
        "private": table_of(PRIVATE, ("police", "shelter", "health"), public=False, name="private"),
        "two lists": kosovo.drop_list(*kosovo.lists[2:]),
        "by region": split_into_strata(kosovo, np.random.default_rng(SEED)),
    }


def digest(value: Any) -> str:
    """Digest plain values by their canonical text."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def of_draws(draws: Any) -> str:
    """Digest an array of draws."""
    return "" if draws is None else hashlib.sha256(np.ascontiguousarray(draws).tobytes()).hexdigest()[:16]


def answer(get: Callable[[], Any]) -> Any:
    """Give an answer as it is written down, or the error that stands for it, from numpy among others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return get()
        except (HiddenpopError, ArithmeticError, ValueError) as error:
            return f"{type(error).__name__}: {error}"


def of_estimate(estimate: hp.Estimate) -> dict[str, str]:
    """Give the digests of one estimate, with its number to look at."""
    written = {key: value for key, value in estimate.to_dict().items() if key != "provenance"}
    parts = of_draws(estimate.draws), of_draws(estimate.stratum_draws)
    return {
        "n": f"{estimate.n_hat:.10g} {estimate.status}",
        "written": digest(written),
        "draws": "/".join(parts),
    }


SAMPLERS = {name for name, path in ESTIMATORS.items() if path.startswith("hiddenpop.bayes")}
TABLES_OF_SAMPLERS = ("kosovo", "by region")
"""Of the eight; a sampler compiles anew for each shape of a table."""


def estimators() -> Iterator[tuple[str, Any]]:
    """Fit every variant to every table."""
    for name, table in eight_tables().items():
        for case in VARIANTS:
            if name not in TABLES_OF_SAMPLERS and case[0] in SAMPLERS:
                continue
            yield (
                f"estimate | {name} | {label(case)}",
                answer(lambda case=case, table=table: of_estimate(make(case, table).fit(table, rng=SEED))),
            )


def checks() -> Iterator[tuple[str, Any]]:
    """Run every check around three estimators."""
    table = hp.datasets.load("kosovo")
    around = {
        "loglinear": hp.LogLinear(),
        "selected": hp.SelectedLogLinear(),
        "bootstrapped": hp.Bootstrapped(n_boot=200),
    }
    for check in CHECKS:
        for name, estimator in around.items():
            yield (
                f"check | {check} | {name}",
                answer(
                    lambda check=check, estimator=estimator: of_check(
                        build_check(check, {}).run(estimator, table, rng=SEED)
                    )
                ),
            )


def of_check(result: Any) -> str:
    """Digest what a check writes."""
    return digest({key: value for key, value in result.to_dict().items() if key != "provenance"})


def plans() -> Iterator[tuple[str, Any]]:
    """Run both example plans, and digest the results that they write, versions and times apart."""
    for plan in sorted((ROOT / "docs" / "examples").glob("*.toml")):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            run = Path(folder) / "run"
            hp.runs.run(plan, out=run, workers=1)
            for file in sorted(run.rglob("*.json")):
                if file.name != "manifest.json":
                    yield f"plan | {plan.stem} | {file.relative_to(run)}", digest(without_provenance(file))


def without_provenance(file: Path) -> Any:
    """Read JSON without versions, times and folders."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kept(item) for key, item in value.items() if key not in APART}
        return [kept(item) for item in value] if isinstance(value, list) else value

    return kept(json.loads(file.read_text(encoding="utf-8")))


APART = {"provenance", "versions", "seconds", "created", "source", "started"}


def kernels() -> Iterator[tuple[str, Any]]:
    """Fit by the kernels that are to become one."""
    for number in range(RANDOM + EXTREME):
        rng = np.random.default_rng([SEED, number])
        counts, design = _problem(rng, extreme=number >= RANDOM)
        fits = {
            "dense": lambda counts=counts, design=design: dense.fit_design(design, counts),
            "steady": lambda counts=counts, design=design: dense.steady_fit(design, counts),
            "robust": lambda counts=counts, design=design: dense.robust_fit(design, counts),
            "repeated": lambda counts=counts, design=design: dense.repeated_fit(design, counts),
        }
        for name, fit in fits.items():
            yield f"kernel | {name} | {number}", answer(lambda fit=fit: _coefficients(fit()))
        n_lists = int(rng.integers(2, 5))
        cells = rng.poisson(rng.choice([0.5, 5.0, 500.0]), 1 << n_lists).astype(float)
        cells[0] = 0.0
        cells[1 << np.arange(n_lists)] += 1.0
        models = next(enumerate_models(n_lists))[:20]
        batch = lattice.fit_batch(cells, models, n_lists)
        yield f"kernel | lattice | {number}", [f"{value:.6f}" for value in batch.deviance]


def _problem(rng: np.random.Generator, *, extreme: bool) -> tuple[Any, Any]:
    n, p = int(rng.integers(6, 30)), int(rng.integers(1, 5))
    design = np.column_stack([np.ones(n), rng.integers(0, 2, (n, p)).astype(float)])
    mean = rng.choice([0.3, 1e6]) if extreme else rng.uniform(2.0, 80.0)
    counts = rng.poisson(mean, n).astype(float)
    counts[0] += 1.0
    return counts, design


def _coefficients(fit: Any) -> list[str]:
    return [f"{value:.{DIGITS}g}" for value in np.ravel(fit.coefficients)]


PARTS = {"kernels": kernels, "estimators": estimators, "checks": checks, "plans": plans}


def everything(parts: Sequence[str]) -> dict[str, Any]:
    """Give every answer of some parts by its name."""
    found: dict[str, Any] = {}
    for part in parts:
        started = time.process_time()
        for name, value in PARTS[part]():
            found[name] = value
            sys.stderr.write(f"\r{len(found)} answers")
        sys.stderr.write(f"\r{part}: {time.process_time() - started:.0f} s of CPU\n")
    return found


def main(command: str, file: Path, parts: Sequence[str]) -> int:
    """Write the answers, or compare them with those written."""
    found = everything(parts)
    if command == "write":
        file.write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
        return 0
    before = json.loads(file.read_text(encoding="utf-8"))
    starts = tuple(f"{PREFIX[part]} |" for part in parts)
    names = sorted({name for name in before if name.startswith(starts)} | set(found))
    differing = [name for name in names if before.get(name) != found.get(name)]
    for name in differing:
        sys.stdout.write(f"{name}\n  before {before.get(name)}\n  now    {found.get(name)}\n")
    sys.stdout.write(f"{len(names) - len(differing):,} of {len(names):,} answers are as before\n")
    return 1 if differing else 0


PREFIX = {"kernels": "kernel", "estimators": "estimate", "checks": "check", "plans": "plan"}


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    sys.exit(main(command, Path(rest[0]) if rest else FROZEN, rest[1:] or list(PARTS)))
