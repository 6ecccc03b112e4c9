"""The page of the standard validation: which estimator fails where, in plain words, made from the results."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from hiddenpop.estimators.protocol import spec_of
from hiddenpop.synthetic import ASSUMPTIONS, LIBRARY
from hiddenpop.validation.assumptions import broken_assumptions, is_lower_bound, is_well_fed
from hiddenpop.validation.checks import (
    BIAS_ALLOWED,
    ERRORS_ALLOWED,
    aim_given_status,
    coverage_tolerance,
    is_judged,
    keeps_given_status,
)
from hiddenpop.validation.measures import NOT_APPLICABLE, STATUSES_WITH_INTERVAL, Measure, given
from hiddenpop.validation.record import KEYS, in_words
from hiddenpop.validation.standard import StandardRun

__all__ = ["performance_table", "validation_page"]

HEAD = """# How the estimators do where the answer is known

Made by `{command}`: {n_estimators} estimators in {n_scenarios} scenarios with a known population, {replicates}
replicates each, seed {seed}. Do not edit this page by hand.{quick}

All figures with their Monte Carlo standard errors are in
[performance.csv]({folder}/performance.csv).

![Coverage of the intervals by scenario]({folder}/coverage.png)

![Intervals ranked by how far they are from the truth]({folder}/zip.png)

![Relative error against the smallest expected overlap]({folder}/error-overlap.png)

## How to read it

- Coverage is the share of replicates whose interval holds the true N. An interval without an upper end holds it when
  it starts at or below N; how many have none stands beside. A replicate without an interval counts as a miss.
- "Falls short" means coverage more than three Monte Carlo errors and 0.01 below its level of 95 %.
- Bias is over the finite estimates, and named where it is more than three Monte Carlo errors from 0 and a fifth of the
  standard deviation of the estimate.
- An estimator is held to its level only where all it assumes holds, N is at least 2,000 and at least 50
  persons are expected on every pair of lists. Elsewhere its coverage is reported and no verdict is passed on it. The
  same goes for estimators that choose among models.
- By status: an estimate at the boundary (the data push the dark figure to 0) or without an upper end (unbounded) has an
  interval of another kind, and a coverage of 0 among those can hide among all. So the intervals of every status that at
  least a tenth of the tables have are judged by themselves. They fall short when they miss the true N in more than 10 %
  of the tables of that status, by more than three Monte Carlo errors and 0.01. An estimator is held to that wherever
  all holds that it assumes, however few persons there are. An estimate without an interval claims nothing,
  which is no miss there.
- Brackets hold Monte Carlo standard errors.
"""

QUICK = """

