"""One verb for newcomers, and estimators side by side."""

import html
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_door
from hiddenpop._text import columns, screen_text, wrapped
from hiddenpop.errors import CapabilityError, HiddenpopError, SettingError, TableSizeError
from hiddenpop.estimators.base import estimates_below, interval_kind, is_bound
from hiddenpop.estimators.protocol import Estimator, check_level, spec_of
from hiddenpop.estimators.registry import STANDARD_PANEL, build, refuse_seed
from hiddenpop.kernels.resampling.bootstrap_limits import fewest_resamples, limit_errors
from hiddenpop.result import MISFIT, Diagnostic, Estimate, format_level, format_persons, spread_beside
from hiddenpop.sources import TableLike, as_table, check_table
from hiddenpop.table import CaptureTable, RNGLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HOLDS", "Comparison", "compare", "estimate", "fit_panel", "standard_panel"]

REFUSALS = (CapabilityError, TableSizeError)
LARGEST_SEED = 1_000_000
MOST_LISTS_WHOLE = 5
"""Six lists have 7.8 million models: an average takes those of two-list terms."""

MOST_LISTS_PROVEN = 6
"""From seven lists on the best of all models cannot be proven in seconds; the best of those of two-list terms can."""

FITS, FITS_OF_MANY_LISTS = 3_000, 1_000
"""What the search of one resample may take for six lists, and for seven and more: a few seconds for 200 resamples."""

SPARSE, FITS_WHERE_SPARSE = 10, 500
"""With fewer persons than ten a cell a fit takes five times as long, and bounds are so loose that no search closes."""

PANEL_FITS = 20_000
"""What the search on the table itself may take: a few seconds."""

Key = TypeVar("Key")
Item = TypeVar("Item")

HOLDS: dict[str, str] = {
    "repeated": "choice of model included",
    "averaged": "choice included by weights",
    "given": "if this model is true",
    "chosen": "choice not included",
    "bound": "if no negative dependence",
    "posterior": "given model and prior",
    "unknown": "not told",
}
"""What an interval holds, in a few words."""

MEANS = {
    "repeated": "the choice of model was repeated in every resample, so it is in the interval",
    "averaged": "an average over models by their weights, so that the choice among them is in the interval",
    "given": "holds the size in {level} of tables if this model is true",
    "chosen": "the model was chosen on the same table, and the choice is not in the interval: usually too short",
    "bound": "at least so many if lists are not negatively dependent, that is, if none keeps persons off another",
    "posterior": "given model, prior and table the size lies in it with a probability of {level}",
    "unknown": "the estimator does not tell what its interval holds",
}
"""The same in a sentence."""

STATUS_WORDS = {"not_identified": "not identified", "not_converged": "not converged"}
ELSEWHERE = ("collapsed_strata", "empty_list", MISFIT)
"""Diagnostics that stand above the estimates."""

CORRECTED = ("bc", "bca")
"""Bootstrap limits at shares that are estimated too."""


@overload
def estimate(
    table: TableLike, estimator: None = None, *, rng: RNGLike = None, level: float = 0.95
) -> "Comparison": ...


@overload
def estimate(
    table: TableLike, estimator: str | Estimator, *, rng: RNGLike = None, **settings: Any
) -> Estimate: ...


