"""The sections of a plan: what each may hold, and what it becomes."""

import datetime
import difflib
import hashlib
import hmac
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop._files import read_file
from hiddenpop._text import steering_text
from hiddenpop.datasets import load
from hiddenpop.disclosure import secret_key
from hiddenpop.errors import HiddenpopError, SettingError, TableError
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.compare import standard_panel
from hiddenpop.estimators.registry import ESTIMATORS, build
from hiddenpop.monitor import ranks, rates, subgroups, trend, trend_by_list, un_indicator
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.claims import Claim
from hiddenpop.sensitivity.registry import CHECKS, WITHOUT_CLAIM, build_check
from hiddenpop.table import CaptureTable, Coverage

__all__ = [
    "Input",
    "Key",
    "PartPlan",
    "a_choice_of",
    "anything",
    "date",
    "digest_of_file",
    "flag",
    "key_mark",
    "listed_faults",
    "make_part",
    "named_groups",
    "near",
    "number_below_one",
    "read_checks",
    "read_choice",
    "read_data",
    "read_estimators",
    "read_parts",
    "read_registers",
    "read_section",
    "refusal",
    "seed",
    "shown",
    "text",
    "texts",
]

Faults = list[str]
Complaint = Callable[[Any], str]

LONGEST_SHOWN = 60
"""Letters of a value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section.

    Parameters
    ----------
    complaint : callable
        Says what is wrong with a value, nothing where all is well.
    required : str
        Why it has to be there; empty where it may be left out.
    """

    complaint: Complaint
    required: str = ""


def read_section(name: str, given: Any, keys: Mapping[str, Key], faults: Faults) -> dict[str, Any]:
    """Keep of a section what is right, and add to the faults what is not.

    Parameters
    ----------
    name : str
        As it stands in the plan, such as ``"[data]"``.
    given : object
        What was read; None where the section is not there.
    keys : mapping of str to Key
    faults : list of str
        Grows.

    Returns
    -------
    dict
        The keys with values that can be used.

    Examples
    --------
    >>> faults = []
    >>> read_section("[data]", {"tabel": "uk"}, {"table": Key(text)}, faults), faults
    ({}, ["[data] has no key 'tabel'; did you mean 'table'?"])
    """
    if given is not None and not isinstance(given, Mapping):
        faults.append(f"{name} must be a section with keys; got {shown(given)}")
        given = None
    section = dict(given or {})
    faults.extend(f"{name} has no key {shown(key)}; {near(key, keys)}" for key in section if key not in keys)
    for key, rule in keys.items():
        if key in section and (wrong := rule.complaint(section[key])):
            advice = f"; {rule.required}" if rule.required and section[key] == "" else ""
            faults.append(f"{name} {key} {wrong}; got {shown(section[key])}{advice}")
        elif key not in section and rule.required:
            faults.append(f"{name} has no {key}: {rule.required}")
    return {key: value for key, value in section.items() if key in keys and not keys[key].complaint(value)}


