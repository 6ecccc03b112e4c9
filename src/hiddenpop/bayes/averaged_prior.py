"""Draws from the prior of `BayesianModelAveraging`: what it takes a population and its registers to be like."""

from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.bayes.averaged import BayesianModelAveraging
from hiddenpop.bayes.averaged_space import log_model_prior, model_space, theta_prior
from hiddenpop.errors import SettingError
from hiddenpop.histories import captures
from hiddenpop.table import RNGLike

__all__ = ["PriorDraw", "draw_from_prior"]


@dataclass(frozen=True, slots=True, eq=False)
class PriorDraw:
    """A population drawn from the prior, with its table.

    Attributes
    ----------
    term_set : int
        The model, as coded by `hiddenpop.model.enumerate_models`.
    theta : ndarray, shape (2**n_lists,)
        Parameter of each term, 0 for terms that the model does not hold.
    size : int
        Persons, observed and hidden.
    counts : ndarray, shape (2**n_lists,)
        Persons by capture history; element 0 holds the hidden.
    """

    term_set: int
    theta: Floats
    size: int
    counts: Floats


def draw_from_prior(setting: BayesianModelAveraging, n_lists: int, *, rng: RNGLike = None) -> PriorDraw:
    """Draw a model, its parameters, a population size and a table on which there is somebody.

    Parameters
    ----------
    setting : BayesianModelAveraging
        With a negative binomial prior of N; the others are improper.
    n_lists : int
    rng : int, Generator or None

    Returns
    -------
    PriorDraw

    Raises
    ------
    SettingError
        For a prior of N that cannot be drawn from.

    Notes
    -----
    Draws without an observed person are drawn again, all of them: model, parameters and size. An estimator conditions
    on the table, and so on there being one.

    Examples
    --------
    >>> setting = BayesianModelAveraging(prior=("negative_binomial", 100, 4), main_effect_sd=1.0)
    >>> drawn = draw_from_prior(setting, 3, rng=1)
    >>> int(drawn.counts.sum()) == drawn.size
    True
    """
    if isinstance(setting.prior, str):
        raise SettingError(
            f'prior="{setting.prior}" is improper and cannot be drawn from; take ("negative_binomial", mean, shape)'
        )
    rng = np.random.default_rng(rng)
    space = model_space(n_lists, setting.max_order, "the prior", setting.name)
    probability = np.exp(log_model_prior(space, setting.inclusion))
    prior = theta_prior(setting.odds_ratio, setting.main_effect_sd, setting.prior)
    masks = np.arange(1 << n_lists)
    sd = np.where(captures(masks) == 1, prior.main_sd, prior.interaction_sd)
    inside = (masks[:, None] & masks) == masks
    while True:
        term_set = int(space.term_sets[rng.choice(len(probability), p=probability / probability.sum())])
        held = np.array([bool(term_set >> int(mask) & 1) for mask in masks]) & (masks > 0)
        theta = np.where(held, sd * rng.standard_normal(len(masks)), 0.0)
        eta = inside @ theta
        cells = np.exp(eta - eta.max())
        size = int(rng.poisson(rng.gamma(prior.shape, 1.0 / prior.rate)))
        counts = rng.multinomial(size, cells / cells.sum()).astype(np.float64)
        if counts[1:].any():
            return PriorDraw(term_set, theta, size, counts)
