"""Information criteria, with the number of observed persons as the sample size."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Floats

__all__ = ["CRITERIA", "Criterion", "criteria_of"]

Criterion = Literal["bic", "aic", "aicc"]
CRITERIA: tuple[str, ...] = ("bic", "aic", "aicc")


def criteria_of(
    minus_twice_log_likelihood: Floats, n_parameters: npt.ArrayLike, n_observed: int
) -> dict[str, Floats]:
    """BIC, AIC and AICc of fitted models.

    Parameters
    ----------
    minus_twice_log_likelihood : ndarray
        Poisson, constants included, so that values compare with other programs.
    n_parameters : array_like
        Parameters counted, of the same shape.
    n_observed : int
        Persons observed, not cells.

    Returns
    -------
    dict of str to ndarray
        AICc is inf where there are no more persons than parameters plus one.

    Examples
    --------
    >>> {name: float(value[0]) for name, value in criteria_of(np.array([10.0]), [2], 100).items()}["aic"]
    14.0
    """
    p = np.asarray(n_parameters, dtype=np.float64)
    aic = minus_twice_log_likelihood + 2.0 * p
    spare = n_observed - p - 1.0
    with np.errstate(divide="ignore"):
        correction = np.where(spare > 0, 2.0 * (p * p + p) / np.where(spare > 0, spare, 1.0), np.inf)
    return {"bic": minus_twice_log_likelihood + np.log(n_observed) * p, "aic": aic, "aicc": aic + correction}
