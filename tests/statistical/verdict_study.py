"""What a grade of `describe` is worth: the error of the usual estimate where the truth is known, grade by grade.

python -m tests.statistical.verdict_study draw FILE      worlds of up to six lists in three sizes, ten minutes
python -m tests.statistical.verdict_study apart FILE     400 laws drawn at random, one table each, five minutes
python -m tests.statistical.verdict_study tables FILE    the tables of docs/limits.md, from one of these files

The bounds of the grades were chosen on worlds of the library; the laws drawn at random had no part in that.
"""

import itertools
import math
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import hiddenpop as hp
from hiddenpop.description import describe
from hiddenpop.description.rules import RULES
from hiddenpop.errors import CapabilityError, HiddenpopWarning
from hiddenpop.synthetic import (
    LIBRARY,
    Group,
    IndependentLists,
    LatentClasses,
    Law,
    RaschNormal,
    Referral,
    ReferralLaw,
    Scenario,
)

SEED = 20261201
SIZES, FEWEST = (1, 5, 20), 100
MOST_LISTS_WHOLE = 6
USUAL = hp.SelectedLogLinear(max_fits=1_000)


def tables(n_tables: int, most_lists: int = 8) -> Iterator[tuple[str, int, hp.CaptureTable]]:
    """Draw tables of every world, some with a fifth and a twentieth of the persons: name, truth and table."""
    for number, (name, world) in enumerate(LIBRARY.items()):
        if len(world.lists) > most_lists:
            continue
        for k in range(n_tables):
            size = world.truth // SIZES[k % len(SIZES)]
            drawn_from = world.resized(size) if FEWEST <= size < world.truth else world
            yield name, drawn_from.truth, drawn_from.draw(rng=[SEED, number, k])


def tables_apart(n_laws: int) -> Iterator[tuple[str, int, hp.CaptureTable]]:
    """Draw laws that had no part in the choice of the rules, and one table of each: kind of law, truth and table."""
    for number in range(n_laws):
        rng = np.random.default_rng([SEED, 1, number])
        names = tuple(f"l{i + 1}" for i in range(rng.integers(2, 6)))
        size = int(np.exp(rng.uniform(np.log(150), np.log(20_000))))
        kind = KINDS[number % len(KINDS)]
        group = Group(size=size, law=_law(kind, names, rng))
        world = Scenario(name=f"{kind}-{number}", description="A law drawn.", lists=names, groups=(group,))
        yield kind, size, world.draw(rng=rng)


KINDS = ("independent", "referrals", "heterogeneity", "classes")


def _law(kind: str, lists: tuple[str, ...], rng: np.random.Generator) -> Law:
    """Draw a law: lists that see 3 to 50 %, and odds ratios, spreads or classes of a size that is met with."""
    chances = tuple(np.exp(rng.uniform(np.log(0.03), np.log(0.5), len(lists))))
    if kind == "referrals":
        pairs = list(itertools.combinations(lists, 2))
        chosen = rng.permutation(len(pairs))[: rng.integers(1, len(lists))]
        referrals = tuple(
            Referral(source=pairs[i][0], target=pairs[i][1], odds_ratio=float(np.exp(rng.normal(0.5, 0.9))))
            for i in chosen
        )
        return ReferralLaw(lists=lists, probabilities=chances, referrals=referrals)
    if kind == "heterogeneity":
        return RaschNormal(probabilities=chances, sd=float(rng.uniform(0.3, 1.5)))
    if kind == "classes":
        odds = np.asarray(chances) / (1.0 - np.asarray(chances)) * np.exp(rng.normal(1.0, 0.7, len(lists)))
        return LatentClasses(weights=(0.7, 0.3), probabilities=(chances, tuple(odds / (1.0 + odds))))
    return IndependentLists(probabilities=chances)


def judged(n_tables: int, *, most_lists: int = 8, n_boot: int = 0) -> pd.DataFrame:
    """Describe every table, and compare the best model by BIC with the truth.

    Returns
    -------
    DataFrame
        ``world``, ``grade``, ``error`` (absolute log ratio of estimate and truth, inf without a finite answer),
        ``held`` (whether the bootstrap interval holds the truth; missing without one) and a column a rule.
    """
    return _judged(tables(n_tables, most_lists), n_boot)


