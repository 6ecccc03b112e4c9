"""What the figure of every check has, as plain values."""

import math
from typing import Any

from hiddenpop.result import Estimate
from hiddenpop.sensitivity.claims import Claim

__all__ = ["figure_of"]


def figure_of(kind: str, title: str, baseline: Estimate, claim: Claim, **columns: Any) -> dict[str, Any]:
    """Say how a check is drawn: its kind and title, the baseline and the claim, and which columns stand where.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> base = hp.LogLinear().fit(hp.datasets.load("kosovo"))
    >>> figure_of("curve", "N", base, Claim.parse("more than 10,000"), x="multiplier")["claim"]
    {'low': 10000.0, 'high': None, 'text': 'more than 10,000'}
    """
    interval = baseline.interval
    return {
        "kind": kind,
        "title": title,
        "baseline": {
            "n_hat": _plain(baseline.n_hat),
            "low": _plain(interval.low),
            "high": _plain(interval.high),
        },
        "claim": {"low": _plain(claim.low), "high": _plain(claim.high), "text": claim.text},
        **columns,
    }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
