"""Estimates side by side: what each interval holds, where they disagree, and the random numbers behind them."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from hiddenpop._text import columns, wrapped
from hiddenpop.estimators.facts import estimates_below, interval_kind, is_bound
from hiddenpop.kernels.quantile_errors import limit_errors
from hiddenpop.result import MISFIT, Diagnostic, Estimate, format_level, format_persons, spread_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HOLDS", "Comparison"]

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
        return "\n\n".join(part for part in parts if part)

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
