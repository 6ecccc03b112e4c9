"""Where along a sweep a claim begins to fail: between which two points, and about where."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hiddenpop.sensitivity.claims import Claim

__all__ = ["Tipping", "tipping_points"]


@dataclass(frozen=True, slots=True)
class Tipping:
    """A place between two points of a sweep where a claim turns from true to false, or back.

    Attributes
    ----------
    holds, fails : float
        The neighbouring points at which the claim holds and fails.
    about : float
        Where the line between the two crosses the end of the claim: log N against the logarithm of the setting, or
        against the setting itself. Between the points N may also jump.
    n_holds, n_fails : float
        N at the two.
    """

    holds: float
    fails: float
    about: float
    n_holds: float
    n_fails: float


def tipping_points(x: Sequence[float], n: Sequence[float], claim: Claim, *, log: bool) -> list[Tipping]:
    """Find every pair of neighbouring points between which a claim turns.

    Parameters
    ----------
    x : sequence of float
        The setting, in increasing order.
    n : sequence of float
        N at each; a point without a finite number separates its neighbours.
    claim : Claim
    log : bool
        Whether to interpolate on the logarithm of the setting, which must then be above 0.

    Returns
    -------
    list of Tipping

    Examples
    --------
    >>> found = tipping_points([1.0, 2.0, 4.0], [100.0, 200.0, 400.0], Claim.parse("fewer than 300"), log=True)
    >>> found[0].holds, found[0].fails, round(found[0].about, 6)
    (2.0, 4.0, 3.0)
    """
    found = []
    for at in range(len(x) - 1):
        ends = ((float(x[at]), float(n[at])), (float(x[at + 1]), float(n[at + 1])))
        if not all(math.isfinite(size) for _, size in ends):
            continue
        inside = [claim.holds(size) for _, size in ends]
        if inside[0] != inside[1]:
            holds, fails = ends if inside[0] else ends[::-1]
            found.append(Tipping(holds[0], fails[0], _about(holds, fails, claim, log), holds[1], fails[1]))
    return found


def _about(holds: tuple[float, float], fails: tuple[float, float], claim: Claim, log: bool) -> float:
    end = claim.low if fails[1] < claim.low else claim.high
    if min(holds[1], fails[1]) <= 0.0 or end <= 0.0:
        return fails[0]
    share = math.log(end / holds[1]) / math.log(fails[1] / holds[1])
    if log:
        return float(holds[0] * (fails[0] / holds[0]) ** share)
    return holds[0] + share * (fails[0] - holds[0])
