"""Reports to look at: public, not public, with strata and years, without numbers, and full of hostile text."""

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from tests.monitor.estimates import by_strata

import hiddenpop as hp
from hiddenpop import monitor
from hiddenpop.report import Redo, Report
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.registry import build_check

TELLING = (300, 211, 3, 155, 7, 5, 8)
"""Persons on police; shelter; both; care; police and care; shelter and care; all three."""

TOLD_BY_IT = ("318", "227", "175", "23")
"""Sizes of the lists, and the number seen twice or more: each gives away sums of small cells."""

EVIL = (
    "<script>alert(1)</script>",
    "a\"b'c$\\frac$#pagebreak()@ref]",
    "L" * 300,
    "שלום مرحبا",
    "😀 日本",
    "{{ x }} {% y %} $\\frac$ _a_ `c` \\ &amp; </p>",
)

JUNK = "</p><script>x</script> #x $y$ @z ] \\ ` \x00 \ud800 \u202e \"q\" 's'\n\nmore & {{ x }} 😀"


def private_table(counts: Sequence[int] = TELLING) -> hp.CaptureTable:
    on = [[(code >> i) & 1 for i in range(3)] for code in range(1, 8)]
    frame = pd.DataFrame(on, columns=["police", "shelter", "care"]).assign(count=list(counts))
    return hp.CaptureTable.from_counts(frame[frame["count"] > 0], name="secret", population="Somebody")


def report_of(table: hp.CaptureTable, estimates: dict[str, Any], **more: Any) -> Report:
    told: dict[str, Any] = {
        "title": "How many there are",
        "question": "How many persons were there?",
        "population": "Persons in a place in a year",
        "chosen": next(iter(estimates)),
        "why": "It was named beforehand.",
    }
    return Report(table=table, estimates=estimates, **told | more)


@cache
def public() -> Report:
    table = hp.datasets.load("korea")
    model = hp.LogLinear(model="[12,3]")
    checks = tuple(build_check(name).run(model, table, rng=1) for name in ("list_influence", "prior"))
    return report_of(
        table,
        {"one model": model.fit(table), "lower bound": hp.ChaoLowerBound().fit(table)},
        checks=checks,
        authors=("A. Author",),
        date="26 November 2026",
        redo=Redo(
            command="hiddenpop run analysis.toml", seed=1, inputs={"korea": "sha256:0"}, settings="[analysis]"
        ),
    )


@cache
def private(*, lifted: bool = False) -> Report:
    table = private_table()
    checks = tuple(
        build_check(name).run(hp.LogLinear(), table, rng=1) for name in ("list_influence", "cell_influence")
    )
    estimates = {
        "independence": hp.LogLinear().fit(table),
        "two lists": hp.LincolnPetersen(lists=("police", "shelter")).fit(table),
    }
    return report_of(table, estimates, checks=checks, show_small_counts=lifted)


@cache
def few() -> Report:
    """Eight persons in all."""
    table = private_table((3, 2, 1, 1, 0, 0, 1))
    checks = (build_check("list_influence").run(hp.LogLinear(), table, rng=1),)
    return report_of(table, {"independence": hp.LogLinear().fit(table)}, checks=checks)


def indicator_of(estimate: Estimate) -> monitor.UNIndicator:
    years = ("2019", "2020", "2021")
    residents = pd.DataFrame(
        {"sex": ["f"] * 3 + ["m"] * 3, "year": years * 2, "residents": [80_000, 81_000, 82_000] * 2}
    )
    codes = {"sex": ("Sex", {"f": "FEMALE", "m": "MALE"})}
    return monitor.un_indicator(estimate, residents, codes, area=("528", "Netherlands"), year="year")