**This is the quick form: so few replicates show gross faults only.**"""


def performance_table(run: StandardRun) -> pd.DataFrame:
    """Give all results, sorted: one row a scenario, estimator and measure, with value and Monte Carlo error.

    Parameters
    ----------
    run : StandardRun

    Returns
    -------
    DataFrame
    """
    return run.study.performance().sort_values([*KEYS, "measure"], ignore_index=True)


def validation_page(run: StandardRun, *, command: str, folder: str) -> str:
    """Write the page.

    Parameters
    ----------
    run : StandardRun
    command : str
        What made it, for the reader who wants to make it again.
    folder : str
        Where figures and table lie, seen from the page.

    Returns
    -------
    str
        Markdown.
    """
    rows = _rows(run)
    labels = list(dict.fromkeys(row["estimator"] for row in rows))
    numbers = sorted({int(row["replicates"].value) for row in rows if not row["left_out"]}, reverse=True)
    head = HEAD.format(
        command=command,
        n_estimators=len(labels),
        n_scenarios=run.study.scenarios["scenario"].nunique(),
        replicates=" or ".join(f"{n:,}" for n in numbers),
        seed=run.seed,
        quick=QUICK if run.quick else "",
        folder=folder,
    )
    sections = [_section(run, label, [row for row in rows if row["estimator"] == label]) for label in labels]
    return "\n".join([head, _summary(rows, labels), _scenarios(run), "## The estimators\n", *sections])


def _rows(run: StandardRun) -> list[dict[str, Any]]:
    """Collect measures, verdicts and reasons, one record a scenario and estimator."""
    frame = run.study.performance()
    first = run.study.replicates.drop_duplicates(KEYS)
    reasons = dict(zip(zip(first["scenario"], first["estimator"], strict=True), first["reason"], strict=True))
    return [
        _record(run, str(scenario), str(label), group, reasons[scenario, label])
        for (scenario, label), group in frame.groupby(KEYS, sort=False)
    ]


def _record(run: StandardRun, scenario: str, label: str, group: pd.DataFrame, reason: str) -> dict[str, Any]:
    columns = (group["measure"], group["value"].to_numpy(), group["mcse"].to_numpy())
    found: dict[str, Any] = {m: Measure(float(v), float(e)) for m, v, e in zip(*columns, strict=True)}
    estimator = run.estimators[scenario, label]
    left_out = found[NOT_APPLICABLE].value == 1.0
    record = {"scenario": scenario, "estimator": label, "left_out": left_out, "reason": reason, **found}
    if left_out or estimator is None:
        return record
    broken = broken_assumptions(estimator, LIBRARY[scenario])
    nominal, n = found["nominal"].value, found["replicates"].value
    values = {name: measure.value for name, measure in found.items()}
    judged = [status for status in STATUSES_WITH_INTERVAL if is_judged(values, status)]
    tolerance = coverage_tolerance(nominal, n)
    return {
        **record,
        "broken": broken,
        "bound": is_lower_bound(estimator, LIBRARY[scenario]),
        "held": not broken and is_well_fed(LIBRARY[scenario]),
        "short": found["coverage"].value < nominal - tolerance,
        "wide": found["coverage"].value > nominal + tolerance,
        "sign": _sign_of_bias(found["bias"], found["empirical_se"].value),
        "judged": judged,
        "short_given": [status for status in judged if not keeps_given_status(values, status)],
    }


def _sign_of_bias(bias: Measure, spread: float) -> str:
    if not abs(bias.value) > max(ERRORS_ALLOWED * bias.mcse, BIAS_ALLOWED * spread):
        return ""
    return "low" if bias.value < 0.0 else "high"


def _summary(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> str:
    given_status = [f"short given {status} in" for status in STATUSES_WITH_INTERVAL]
    head = [
        "estimator",
        "falls short in",
        *given_status,
        "biased low in",
        "biased high in",
        "not applicable in",
        "of",
    ]
    lines = []
    for label in labels:
        mine = [row for row in rows if row["estimator"] == label]
        there = [row for row in mine if not row["left_out"]]
        counts = [
            sum(row["short"] for row in there),
            *(sum(status in row["short_given"] for row in there) for status in STATUSES_WITH_INTERVAL),
            *(sum(row["sign"] == sign for row in there) for sign in ("low", "high")),
            len(mine) - len(there),
            len(mine),
        ]
        lines.append([label, *map(str, counts)])
    return "\n".join(["## In how many scenarios\n", _table(head, lines), ""])


def _scenarios(run: StandardRun) -> str:
    head = ["scenario", "what it is", "N", "lists", "smallest overlap", "what does not hold"]
    records = run.study.scenarios.to_dict(orient="records")
    lines = [
        [
            str(record["scenario"]),
            str(record["description"]),
            f"{record['truth']:,}",
            str(record["n_lists"]),
            f"{record['smallest_overlap']:,.1f}",
            ", ".join(n.replace("_", " ") for n in ASSUMPTIONS if n not in record["assumptions"].split(", ")),
        ]
        for record in records
    ]
    words = [f"- **{name.replace('_', ' ')}**: {text}" for name, text in ASSUMPTIONS.items()]
    return "\n".join(["## The scenarios\n", _table(head, lines), "\nWhat may hold or not:\n", *words, ""])


def _section(run: StandardRun, label: str, rows: Sequence[dict[str, Any]]) -> str:
    there = [row for row in rows if not row["left_out"]]
    paragraphs = [
        f"### {label}",
        _settings(run, label),
        _held(there),
        _bounds(there),
        _held_given_status(there),
        _failures([row for row in there if row["short"]]),
        _by_status(there),
        _biases(there),
        _unbounded(there),
        _left_out([row for row in rows if row["left_out"]]),
    ]
    return "\n".join(f"{paragraph}\n" for paragraph in paragraphs if paragraph)


def _settings(run: StandardRun, label: str) -> str:
    specs = [spec_of(e).label for (_, name), e in run.estimators.items() if name == label and e is not None]
    shown = list(dict.fromkeys(specs))
    return (
        f"`{shown[0]}`"
        if len(shown) == 1
        else f"`{spec_name(shown)}`, with settings that go with the scenario."
    )


def spec_name(labels: Sequence[str]) -> str:
    """Give the name that labels of one estimator with different settings share.

    Examples
    --------
    >>> spec_name(["loglinear (model=[1,2])", "loglinear (model=[12,3])"])
    'loglinear'
    """
    return labels[0].split(" ", maxsplit=1)[0] if labels else "none"


def _held(rows: Sequence[dict[str, Any]]) -> str:
    held = [row for row in rows if row["held"]]
    if not held:
        return "It is held to its level in no scenario."
    kept = [row for row in held if not row["short"] and not row["wide"]]
    failed = [row for row in held if row["short"] or row["wide"]]
    shares = [row["coverage"].value for row in held]
    noun = "scenario" if len(held) == 1 else "scenarios"
    text = f"It is held to its level in {len(held)} {noun} and keeps it in {len(kept)}"
    spread = f"coverage {min(shares):.3f} to {max(shares):.3f}"
    misses = f" It does not in {_names(failed)}." if failed else ""
    return f"{text} ({spread}).{misses}"


def _held_given_status(rows: Sequence[dict[str, Any]]) -> str:
    """Pass the verdict on the intervals of each status, where all holds that the estimator assumes."""
    held = [row for row in rows if not row["broken"] and row["judged"]]
    if not held:
        return ""
    parts = []
    for status in STATUSES_WITH_INTERVAL:
        judged = [row for row in held if status in row["judged"]]
        failed = [row for row in judged if status in row["short_given"]]
        if judged:
            kept = f"given {status} they keep it in {len(judged) - len(failed)} of {len(judged)}"
            parts.append(f"{kept} (not in {_names(failed)})" if failed else kept)
    noun = "scenario" if len(held) == 1 else "scenarios"
    aim = aim_given_status(held[0]["nominal"].value)
    return f"Its intervals of each status are held to {aim:.2f} in {len(held)} {noun}: {'; '.join(parts)}."


def _by_status(rows: Sequence[dict[str, Any]]) -> str:
    """Table the coverage of each status where more than one is judged, or another than "ok"."""
    several = [row for row in rows if set(row["judged"]) - {"ok"}]
    if not several:
        return ""
    head = ["coverage by status", *STATUSES_WITH_INTERVAL]
    lines = [
        [row["scenario"], *(_given_in_words(row, status) for status in STATUSES_WITH_INTERVAL)]
        for row in sorted(several, key=lambda row: str(row["scenario"]))
    ]
    return _table(head, lines)


def _given_in_words(row: dict[str, Any], status: str) -> str:
    """Write the coverage of one status with the number of tables behind it, and whether it falls short."""
    n = round(row[given("replicates", status)].value)
    if not n:
        return ""
    if row[given("no_interval", status)].value == 1.0:
        return f"no interval in {n:,}"
    text = f"{in_words(row[given('coverage', status)])} of {n:,}"
    return f"**{text}**" if status in row["short_given"] else text


def _bounds(rows: Sequence[dict[str, Any]]) -> str:
    """Say where theory makes an estimator a lower bound, and whether its mean lies above N there all the same."""
    bounds = [row for row in rows if row["bound"] and not row["held"]]
    if not bounds:
        return ""
    above = [row for row in bounds if row["bias"].value > ERRORS_ALLOWED * row["bias"].mcse]
    verdict = f"its mean is above N in {_names(above)}" if above else "its mean is above N in none of them"
    return f"Theory makes it a lower bound, not an estimate, in {_names(bounds)}: {verdict}."


def _failures(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "Its coverage falls short nowhere."
    head = ["falls short in", "coverage", "relative bias", "no upper end", "no interval", "why it may"]
    measures = ("coverage", "relative_bias", "unbounded_interval", "no_interval")
    ordered = sorted(rows, key=lambda row: (row["coverage"].value, row["scenario"]))
    lines = [
        [
            row["scenario"],
            *(in_words(row[name]) for name in measures),
            "; ".join(reason.rstrip(".") for reason in row["broken"]) or _unexplained(row),
        ]
        for row in ordered
    ]
    return _table(head, lines)


def _unexplained(row: dict[str, Any]) -> str:
    return "**nothing: all it assumes holds**" if row["held"] else "few persons on two lists"


def _biases(rows: Sequence[dict[str, Any]]) -> str:
    parts = [
        f"biased {sign} in {_names(found)}"
        for sign in ("low", "high")
        if (found := [row for row in rows if row["sign"] == sign])
    ]
    return f"{'; '.join(parts).capitalize()}." if parts else "No bias beyond the tolerance anywhere."


def _unbounded(rows: Sequence[dict[str, Any]]) -> str:
    found = [row for row in rows if row["unbounded_interval"].value > 0.0]
    listed = [f"{row['scenario']} {in_words(row['unbounded_interval'])}" for row in found]
    return f"Share of intervals without an upper end: {', '.join(listed)}." if listed else ""


def _left_out(rows: Sequence[dict[str, Any]]) -> str:
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_reason.setdefault(row["reason"].replace(row["scenario"], "the table"), []).append(row)
    return "\n".join(f"Not applicable in {_names(found)}: {reason}." for reason, found in by_reason.items())


def _names(rows: Iterable[dict[str, Any]]) -> str:
    return ", ".join(row["scenario"] for row in rows)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    ruled = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ruled)
