"""`standard`: the checks that a reviewer expects, in one call, with one table of verdicts and one page of figures."""

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from hiddenpop._cells import unknown_name
from hiddenpop._front_door import front_door
from hiddenpop._text import screen_text
from hiddenpop.errors import SettingError
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
        lines = [f"{self._head()}", f"  Held to: {self.claim.text}", f"  {self._counted()}"]
        lines += [f"  {r.verdict:<10}  {r.name}: {r.text}" for r in self.results]
        return screen_text("\n".join(lines))

    def to_dict(self, *, show_small_counts: bool = False) -> dict[str, Any]:
        """Give estimate and results as plain values for JSON, protected as each of them is."""
        return {
            "baseline": self.baseline.to_dict(show_small_counts=show_small_counts),
            "claim": self.claim.text,
            "results": [r.to_dict(show_small_counts=show_small_counts) for r in self.results],
        }

    def _counted(self) -> str:
        """Count the checks in which the claim holds among those that apply, and those that do not."""
        applying = [result for result in self.results if result.applies]
        held = sum(result.passed is True for result in applying)
        checks = "check" if len(applying) == 1 else "checks"
        points = sum(result.n_points for result in applying)
        rest = len(self.results) - len(applying)
        more = f"; {rest} more {'does' if rest == 1 else 'do'} not apply" if rest else ""
        tried = f"{points:,} point{'' if points == 1 else 's'}"
        return f"Holds in {held} of {len(applying)} {checks} that apply, with {tried}{more}"

    def _head(self) -> str:
        number, limits = self.baseline.in_words()
        return f"{self.baseline.estimator.label} on {self.baseline.table.name}, N = {number} ({limits})"

    def __repr__(self) -> str:
        return f"<SensitivityReport {self.summary()}>"

    def _repr_html_(self) -> str:
        shown = self.table().to_html(index=False, escape=True)
        said = f"{self._head()}; held to: {self.claim.text}. {self._counted()}."
        return f"<p>{html.escape(said)}</p>{shown}"


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
        Other checks than those of `standard_checks`. Those without a claim of their own are held to `claim`.
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
        For an estimator or a claim that cannot be, and for checks that are held to different claims.
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
    chosen = standard_checks(held) if checks is None else tuple(_held_to(check, held) for check in checks)
    held = held or _common_claim(chosen)
    seed = seed_of(rng)
    with parallel(workers=workers, progress=progress, store=store):
        baseline = baseline_of(resolved, table, None, seed)
        results = tuple(check.run(resolved, table, baseline, rng=seed) for check in chosen)
    return SensitivityReport(baseline=baseline, claim=claim_or_interval(held, baseline), results=results)


def _held_to(check: Check, claim: Claim | None) -> Check:
    """Pass the claim on to a check that has none."""
    own = _claim_of(check)
    if claim is None or not _takes_claim(check):
        return check
    if own is None:
        return cast("Check", replace(cast("Any", check), claim=claim))
    if (own.low, own.high) != (claim.low, claim.high):
        raise SettingError(
            f"the check {check.name} is held to {own.text!r} and the others to {claim.text!r}; leave the claim "
            "out of the check"
        )
    return check


def _common_claim(checks: Sequence[Check]) -> Claim | None:
    """Give the claim that all checks are held to; None where each of them is held to the interval."""
    claims = {
        (own.low, own.high) if own else None: own for own in map(_claim_of, filter(_takes_claim, checks))
    }
    if len(claims) > 1:
        said = ", ".join(repr(own.text) if own else "none" for own in claims.values())
        raise SettingError(
            f"the checks are held to different claims ({said}); give standard one claim for all of them"
        )
    return next(iter(claims.values()), None)


def _takes_claim(check: object) -> bool:
    return is_dataclass(check) and any(entry.name == "claim" for entry in fields(check))


def _claim_of(check: Check) -> Claim | None:
    return as_claim(getattr(check, "claim", None))
