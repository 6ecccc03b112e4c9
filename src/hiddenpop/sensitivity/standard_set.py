"""`standard`: the checks that a reviewer expects, in one call, with one table of verdicts and one page of figures."""

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from hiddenpop._cells import unknown_name
from hiddenpop._front_door import front_door
from hiddenpop._text import screen_text
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.registry import build
from hiddenpop.parallel import parallel
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval
from hiddenpop.sensitivity.points import baseline_of, seed_of
from hiddenpop.sensitivity.protocol import Check, CheckResult
from hiddenpop.sensitivity.registry import standard_checks
from hiddenpop.table import CaptureTable, RNGLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SensitivityReport", "standard"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SensitivityReport:
    """An estimate and what a set of checks found.

    Attributes
    ----------
    baseline : Estimate
        What the checks start from.
    claim : Claim
        What they were held to.
    results : tuple of CheckResult
    """

    baseline: Estimate
    claim: Claim
    results: tuple[CheckResult, ...]

    def __getitem__(self, name: str) -> CheckResult:
        """Give the result of one check by its name."""
        for result in self.results:
            if result.name == name:
                return result
        raise unknown_name("check", name, [result.name for result in self.results])

    def table(self) -> pd.DataFrame:
        """Give one row a check: its verdict, how many points it tried, how many have no number, and the words."""
        rows = [(r.name, r.verdict, r.n_points, r.n_failed, r.text) for r in self.results]
        return pd.DataFrame(rows, columns=["check", "verdict", "points", "without_number", "in_words"])

    def plot(self, *, title: str = "", protect: bool = False) -> "Figure":
        """Draw every check that applies on one page; with `protect` only what may leave of data that are not public."""
        from hiddenpop.plotting import check_page

        shown = title or f"{self._head()}: {self.claim.text}?"
        return check_page(self.results, title=shown, protect=protect)

    def summary(self) -> str:
        """Write the verdicts in lines of text."""
        lines = [f"{self._head()}", f"  Held to: {self.claim.text}"]
        lines += [f"  {r.verdict:<10}  {r.name}: {r.text}" for r in self.results]
        return screen_text("\n".join(lines))

    def to_dict(self, *, show_small_counts: bool = False) -> dict[str, Any]:
        """Give estimate and results as plain values for JSON, protected as each of them is."""
        return {
            "baseline": self.baseline.to_dict(show_small_counts=show_small_counts),
            "claim": self.claim.text,
            "results": [r.to_dict(show_small_counts=show_small_counts) for r in self.results],
        }

    def _head(self) -> str:
        number, limits = self.baseline.in_words()
        return f"{self.baseline.estimator.label} on {self.baseline.table.name}, N = {number} ({limits})"

    def __repr__(self) -> str:
        return f"<SensitivityReport {self.summary()}>"

    def _repr_html_(self) -> str:
        shown = self.table().to_html(index=False, escape=True)
        return f"<p>{html.escape(self._head())}; held to: {html.escape(self.claim.text)}</p>{shown}"


@front_door
def standard(
    table: CaptureTable,
    estimator: str | Estimator = "selected",
    *,
    claim: str | Claim | None = None,
    checks: Sequence[Check] | None = None,
    settings: Mapping[str, Any] | None = None,
    rng: RNGLike = None,
    workers: int | None = None,
    progress: bool | None = None,
    store: str | os.PathLike[str] | None = None,
) -> SensitivityReport:
    """Run the set of checks that a reviewer expects.

    Parameters
    ----------
    table : CaptureTable
    estimator : str or Estimator
        A registered name such as ``"selected"``, or an estimator.
    claim : str or Claim, optional
        Such as "more than 10,000". Without one the checks ask whether N stays within the interval of the estimate.
    checks : sequence of Check, optional
        Other checks than those of `standard_checks`.
    settings : mapping, optional
        Settings of the named estimator.
    rng : int, Generator or None
        Every check starts from the same seed, so that its answer does not depend on the company it keeps.
    workers : int, optional
        Processes, -1 for every core.
    progress : bool, optional
        Show a bar for every check.
    store : path, optional
        Folder from which an interrupted run goes on; see `hiddenpop.parallel`.

    Returns
    -------
    SensitivityReport
        ``table()`` has a verdict in words for every check, ``plot()`` draws them on one page.

    Raises
    ------
    UnknownNameError, SettingError
        For an estimator or a claim that cannot be.
    CapabilityError
        If the estimator cannot treat the table at all.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> kosovo = hp.datasets.load("kosovo")
    >>> checks = [hp.sensitivity.build_check("list_influence", {"claim": "more than 8,000"})]
    >>> report = standard(kosovo, hp.LogLinear(), claim="more than 8,000", checks=checks, rng=1)
    >>> report.table()["verdict"].tolist()
    ['fails']
    """
    resolved = build(estimator, settings or {}) if isinstance(estimator, str) else estimator
    held = as_claim(claim)
    chosen = standard_checks(held) if checks is None else tuple(checks)
    seed = seed_of(rng)
    with parallel(workers=workers, progress=progress, store=store):
        baseline = baseline_of(resolved, table, None, seed)
        results = tuple(check.run(resolved, table, baseline, rng=seed) for check in chosen)
    return SensitivityReport(baseline=baseline, claim=claim_or_interval(held, baseline), results=results)
