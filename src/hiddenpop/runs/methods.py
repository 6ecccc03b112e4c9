"""The sections ``[[estimator]]``, ``[choice]`` and ``[sensitivity]``: from names to estimators and checks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.compare import standard_panel
from hiddenpop.estimators.registry import ESTIMATORS, build
from hiddenpop.runs.refusals import refusal
from hiddenpop.runs.schema import Key, anything, near, read_section, shown, text
from hiddenpop.sensitivity.claims import Claim
from hiddenpop.sensitivity.registry import CHECKS, WITHOUT_CLAIM, build_check
from hiddenpop.table import CaptureTable

__all__ = ["read_checks", "read_choice", "read_estimators"]

Faults = list[str]
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
            raise TypeError(f"{name!r} is no estimator: it has no fit")
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
