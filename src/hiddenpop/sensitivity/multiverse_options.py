"""Choices of an analysis and their options, and every combination of them as an estimator on a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hiddenpop.errors import HiddenpopError, SettingError, TableError, UnknownNameError
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.registry import build
from hiddenpop.sensitivity.needs import has_setting, with_settings
from hiddenpop.sensitivity.points import ANSWER, Point
from hiddenpop.sensitivity.refits import number_maker
from hiddenpop.sensitivity.regrouping import regrouped_estimator
from hiddenpop.table import CaptureTable

__all__ = ["Choices", "Crossed", "as_choices", "cross"]

Changes = tuple[tuple[str, Any], ...]
Choices = tuple[tuple[str, tuple[tuple[str, Changes], ...]], ...]
"""Pairs (choice, options); an option is a pair (label, changes), a change a pair (what, value)."""

TABLE_MOVES = ("select", "collapse", "drop", "merge")
SPECIAL = ("estimator", "stratify", *TABLE_MOVES)
"""What an option may change besides settings of the estimator."""

SUPPORTS = ("supports", "supports_interval")
ANY = "any"
"""Shown where all options of a choice come to the same."""

MOST_COMBINATIONS = 20_000


# --- reading what was given ---


def as_choices(given: Any) -> Choices:
    """Bring choices into the form of nested tuples, and refuse what cannot be one.

    Parameters
    ----------
    given : mapping or sequence of pairs
        Options by choice; options are changes by label; changes are values by name.

    Returns
    -------
    tuple
        Hashable, and plain JSON once written down.

    Raises
    ------
    SettingError
        For anything else, a name given twice or one that the table of results needs.

    Examples
    --------
    >>> as_choices({"criterion": {"bic": {"criterion": "bic"}, "aic": {"criterion": "aic"}}})
    (('criterion', (('bic', (('criterion', 'bic'),)), ('aic', (('criterion', 'aic'),)))),)
    """
    choices = tuple(
        (
            name,
            tuple(
                (label, _changes(name, label, changes))
                for label, changes in _pairs(options, f"choice {name!r}")
            ),
        )
        for name, options in _pairs(given, "choices")
    )
    for name, options in choices:
        if not options:
            raise SettingError(
                f"the choice {name!r} has no options; give at least one, such as {{'as set': {{}}}}"
            )
        if name in (*ANSWER, *SUPPORTS):
            raise SettingError(f"a choice cannot be called {name!r}: a column of the results has that name")
    size = math.prod(len(options) for _, options in choices)
    if not choices or size > MOST_COMBINATIONS:
        wanted = (
            f"at most {MOST_COMBINATIONS:,} combinations; give fewer options"
            if choices
            else "at least one choice"
        )
        raise SettingError(
            f"{len(choices)} choices make {size if choices else 0:,} combinations; give {wanted}"
        )
    return choices


def _pairs(given: Any, what: str) -> list[tuple[str, Any]]:
    items = list(given.items()) if isinstance(given, Mapping) else given
    try:
        pairs = [(name, value) for name, value in items]
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"{what}: {given!r} is neither a mapping nor pairs of a name and a value"
        ) from error
    names = [name for name, _ in pairs]
    for name in names:
        if not isinstance(name, str) or not name or names.count(name) > 1:
            raise SettingError(f"{what}: the name {name!r} is no text, empty, or given twice; names differ")
    return pairs


def _changes(choice: str, label: str, given: Any) -> Changes:
    where = f"option {label!r} of choice {choice!r}"
    changes = tuple((name, _frozen(value)) for name, value in _pairs(given, where))
    for name, value in changes:
        if name == "estimator" and (isinstance(value, type) or not hasattr(value, "fit")):
            raise SettingError(f"{where}: estimator={value!r} is no estimator; give one, such as LogLinear()")
        if name == "merge" and not _is_merger(value):
            raise SettingError(
                f"{where}: merge={value!r} must give the parts of a new list, such as {{'ab': ('a', 'b')}}"
            )
        try:
            hash(value)
        except TypeError as error:
            raise SettingError(
                f"{where}: {name}={value!r} can change later; give numbers, text, tuples"
            ) from error
    return tuple(
        (name, (value,) if name in SPECIAL[1:] and isinstance(value, str) else value)
        for name, value in changes
    )


def _is_merger(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], tuple) for item in value
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((key, _frozen(item)) for key, item in value.items())
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


# --- every combination, once ---


@dataclass(frozen=True, slots=True)
class Crossed:
    """The combinations of choices that differ.

    Attributes
    ----------
    points : tuple of Point
        The specifications, labelled by choice.
    estimates : tuple of int
        A number for each: those with the same number differ in their interval alone.
    n_combinations, n_impossible : int
        All combinations, and those that cannot be made.
    reason : str
        Why the first of these cannot.
    """

    points: tuple[Point, ...]
    estimates: tuple[int, ...]
    n_combinations: int
    n_impossible: int
    reason: str

    @property
    def n_repeated(self) -> int:
        """Combinations that come to the same as another one."""
        return self.n_combinations - self.n_impossible - len(self.points)


def cross(choices: Choices, estimator: Estimator, table: CaptureTable) -> Crossed:
    """Make every combination; leave out the impossible, and keep one of those that are the same.

    Raises
    ------
    UnknownNameError
        For a list, covariate or level that the table does not have, or a setting that no estimator here has.
    """
    _check_names(choices, estimator, table)
    tables = _Tables(table)
    groups: dict[tuple[Estimator, int], list[tuple[str, ...]]] = {}
    made: dict[tuple[Estimator, int], tuple[Estimator, int]] = {}
    n_impossible, reason = 0, ""
    for combination in product(*(options for _, options in choices)):
        try:
            candidate, at = _specify(choices, combination, estimator, tables)
        except HiddenpopError as error:
            n_impossible, reason = n_impossible + 1, reason or str(error)
            continue
        n_lists = len(tables.distinct[at].lists) - len(tables.distinct[at].empty_lists)
        key = contract(candidate).canonical(n_lists), tables.seen_by(candidate, at)
        made.setdefault(key, (candidate, at))
        groups.setdefault(key, []).append(tuple(label for label, _ in combination))
    points = tuple(
        Point(_labels(choices, rows), made[key][0], tables.distinct[made[key][1]])
        for key, rows in groups.items()
    )
    same = {key: number for number, key in enumerate(dict.fromkeys((_estimate(e), at) for e, at in groups))}
    size = math.prod(len(options) for _, options in choices)
    return Crossed(points, tuple(same[_estimate(e), at] for e, at in groups), size, n_impossible, reason)


def _labels(choices: Choices, rows: Sequence[tuple[str, ...]]) -> dict[str, str]:
    """Name the options that come to the same: one, some, or any."""
    labels = {}
    for (name, options), column in zip(choices, zip(*rows, strict=True), strict=True):
        chosen = [label for label, _ in options if label in column]
        labels[name] = ANY if 1 < len(chosen) == len(options) else " / ".join(chosen)
    return labels


def _specify(
    choices: Choices, combination: tuple[tuple[str, Changes], ...], estimator: Estimator, tables: "_Tables"
) -> tuple[Estimator, int]:
    """Make the estimator and the table of one combination."""
    changes = [change for _, option in combination for change in option]
    for name, value in changes:
        estimator = value if name == "estimator" else estimator
    settings: dict[str, Any] = {}
    for (choice, options), (label, option) in zip(choices, combination, strict=True):
        settings |= _settings(estimator, choice, label, option, [changes for _, changes in options])
    estimator = with_settings(estimator, **settings) if settings else estimator
    at, blocks = tables.of(changes)
    estimator = regrouped_estimator(estimator, tables.original, blocks) if blocks else estimator
    for name, value in changes:
        if name == "stratify":
            level = getattr(estimator, "level", 0.95)
            estimator = build("stratified", {"base": estimator, "by": value, "level": level})
    return estimator, at


def _settings(
    estimator: Estimator, choice: str, label: str, option: Changes, all_options: Sequence[Changes]
) -> dict[str, Any]:
    """Give the settings that an option changes; none where the choice as a whole is not one of this estimator."""
    wanted = {name: value for name, value in option if name not in SPECIAL}
    missing = [name for name in wanted if not has_setting(estimator, name)]
    if not missing:
        return wanted
    if not any(_can(estimator, other) for other in all_options):
        return {}
    name = getattr(estimator, "name", type(estimator).__name__)
    raise SettingError(f"{choice}={label!r}: {name} has no setting {missing[0]!r}")


def _can(estimator: Estimator, option: Changes) -> bool:
    return all(name in SPECIAL or has_setting(estimator, name) for name, _ in option)


def _check_names(choices: Choices, estimator: Estimator, table: CaptureTable) -> None:
    """Raise for a name that is not there, whatever it is combined with."""
    changes = [change for _, options in choices for _, option in options for change in option]
    estimators = [estimator, *(value for name, value in changes if name == "estimator")]
    for name, value in changes:
        if name in TABLE_MOVES:
            try:
                _moved(table, ((name, value),))
            except TableError:
                continue
        elif name == "stratify":
            table.split(*value)
        elif name not in SPECIAL and not any(has_setting(e, name) for e in estimators):
            raise UnknownNameError(
                f"no estimator here has a setting {name!r}; besides settings, an option can change {', '.join(SPECIAL)}"
            )


class _Tables:
    """The tables that the moves lead to, each made once; equal ones are one."""

    def __init__(self, original: CaptureTable) -> None:
        self.original = original
        self.distinct: list[CaptureTable] = []
        self._known: dict[Changes, tuple[int, tuple[tuple[str, ...], ...]]] = {}

    def of(self, changes: Sequence[tuple[str, Any]]) -> tuple[int, tuple[tuple[str, ...], ...]]:
        """Give the number of the table that these moves make, and how they group the lists; () if they do not."""
        moves = tuple(change for change in changes if change[0] in TABLE_MOVES)
        if moves not in self._known:
            table, blocks = _moved(self.original, moves)
            self._known[moves] = self._number(table), blocks
        return self._known[moves]

    def seen_by(self, estimator: Estimator, at: int) -> int:
        """Give the number of the table as the estimator sees it: added up, where it does not model strata."""
        table = self.distinct[at]
        blind = contract(estimator).facts.loglinear
        return self._number(table.collapse()) if blind and table.has_strata and not table.has_gaps else at

    def _number(self, table: CaptureTable) -> int:
        if table not in self.distinct:
            self.distinct.append(table)
        return self.distinct.index(table)


def _moved(table: CaptureTable, moves: Changes) -> tuple[CaptureTable, tuple[tuple[str, ...], ...]]:
    """Select and collapse, leave lists out, and merge those that remain."""
    lists = table.lists
    for name, value in moves:
        if name == "select":
            table = table.select(**{covariate: list(_many(levels)) for covariate, levels in value})
    for name, value in moves:
        if name == "collapse":
            table = table.collapse(*value)
    gone = [name for move, names in moves if move == "drop" for name in names]
    mergers = [merger for move, value in moves if move == "merge" for merger in value]
    if len({new for new, _ in mergers}) < len(mergers):
        raise TableError("two choices merge lists into one of the same name")
    table = table.drop_list(*gone) if gone else table
    table = table.merge_lists(dict(mergers)) if mergers else table
    if not (gone or mergers):
        return table, ()
    owner = {part: tuple(parts) for _, parts in mergers for part in parts}
    return table, tuple(dict.fromkeys(owner.get(name, (name,)) for name in lists if name not in gone))


def _many(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


# --- when two estimators give one number ---


def _estimate(estimator: Any) -> Any:
    """Leave out what the number does not depend on: the kind of interval, its level, a bootstrap around it."""
    maker = number_maker(estimator)
    idle = {
        name: contract(maker).holder(name).__dataclass_fields__[name].default
        for name in ("interval", "level")
        if has_setting(maker, name)
    }
    return with_settings(maker, **idle) if idle else maker
