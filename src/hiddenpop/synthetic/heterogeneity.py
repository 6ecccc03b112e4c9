"""Persons who differ in how easily they are caught: latent classes, and continuous propensities."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import roots_jacobi

from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.synthetic.laws import check_between, check_weights, product_cells, shares_of

__all__ = ["BetaPropensity", "LatentClasses", "RaschNormal"]

MIXED = frozenset({"homogeneous"})
WIDEST, STEP = 12.0, 0.04
"""Nodes of the integral over a normal propensity, in standard deviations."""
LARGEST_SD = 10.0
"""Beyond this nearly everybody is either on all lists or on none, and the nodes above would be too few."""

SMALLEST_BETA, LARGEST_BETA = 0.01, 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentClasses:
    """A few kinds of persons; within each the lists are independent.

    Parameters
    ----------
    weights : tuple of float, length k
        Shares of the classes; they add up to 1.
    probabilities : tuple of tuple of float, shape (k, t)
        For each class the chance of each list.

    Raises
    ------
    SettingError
        For weights or probabilities that are none, or of other lengths.

    Examples
    --------
    >>> law = LatentClasses(weights=(0.5, 0.5), probabilities=((0.5, 0.5), (0.1, 0.1)))
    >>> law.cell_probabilities().round(2).tolist()
    [0.53, 0.17, 0.17, 0.13]
    """

    breaks: ClassVar[frozenset[str]] = MIXED

    weights: tuple[float, ...]
    probabilities: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", shares_of("weights", self.weights))
        check_weights("weights", self.weights)
        object.__setattr__(self, "probabilities", rows_of("probabilities", self.probabilities))
        if len(self.probabilities) != len(self.weights):
            raise SettingError(
                f"probabilities has {len(self.probabilities)} rows and weights names {len(self.weights)} classes"
            )

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.probabilities[0])

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        return mixed(self.weights, self.probabilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class RaschNormal:
    """A propensity common to all lists, normal on the log odds (the Rasch model).

    List j catches a person of propensity z with log odds ``logit(p_j) + sd z``, z standard normal, independently of
    the other lists given z.

    Parameters
    ----------
    probabilities : tuple of float
        For each list the chance p_j that it catches the median person, above 0 and below 1.
    sd : float
        Standard deviation of the log odds, 0 to 10.

    Raises
    ------
    SettingError
        For values outside these limits.

    Notes
    -----
    The integral over z is a sum over evenly spaced nodes. For an analytic integrand that dies out at both ends its
    error falls exponentially with the spacing (here by the distance of the poles of the logistic function, pi/sd),
    which Gauss-Hermite nodes do not achieve for large sd.

    References
    ----------
    Darroch, J. N., Fienberg, S. E., Glonek, G. F. V. and Junker, B. W. (1993). A three-sample multiple-recapture
    approach to census population estimation with heterogeneous catchability. Journal of the American Statistical
    Association 88(423), 1137-1148.

    Examples
    --------
    >>> RaschNormal(probabilities=(0.3, 0.2), sd=1.5).cell_probabilities().round(3).tolist()
    [0.529, 0.2, 0.117, 0.154]
    """

    probabilities: tuple[float, ...]
    sd: float

    @property
    def breaks(self) -> frozenset[str]:
        """Assumptions that the law makes untrue."""
        return MIXED if self.sd > 0.0 else frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", shares_of("probabilities", self.probabilities))
        for position, value in enumerate(self.probabilities):
            if value in (0.0, 1.0):
                raise SettingError(
                    f"probabilities[{position}]={value!r} has no log odds; give one above 0 and below 1"
                )
        check_between("sd", self.sd, 0.0, LARGEST_SD)

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.probabilities)

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        nodes = np.arange(-WIDEST, WIDEST + STEP / 2, STEP)
        weights = np.exp(-(nodes**2) / 2.0)
        odds = np.array([math.log(p) - math.log1p(-p) for p in self.probabilities])
        chances = 1.0 / (1.0 + np.exp(-(odds + self.sd * nodes[:, None])))
        return mixed((weights / weights.sum()).tolist(), chances)


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaPropensity:
    """A propensity drawn from a beta distribution; each list catches with a fixed multiple of it.

    List j catches a person of propensity p with chance ``factors[j] p``, independently of the other lists given p,
    and p has the beta distribution with parameters `alpha` and `beta`.

    Parameters
    ----------
    alpha, beta : float
        Parameters of the beta distribution, 0.01 to 500.
    factors : tuple of float
        One a list, from 0 to 1; all 1 for equal lists.

    Raises
    ------
    SettingError
        For values outside these limits.

    Notes
    -----
    Given p the chance of a history is a polynomial in p of degree t, which Gauss-Jacobi nodes integrate exactly; all
    their weights are positive, so nothing cancels. With equal factors it is the beta-binomial law of model Mh. With
    unequal ones the lists do not share a propensity on the log odds, so it is not a Rasch model.

    Examples
    --------
    >>> BetaPropensity(alpha=1.0, beta=3.0, factors=(1.0, 1.0)).cell_probabilities().round(2).tolist()
    [0.6, 0.15, 0.15, 0.1]
    """

    breaks: ClassVar[frozenset[str]] = MIXED

    alpha: float
    beta: float
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            check_between(name, getattr(self, name), SMALLEST_BETA, LARGEST_BETA)
        object.__setattr__(self, "factors", shares_of("factors", self.factors))

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.factors)

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        # k nodes are exact up to degree 2k - 1; the nodes of (1-x)^(beta-1) (1+x)^(alpha-1) lie on -1 to 1.
        nodes, weights = roots_jacobi(self.n_lists // 2 + 1, self.beta - 1.0, self.alpha - 1.0)
        propensities = (nodes + 1.0) / 2.0
        return mixed((weights / weights.sum()).tolist(), propensities[:, None] * np.array(self.factors))


def mixed(weights: Sequence[float], chances: Sequence[Sequence[float]] | Floats) -> Floats:
    """Cell probabilities of a mixture of kinds of persons, each with independent lists."""
    cells: Floats = np.asarray(weights, dtype=np.float64) @ product_cells(chances)
    return cells / float(cells.sum())


def rows_of(setting: str, rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Check a matrix of numbers from 0 to 1, and make it tuples."""
    given: object = rows
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or not len(given):
        raise SettingError(f"{setting}={rows!r} must be a sequence of rows, e.g. ((0.3, 0.2), (0.1, 0.1))")
    checked = tuple(shares_of(f"{setting}[{number}]", row) for number, row in enumerate(rows))
    lengths = sorted({len(row) for row in checked})
    if len(lengths) > 1:
        raise SettingError(
            f"{setting} has rows of {' and '.join(map(str, lengths))} numbers; make them equal"
        )
    return checked