def without_lists(trend: monitor.Trend) -> monitor.TrendByList:
    """Put a trend beside one that cannot be fitted without a list."""
    change = {"from_year": 2019, "to_year": 2021, "ratio": 1.25, "ratio_low": 0.9, "ratio_high": 1.7}
    found = change | {"without": "(none)", "increase_share": 0.9, "direction": "up", "same_direction": "yes"}
    lost = found | dict.fromkeys(("ratio", "ratio_low", "ratio_high", "increase_share"), np.nan)
    rows = [
        found | {"silent_years": "", "status": "ok", "reason": ""},
        lost
        | {"without": "a", "same_direction": "no answer", "silent_years": "2020", "status": "not_identified"}
        | {"reason": "one list is left for 4 persons"},
    ]
    return monitor.TrendByList(
        year="year",
        frame=trend.frame.assign(without="(none)", reason=""),
        directions=pd.DataFrame(rows),
        trends=(trend,),
        level=trend.level,
        estimator="made up",
        table=trend.table,
    )


@cache
def strata(*, is_public: bool = True) -> Report:
    rng = np.random.default_rng(1)
    seen = [40, 61, 3, 52, 47, 58]
    draws = np.array(seen) + rng.poisson([80, 120, 10, 100, 90, 110], (400, 6)).astype(np.float64)
    levels = {"sex": ["f", "f", "f", "m", "m", "m"], "year": ["2019", "2020", "2021"] * 2}
    estimate = by_strata(levels, seen, draws, public=is_public)
    frame = pd.DataFrame(levels).assign(a=[1, 0] * 3, b=[1, 1, 0, 1, 1, 1], count=seen)
    table = hp.CaptureTable.from_counts(frame, lists=["a", "b"], strata=["sex", "year"], public=is_public)
    residents = pd.DataFrame({"sex": ["f", "m"], "residents": [80_000, 81_000]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hp.errors.PersonYearsWarning)
        parts = (
            monitor.subgroups(estimate, "sex"),
            monitor.subgroups(estimate, ["sex", "year"]),
            monitor.trend(estimate),
            monitor.trend(estimate, by="sex"),
            monitor.rates(estimate, residents, "sex"),
            monitor.ranks(estimate, ["sex", "year"], top=2),
            indicator_of(estimate),
            without_lists(monitor.trend(estimate)),
        )
    return report_of(table, {"made up": estimate}, parts=parts)


@cache
def without_number() -> Report:
    table = hp.datasets.load("artificial_3")
    models = ("independence", "[12,3]", "[13,2]", "[12,13]", "[12,13,23]", "[123]")
    estimates = {model: hp.LogLinear(model=model).fit(table) for model in models}
    chosen = next(label for label, e in estimates.items() if e.status in ("unbounded", "not_identified"))
    return report_of(table, estimates, chosen=chosen)


@cache
def hostile() -> Report:
    """Every text that a user can give is meant to break the page; signs that a list cannot have are left out."""
    names = [text.translate(str.maketrans("*+:,[]", "x;;;()")) for text in EVIL]
    on = [[(code >> i) & 1 for i in range(len(names))] for code in range(1, 64)]
    frame = pd.DataFrame(on, columns=names).assign(
        **{"n": 12, "<b>at $y$": ["<i>x</i>", *["$\\alpha$ 😀"] * 62]}
    )
    table = hp.CaptureTable.from_counts(
        frame, lists=names, count="n", strata=["<b>at $y$"], name="<img src=x onerror=alert(1)>", public=True
    ).collapse("<b>at $y$")
    model = hp.LogLinear()
    estimates = {name: model.fit(table) for name in names[:3]} | {"": hp.ChaoLowerBound().fit(table)}
    return report_of(
        table,
        estimates,
        **dict.fromkeys(("title", "question", "population", "why", "claim", "date"), JUNK),
        chosen="",
        checks=(build_check("over_coverage", {"shares": [0.0, 0.1]}).run(model, table, rng=1),),
        authors=(JUNK, ""),
        notes=(JUNK, ""),
        redo=Redo(
            command=JUNK, inputs={JUNK: JUNK, "": ""}, versions={JUNK: ""}, settings=JUNK, machine=JUNK
        ),
    )


CASES = {
    "public": public,
    "private": private,
    "few": few,
    "strata": strata,
    "without number": without_number,
    "hostile": hostile,
}
