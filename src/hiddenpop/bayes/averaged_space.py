"""The space of models that are averaged over, and the priors of models and parameters."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from hiddenpop._typing import Floats
from hiddenpop.bayes.priors import Prior, sd_of_odds_ratio, size_gamma
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.protocol import as_number
from hiddenpop.estimators.search import default_order
from hiddenpop.kernels.marginal_likelihood import ThetaPrior
from hiddenpop.model import MAX_ENUMERATED_LISTS, enumerate_models, model_space_size

__all__ = [
    "LARGEST_NUMBER",
    "LARGEST_SPACE",
    "MAIN_EFFECT_SD",
    "ModelSpace",
    "check_inclusion",
    "log_model_prior",
    "model_space",
    "theta_prior",
]


LARGEST_SPACE = 100_000
"""Six lists have 32,768 models up to order 2, which take a few seconds, and 3.7 million up to order 3."""

MAIN_EFFECT_SD = 10.0
LARGEST_NUMBER = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class ModelSpace:
    """Every hierarchical model up to an order.

    Attributes
    ----------
    n_lists : int
    order : int
    term_sets : ndarray of uint64, shape (m,)
    interactions : tuple of int
        Terms of two and more lists that a model may hold, as masks.
    """

    n_lists: int
    order: int
    term_sets: npt.NDArray[np.uint64]
    interactions: tuple[int, ...]

    @property
    def holds(self) -> npt.NDArray[np.bool_]:
        """Which model holds which interaction, shape (m, interactions)."""
        bits = np.array(self.interactions, dtype=np.uint64)
        return (self.term_sets[:, None] >> bits & np.uint64(1)).astype(np.bool_)

    @property
    def n_interactions(self) -> npt.NDArray[np.int64]:
        """How many interactions each model holds."""
        return np.bitwise_count(self.term_sets).astype(np.int64) - self.n_lists - 1


def model_space(n_lists: int, max_order: int | None, table: str, estimator: str) -> ModelSpace:
    """Enumerate the models up to an order.

    Parameters
    ----------
    n_lists : int
    max_order : int or None
        None for every order up to five lists, and 2 for six.
    table, estimator : str
        Names for the messages.

    Returns
    -------
    ModelSpace

    Raises
    ------
    CapabilityError
        For a space of more than `LARGEST_SPACE` models.
    """
    order = default_order(n_lists, max_order)
    size = model_space_size(n_lists, order)
    if n_lists > MAX_ENUMERATED_LISTS or size is None or size > LARGEST_SPACE:
        spelled = f"{size:,}" if size is not None else "more than a million million"
        raise CapabilityError(
            f"{estimator} weighs every model, and the {n_lists} lists of {table} have {spelled} hierarchical models up "
            f"to order {order}, more than {LARGEST_SPACE:,}; take at most {MAX_ENUMERATED_LISTS} lists, with "
            f"max_order=2 for six: merge those of the same kind with merge_lists, or drop some"
        )
    term_sets = np.concatenate(list(enumerate_models(n_lists, max_order=order)))
    masks = sorted(range(1, 1 << n_lists), key=lambda mask: (mask.bit_count(), mask))
    return ModelSpace(
        n_lists, order, term_sets, tuple(mask for mask in masks if 2 <= mask.bit_count() <= order)
    )


def log_model_prior(space: ModelSpace, inclusion: float | None) -> Floats:
    """Log prior probability of each model.

    Examples
    --------
    >>> space = model_space(3, None, "t", "e")
    >>> np.exp(log_model_prior(space, 0.25)).round(4)[:3]
    array([0.4219, 0.1406, 0.1406])
    """
    odds = 1.0 if inclusion is None else inclusion / (1.0 - inclusion)
    weight = space.n_interactions * math.log(odds)
    return np.asarray(weight - logsumexp(weight))


def theta_prior(odds_ratio: float, main_effect_sd: float, prior: Prior) -> ThetaPrior:
    """Write the priors as the kernel takes them.

    Examples
    --------
    >>> round(theta_prior(10.0, 10.0, "reciprocal").interaction_sd, 3)
    1.175
    """
    return ThetaPrior(main_effect_sd, sd_of_odds_ratio(odds_ratio), *size_gamma(prior))


def check_inclusion(inclusion: Any) -> None:
    """Refuse a prior probability of an interaction that is not between 0 and 1; None weighs all models alike."""
    if inclusion is not None and not 0.0 < as_number(inclusion) < 1.0:
        raise SettingError(
            f"inclusion={inclusion!r} must lie between 0 and 1, the ends excluded, or be None for equal weights"
        )
