"""`read_plan`: an analysis written down in a file, read and judged as a whole before the first slow step."""

import datetime
import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hiddenpop._files import parse_toml
from hiddenpop._front_door import front_door
from hiddenpop.disclosure import Disclosed, ReleaseRules, read_knowledge
from hiddenpop.errors import HiddenpopError, SettingError
from hiddenpop.extras import need
from hiddenpop.report import LANGUAGES
from hiddenpop.runs.sections import (
    Input,
    Key,
    PartPlan,
    Setting,
    a_choice_of,
    anything,
    date,
    flag,
    listed_faults,
    near,
    read_checks,
    read_choice,
    read_data,
    read_estimators,
    read_parts,
    read_registers,
    read_section,
    seed,
    text,
    texts,
)
from hiddenpop.table import CaptureTable

__all__ = ["FORMATS", "Plan", "plan_of_text", "read_plan"]

SECTIONS = (
    "analysis",
    "data",
    "registers",
    "link",
    "estimator",
    "choice",
    "sensitivity",
    "monitor",
    "report",
    "release",
)
ANALYSIS = {
    "title": Key(text, "give the analysis a title"),
    "question": Key(text, "say what is asked"),
    "population": Key(text, "say who is counted: who, where, in which period, who is eligible"),
    "seed": Key(seed, "give a whole number, so that random numbers can be drawn again"),
    "authors": Key(texts),
    "date": Key(date),
    "notes": Key(texts),
}
FORMATS = {"html": ("jinja2",), "pdf": ("typst",), "json": ()}
"""Formats of a report, with the packages that write them."""

REPORT = {
    "formats": Key(a_choice_of(*FORMATS, fewest=0)),
    "languages": Key(a_choice_of(*LANGUAGES)),
    "show_small_counts": Key(flag),
}
RELEASE = {"rules": Key(anything), "earlier": Key(texts)}
DEFAULT_FORMATS, DEFAULT_LANGUAGES = ("html",), ("en",)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """An analysis as it was planned, with everything read that it needs.

    Attributes
    ----------
    path : Path
        Where it was read from.
    text : str
        The file.
    title, question, population : str
        The target population is part of the table too.
    seed : int
    table : CaptureTable
    inputs : tuple of Input
        What it reads, with hashes.
    estimators : mapping of str to Estimator
        By label; the standard panel where the plan names none.
    left_out : mapping of str to str
        Reasons by label, of methods of the panel that cannot treat the table.
    chosen, why : str
        The estimate that is reported, and why that one.
    checks : tuple of Check
    claim : str
        What the checks are held to; empty for the interval of the estimate.
    parts : tuple of PartPlan
        What a monitor makes of an estimate.
    parts_of : str
        The label of that estimate.
    authors, notes : tuple of str
    date : str
    formats, languages : tuple of str
        Of the report.
    show_small_counts : bool
    rules : ReleaseRules
        What may leave of a table that is not public.
    earlier : tuple of mapping
        What earlier releases of the table have told.
    """

    path: Path
    text: str
    title: str
    question: str
    population: str
    seed: int
    table: CaptureTable
    inputs: tuple[Input, ...]
    estimators: Mapping[str, Any]
    chosen: str
    why: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Any, ...] = ()
    claim: str = ""
    parts: tuple[PartPlan, ...] = ()
    parts_of: str = ""
    authors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    date: str = ""
    formats: tuple[str, ...] = DEFAULT_FORMATS
    languages: tuple[str, ...] = DEFAULT_LANGUAGES
    show_small_counts: bool = False
    rules: ReleaseRules = field(default_factory=ReleaseRules)
    earlier: tuple[Mapping[str, Disclosed], ...] = ()

    @property
    def digest(self) -> str:
        """A hash of the text."""
        return f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"

    @property
    def protects(self) -> bool:
        """Whether small counts are withheld from what the run leaves."""
        return not (self.table.public or self.show_small_counts)

    def summary(self) -> str:
        """Say in a few lines what will be done."""
        return "\n".join(
            [
                f"{self.title}: {self.table!r}",
                f"  estimators: {', '.join(self.estimators)}; reported: {self.chosen}",
                *(f"  left out: {label}: {why}" for label, why in self.left_out.items()),
                f"  checks: {', '.join(check.name for check in self.checks) or 'none'}",
                f"  parts: {', '.join(part.label for part in self.parts) or 'none'}; seed {self.seed}",
            ]
        )

    def __repr__(self) -> str:
        return f"<Plan {self.summary()}>"


