"""Bounds on the dark figure from observed cells, and intervals for a number of which only bounds are known."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from hiddenpop._typing import Floats

__all__ = ["LogFigure", "PairCounts", "critical_value", "log_saturated_figure", "pair_counts", "set_limits"]


HALVINGS = 60


@dataclass(frozen=True, slots=True)
class LogFigure:
    """The logarithm of a number of persons, as estimated.

    Attributes
    ----------
    log_n : float
        inf or -inf where empty cells stand in the way.
    variance : float
        Of its estimation, without the Poisson variation of the persons themselves.
    """

    log_n: float
    variance: float

    def standard_error(self, factor: float) -> float:
        """Give the standard error of ``log(factor * n)`` against the realised number: estimation and Poisson variation.

        The persons on no list are a draw of mean n: the relative variance of the draw is ``1 / n``. Below one person a
        normal law for the logarithm describes it no longer; it is held at one.
        """
        return math.sqrt(self.variance + 1.0 / max(factor * math.exp(self.log_n), 1.0))


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Observed persons by two lists.

    Attributes
    ----------
    first, second, both, neither : float
        On the first of the two only, on the second only, on both, and on neither but on some other list.
    """

    first: float
    second: float
    both: float
    neither: float

    @property
    def figure(self) -> LogFigure:
        """Persons on neither list under independence, ``first * second / both``."""
        cells = np.array([self.first, self.second, self.both])
        return _log_product(cells, np.array([1.0, 1.0, -1.0]))


def pair_counts(counts: Floats, first: int, second: int) -> PairCounts:
    """Count persons by two lists.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Persons by history; element 0 is not used.
    first, second : int
        Positions of the lists.

    Returns
    -------
    PairCounts

    Examples
    --------
    >>> pair_counts(np.array([0.0, 5, 6, 2, 9, 1, 1, 1]), 0, 1)
    PairCounts(first=6.0, second=7.0, both=3.0, neither=9.0)
    """
    histories = np.arange(1, len(counts))
    code = (histories >> first & 1) + 2 * (histories >> second & 1)
    neither, one, other, both = np.bincount(code, weights=counts[1:], minlength=4)
    return PairCounts(float(one), float(other), float(both), float(neither))


def log_saturated_figure(counts: Floats) -> LogFigure:
    """Give the dark figure without an interaction of all lists, from the observed cells alone.

    ``n0`` is the product of the counts of an odd number of lists over that of an even number.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Persons by history; element 0 is not used.

    Returns
    -------
    LogFigure
        ``log_n`` is inf when cells of an even number of lists are empty, -inf when cells of an odd number are, nan when
        both are.

    Examples
    --------
    >>> round(math.exp(log_saturated_figure(np.array([0.0, 30.0, 20.0, 10.0])).log_n), 6)
    60.0
    """
    odd = np.bitwise_count(np.arange(1, len(counts))) % 2
    return _log_product(counts[1:], np.where(odd == 1, 1.0, -1.0))


def _log_product(cells: Floats, powers: Floats) -> LogFigure:
    empty = cells <= 0.0
    if empty.any():
        up, down = bool(np.any(empty & (powers < 0))), bool(np.any(empty & (powers > 0)))
        return LogFigure(math.nan if up and down else (math.inf if up else -math.inf), math.inf)
    return LogFigure(float(powers @ np.log(cells)), float((1.0 / cells).sum()))


def critical_value(width: float, standard_error: float, level: float) -> float:
    """Give the number c of standard errors by which an interval must extend beyond an identified set.

    It solves ``Phi(c + width / standard_error) - Phi(-c) = level``: each point of the set, its ends included, is then
    in the interval with probability `level`.

    Parameters
    ----------
    width : float
        Of the estimated set, 0 or more.
    standard_error : float
        The larger of those of the two ends.
    level : float

    Returns
    -------
    float
        Between the one-sided normal quantile, for a wide set, and the two-sided one, for a point.

    References
    ----------
    Imbens, G. W. and Manski, C. F. (2004). Confidence intervals for partially identified parameters. Econometrica
    72(6), 1845-1857. doi:10.1111/j.1468-0262.2004.00555.x

    Examples
    --------
    >>> round(critical_value(0.0, 1.0, 0.95), 3), round(critical_value(9.0, 1.0, 0.95), 3)
    (1.96, 1.645)
    """
    ratio = width / standard_error if standard_error > 0.0 else math.inf
    low, high = float(ndtri(level)), float(ndtri(0.5 + level / 2.0))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if ndtr(middle + ratio) - ndtr(-middle) < level:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def set_limits(figure: LogFigure, low: float, high: float, level: float) -> tuple[float, float]:
    """Give an interval for a number of persons that lies between `low` and `high` times an estimated one.

    Parameters
    ----------
    figure : LogFigure
    low, high : float
        Positive factors.
    level : float

    Returns
    -------
    low, high : float
        Persons; 0 and inf where the estimate is not finite.

    Notes
    -----
    On the logarithm of the number: with two lists and 6 to 60 persons on both, an interval of 95 % held a number at
    either end of the set in 94 to 96.5 % of 4,000 tables, while one on the number itself held the upper end in 86.5 to
    91.5 %. In between it held nearly all.

    Examples
    --------
    >>> low, high = set_limits(LogFigure(math.log(100.0), 0.04), 0.5, 2.0, 0.95)
    >>> round(low, 1), round(high, 1)
    (33.4, 283.5)
    """
    if not math.isfinite(figure.log_n):
        return 0.0, math.inf
    below, above = figure.standard_error(low), figure.standard_error(high)
    c = critical_value(math.log(high / low), max(below, above), level)
    return low * math.exp(figure.log_n - c * below), high * math.exp(figure.log_n + c * above)