@front_door
def estimate(
    table: TableLike, estimator: str | Estimator | None = None, *, rng: RNGLike = None, **settings: Any
) -> "Estimate | Comparison":
    """Estimate the size of the population behind a table.

    Parameters
    ----------
    table : CaptureTable, str, path, DataFrame or mapping
        A table, or what can be made one: the name of a data set, a file, a dataframe, counts by capture history.
    estimator : str or Estimator, optional
        A registered name such as ``"loglinear"``, or an estimator. Without it the standard panel: the usual methods
        side by side, the one whose interval repeats the choice of model first.
    rng : int, Generator or None
        Seed or generator for estimators that draw random numbers. The panel draws a seed where none is given, and says
        which.
    **settings
        Settings of the named estimator; for the panel ``level`` alone.

    Returns
    -------
    Estimate, or Comparison for the panel

    Raises
    ------
    UnknownNameError
        If there is no estimator of that name.
    SettingError
        If it has no such setting, or settings are given beside an estimator.
    CapabilityError
        If no method of the panel can treat the table.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> kosovo = hp.datasets.load("kosovo")
    >>> round(hp.estimate(kosovo, "loglinear", model="[123,14,34]").n_hat, 2)
    10356.52
    >>> hp.estimate(kosovo, rng=1).labels[:3]
    ('best BIC, bootstrapped', 'independence', 'best BIC model')
    """
    if estimator is not None:
        return _resolve(estimator, settings).fit(as_table(table), rng=rng)
    refuse_seed("estimate", settings)
    unknown = [name for name in settings if name != "level"]
    if unknown:
        raise SettingError(
            f"settings ({', '.join(unknown)}) go with an estimator's name; without one there is a panel, for which "
            f"level alone can be set"
        )
    known = as_table(table)
    return fit_panel(known, standard_panel(known, **settings), rng=rng)


def fit_panel(table: CaptureTable, methods: Mapping[str, Estimator], *, rng: RNGLike) -> "Comparison":
    """Fit every method that can treat the table, and keep the reasons of the others.

    Parameters
    ----------
    table : CaptureTable
    methods : mapping of str to Estimator
    rng : int, Generator or None
        Every estimator gets the same; without one a seed is drawn.

    Returns
    -------
    Comparison

    Raises
    ------
    CapabilityError, TableSizeError
        If none can treat the table.
    """
    drawn = rng is None
    seed: RNGLike = int(np.random.default_rng().integers(LARGEST_SEED)) if drawn else rng
    fitted: dict[str, Estimate] = {}
    refused: dict[str, HiddenpopError] = {}
    for label, method in methods.items():
        try:
            fitted[label] = method.fit(table, rng=_same(seed))
        except REFUSALS as error:
            refused[label] = error
    if not fitted:
        raise next(iter(refused.values()))
    return Comparison(
        tuple(fitted),
        tuple(fitted.values()),
        {label: str(error) for label, error in refused.items()},
        seed if isinstance(seed, int) else None,
        drawn,
    )


def _resolve(estimator: Any, settings: Mapping[str, Any]) -> Estimator:
    refuse_seed("estimate", settings)
    if isinstance(estimator, type):
        raise SettingError(f"{estimator.__name__} is a class; give an estimator, {estimator.__name__}(...)")
    if isinstance(estimator, str):
        built: Estimator = build(estimator, settings)
        return built
    if not hasattr(estimator, "fit"):
        raise SettingError(
            f'{estimator!r:.60} is not an estimator; give a registered name such as "loglinear" or an estimator '
            "such as LogLinear(), and several of them to compare"
        )
    if settings:
        given = ", ".join(settings)
        raise SettingError(
            f"settings ({given}) go with an estimator's name; make a variant with dataclasses.replace"
        )
    fitted: Estimator = estimator
    return fitted


@front_door
def compare(
    table: TableLike,
    estimators: Sequence[str | Estimator] | Mapping[str, str | Estimator],
    *,
    rng: RNGLike = None,
) -> "Comparison":
    """Fit several estimators to one table.

    Parameters
    ----------
    table : CaptureTable, str, path, DataFrame or mapping
        As for `estimate`.
    estimators : sequence or mapping
        Registered names or estimators; the keys of a mapping are the labels.
    rng : int, Generator or None
        Every estimator gets the same, so that its answer does not depend on the company it keeps.

    Returns
    -------
    Comparison

    Raises
    ------
    SettingError
        If there is nothing to compare.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> comparison = hp.compare(hp.datasets.load("kosovo"), ["loglinear", "chao"])
    >>> comparison.to_frame()["status"].tolist()
    ['ok', 'ok']
    """
    given: Any = estimators
    if isinstance(given, str) or not isinstance(given, Collection) or len(given) == 0:
        raise SettingError(
            f'there is nothing to compare in {estimators!r:.60}; give a list such as ["loglinear", "chao"]'
        )
    if isinstance(estimators, Mapping):
        labelled = {label: _resolve(item, {}) for label, item in estimators.items()}
        labels, resolved = tuple(labelled), tuple(labelled.values())
    else:
        resolved = tuple(_resolve(item, {}) for item in estimators)
        labels = tuple(item if isinstance(item, str) else _label(item) for item in estimators)
    known = as_table(table)
    return Comparison(labels, tuple(item.fit(known, rng=_same(rng)) for item in resolved))


