"""`Multiverse`: all defensible choices of an analysis crossed, and how many of the answers support a claim."""

import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop._cells import distinct_texts
from hiddenpop.errors import HiddenpopError, SettingError, TableError, UnknownNameError
from hiddenpop.estimators.base import contract, settings_of
from hiddenpop.estimators.outcome import CRITERIA
from hiddenpop.estimators.protocol import Estimator, spec_of
from hiddenpop.estimators.registry import build
from hiddenpop.model import MAX_ENUMERATED_LISTS
from hiddenpop.result import format_persons
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval
from hiddenpop.sensitivity.points import ANSWER, Point, evaluate, has_number, number_maker
from hiddenpop.sensitivity.protocol import (
    CheckContext,
    Found,
    StandardCheck,
    figure_of,
    has_setting,
    judge,
    with_settings,
)
from hiddenpop.sensitivity.regrouping import block_names, regrouped_estimator
from hiddenpop.table import CaptureTable

__all__ = ["Multiverse", "standard_choices"]

SHARED = ("admissible", "count", "odds_ratios", "xi", "level")
"""Settings that another log-linear estimator takes over, where it has them."""

FEWEST_TO_MERGE = 4
MOST_UNSHARED = 2
"""Pairs of lists without a person in common that are merged in the standard choices."""

MOST_EXHAUSTIVE = 5
MOST_LEVELS = 12
PERIODS = ("year", "period")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiverse(StandardCheck):
    """All defensible choices of an analysis, crossed.

    Parameters
    ----------
    choices : mapping or tuple, optional
        Options by choice, as ``{"criterion": {"bic": {"criterion": "bic"}, "aic": {"criterion": "aic"}}, "lists":
        {"all": {}, "without GP": {"drop": ["GP"]}}}``. An option changes settings of the estimator, or one of:
        ``estimator`` (another one), ``stratify`` (covariates within whose levels it works), ``select`` (levels by
        covariate), ``collapse`` (covariates), ``drop`` (lists), ``merge`` (parts by new list). Without choices,
        `standard_choices` makes them.
    claim : str or Claim, optional
        Such as "more than 10,000". Without one, N should stay within the interval of the baseline.

    Raises
    ------
    SettingError
        If the choices or the claim cannot be read.

    Notes
    -----
    Every combination of options is a specification: one estimator on one table. A combination with a setting that its
    estimator does not have, or moves that contradict each other, cannot be made; these are counted. A choice none of
    whose options is one of the estimator plays no part there. Combinations that come to the same estimator and table
    are fitted once and count once, and the columns of what makes no difference read "any". Specifications that differ
    in the kind of interval alone share one number: they count once where the share by estimate is told, and apart
    where whole intervals are held to the claim.

    The table has one row per specification, by size of N: the option of every choice, the figures of the estimate,
    ``supports`` and ``supports_interval`` (does the number, does the whole interval agree with the claim).

    The share of specifications that support a claim is not a probability: specifications are not drawn from anything,
    and adding options changes it.

    References
    ----------
    Steegen, S., Tuerlinckx, F., Gelman, A. and Vanpaemel, W. (2016). Increasing transparency through a multiverse
    analysis. Perspectives on Psychological Science 11(5), 702-712. doi:10.1177/1745691616658637
    Simonsohn, U., Simmons, J. P. and Nelson, L. D. (2020). Specification curve analysis. Nature Human Behaviour 4,
    1208-1214. doi:10.1038/s41562-020-0912-z

    Examples
    --------
    >>> import hiddenpop as hp
    >>> choices = {
    ...     "criterion": {"bic": {"criterion": "bic"}, "aic": {"criterion": "aic"}},
    ...     "lists": {"all": {}, "without HRW": {"drop": ["HRW"]}},
    ... }
    >>> check = Multiverse(choices=choices, claim="more than 12,000")
    >>> found = check.run(hp.SelectedLogLinear(), hp.datasets.load("kosovo"))
    >>> found.table[["criterion", "lists", "n_hat", "supports"]].round(0).values.tolist()
    [['bic', 'all', 10357.0, False], ['aic', 'all', 12741.0, True], ['bic', 'without HRW', 22301.0, True],
    ['aic', 'without HRW', 22301.0, True]]
    """

    name: ClassVar[str] = "multiverse"

    choices: Any = None
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        if self.choices is not None:
            object.__setattr__(self, "choices", as_choices(self.choices))
        as_claim(self.claim)

    @classmethod
    def standard(
        cls,
        estimator: Estimator,
        table: CaptureTable,
        *,
        periods: bool = False,
        claim: str | Claim | None = None,
    ) -> "Multiverse":
        """Make the check with the choices of `standard_choices`."""
        return cls(choices=standard_choices(estimator, table, periods=periods), claim=claim)

    def _find(self, asked: CheckContext) -> Found | str:
        estimator, table = asked.estimator, asked.table
        choices = standard_choices(estimator, table) if self.choices is None else self.choices
        if not choices:
            return f"does not apply: {spec_of(estimator).name} on {table.name} leaves no standard choice; name choices"
        crossed = cross(as_choices(choices), estimator, table)
        if not crossed.points:
            return f"does not apply: none of the {crossed.n_combinations} combinations can be made ({crossed.reason})"
        base = asked.base()
        frame = evaluate(crossed.points, seed=asked.seed, label=f"specifications for {table.name}")
        claim = claim_or_interval(self.claim, base)
        frame = _supported(frame, claim)
        once = frame[~pd.Series(crossed.estimates).duplicated()]
        verdict = judge(once.assign(n_observed=table.n_observed), claim, points="estimates")
        return Found(
            passed=verdict.passed,
            table=frame.sort_values("n_hat", kind="stable", ignore_index=True),
            text=" ".join([_counted(crossed), verdict.text, *_shares(once, frame), *_spread(once, choices)]),
            figure=figure_of(
                "specification", "All defensible choices", base, claim, choices=[name for name, _ in choices]
            ),
            n_points=len(frame),
            n_failed=int((~has_number(frame)).sum()),
            settings=spec_of(replace(self, choices=choices)).settings,
            protected=("n_observed",),
        )


