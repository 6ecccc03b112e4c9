"""How the answer of a Bayesian log-linear model moves with the prior of its interactions."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.bayes.loglinear import STANDARD_PRIORS as OTHER_PRIORS
from hiddenpop.bayes.loglinear import BayesianLogLinear
from hiddenpop.bayes.outcome import quantiles
from hiddenpop.errors import SettingError
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["STANDARD_PRIORS", "sweep_priors"]

STANDARD_PRIORS: tuple[Mapping[str, Any], ...] = tuple(map(dict, OTHER_PRIORS))
"""What `sweep_priors` compares when it is not told otherwise."""


def sweep_priors(
    table: CaptureTable,
    priors: Iterable[Mapping[str, Any]] = STANDARD_PRIORS,
    *,
    base: BayesianLogLinear | None = None,
    rng: RNGLike = None,
) -> pd.DataFrame:
    """Show how the answer moves with the prior of the interactions.

    Parameters
    ----------
    table : CaptureTable
    priors : iterable of mapping
        Settings of `BayesianLogLinear` that differ from `base`, such as ``{"odds_ratio": 3.0}``; `STANDARD_PRIORS` when
        left out.
    base : BayesianLogLinear, optional
        The other settings; the defaults when left out.
    rng : int, Generator or None
        All priors start from the same seed.

    Returns
    -------
    DataFrame
        One row a prior: ``prior_family``, ``odds_ratio``, ``n_active``, ``median``, ``low``, ``high`` as drawn, and the
        ``status`` of the estimate.

    Raises
    ------
    SettingError, CapabilityError, TableError, UnknownNameError
        As for `BayesianLogLinear`.

    Notes
    -----
    How to report it. Give the estimate under the prior chosen before the data were seen. Beside it give the lowest and
    the highest median over all priors that a reader could hold, with the lowest lower and the highest upper limit:
    "14,000 (9,000 to 22,000); medians between 12,000 and 15,000 under other priors". Do not choose the prior by the
    answer, and do not average over the rows: they are no sample from anything. A row whose status is not "ok" stays in
    the report with its status. If the medians lie further apart than half of the width of one interval, say that the
    data do not decide between the priors.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> sweep = sweep_priors(hp.datasets.load("uk_5"), [{"odds_ratio": 3.0}, {"odds_ratio": 10.0}], rng=1)
    >>> bool(sweep["median"][0] > sweep["median"][1]), sweep["status"].tolist()
    (True, ['ok', 'ok'])
    """
    base = base or BayesianLogLinear()
    seed = int(np.random.default_rng(rng).integers(2**63))
    rows = [_sweep_row(_changed(base, changes), table, seed) for changes in priors]
    columns = ["prior_family", "odds_ratio", "n_active", "median", "low", "high", "status"]
    return pd.DataFrame(rows, columns=columns)


def _changed(base: BayesianLogLinear, changes: Mapping[str, Any]) -> BayesianLogLinear:
    known = BayesianLogLinear.__dataclass_fields__
    for setting in changes:
        if setting not in known:
            raise SettingError(f"a prior of the sweep has {setting!r}; settings: {', '.join(known)}")
    return replace(base, **changes)


def _sweep_row(setting: BayesianLogLinear, table: CaptureTable, seed: int) -> dict[str, Any]:
    estimate = setting.fit(table, rng=seed)
    tail = (1.0 - setting.level) / 2.0
    drawn = np.array([]) if estimate.draws is None else estimate.draws
    median, low, high = quantiles(drawn, [0.5, tail, 1.0 - tail]).tolist()
    shrinks = setting.prior_family == "horseshoe"
    return {
        "prior_family": setting.prior_family,
        "odds_ratio": setting.odds_ratio,
        "n_active": estimate.details.get("prior", {}).get("n_active", math.nan) if shrinks else math.nan,
        "median": median,
        "low": low,
        "high": high,
        "status": estimate.status,
    }