def _same(rng: RNGLike) -> RNGLike:
    """Copy a generator, so that each estimator starts from the same state."""
    return rng if rng is None or isinstance(rng, int) else deepcopy(rng)


def _label(estimator: Estimator) -> str:
    return spec_of(estimator).label


@front_door
def standard_panel(table: CaptureTable | None = None, *, level: float = 0.95) -> dict[str, Estimator]:
    """Make the estimators of the standard panel, by label.

    Parameters
    ----------
    table : CaptureTable, optional
        What they will be fitted to. With six lists and more an average leaves models out, with seven and more a choice
        by BIC or AIC does, which their labels say; searches are cut short after some thousand fits, which is counted.
    level : float
        Of the intervals, above 0.5. The bootstrap takes as many resamples as it needs.

    Returns
    -------
    dict of str to Estimator

    Raises
    ------
    SettingError
        For a level it cannot have.

    Examples
    --------
    >>> list(standard_panel())[:3]
    ['best BIC, bootstrapped', 'independence', 'best BIC model']
    >>> import hiddenpop as hp
    >>> list(standard_panel(hp.datasets.load("uk")))[4]
    'model-averaged (order 2)'
    """
    check_level(level)
    if table is not None:
        check_table(table)
    n_lists = 0 if table is None else table.n_lists - len(table.empty_lists)
    n_observed = 0 if table is None else table.n_observed
    panel = {}
    for label, (name, settings) in STANDARD_PANEL.items():
        named, quick = _in_seconds(label, name, settings, n_lists, n_observed)
        panel[named] = build(name, {**quick, **_at_level(name, settings, level)})
    return panel


def _in_seconds(
    label: str, name: str, settings: Mapping[str, Any], n_lists: int, n_observed: int
) -> tuple[str, dict[str, Any]]:
    """Give label and settings of a method with which it answers in seconds for so many lists and persons."""
    if n_lists <= MOST_LISTS_WHOLE or (name == "selected" and "search" in settings):
        return label, dict(settings)
    order = 2 if n_lists > MOST_LISTS_PROVEN or name == "averaged" else None
    if name == "selected":
        more: dict[str, Any] = {"max_order": order, "max_fits": PANEL_FITS}
    elif name == "averaged":
        more = {"max_order": order}
    elif name == "bootstrapped":
        base = {"max_order": order, "max_fits": _fits_of_resample(n_lists, n_observed)}
        more = {"base": {"name": "selected", "settings": base}}
    else:
        return label, dict(settings)
    return f"{label} (order 2)" if order else label, {**settings, **more}


def _fits_of_resample(n_lists: int, n_observed: int) -> int:
    if n_lists > MOST_LISTS_PROVEN:
        return FITS_OF_MANY_LISTS
    return FITS if n_observed >= SPARSE << n_lists else FITS_WHERE_SPARSE


def _at_level(name: str, settings: Mapping[str, Any], level: float) -> dict[str, Any]:
    if name != "bootstrapped":
        return {"level": level}
    return {"level": level, "n_boot": max(settings["n_boot"], fewest_resamples(level))}