def _supported(frame: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    known = has_number(frame)
    number = known & frame["n_hat"].between(claim.low, claim.high)
    whole = known & (frame["low"] >= claim.low) & (frame["high"] <= claim.high)
    return frame.assign(supports=number, supports_interval=whole)


# --- in words ---


def _counted(crossed: "Crossed") -> str:
    """Count the combinations: those that differ, those that repeat another, those that cannot be made."""
    parts = [f"{len(crossed.points)} specifications of {crossed.n_combinations} combinations"]
    if crossed.n_repeated:
        parts.append(f"{crossed.n_repeated} come to the same as another and count once")
    if crossed.n_impossible:
        parts.append(f"{crossed.n_impossible} cannot be made ({crossed.reason})")
    return "; ".join(parts) + "."


def _shares(once: pd.DataFrame, frame: pd.DataFrame) -> Iterable[str]:
    known, whole = once[has_number(once)], frame[has_number(frame)]
    if known.empty:
        return
    supports, entire = int(known["supports"].sum()), int(whole["supports_interval"].sum())
    yield (
        f"By estimate {supports} of {len(known)} support it ({supports / len(known):.0%}), by their whole interval "
        f"{entire} of {len(whole)} ({entire / len(whole):.0%}). Such a share is not a probability: it follows from the "
        f"options that were listed."
    )


def _spread(once: pd.DataFrame, choices: Choices) -> Iterable[str]:
    """Name the choice whose options lie furthest apart, by their medians."""
    known = once[has_number(once)]
    found = []
    for name, options in choices:
        rows = known[known[name].isin([label for label, _ in options])]
        medians = rows.groupby(name)["n_hat"].median()
        if len(medians) > 1:
            found.append((math.log(medians.max() / medians.min()), name, medians))
    if not found or not max(found, key=lambda item: item[0])[0]:
        return
    _, name, medians = max(found, key=lambda item: item[0])
    low, high = (format_persons(n, float(np.ptp(medians))) for n in (medians.min(), medians.max()))
    yield (
        f"The choice that moves N most is {name}: its options have medians from {low} ({medians.idxmin()}) to {high} "
        f"({medians.idxmax()})."
    )


# --- the standard choices ---


def standard_choices(estimator: Estimator, table: CaptureTable, *, periods: bool = False) -> Choices:
    """Give the choices that a reviewer would ask about, as far as estimator and table leave them.

    Parameters
    ----------
    estimator : Estimator
    table : CaptureTable
    periods : bool
        Add each single level of a covariate called year or period. One period is another population than all of them,
        so that a claim about the whole does not fit it.

    Returns
    -------
    tuple
        For log-linear estimators the class of model (as given, selected, averaged up to six lists, stepwise), the
        criterion and, up to five lists, the order; with four lists or more, whether the two that share most persons, or
        two that share nobody, are one list; covariates added up or apart; the kind of interval, Wald limits left out.
        Empty where nothing of this applies.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> choices = standard_choices(hp.SelectedLogLinear(), hp.datasets.load("kosovo"))
    >>> [(name, [label for label, _ in options]) for name, options in choices]
    [('class', ['selected', 'averaged', 'stepwise']), ('criterion', ['bic', 'aic', 'aicc']), ('order', ['2', 'every']),
    ('lists', ['as they are', 'OSCE or HRW']), ('limits', ['profile', 'lognormal'])]
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    if contract(contract(estimator).innermost).facts.loglinear:
        found["class"] = _classes(estimator, table)
        found["criterion"] = {name: {"criterion": name} for name in CRITERIA}
        found["order"] = {"2": {"max_order": 2}}
        if table.n_lists <= MOST_EXHAUSTIVE:
            found["order"]["every"] = {"max_order": None}
        if table.has_strata and not has_setting(estimator, "by"):
            found["strata"] = _strata(table)
    found["lists"] = _mergers(table)
    found["limits"] = _intervals(estimator)
    if periods:
        found["period"] = _periods(table)
    kept = {name: options for name, options in found.items() if len(options) > 1}
    return as_choices(kept) if kept else ()


def _classes(estimator: Estimator, table: CaptureTable) -> dict[str, dict[str, Any]]:
    """Give the estimator itself, and the other ways to deal with log-linear models, in the same wrappers."""
    told, few = contract(estimator), table.n_lists <= MAX_ENUMERATED_LISTS
    inner = told.innermost
    ways: dict[str, Any] = {
        "selected": build("selected", {"search": "exhaustive" if few else "exact"}),
        **({"averaged": build("averaged", {})} if few else {}),
        "stepwise": build("selected", {"search": "stepwise_p"}),
    }
    own = _own_class(inner)
    options: dict[str, dict[str, Any]] = {own: {}}
    for name, other in ways.items():
        if name == own:
            continue
        shared = {s: getattr(inner, s) for s in SHARED if s in settings_of(inner) and s in settings_of(other)}
        try:
            options[name] = {"estimator": told.with_innermost(replace(other, **shared))}
        except SettingError:  # the wrapper does not take it
            continue
    return options


def _own_class(inner: Any) -> str:
    model_is = contract(inner).facts.model_is
    if model_is == "chosen":
        return "stepwise" if getattr(inner, "search", "") == "stepwise_p" else "selected"
    return "averaged" if model_is == "averaged" else "one model"


def _mergers(table: CaptureTable) -> dict[str, dict[str, Any]]:
    """Merge the two lists that share most of the smaller, and the largest pairs that share nobody."""
    lists = [name for name in table.lists if name not in table.empty_lists]
    if len(lists) < FEWEST_TO_MERGE:
        return {}
    totals = {name: int(table.list_totals[name]) for name in lists}
    overlaps = table.overlaps.to_dict()
    pairs = list(combinations(lists, 2))
    shared = {pair: int(overlaps[pair[0]][pair[1]]) for pair in pairs}
    closest = max(pairs, key=lambda pair: shared[pair] / min(totals[name] for name in pair))
    apart = [pair for pair in pairs if not shared[pair]]
    apart.sort(key=lambda pair: -totals[pair[0]] * totals[pair[1]])
    chosen = list(dict.fromkeys([closest, *apart[:MOST_UNSHARED]]))
    labels = distinct_texts(chosen, " or ")
    mergers = [{"merge": {_merged_name(pair, table.lists): pair}} for pair in chosen]
    return {"as they are": {}, **dict(zip(labels, mergers, strict=True))}


def _merged_name(pair: tuple[str, str], lists: Sequence[str]) -> str:
    return block_names((pair, *((name,) for name in lists if name not in pair)))[pair]


def _strata(table: CaptureTable) -> dict[str, dict[str, Any]]:
    few = [name for name, levels in table.strata.items() if 1 < levels.nunique() <= MOST_LEVELS]
    return {"added up": {}, **{f"by {name}": {"stratify": (str(name),)} for name in few}}


def _periods(table: CaptureTable) -> dict[str, dict[str, Any]]:
    name = next((str(column) for column in table.strata if str(column).lower() in PERIODS), None)
    if name is None:
        return {}
    levels = sorted(table.strata[name].unique())
    every = "all"
    while every in levels:
        every = f"{every} of {name}"
    return {every: {}, **{level: {"select": {name: (level,)}} for level in levels}}


def _intervals(estimator: Estimator) -> dict[str, dict[str, Any]]:
    """Give the kinds of interval that the estimator knows; Wald limits only where it was set to them."""
    if not has_setting(estimator, "interval"):
        return {}
    holder = contract(estimator).holder("interval")
    own, kinds = holder.interval, typing.get_args(typing.get_type_hints(type(holder))["interval"])
    return {kind: {"interval": kind} for kind in kinds if kind == own or kind != "wald"}


# === choices of an analysis and their options, and every combination of them as an estimator on a table ===============


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
            raise SettingError(f"{what}: the name {name!r} is not text, empty, or given twice; names differ")
    return pairs


def _changes(choice: str, label: str, given: Any) -> Changes:
    where = f"option {label!r} of choice {choice!r}"
    changes = tuple((name, _frozen(value)) for name, value in _pairs(given, where))
    for name, value in changes:
        if name == "estimator" and (isinstance(value, type) or not hasattr(value, "fit")):
            raise SettingError(
                f"{where}: estimator={value!r} is not an estimator; give one, such as LogLinear()"
            )
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
