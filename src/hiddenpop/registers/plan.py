"""The sections ``[registers]`` and ``[link]`` of a plan: from what is written to links and a table."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hiddenpop._cells import unknown_name
from hiddenpop.errors import ArgumentError, HiddenpopError, SettingError, TableError, UnknownNameError
from hiddenpop.registers.fellegi_sunter import FellegiSunter
from hiddenpop.registers.linkage import KeyLinkage, Linkage
from hiddenpop.registers.links import Links
from hiddenpop.registers.registrations import Registrations
from hiddenpop.table import CaptureTable, Coverage

__all__ = ["METHODS", "LinkPlan", "read_link_plan"]

METHODS: dict[str, type[KeyLinkage | FellegiSunter]] = {"key": KeyLinkage, "fellegi_sunter": FellegiSunter}
"""Linkages by the name that a plan calls them by."""

READING = ("key_file", "pseudonymise", "window", "particles", "patronymics")
COUNTING = ("lists", "strata", "unit", "units", "conflicts", "coverage", "name")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinkPlan:
    """Registers, a linkage and what is counted, as a plan says.

    Attributes
    ----------
    registers : mapping
        By name, as `Registrations.read` takes them.
    reading, counting : mapping
        Arguments of `Registrations.read` and of `Links.tabulate`.
    linkage : Linkage
    folder : Path
        That files are named from.
    """

    registers: Mapping[str, Mapping[str, Any]]
    reading: Mapping[str, Any]
    counting: Mapping[str, Any]
    linkage: Linkage
    folder: Path

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the registers, as the plan names them, each once."""
        return tuple(dict.fromkeys(str(told["file"]) for told in self.registers.values() if "file" in told))

    def link(self) -> Links:
        """Read the registers and link them."""
        key_file = self.reading.get("key_file")
        places = {} if key_file is None else {"key_file": self.folder / key_file}
        registrations = Registrations.read(self.registers, folder=self.folder, **{**self.reading, **places})
        return self.linkage.fit(registrations)

    def table(self, links: Links, population: str = "") -> CaptureTable:
        """Count the persons behind the records."""
        return links.tabulate(population=population, **self.counting)


def read_link_plan(registers: Any, link: Any, folder: Path) -> LinkPlan:
    """Read the two sections.

    Parameters
    ----------
    registers, link : object
        The sections, as TOML gives them.
    folder : Path
        That files are named from.

    Returns
    -------
    LinkPlan

    Raises
    ------
    TableError
        With every fault of both sections.

    Examples
    --------
    >>> plan = read_link_plan(
    ...     {"pseudonymise": False, "police": {"file": "police.csv", "record": "no", "day": "on", "key": "id"}},
    ...     {"method": "key", "unit": "person-year"},
    ...     Path("."),
    ... )
    >>> plan.linkage, plan.files
    (KeyLinkage(), ('police.csv',))
    """
    faults: list[str] = []
    told = registers if isinstance(registers, Mapping) else {}
    if not told:
        faults.append("[registers] must hold a section for each register, such as [registers.police]")
    by_name = {name: value for name, value in told.items() if isinstance(value, Mapping)}
    reading = {name: value for name, value in told.items() if not isinstance(value, Mapping)}
    faults += [f"[registers] {unknown_name('key', name, READING)}" for name in reading if name not in READING]
    settings = dict(link) if isinstance(link, Mapping) else {}
    if link is not None and not isinstance(link, Mapping):
        faults.append("[link] must be a section with keys")
    counting = {name: settings.pop(name) for name in COUNTING if name in settings}
    linkage = _linkage(settings, faults)
    coverage = _coverage(counting.pop("coverage", []), faults)
    if faults or linkage is None:
        raise TableError("\n  - ".join(["the sections [registers] and [link] cannot be read:", *faults]))
    return LinkPlan(
        registers=by_name,
        reading=reading,
        counting={**counting, **({"coverage": coverage} if coverage else {})},
        linkage=linkage,
        folder=folder,
    )


def _linkage(settings: dict[str, Any], faults: list[str]) -> Linkage | None:
    method = settings.pop("method", "fellegi_sunter")
    if method not in METHODS:
        faults.append(f"[link] {unknown_name('method', str(method), METHODS)}")
        return None
    kind = METHODS[method]
    known = [entry.name for entry in fields(kind)]
    unknown = [name for name in settings if name not in known]
    faults += [f"[link] {unknown_name('key', name, (*known, *COUNTING, 'method'))}" for name in unknown]
    if unknown:
        return None
    try:
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()
        }
        return kind(**values)
    except (HiddenpopError, TypeError) as error:
        faults.append(f"[link] {error}")
        return None


def _coverage(given: Any, faults: list[str]) -> tuple[Coverage, ...]:
    try:
        rows = given if isinstance(given, list) else [given]
        return tuple(Coverage(row["list"], row["covariate"], tuple(map(str, row["levels"]))) for row in rows)
    except (TypeError, KeyError, ArgumentError, SettingError, TableError, UnknownNameError):
        faults.append(
            '[link] coverage must be written as [{ list = "police", covariate = "form", levels = ["labour"] }]'
        )
        return ()
