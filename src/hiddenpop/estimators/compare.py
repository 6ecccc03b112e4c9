"""One verb for newcomers, and estimators side by side."""

import html
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import Estimator, spec_of
from hiddenpop.estimators.registry import STANDARD_PANEL, build
from hiddenpop.result import Estimate, format_persons
from hiddenpop.table import CaptureTable, RNGLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "compare", "estimate", "standard_panel"]


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Estimates of one population by several estimators.

    Attributes
    ----------
    labels : tuple of str
        A short label an estimate.
    estimates : tuple of Estimate
    """

    labels: tuple[str, ...]
    estimates: tuple[Estimate, ...]

    def to_frame(self) -> pd.DataFrame:
        """Give one tidy row an estimate, labels first."""
        rows = pd.concat([e.to_frame() for e in self.estimates], ignore_index=True)
        rows.insert(0, "label", list(self.labels))
        return rows

    def sentence(self) -> str:
        """Say in one sentence how far the finite estimates disagree."""
        finite = [
            (e.n_hat, label)
            for label, e in zip(self.labels, self.estimates, strict=True)
            if math.isfinite(e.n_hat)
        ]
        without = len(self.estimates) - len(finite)
        rest = f"; {without} of {len(self.estimates)} have no finite answer" if without else ""
        if not finite:
            return f"None of the {len(self.estimates)} estimators has a finite answer."
        (low, low_label), (high, high_label) = min(finite), max(finite)
        n = self.estimates[0].n_observed
        if len(finite) == 1:
            return f"Only {low_label} has a finite answer, {format_persons(low, low)}{rest}."
        ratio = f"{(high - n) / (low - n):.1f} times" if low > n else "infinitely many times"
        return (
            f"The estimates run from {format_persons(low, low)} ({low_label}) to {format_persons(high, low)} "
            f"({high_label}): the largest dark figure is {ratio} the smallest{rest}."
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the estimates and intervals under each other."""
        from hiddenpop.plotting import forest_plot

        return forest_plot(self.estimates, labels=self.labels, ax=ax)

    def __repr__(self) -> str:
        return f"{self._in_words().to_string(index=False)}\n{self.sentence()}"

    def _repr_html_(self) -> str:
        shown = self._in_words().to_html(index=False, escape=True)
        return f"{shown}<p>{html.escape(self.sentence())}</p>"

    def _in_words(self) -> pd.DataFrame:
        rows = [
            (label, *e.in_words(), e.status) for label, e in zip(self.labels, self.estimates, strict=True)
        ]
        return pd.DataFrame(rows, columns=["", "estimate", "interval", "status"])


def estimate(
    table: CaptureTable, estimator: str | Estimator = "selected", *, rng: RNGLike = None, **settings: Any
) -> Estimate:
    """Estimate the size of the population behind a table.

    Parameters
    ----------
    table : CaptureTable
    estimator : str or Estimator
        A registered name such as ``"loglinear"``, or an estimator.
    rng : int, Generator or None
        Seed or generator for estimators that draw random numbers.
    **settings
        Settings of the named estimator.

    Returns
    -------
    Estimate

    Raises
    ------
    UnknownNameError
        If there is no estimator of that name.
    SettingError
        If it has no such setting, or settings are given beside an estimator.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> round(hp.estimate(hp.datasets.load("uk_5"), "loglinear").n_hat, 2)
    13444.13
    """
    return _resolve(estimator, settings).fit(_as_table(table), rng=rng)


def _as_table(table: Any) -> CaptureTable:
    if isinstance(table, CaptureTable):
        return table
    shown = f"the text {table!r}" if isinstance(table, str) else type(table).__name__
    raise SettingError(
        f"{shown} is no CaptureTable; load one with hiddenpop.datasets.load or CaptureTable.read"
    )


def _resolve(estimator: str | Estimator, settings: Mapping[str, Any]) -> Estimator:
    if isinstance(estimator, type):
        raise SettingError(f"{estimator.__name__} is a class; give an estimator, {estimator.__name__}(...)")
    if isinstance(estimator, str):
        built: Estimator = build(estimator, settings)
        return built
    if settings:
        given = ", ".join(settings)
        raise SettingError(
            f"settings ({given}) go with an estimator's name; make a variant with dataclasses.replace"
        )
    return estimator


def compare(
    table: CaptureTable,
    estimators: Sequence[str | Estimator] | Mapping[str, str | Estimator],
    *,
    rng: RNGLike = None,
) -> Comparison:
    """Fit several estimators to one table.

    Parameters
    ----------
    table : CaptureTable
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
    if isinstance(estimators, str) or not estimators:
        raise SettingError(
            f'there is nothing to compare in {estimators!r}; give a list such as ["loglinear", "chao"]'
        )
    if isinstance(estimators, Mapping):
        labelled = {label: _resolve(item, {}) for label, item in estimators.items()}
        labels, resolved = tuple(labelled), tuple(labelled.values())
    else:
        resolved = tuple(_resolve(item, {}) for item in estimators)
        labels = tuple(item if isinstance(item, str) else _label(item) for item in estimators)
    return Comparison(labels, tuple(item.fit(_as_table(table), rng=_same(rng)) for item in resolved))


def _same(rng: RNGLike) -> RNGLike:
    """Copy a generator, so that each estimator starts from the same state."""
    return rng if rng is None or isinstance(rng, int) else deepcopy(rng)


def _label(estimator: Estimator) -> str:
    return spec_of(estimator).label


def standard_panel() -> dict[str, Estimator]:
    """Make the estimators of the standard panel, by label.

    Returns
    -------
    dict of str to Estimator

    Examples
    --------
    >>> list(standard_panel())[:3]
    ['independence', 'best BIC model', 'best AIC model']
    """
    return {label: build(name, settings) for label, (name, settings) in STANDARD_PANEL.items()}