def near(name: object, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Say what a name may have meant, or what there is."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known)}"


def shown(value: object) -> str:
    """Show a value, a long one only at its beginning."""
    whole = repr(value)
    return whole if len(whole) <= LONGEST_SHOWN else f"{whole[:LONGEST_SHOWN]}..."


def text(value: Any) -> str:
    """Ask for text that is not blank and does not steer a terminal."""
    if not isinstance(value, str) or not value.strip():
        return "must be text, and not blank"
    return "must hold no control characters" if steering_text(value) else ""


def texts(value: Any) -> str:
    """Ask for a list of texts."""
    right = isinstance(value, list) and value and not any(map(text, value))
    return "" if right else 'must be a list of texts, such as ["a", "b"]'


def text_or_texts(value: Any) -> str:
    """Ask for a text or a list of texts."""
    return (
        "" if not text(value) or not texts(value) else 'must be text, or a list of texts, such as ["a", "b"]'
    )


def named_groups(value: Any) -> str:
    """Ask for a text, a list of texts, or a list of such lists."""
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        return "" if not any(map(texts, value)) else 'must name covariates, such as [["sex"], ["sex", "age"]]'
    return "" if not text(value) or not texts(value) else "must name covariates, each in quotes"


def flag(value: Any) -> str:
    """Ask for true or false."""
    return "" if isinstance(value, bool) else "must be true or false"


def seed(value: Any) -> str:
    """Ask for a whole number of at least 0."""
    right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if right else "must be a whole number of at least 0"


def number_below_one(value: Any) -> str:
    """Ask for a number between 0 and 1."""
    right = isinstance(value, float) and math.isfinite(value) and 0.0 < value < 1.0
    return "" if right else "must lie between 0 and 1, e.g. 0.95"


def date(value: Any) -> str:
    """Ask for a date, with or without quotes."""
    right = isinstance(value, datetime.date) or not text(value)
    return "" if right else 'must be a date, such as "2026-11-26"'


def anything(value: Any) -> str:
    """Leave the judgement to whoever uses the value."""
    return ""


def a_choice_of(*choices: str, fewest: int = 1) -> Complaint:
    """Ask for a list of some of these texts, each once."""

    def complaint(value: Any) -> str:
        right = isinstance(value, list) and all(isinstance(item, str) and item in choices for item in value)
        if right and fewest <= len(value) == len(set(value)):
            return ""
        return f"must be a list of some of {', '.join(map(repr, choices))}, each once"

    return complaint


# === the section ``[data]`` ===========================================================================================
# From a published data set or a file to the table of an analysis, and a hash of it.


VERBS = ("coverage", "drop_lists", "merge_lists", "select", "collapse", "rename")
COLUMNS = {
    "lists": Key(texts),
    "count": Key(text),
    "strata": Key(texts),
    "censored": Key(text),
    "person": Key(text),
    "list": Key(text_or_texts),
    "date": Key(text),
    "conflicts": Key(text),
    "columns": Key(texts),
    "decimal": Key(text),
    "yes": Key(text),
    "visits": Key(text),
    "split": Key(text),
    "sheet": Key(text),
}
"""What can be said of the columns of a file, as `CaptureTable.read` takes it."""

OF_A_FILE = (*COLUMNS, "public")
KEYS = {
    "table": Key(text),
    "file": Key(text),
    "name": Key(text),
    **COLUMNS,
    "public": Key(flag),
    **{verb: Key(anything) for verb in VERBS},
}
KEY_SALT = b"hiddenpop: which key is this"
KEY_MARK_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Input:
    """What an analysis reads.

    Parameters
    ----------
    name : str
        A published data set, or a file as the plan names it.
    kind : {"data set", "file"}
    digest : str
        ``"sha256:..."``; of data that are not public ``"hmac-sha256:..."``, keyed with the secret of whoever ran it:
        an open hash of a small table can be guessed.
    """

    name: str
    kind: str
    digest: str


def digest_of_file(path: Path, *, public: bool) -> str:
    """Hash a file, with the user's key unless its content is public.

    Raises
    ------
    TableError
        If it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(
            f"cannot read {path}: {error.strerror or error}; check the name and the folder"
        ) from error
    if public:
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    return f"hmac-sha256:{hmac.new(secret_key(), content, 'sha256').hexdigest()}"


def key_mark() -> str:
    """Tell keys apart without telling the key: a hash of it, cut short."""
    return hmac.new(secret_key(), KEY_SALT, "sha256").hexdigest()[:KEY_MARK_LETTERS]


def read_data(
    given: Any, folder: Path, population: str, faults: list[str]
) -> tuple[CaptureTable | None, tuple[Input, ...]]:
    """Read the table of a plan.

    Parameters
    ----------
    given : object
        The section.
    folder : Path
        That files are named from.
    population : str
        Of the plan; the table carries it.
    faults : list of str
        Grows.

    Returns
    -------
    table : CaptureTable or None
        None where faults keep it from being read.
    inputs : tuple of Input
    """
    before = len(faults)
    section = read_section("[data]", given, KEYS, faults)
    if ("table" in section) == ("file" in section) and len(faults) == before:
        faults.append('[data] needs either table = "..." (a published data set) or file = "..."')
    _refuse_columns_of_a_data_set(section, faults)
    if len(faults) > before:
        return None, ()
    try:
        table, source = _read(section, folder)
        for verb in (key for key in section if key in VERBS):
            table = _moved(table, verb, section[verb])
    except HiddenpopError as error:
        faults.extend(f"[data] {fault}" for fault in listed_faults(error))
        return None, ()
    return table.with_meta(name=section.get("name"), population=population or None), (source,)


def read_registers(
    registers: Any, link: Any, folder: Path, population: str, faults: list[str]
) -> tuple[CaptureTable | None, tuple[Input, ...]]:
    """Read and link the registers of a plan, in place of the section ``[data]``.

    Parameters
    ----------
    registers, link : object
        The sections ``[registers]`` and ``[link]``.
    folder : Path
        That files are named from.
    population : str
        Of the plan; the table carries it.
    faults : list of str
        Grows.

    Returns
    -------
    table : CaptureTable or None
        None where faults keep it from being made.
    inputs : tuple of Input
        The files, with keyed hashes; the key of the pseudonyms is not an input and is not hashed.
    """
    from hiddenpop.registers.plan import read_link_plan

    try:
        plan = read_link_plan(registers, link, folder)
        table = plan.table(plan.link(), population)
        inputs = tuple(
            Input(name, "file", digest_of_file(folder / name, public=False)) for name in plan.files
        )
    except HiddenpopError as error:
        faults.extend(f"[registers] {fault.removeprefix('[registers] ')}" for fault in listed_faults(error))
        return None, ()
    return table, inputs


def listed_faults(error: HiddenpopError) -> list[str]:
    """Take the faults out of an error that lists several."""
    head, *faults = str(error).split("\n  - ")
    return faults or [head]


def _refuse_columns_of_a_data_set(section: Mapping[str, Any], faults: list[str]) -> None:
    columns = [key for key in OF_A_FILE if key in section]
    if "table" in section and columns:
        faults.append(
            f"[data] {', '.join(columns)} go with a file, and {section['table']!r} is a published data set"
        )


def _read(section: Mapping[str, Any], folder: Path) -> tuple[CaptureTable, Input]:
    if "table" in section:
        table = load(section["table"])
        return table, Input(section["table"], "data set", table.fingerprint)
    path = folder / section["file"]
    public = section.get("public", False)
    columns = {key: section[key] for key in COLUMNS if key in section}
    table = CaptureTable.read(path, public=public, **columns)
    return table, Input(section["file"], "file", digest_of_file(path, public=public))


def _moved(table: CaptureTable, verb: str, given: Any) -> CaptureTable:
    """Make one move, in the order of the plan."""
    moves: dict[str, Callable[[CaptureTable, Any], CaptureTable]] = {
        "coverage": _covered,
        "drop_lists": lambda t, x: t.drop_list(*_names("drop_lists", x)),
        "merge_lists": lambda t, x: t.merge_lists(_named_lists("merge_lists", x)),
        "select": lambda t, x: t.select(**_named_levels(x)),
        "collapse": _collapsed,
        "rename": lambda t, x: t.rename(_renamed(x)),
    }
    return moves[verb](table, given)


def _names(verb: str, given: Any) -> list[str]:
    if wrong := texts(given):
        raise SettingError(f"{verb} {wrong}; got {shown(given)}")
    return list(given)


def _collapsed(table: CaptureTable, given: Any) -> CaptureTable:
    return table.collapse() if given is True else table.collapse(*_names("collapse", given))


def _mapping(verb: str, given: Any, example: str) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given:
        raise SettingError(f"{verb} must be a table such as {example}; got {shown(given)}")
    return dict(given)


def _named_lists(verb: str, given: Any) -> dict[str, list[str]]:
    found = _mapping(verb, given, '{ CARE = ["shelter", "clinic"] }')
    return {new: _names(f"{verb} {new}", parts) for new, parts in found.items()}


def _named_levels(given: Any) -> dict[str, Any]:
    found = _mapping("select", given, '{ year = ["2015", "2016"] }')
    for covariate, levels in found.items():
        several = levels if isinstance(levels, list) else [levels]
        if not several or any(isinstance(level, dict | list | bool) for level in several):
            raise SettingError(f"select {covariate} must name levels; got {shown(levels)}")
    return found


def _renamed(given: Any) -> dict[str, str]:
    found = _mapping("rename", given, '{ old = "new" }')
    for old, new in found.items():
        if wrong := text(new):
            raise SettingError(f"rename {old} {wrong}; got {shown(new)}")
    return found


def _covered(table: CaptureTable, given: Any) -> CaptureTable:
    """Add to a table where lists operate."""
    example = 'coverage = [{ list = "police", covariate = "year", levels = ["2015"] }]'
    rules = []
    for item in given if isinstance(given, list) else [given]:
        if not isinstance(item, Mapping) or set(item) != {"list", "covariate", "levels"}:
            raise SettingError(f"coverage must be written as {example}; got {shown(item)}")
        levels = item["levels"] if isinstance(item["levels"], list) else [item["levels"]]
        if item["list"] not in table.lists:
            raise SettingError(f"coverage: no list {shown(item['list'])}; {near(item['list'], table.lists)}")
        rules.append(Coverage(item["list"], str(item["covariate"]), tuple(map(str, levels))))
    return replace(table, coverage=(*table.coverage, *rules))


# === the sections ``[[estimator]]``, ``[choice]`` and ``[sensitivity]`` ===============================================
# From names to estimators and checks.


STANDARD = "standard"
NAMES_OF_LISTS = ("list", "lists", "pairs")
"""Settings of checks that name lists."""

CHOICE = {
    "estimator": Key(text, "name the label of the estimate that is reported"),
    "why": Key(text, "say why that one"),
}
SENSITIVITY = {"claim": Key(text), "checks": Key(anything)}


def read_estimators(
    given: Any, table: CaptureTable | None, faults: Faults, *, trust: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    """Make the estimators of a plan; without any section, the standard panel.

    Parameters
    ----------
    given : object
        The sections; None where there are none.
    table : CaptureTable or None
        What they will be fitted to; None where it could not be read.
    faults : list of str
        Grows.
    trust : bool
        Whether an estimator that is not registered may be imported.

    Returns
    -------
    made : dict of str to Estimator
        By label, in their order.
    left_out : dict of str to str
        Reasons by label, of methods of the panel that cannot treat the table.
    """
    return _panel(table, faults) if given is None else (_named(given, table, faults, trust), {})


def _panel(table: CaptureTable | None, faults: Faults) -> tuple[dict[str, Any], dict[str, str]]:
    """Make the standard panel, without the methods that cannot treat the table."""
    methods = standard_panel(table)
    reasons = {} if table is None else {label: refusal(method, table) for label, method in methods.items()}
    left_out = {label: why for label, why in reasons.items() if why}
    made = {label: method for label, method in methods.items() if label not in left_out}
    if not made:
        faults.append(f"no method of the standard panel can treat the table: {next(iter(left_out.values()))}")
    return made, left_out


def _named(given: Any, table: CaptureTable | None, faults: Faults, trust: bool) -> dict[str, Any]:
    if not isinstance(given, list) or not given:
        faults.append("[[estimator]] names none: name one at least, or leave it out for the standard panel")
        return {}
    made: dict[str, Any] = {}
    for place, item in enumerate(given, 1):
        if not isinstance(item, Mapping):
            faults.append(f"[[estimator]] {place} must be a section with keys; got {shown(item)}")
            continue
        label = _label(item, place, made, faults)
        where = f"[[estimator]] {place} ({shown(label)})"
        made[label] = _estimator(item, where, table, faults, trust)
    return made


def _label(item: Mapping[str, Any], place: int, taken: Iterable[str], faults: Faults) -> str:
    """Give the label of an estimator, by default its name, and refuse one that is taken."""
    label = item.get("label", item.get("name"))
    if wrong := text(label):
        faults.append(
            f"[[estimator]] {place} {'label' if 'label' in item else 'name'} {wrong}; got {shown(label)}"
        )
        return f"number {place}"
    if label in taken:
        faults.append(
            f"[[estimator]] {place}: the label {shown(label)} is taken; give each a label of its own"
        )
        return f"number {place}"
    return str(label)


def _estimator(
    item: Mapping[str, Any], where: str, table: CaptureTable | None, faults: Faults, trust: bool
) -> Any:
    """Make one estimator and ask whether it can treat the table; None where it cannot be made."""
    name = item.get("name")
    if text(name):
        if "label" in item or "name" not in item:
            faults.append(f"{where} has no name: take one of {', '.join(ESTIMATORS)}")
        return None
    try:
        made = build(str(name), {key: _spec(value) for key, value in _settings(item)}, trust=trust)
        if not hasattr(made, "fit"):
            raise TypeError(f"{name!r} is not an estimator: it has no fit")
    except (HiddenpopError, TypeError, ValueError, AttributeError) as error:
        faults.append(f"{where}: {error}")
        return None
    if table is not None and (why := refusal(made, table)):
        faults.append(f"{where}: {why}")
    return made


def _settings(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in item.items() if key not in ("label", "name"))


def _spec(value: Any) -> Any:
    """Read an estimator inside another, written as the outer one is: a name with its settings beside it."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return value
    settings = value["settings"] if set(value) == {"name", "settings"} else dict(_settings(value))
    if not isinstance(settings, Mapping):
        raise TypeError(f"settings must be a table of settings; got {shown(settings)}")
    return {"name": value["name"], "settings": {key: _spec(item) for key, item in settings.items()}}


def read_choice(given: Any, labels: Iterable[str], faults: Faults) -> tuple[str, str]:
    """Read which estimate is reported, and why."""
    if given is None:
        faults.append("the plan has no [choice]: name the estimator that is reported, and why")
        return "", ""
    section = read_section("[choice]", given, CHOICE, faults)
    chosen, known = section.get("estimator", ""), list(labels)
    if chosen and known and chosen not in known:
        faults.append(f"[choice] there is no estimator labelled {shown(chosen)}; {near(chosen, known)}")
    return chosen, section.get("why", "")


def read_checks(
    given: Any, table: CaptureTable | None, faults: Faults, *, trust: bool = False
) -> tuple[tuple[Any, ...], str]:
    """Make the checks of a plan, each held to its claim; `trust` is for estimators in their settings.

    Returns
    -------
    checks : tuple of Check
    claim : str
        Empty without one.
    """
    section = read_section("[sensitivity]", given, SENSITIVITY, faults)
    claim = _claim(section.get("claim", ""), faults)
    wanted = section.get("checks", STANDARD) if given is not None else []
    if wanted == STANDARD:
        wanted = list(CHECKS)
    if not isinstance(wanted, list):
        faults.append(f'[sensitivity] checks must be "{STANDARD}" or a list of checks; got {shown(wanted)}')
        wanted = []
    made = [_check(item, claim, table, faults, trust) for item in wanted]
    return tuple(check for check in made if check is not None), claim


def _claim(given: str, faults: Faults) -> str:
    if given:
        try:
            Claim.parse(given)
        except HiddenpopError as error:
            faults.append(f"[sensitivity] {error}")
            return ""
    return given


def _check(item: Any, claim: str, table: CaptureTable | None, faults: Faults, trust: bool) -> Any:
    """Make one check from its name, or from a table with its name and settings."""
    settings = dict(item) if isinstance(item, Mapping) else {"name": item}
    name = settings.pop("name", None)
    if text(name):
        faults.append(f"[sensitivity] a check must have a name; got {shown(item)}")
        return None
    if claim and name not in WITHOUT_CLAIM:
        settings.setdefault("claim", claim)
    try:
        made = build_check(str(name), settings, trust=trust)
    except (HiddenpopError, TypeError, ValueError, AttributeError) as error:
        faults.append(f"[sensitivity] {error}")
        return None
    faults.extend(f"[sensitivity] {name}: {fault}" for fault in _unknown_lists(made, table))
    return made


def _unknown_lists(check: Any, table: CaptureTable | None) -> list[str]:
    """Name the lists in the settings of a check that the table does not have."""
    if table is None:
        return []
    held = [getattr(check, f.name) for f in fields(check) if f.name in NAMES_OF_LISTS]
    named = dict.fromkeys(name for value in held for name in _texts_in(value))
    return [
        f"there is no list {shown(name)}; {near(name, table.lists)}"
        for name in named
        if name not in table.lists
    ]


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _texts_in(item)


# === what an estimator would refuse a table for =======================================================================
# Found without fitting, so that a plan can be refused before it starts.


def refusal(estimator: Any, table: CaptureTable) -> str:
    """Say why an estimator cannot treat a table.

    Parameters
    ----------
    estimator : Estimator
    table : CaptureTable

    Returns
    -------
    str
        Empty where nothing speaks against it. An estimator of one's own that does not tell is not looked into.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> refusal(hp.Chapman(lists=("EXH", "UN")), hp.datasets.load("kosovo"))
    "lists=('EXH', 'UN'): kosovo has no list 'UN' that caught somebody; it has EXH, ABA, OSCE, HRW"
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fit itself will say them
            contract(estimator).prepare(table)
    except HiddenpopError as error:
        return str(error)
    return ""


# === the section ``[monitor]``: subgroups, rates, years, ranks and the UN indicator of one estimate ===================


RESIDENTS = "residents"

KINDS: dict[str, dict[str, Key]] = {
    "subgroups": {"by": Key(named_groups, "name the covariates"), "level": Key(number_below_one)},
    "trend": {
        "year": Key(text, "name the covariate of the years"),
        "by": Key(named_groups),
        "level": Key(number_below_one),
    },
    "trend_by_list": {
        "year": Key(text, "name the covariate of the years"),
        "level": Key(number_below_one),
    },
    "rates": {
        "by": Key(named_groups, "name the covariates"),
        RESIDENTS: Key(text, "name the file of residents"),
        "per": Key(anything),
        "undivided": Key(named_groups),
        "allow_missing": Key(anything),
        "level": Key(number_below_one),
    },
    "ranks": {
        "by": Key(named_groups, "name the covariates"),
        "top": Key(anything),
        RESIDENTS: Key(text),
        "level": Key(number_below_one),
    },
    "un_indicator": {
        RESIDENTS: Key(text, "name the file of residents"),
        "mapping": Key(anything, "say which covariate is which dimension"),
        "area": Key(anything, 'give code and name, ["528", "Netherlands"]'),
        "year": Key(anything, "name the covariate of the years, or the year"),
        "source": Key(anything),
        "reporting_type": Key(anything),
        "level": Key(number_below_one),
    },
}
"""What a monitor can make of an estimate, and the settings of each."""

SHORT = {"subgroups": "by", "trend": "year", "trend_by_list": "year", "ranks": "by"}
"""The setting that stands alone where a part is written short: ``trend = "year"``."""

COVARIATES = ("by", "undivided")
YEARS = ("trend", "trend_by_list")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartPlan:
    """One thing to make of an estimate.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    label : str
        The kind with its number.
    settings : mapping
        Arguments of the function of that kind, residents apart.
    residents : DataFrame or None
    """

    kind: str
    label: str
    settings: Mapping[str, Any]
    residents: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """What the parts of a plan are about.

    Parameters
    ----------
    folder : Path
        That files are named from.
    table : CaptureTable or None
    estimators : mapping of str to Estimator
    chosen : str
        The label in ``[choice]``.
    """

    folder: Path
    table: CaptureTable | None
    estimators: Mapping[str, Any]
    chosen: str


def read_parts(
    given: Any, setting: Setting, faults: Faults
) -> tuple[tuple[PartPlan, ...], str, tuple[Input, ...]]:
    """Read what a monitor is to make of an estimate.

    Returns
    -------
    parts : tuple of PartPlan
    estimator : str
        The label of the estimate that they are made of.
    inputs : tuple of Input
        Files of residents.
    """
    keys = {"estimator": Key(text), **{kind: Key(anything) for kind in KINDS}}
    section = read_section("[monitor]", given, keys, faults)
    label = section.pop("estimator", setting.chosen)
    if label not in setting.estimators and label != setting.chosen:
        faults.append(
            f"[monitor] there is no estimator labelled {shown(label)}; {near(label, setting.estimators)}"
        )
    parts, inputs = [], {}
    for kind, wanted in section.items():
        for place, item in enumerate(_several(kind, wanted), 1):
            part, read = _part(kind, f"{kind}-{place}", item, setting, faults)
            parts.append(part)
            inputs.update({source.name: source for source in read})
    _refuse_unmodelled(parts, setting, label, faults)
    return tuple(parts), label, tuple(inputs.values())


def _several(kind: str, wanted: Any) -> list[Any]:
    """Give the parts of one kind: a list of sections or of lists of covariates is several, all else is one."""
    if isinstance(wanted, list) and wanted and all(isinstance(item, Mapping) for item in wanted):
        return wanted
    if kind in SHORT and not isinstance(wanted, Mapping):
        groups = wanted if isinstance(wanted, list) and any(isinstance(x, list) for x in wanted) else [wanted]
        return [{SHORT[kind]: item} for item in groups]
    return [wanted]


def _part(
    kind: str, label: str, given: Any, setting: Setting, faults: Faults
) -> tuple[PartPlan, list[Input]]:
    where = f"[monitor] {label}"
    settings = read_section(where, given, KINDS[kind], faults)
    settings.update({key: _strata_names(settings[key]) for key in COVARIATES if key in settings})
    if kind == "un_indicator":
        settings = {key: _tuples(value) for key, value in settings.items()}
    _refuse_unknown(settings, kind, setting.table, where, faults)
    path = settings.pop(RESIDENTS, None)
    frame, inputs = (None, []) if path is None else _read_residents(str(path), setting.folder, where, faults)
    return PartPlan(kind=kind, label=label, settings=settings, residents=frame), inputs


def _strata_names(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _covariates_named(settings: Mapping[str, Any], kind: str) -> list[str]:
    named = [name for key in COVARIATES for name in settings.get(key, ()) if isinstance(name, str)]
    return [*named, *([settings["year"]] if kind in YEARS and "year" in settings else [])]


def _refuse_unknown(
    settings: Mapping[str, Any], kind: str, table: CaptureTable | None, where: str, faults: Faults
) -> None:
    if table is None:
        return
    known = list(map(str, table.strata.columns))
    for name in _covariates_named(settings, kind):
        if name not in known:
            hint = near(name, known) if known else "the table has no strata"
            faults.append(f"{where}: there is no covariate {shown(name)}; {hint}")


def _refuse_unmodelled(parts: list[PartPlan], setting: Setting, label: str, faults: Faults) -> None:
    """Refuse parts by covariates that the estimator adds up."""
    method = setting.estimators.get(label)
    if method is None or setting.table is None or not parts:
        return
    strata = contract(method).strata_of(setting.table)
    if strata is None:
        return
    for part in parts:
        asked = _covariates_named(part.settings, part.kind)
        absent = [name for name in asked if name in setting.table.strata.columns and name not in strata]
        if absent or not strata:
            what = f"by {', '.join(absent)}" if absent else "by strata"
            faults.append(
                f"[monitor] {part.label}: the estimator {shown(label)} gives no numbers {what}; take one that models "
                f"strata, or name another with estimator = ..."
            )


def _read_residents(
    name: str, folder: Path, where: str, faults: Faults
) -> tuple[pd.DataFrame | None, list[Input]]:
    """Read a file of residents, its levels as text; numbers of residents are public."""
    path = folder / name
    try:
        columns = [str(column) for column in read_file(path, ()).columns]
        frame = read_file(path, [column for column in columns if column != RESIDENTS])
        return frame, [Input(name, "file", digest_of_file(path, public=True))]
    except HiddenpopError as error:
        faults.append(f"{where}: {error}")
        return None, []


def make_part(part: PartPlan, estimate: Estimate, estimator: Any, table: CaptureTable, seed: int) -> Any:
    """Make a part of an estimate.

    Parameters
    ----------
    part : PartPlan
    estimate : Estimate
    estimator : Estimator
        That made it; fitted again without each list for ``trend_by_list``.
    table : CaptureTable
    seed : int
        Of the estimate.

    Returns
    -------
    Subgroups, Rates, Trend, TrendByList, Ranks or UNIndicator
    """
    settings = dict(part.settings)
    if part.kind == "trend_by_list":
        return trend_by_list(estimator, table, rng=seed, **settings)
    if part.kind in ("rates", "un_indicator"):
        per_residents: Any = rates if part.kind == "rates" else un_indicator
        return per_residents(estimate, part.residents, **settings)
    if part.kind == "ranks":
        return ranks(estimate, residents=part.residents, **settings)
    of_strata: Any = subgroups if part.kind == "subgroups" else trend
    return of_strata(estimate, **settings)
