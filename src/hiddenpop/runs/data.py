"""The section ``[data]``: from a published data set or a file to the table of an analysis, and a hash of it."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hiddenpop.datasets import load
from hiddenpop.disclosure import secret_key
from hiddenpop.errors import HiddenpopError, SettingError, TableError
from hiddenpop.runs.schema import Key, anything, flag, near, read_section, shown, text, texts
from hiddenpop.table import CaptureTable, Coverage

__all__ = ["Input", "digest_of_file", "key_mark", "listed_faults", "read_data", "read_registers"]

VERBS = ("coverage", "drop_lists", "merge_lists", "select", "collapse", "rename")
COLUMNS = {
    "lists": Key(texts),
    "count": Key(text),
    "strata": Key(texts),
    "censored": Key(text),
    "person": Key(text),
    "list": Key(text),
    "date": Key(text),
    "conflicts": Key(text),
    "columns": Key(texts),
    "decimal": Key(text),
    "yes": Key(text),
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
        The files, with keyed hashes; the key of the pseudonyms is no input and is not hashed.
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
