"""`Study`: what a simulation study gave, replicate by replicate, and its measures of performance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.validation.measures import MEASURES, NOT_APPLICABLE, Measure, Outcomes, measures_of, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["KEYS", "Study", "join_studies"]

KEYS = ["scenario", "estimator"]
SHOWN = (
    "coverage", "lower_miss", "upper_miss", "relative_bias", "relative_rmse", "finite", "unbounded_interval",
    "no_interval", "not_applicable",
)  # fmt: skip
"""Measures that a table for readers shows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Study:
    """What a simulation study gave.

    Attributes
    ----------
    replicates : DataFrame
        One row a scenario, estimator and replicate: ``truth``, ``n_hat``, ``low``, ``high`` in persons, ``level``,
        ``status``, ``reason``, ``has_interval``, ``n_observed``, ``n_failed`` (inner fits), ``n_warnings``.
    times : DataFrame
        Seconds a fit took. They differ from run to run and so stand apart.
    scenarios : DataFrame
        One row a scenario: description, truth, number of lists, smallest expected overlap, assumptions, model.
    settings : mapping
        The manifest: replicates, seed, versions, estimators with their settings.

    Notes
    -----
    How failures are counted. An interval without an upper end covers when its lower end is at or below the truth; the
    share of such intervals stands beside the coverage. A replicate without an interval does not cover in
    ``"coverage"``, and ``"coverage_of_intervals"`` leaves it out. Bias and root mean squared error are over the finite
    estimates, whose share stands beside them; ``"median_error"`` is over all estimates, infinite ones included, and
    leaves out only those that are not identified or did not converge. A table that the estimator has no means to treat
    is ``"not_applicable"`` and counts in no other measure.
    """

    replicates: pd.DataFrame
    times: pd.DataFrame
    scenarios: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_frames(cls, frames: Sequence[pd.DataFrame], manifest: Mapping[str, Any]) -> "Study":
        """Put blocks together.

        Parameters
        ----------
        frames : sequence of DataFrame
            With run times in the column ``seconds``.
        manifest : mapping
            As `Plan.manifest` gives it.

        Returns
        -------
        Study
        """
        rows = pd.concat(frames, ignore_index=True)
        scenarios = pd.DataFrame(manifest["scenarios"])
        scenarios["assumptions"] = [", ".join(names) for names in scenarios["assumptions"]]
        return cls(
            replicates=rows.drop(columns="seconds"),
            times=rows[[*KEYS, "replicate", "seconds"]],
            scenarios=scenarios,
            settings=manifest,
        )

    def outcomes(self, scenario: str, estimator: str) -> pd.DataFrame:
        """Give the replicates of one estimator in one scenario.

        Raises
        ------
        SettingError
            If there are none.
        """
        rows = self.replicates
        found = rows[(rows["scenario"] == scenario) & (rows["estimator"] == estimator)]
        if found.empty:
            known = "; ".join(f"{key}s: {', '.join(rows[key].unique())}" for key in KEYS)
            raise SettingError(f"the study has no {estimator!r} in {scenario!r}; {known}")
        return found

    def performance(self) -> pd.DataFrame:
        """Measure every estimator in every scenario.

        Returns
        -------
        DataFrame
            One row a scenario, estimator and measure of `MEASURES`, with ``value`` and its Monte Carlo standard error
            ``mcse``; see the class for how failures are counted. Where an estimator could treat no table there is
            ``"not_applicable"`` alone.
        """
        rows = [
            (*names, measure, *found)
            for names, group in self.replicates.groupby(KEYS, sort=False)
            for measure, found in _measured(group).items()
        ]
        return pd.DataFrame(rows, columns=[*KEYS, "measure", "value", "mcse"])

    def run_times(self) -> pd.DataFrame:
        """Measure the run time of a fit: mean seconds with their Monte Carlo standard error.

        Returns
        -------
        DataFrame
            The columns of `performance`, with the measure ``"seconds"``.
        """
        grouped = self.times.groupby(KEYS, sort=False)["seconds"]
        frame = grouped.agg(value="mean", mcse="sem").reset_index()
        frame.insert(2, "measure", "seconds")
        return frame

    def wide(self) -> pd.DataFrame:
        """Give one row a scenario and estimator, with a column for each measure.

        Returns
        -------
        DataFrame
            Without the Monte Carlo standard errors.
        """
        frame = self.performance().pivot_table(
            index=KEYS, columns="measure", values="value", sort=False, dropna=False, observed=True
        )
        there = self.replicates[KEYS].drop_duplicates()
        return there.merge(frame.reindex(columns=list(MEASURES)).reset_index(), on=KEYS)

    def to_markdown(self, measures: Sequence[str] = SHOWN) -> str:
        """Write the main measures as a table for readers, each with its Monte Carlo standard error.

        Parameters
        ----------
        measures : sequence of str
            Of `MEASURES`.

        Returns
        -------
        str

        Raises
        ------
        SettingError
            For a measure that is not there.
        """
        unknown = [name for name in measures if name not in MEASURES]
        if unknown:
            raise SettingError(f"there is no measure {unknown[0]!r}; choose from {', '.join(MEASURES)}")
        frame = self.performance()
        keys = zip(frame["scenario"], frame["estimator"], frame["measure"], strict=True)
        numbers = zip(frame["value"].to_numpy(), frame["mcse"].to_numpy(), strict=True)
        found = {
            key: Measure(float(value), float(mcse)) for key, (value, mcse) in zip(keys, numbers, strict=True)
        }
        head = [*KEYS, *(name.replace("_", " ") for name in measures)]
        lines = [_row(head), _row(["---", "---", *["---:"] * len(measures)])]
        for scenario, estimator in self.replicates[KEYS].drop_duplicates().itertuples(index=False):
            cells = [in_words(found.get((scenario, estimator, name))) for name in measures]
            lines.append(_row([scenario, estimator, *cells]))
        return "\n".join(lines) + "\n"

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the coverage of every estimator in every scenario."""
        from hiddenpop.plotting import coverage_plot

        return coverage_plot(self, ax=ax)

    def __repr__(self) -> str:
        n = len(self.replicates)
        names = {key: self.replicates[key].nunique() for key in KEYS}
        return f"<Study: {names['estimator']} estimators in {names['scenario']} scenarios, {n:,} fits>"


def _measured(group: pd.DataFrame) -> dict[str, Measure]:
    left_out = (group["status"] == NOT_APPLICABLE).to_numpy()
    refused = {"not_applicable": share(left_out)}
    if left_out.all():
        return refused
    rows = group[~left_out]
    measures = measures_of(
        Outcomes(
            truth=float(rows["truth"].iloc[0]),
            level=float(rows["level"].iloc[0]),
            n_hat=rows["n_hat"].to_numpy(np.float64),
            low=rows["low"].to_numpy(np.float64),
            high=rows["high"].to_numpy(np.float64),
            has_interval=rows["has_interval"].to_numpy(np.bool_),
            status=rows["status"].to_numpy(np.str_),
            n_failed=rows["n_failed"].to_numpy(np.int64),
            n_warnings=rows["n_warnings"].to_numpy(np.int64),
        )
    )
    return {name: (refused | measures)[name] for name in MEASURES}


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def in_words(measure: Measure | None) -> str:
    """Write a measure with its Monte Carlo standard error in brackets.

    Examples
    --------
    >>> in_words(Measure(0.9412, 0.0074)), in_words(Measure(math.inf, math.nan)), in_words(None)
    ('0.941 (0.007)', 'inf', '')
    """
    if measure is None or math.isnan(measure.value):
        return ""
    if not math.isfinite(measure.mcse):
        return f"{measure.value:.3f}"
    return f"{measure.value:.3f} ({measure.mcse:.3f})"


@front_door
def join_studies(studies: Sequence[Study]) -> Study:
    """Put studies of different estimators or scenarios into one.

    Parameters
    ----------
    studies : sequence of Study

    Returns
    -------
    Study

    Raises
    ------
    SettingError
        If there are none, or an estimator stands in one scenario twice.
    """
    if not studies:
        raise SettingError("there are no studies to join; give at least one")
    pairs = pd.concat([one.replicates[KEYS].drop_duplicates() for one in studies])
    twice = pairs[pairs.duplicated()]
    if len(twice):
        scenario, estimator = twice.iloc[0]
        raise SettingError(f"two of the studies hold {estimator!r} in {scenario!r}; give one another label")
    return Study(
        replicates=pd.concat([one.replicates for one in studies], ignore_index=True),
        times=pd.concat([one.times for one in studies], ignore_index=True),
        scenarios=pd.concat([one.scenarios for one in studies], ignore_index=True).drop_duplicates(
            "scenario"
        ),
        settings={"studies": [dict(one.settings) for one in studies]},
    )