@front_door
def read_plan(
    path: str | os.PathLike[str], *, out: str | os.PathLike[str] | None = None, trust: bool = False
) -> Plan:
    r"""Read an analysis from a file, and refuse it with all its faults at once.

    Parameters
    ----------
    path : path
        A TOML file; files that it names are looked for from its folder.
    out : path, optional
        The folder that the run is to leave, to be judged with the rest.
    trust : bool
        Whether estimators that are not registered, such as ``"mymodule:Zelterman"``, may be imported. Only for a plan
        that you have read: to import a module is to run it. Nothing in the plan itself can say so.

    Returns
    -------
    Plan

    Raises
    ------
    SettingError
        With a line a fault: unknown sections and keys, what is missing, names of estimators, settings, checks, lists
        and strata that are not there, estimators that cannot treat the table, a claim that cannot be read, packages
        that are not installed, a folder that cannot be written; estimators that are neither registered nor trusted. Or
        where the file is not TOML.

    Notes
    -----
    The data are read for it; nothing is fitted that takes more than moments.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "analysis.toml"
    ...     _ = path.write_text('[analysis]\ntitle = "A test"\n[data]\ntable = "kosvo"\n')
    ...     read_plan(path)
    Traceback (most recent call last):
    hiddenpop.errors.SettingError: 5 faults in ...analysis.toml:
      - [analysis] has no question: say what is asked
      - [analysis] has no population: say who is counted: who, where, in which period, who is eligible
      - [analysis] has no seed: give a whole number, so that random numbers can be drawn again
      - [data] ...'kosvo'...
      - the plan has no [choice]: name the estimator that is reported, and why
    """
    source = Path(path)
    try:
        if source.exists() and not source.is_file():  # a pipe or a device might never end
            kind = "a directory" if source.is_dir() else "no regular file"
            raise SettingError(f"cannot read the plan {source}: it is {kind}; name a TOML file")
        content = source.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SettingError(f"cannot read the plan {source}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"cannot read the plan {source}: it is not UTF-8 text; save it again") from error
    return plan_of_text(content, source, source.parent, None if out is None else Path(out), trust=trust)


def plan_of_text(
    content: str, source: Path, folder: Path, out: Path | None = None, *, trust: bool = False
) -> Plan:
    """Make a plan of its text; files that it names are looked for from `folder`."""
    try:
        sections = parse_toml(content)
    except tomllib.TOMLDecodeError as error:
        last = max(1, len(content.splitlines()))
        where = str(error).replace("at end of document", f"at the end, line {last}")
        raise SettingError(f"{source} is not TOML: {where}; mind quotes and brackets") from error
    faults: list[str] = []
    found = _found(sections, folder, faults, trust)
    faults.extend(_folder_faults(out))
    if faults:
        head = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise SettingError("\n  - ".join([f"{head} in {source}:", *map(_one_line, faults)]))
    return Plan(path=source, text=content, **found)


def _one_line(fault: str) -> str:
    return " ".join(fault.split())


def _found(sections: Mapping[str, Any], folder: Path, faults: list[str], trust: bool) -> dict[str, Any]:
    """Read every section, going on where one is at fault."""
    faults.extend(
        f"there is no section [{name}]; {near(name, SECTIONS)}" for name in sections if name not in SECTIONS
    )
    analysis = read_section("[analysis]", sections.get("analysis"), ANALYSIS, faults)
    table, inputs = _table(sections, folder, analysis.get("population", ""), faults)
    estimators, left_out = read_estimators(sections.get("estimator"), table, faults, trust=trust)
    chosen, why = read_choice(sections.get("choice"), estimators, faults)
    checks, claim = read_checks(sections.get("sensitivity"), table, faults, trust=trust)
    setting = Setting(folder=folder, table=table, estimators=estimators, chosen=chosen)
    parts, parts_of, more = read_parts(sections.get("monitor"), setting, faults)
    return {
        **{key: _plain(value) for key, value in analysis.items()},
        "table": table,
        "inputs": (*inputs, *more),
        "estimators": estimators,
        "left_out": left_out,
        "chosen": chosen,
        "why": why,
        "checks": checks,
        "claim": claim,
        "parts": parts,
        "parts_of": parts_of,
        **_report(sections.get("report"), faults),
        **_release(sections.get("release"), folder, faults),
    }


def _table(
    sections: Mapping[str, Any], folder: Path, population: str, faults: list[str]
) -> tuple[CaptureTable | None, tuple[Input, ...]]:
    """Read the table from a file of its own, or make it of registers that are linked."""
    if "registers" not in sections and "link" not in sections:
        return read_data(sections.get("data"), folder, population, faults)
    if "data" in sections:
        faults.append("the plan has [data] and [registers]: give the table, or the registers to make it of")
        return None, ()
    return read_registers(sections.get("registers"), sections.get("link"), folder, population, faults)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.date):
        return value.isoformat()
    return tuple(value) if isinstance(value, list) else value


def _report(given: Any, faults: list[str]) -> dict[str, Any]:
    section = {key: _plain(value) for key, value in read_section("[report]", given, REPORT, faults).items()}
    for form in section.get("formats", DEFAULT_FORMATS):
        for package in FORMATS[form]:
            try:
                need(package, f"a report in {form}")
            except HiddenpopError as error:
                faults.extend(f"[report] {fault}" for fault in listed_faults(error))
    return section


def _release(given: Any, folder: Path, faults: list[str]) -> dict[str, Any]:
    """Read the rules of the release, and what earlier releases of the table have told."""
    section, found = read_section("[release]", given, RELEASE, faults), dict[str, Any]()
    try:
        if "rules" in section:
            rules = section["rules"]
            if not isinstance(rules, Mapping):
                raise SettingError(f"rules={rules!r} is not a section; write settings below [release.rules]")
            found["rules"] = ReleaseRules.from_dict(dict(rules))
        if "earlier" in section:
            found["earlier"] = tuple(read_knowledge(folder / name) for name in section["earlier"])
    except HiddenpopError as error:
        faults.append(f"[release] {error}")
    return found


def _folder_faults(out: Path | None) -> list[str]:
    """Say why a folder cannot be made or written to."""
    if out is None:
        return []
    if out.exists():
        if not out.is_dir():
            return [f"the output {out} is a file; name a folder"]
        return [] if os.access(out, os.W_OK) else [f"cannot write to the folder {out}; name another"]
    above = next(folder for folder in out.absolute().parents if folder.exists())
    usable = above.is_dir() and os.access(above, os.W_OK)
    return [] if usable else [f"cannot make the folder {out}: {above} cannot be written to; name another"]