# === estimates side by side ===========================================================================================
# What each interval holds, where they disagree, and the random numbers behind them.


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Estimates of one population by several estimators.

    Attributes
    ----------
    labels : tuple of str
        A short label an estimate.
    estimates : tuple of Estimate
    left_out : mapping of str to str
        Reasons by label, of estimators that cannot treat the table.
    seed : int or None
        Of the random numbers of every estimator; None where none was given.
    seed_drawn : bool
        Whether the seed was drawn for this comparison because none was given.
    """

    labels: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    seed_drawn: bool = False

    def to_frame(self) -> pd.DataFrame:
        """Give one tidy row an estimate, labels first."""
        rows = pd.concat([e.to_frame() for e in self.estimates], ignore_index=True)
        rows.insert(0, "label", list(self.labels))
        return rows

    def sentence(self) -> str:
        """Say in one sentence how far the finite estimates disagree, lower bounds apart."""
        pairs = [(label, e) for label, e in self._pairs() if not is_bound(e.estimator)] or self._pairs()
        # A bootstrap around an estimate has the same number, and its shorter name does for both.
        pairs = sorted(pairs, key=lambda pair: interval_kind(pair[1]) == "repeated")
        finite = [(label, e) for label, e in pairs if math.isfinite(e.n_hat)]
        without = len(pairs) - len(finite)
        rest = f"; {without} of {len(pairs)} have no finite answer" if without else ""
        if not finite:
            return f"None of the {len(pairs)} estimators has a finite answer."
        low_label, low = min(finite, key=lambda pair: pair[1].n_hat)
        high_label, high = max(finite, key=lambda pair: pair[1].n_hat)
        if len(finite) == 1:
            return f"Only {low_label} has a finite answer, {self._numbers(low)[0]}{rest}."
        ratio = f"{high.n_hidden / low.n_hidden:.1f} times" if low.n_hidden > 0.0 else "infinitely many times"
        return (
            f"The estimates run from {self._numbers(low)[0]} ({low_label}) to {self._numbers(high)[0]} ({high_label}): "
            f"the largest dark figure is {ratio} the smallest{rest}."
        )

    def disagreements(self) -> list[str]:
        """Name the estimates that lie below the lower limit of a lower bound, a sentence for each bound."""
        estimates, found = dict(self._pairs()), []
        for label, below in estimates_below(estimates).items():
            bound = estimates[label]
            named = ", ".join(f"{other} ({self._numbers(estimates[other])[0]})" for other in below)
            found.append(
                f"{named}: below the {label}, at least {bound.persons_in_words(bound.interval.low)}. They disagree, "
                f"which disproves neither: the bound is none where lists are negatively dependent, and the others rest "
                f"on their models."
            )
        return found

    def _numbers(self, estimate: Estimate) -> tuple[str, str]:
        """Write an estimate and its interval; two estimates of one size have the same digits."""
        spread = spread_beside(estimate, self.estimates)
        number = format_persons(estimate.n_hat, spread, estimate.n_observed)
        return number if math.isfinite(estimate.n_hat) else "none", estimate.in_words()[1]

    def _random_numbers(self) -> str:
        """Say which random numbers were used; empty where nobody gave or drew any."""
        if self.seed is None:
            return ""
        return f"Random numbers: seed {self.seed}" + (
            ", drawn for this run; give it as --seed or rng to have the same numbers again."
            if self.seed_drawn
            else "."
        )

    def text(self) -> str:
        """Write the estimates side by side, then what has to be said about them, and how far they disagree."""
        pairs = self._pairs()
        parts = [
            _section("Rejected by their goodness of fit", self._rejected()),
            self._table(),
            _section("Intervals", self._intervals()),
            _section(
                "Without a number", [f"{label}: {_status(e)}: {e.reason}" for label, e in pairs if e.reason]
            ),
            _section("Warnings", _by_text((label, d.message) for label, e in pairs for d in _warnings(e))),
            _section("Left out", _by_text(self.left_out.items())),
            _section("Disagreement", self.disagreements()),
            wrapped(self.sentence(), ""),
            wrapped(self._random_numbers(), ""),
        ]
        return screen_text("\n\n".join(part for part in parts if part))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the estimates and intervals under each other."""
        from hiddenpop.plotting import forest_plot

        return forest_plot(self.estimates, labels=self.labels, ax=ax, holds=True)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        shown = pd.DataFrame(rows, columns=head).to_html(index=False, escape=True)
        rejected = "".join(f"<p>{html.escape(line)}</p>" for line in self._rejected())
        rest = [*self._intervals(), *self.disagreements(), self.sentence(), self._random_numbers()]
        return rejected + shown + "".join(f"<p>{html.escape(line)}</p>" for line in rest if line)

    def _pairs(self) -> list[tuple[str, Estimate]]:
        return list(zip(self.labels, self.estimates, strict=True))

    def _table(self) -> str:
        return columns(self._rows(), right=[1])

    def _rows(self) -> list[list[str]]:
        """Head and rows of the table: label, estimate, interval, and what the interval holds or the status."""
        levels = {e.interval.level for e in self.estimates}
        level = f"{format_level(levels.pop())} interval" if len(levels) == 1 else "interval"
        rows = [[label, *self._numbers(e), _holds(e)] for label, e in self._pairs()]
        return [["", "estimate", level, "what it holds"], *rows]

    def _rejected(self) -> list[str]:
        """Name the models that their goodness of fit rejects: it stands before their numbers."""
        return _by_text(
            (label, d.message) for label, e in self._pairs() for d in e.diagnostics if d.name == MISFIT
        )

    def _intervals(self) -> list[str]:
        """Say of each kind of interval what it holds, which estimates have it and how it was made."""
        pairs = [(label, e) for label, e in self._pairs() if e.status in ("ok", "boundary", "unbounded")]
        kinds = _collected((interval_kind(e), (label, e)) for label, e in pairs)
        return [
            f"{', '.join(label for label, _ in rows)}: "
            f"{MEANS[kind].format(level=format_level(rows[0][1].interval.level))} ({_methods(rows)})"
            for kind, rows in kinds.items()
        ]