def judged_apart(n_laws: int, *, n_boot: int = 0) -> pd.DataFrame:
    """Give the same of tables of laws drawn at random, with their kind as the world."""
    return _judged(tables_apart(n_laws), n_boot)


def _judged(drawn: Iterable[tuple[str, int, hp.CaptureTable]], n_boot: int) -> pd.DataFrame:
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        for number, (name, truth, table) in enumerate(drawn):
            try:
                rows.append({"world": name, **_row(table, truth, n_boot, number)})
            except CapabilityError:  # lists that do not operate everywhere
                continue
    return pd.DataFrame(rows)


def _row(table: hp.CaptureTable, truth: int, n_boot: int, number: int) -> dict[str, object]:
    description = describe(table)
    fired = {finding.rule for finding in description.findings}
    order = None if table.n_lists <= MOST_LISTS_WHOLE else 2
    base = hp.SelectedLogLinear(max_fits=USUAL.max_fits, max_order=order)
    usual = hp.Bootstrapped(base=base, n_boot=n_boot) if n_boot else base
    found = usual.fit(table, rng=SEED + number)
    return {
        "grade": description.grade,
        "error": abs(math.log(found.n_hat / truth)) if found.status == "ok" else math.inf,
        "held": float(found.interval.low <= truth <= found.interval.high) if n_boot else math.nan,
        **{rule.name: rule.name in fired for rule in RULES},
    }


def by_grade(drawn: pd.DataFrame) -> pd.DataFrame:
    """Median and third quartile of the error, and coverage, grade by grade."""
    grades = drawn.groupby("grade")
    return pd.DataFrame(
        {
            "tables": grades.size(),
            "worlds": grades["world"].nunique(),
            "median": grades["error"].median(),
            "third quartile": grades["error"].quantile(0.75, interpolation="higher"),
            "coverage": grades["held"].mean(),
        }
    )


def by_ground(drawn: pd.DataFrame) -> pd.DataFrame:
    """Median error of the tables on which a rule fires, and of the others."""
    rows = []
    for rule in RULES:
        on = drawn[rule.name].astype(bool)
        if on.any():
            rows.append(
                {
                    "ground": rule.name,
                    "tables": int(on.sum()),
                    "median with": drawn.loc[on, "error"].median(),
                    "without": drawn.loc[~on, "error"].median(),
                }
            )
    return pd.DataFrame(rows).set_index("ground")


def _factor(error: float) -> str:
    """Write an error as the factor by which an estimate is off."""
    return f"{math.exp(error):.2f}" if math.isfinite(error) else "no finite answer"


def in_markdown(drawn: pd.DataFrame) -> str:
    """Write both tables for the documentation."""
    lines = [
        "| grade | tables | worlds | off by, median | off by, third quartile | interval holds the truth |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for grade, row in by_grade(drawn).iterrows():
        off = f"{_factor(row['median'])} | {_factor(row['third quartile'])}"
        lines.append(
            f"| {grade} | {row['tables']:.0f} | {row['worlds']:.0f} | {off} | {row['coverage']:.0%} |"
        )
    lines += ["", "| ground | tables | off by, median | without it |", "| --- | --- | --- | --- |"]
    for ground, row in by_ground(drawn).iterrows():
        medians = f"{_factor(row['median with'])} | {_factor(row['without'])}"
        lines.append(f"| `{ground}` | {row['tables']:.0f} | {medians} |")
    return "\n".join(lines)


def main(command: str, path: Path) -> None:
    """Draw, or write out the tables."""
    if command == "draw":
        judged(6, most_lists=MOST_LISTS_WHOLE, n_boot=200).to_csv(path, index=False)
    elif command == "apart":
        judged_apart(400, n_boot=200).to_csv(path, index=False)
    else:
        sys.stdout.write(f"{in_markdown(pd.read_csv(path))}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