def _holds(estimate: Estimate) -> str:
    """Write what the interval holds, or the status where there is no estimate away from a boundary."""
    return HOLDS[interval_kind(estimate)] if estimate.status == "ok" else _status(estimate)


def _status(estimate: Estimate) -> str:
    return STATUS_WORDS.get(estimate.status, estimate.status)


def _methods(rows: Sequence[tuple[str, Estimate]]) -> str:
    """Name how intervals were made, and where they were made in several ways which was made how."""
    ways = _collected((f"{e.interval.method}{_chance(e)}", label) for label, e in rows)
    if len(ways) == 1:
        return next(iter(ways))
    return "; ".join(f"{', '.join(labels)}: {way}" for way, labels in ways.items())


def _chance(estimate: Estimate) -> str:
    """Say how far the limits of a bootstrap move with other random numbers."""
    if estimate.draws_are != "bootstrap" or estimate.draws is None or not len(estimate.draws):
        return ""
    limits, corrected = estimate.interval, estimate.estimator.settings.get("interval") in CORRECTED
    errors = limit_errors(
        estimate.draws, limits.low, limits.high, floor=estimate.n_observed, corrected=corrected
    )
    low, high = (f"{float(f'{error:.2g}'):,.0f}" if math.isfinite(error) else "unknown" for error in errors)
    return f"; {len(estimate.draws):,} resamples, Monte Carlo error of the limits {low} and {high}"


def _warnings(estimate: Estimate) -> list[Diagnostic]:
    return [d for d in estimate.diagnostics if d.level != "info" and d.name not in ELSEWHERE]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(wrapped(f"  {line}", "    ") for line in lines)]) if lines else ""


def _by_text(remarks: Iterable[tuple[str, str]]) -> list[str]:
    """Say once what holds for several estimators."""
    said = _collected((text, label) for label, text in remarks)
    return [f"{', '.join(dict.fromkeys(labels))}: {text}" for text, labels in said.items()]


def _collected(pairs: Iterable[tuple[Key, Item]]) -> dict[Key, list[Item]]:
    """Collect second parts by their first part, in order."""
    together: dict[Key, list[Item]] = {}
    for first, second in pairs:
        together.setdefault(first, []).append(second)
    return together
