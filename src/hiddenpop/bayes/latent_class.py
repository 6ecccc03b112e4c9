"""`LatentClass`: persons of a few unknown kinds, each with its own chance to be on each list."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Arrays, Floats
from hiddenpop.bayes.convergence import Convergence, convergence
from hiddenpop.bayes.inference_data import (
    CELL_SHARES,
    MOST_VALUES,
    cell_groups,
    inference_data,
    load_pymc,
    shares_of_seen,
)
from hiddenpop.bayes.outcome import estimate_without_draws, median_and_limits, sampled_estimate
from hiddenpop.bayes.priors import Prior, check_prior, size_gamma
from hiddenpop.bayes.sampling import BACKENDS, SAMPLER_PACKAGES, Backend, Chains, sample
from hiddenpop.errors import SettingError
from hiddenpop.estimators.base import POSTERIOR, BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.prepare import ListCells, list_cells
from hiddenpop.estimators.protocol import as_number, check_choice, check_level, check_whole
from hiddenpop.kernels.bayes.hamiltonian import Tempered, tempered, tuned_ladder
from hiddenpop.kernels.bayes.latent_class import (
    LatentClassData,
    SizeDraws,
    cell_probabilities,
    class_weights,
    draw_sizes,
    hidden_share,
    latent_class_of_cells,
    starts,
)
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["LatentClass"]

Sampler = Literal["tempering", "nuts"]

SAMPLERS: tuple[str, ...] = get_args(Sampler)
METHOD = "equal-tailed posterior, latent classes"
FEWEST_DRAWS, FEWEST_TUNE = 100, 100
MOST_CLASSES = 50
PILOT_CHAINS = 2
SWEEPS = (1, 8)
"""Sweeps a draw when they are not set: the second, in a run of its own, where the first has not converged."""

TEMPERING_ACCEPT, NUTS_ACCEPT = 0.8, 0.98
"""Below .98 the divergences of NUTS come and go with the seed."""

STANDARD_PRIORS: tuple[Change, ...] = (
    (("concentration_prior", (0.25, 0.25)),),
    (("concentration_prior", (1.0, 1.0)),),
    (("concentration_prior", (0.05, 0.05)),),
    (("n_classes", 5),),
    (("n_classes", 20),),
)
"""Priors worth trying beside the one that is set."""

PROTECTED = ("classes", "hidden_share")
"""Details from which the counts of small cells could be worked out."""

ALL_IN_USE = 0.9


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class LatentClass(BaseEstimator):
    r"""Size of a population whose persons fall into a few unknown classes, each with its own chance to be on each list.

    Within a class the lists are independent. With class weights ``nu_k`` and the chance ``lambda_jk`` of a person of
    class k to be on list j, history w has the probability
    ``pi_w = sum_k nu_k prod_j lambda_jk^w_j (1 - lambda_jk)^(1 - w_j)``. Lists look dependent because persons differ.

    Parameters
    ----------
    n_classes : int
        Most classes; those that the data do not need stay empty. One is independence of the lists.
    sampler : {"tempering", "nuts"}
        ``"tempering"`` climbs a ladder of powers of the likelihood, and tells by its round trips whether the modes of
        the posterior were all within reach. ``"nuts"`` is PyMC's sampler of the same posterior: a second route.
    prior : {"reciprocal", "uniform"} or ("negative_binomial", mean, shape)
        Prior of the population size; ``"reciprocal"`` is 1/N.
    concentration_prior : (float, float)
        Shape and rate of the gamma prior of the concentration of the stick-breaking weights. Small values favour few
        classes. The concentration is summed out.
    n_draws, n_tune : int
        Draws a chain, and draws of warm-up before them. NUTS needs a longer warm-up, ``n_tune=1000``.
    n_chains : int
        At least 2, so that they can be compared.
    n_temperatures : int
        Powers of the likelihood on the ladder, from 1 down to `lowest_power`; where they lie is found by short runs.
    lowest_power : float
    n_sweeps : int, optional
        Sweeps of tempering a draw. By default 1, and 8 in a second run from new starts where the first has not
        converged.
    target_accept : float, optional
        Acceptance that step sizes aim at: 0.8 for tempering, 0.98 for NUTS.
    backend : {"nutpie", "pymc"}
        What runs NUTS.
    level : float
        Probability of the interval.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Labels of persons and the population size are summed out: what is drawn are stick lengths and logits, and then the
    dark figure from its negative binomial distribution, without an upper limit. Labels of classes mean nothing, so
    that convergence is judged by N alone.

    Status. R-hat of N at most 1.01, 400 effective draws for its centre and its limits, and for tempering 30 round
    trips of all chains between the posterior and the lowest power. Otherwise the status is ``"not_converged"``, the
    interval reaches from the lowest limit of a chain to the highest, and ``details["modes"]`` has the modes with their
    weights and standard errors. High swap rates alone show nothing: on the UK table neighbours exchange two times out
    of three, and yet a state needs hundreds of sweeps to pass from one class in use to two.

    Which sampler. Tempering is the default: it gives about twice as many effective draws a second, and only it shows
    whether modes were connected. Processor time on one core, after compiling (half a minute for NUTS, a quarter for
    tempering, once):

    ============ ============================================= ==========================================
    table        tempering, as it is set                       NUTS, ``n_tune=1000``
    ============ ============================================= ==========================================
    Kosovo       11 s, 1,100 effective draws, 300 round trips  28 s, 1,400 of 10,000 (no divergences)
    New Orleans  10 s, 1,700 effective draws                   not compared
    Western US   65 s, 1,700 effective draws (second run)      18 s, 310 of 4,000: not converged
    UK           120 s, 4,500 effective draws, 87 round trips  22 s, 350 of 4,000, R-hat 1.014: not converged
    Netherlands  110 s, R-hat 1.003, 7 round trips             not compared
    ============ ============================================= ==========================================

    The Netherlands table shows what round trips are for. All chains settle around 141,000 and agree, yet Gibbs
    samplers also stay near 52,000 for long: with 7 round trips nobody knows the weights, and the status is
    ``"not_converged"``. Chains run one a core inside ``hp.parallel(workers=...)``.

    References
    ----------
    Manrique-Vallier, D. (2016). Bayesian population size estimation using Dirichlet process mixtures. Biometrics 72(4),
    1246-1254. doi:10.1111/biom.12502
    Syed, S., Bouchard-Cote, A., Deligiannidis, G. and Doucet, A. (2022). Non-reversible parallel tempering: a scalable
    highly parallel MCMC scheme. Journal of the Royal Statistical Society B 84(2), 321-350. doi:10.1111/rssb.12464

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = LatentClass(n_classes=5, n_draws=1000).fit(hp.datasets.load("new_orleans_186"), rng=1)
    >>> estimate.status, round(estimate.n_hat, -2)
    ('ok', 700.0)
    """

    name: ClassVar[str] = "latent_class"

    n_classes: int = 10
    sampler: Sampler = "tempering"
    prior: Prior = "reciprocal"
    concentration_prior: tuple[float, float] = (0.25, 0.25)
    n_draws: int = 2000
    n_tune: int = 500
    n_chains: int = 4
    n_temperatures: int = 14
    lowest_power: float = 0.08
    n_sweeps: int | None = None
    target_accept: float | None = None
    backend: Backend = "nutpie"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_whole("n_classes", self.n_classes)
        if self.n_classes > MOST_CLASSES:
            raise SettingError(f"n_classes={self.n_classes} is more than {MOST_CLASSES}; few are ever in use")
        check_choice("sampler", self.sampler, SAMPLERS)
        object.__setattr__(self, "prior", check_prior(self.prior))
        object.__setattr__(self, "concentration_prior", _checked_concentration(self.concentration_prior))
        check_whole("n_draws", self.n_draws, least=FEWEST_DRAWS)
        check_whole("n_tune", self.n_tune, least=FEWEST_TUNE)
        check_whole("n_chains", self.n_chains, least=2)
        check_whole("n_temperatures", self.n_temperatures, least=2)
        _check_inside("lowest_power", self.lowest_power)
        if self.n_sweeps is not None:
            check_whole("n_sweeps", self.n_sweeps)
        if self.target_accept is not None:
            _check_inside("target_accept", self.target_accept)
        check_choice("backend", self.backend, BACKENDS)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Draw from the posterior of the population size behind `table`.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None

        Returns
        -------
        Estimate
            ``details`` holds ``classes`` (in use, on average), ``hidden_share`` (median and limits), ``convergence``,
            ``modes``, ``quantiles`` and ``idata`` (N, hidden_share and cells, chain by chain); for tempering also
            ``powers``, ``swap_rates``, ``acceptance``, ``n_sweeps``, ``round_trips`` (of each chain) and
            ``n_divergent``.

        Raises
        ------
        CapabilityError
            For fewer than three lists that caught somebody, gaps in coverage and censored cells.

        Warns
        -----
        EmptyListWarning, CollapsedStrataWarning
        """
        counts, data = self.prepare(table)
        provenance = make_provenance(table.summary, rng, SAMPLER_PACKAGES)
        generator = np.random.default_rng(rng)
        draw = _by_tempering if self.sampler == "tempering" else _by_nuts
        found = draw(self, counts, data, generator)
        if isinstance(found, str):
            return estimate_without_draws(
                self,
                table,
                n_observed=counts.n_observed,
                why=found,
                provenance=provenance,
                diagnostics=counts.diagnostics,
                dropped=counts.dropped,
            )
        return _estimate(self, table, found, provenance, generator)

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("classes", "independent_in_class", "priors", "chains"),
            model_is="given",
            other_priors=STANDARD_PRIORS,
            adds_up_strata=True,
        )

    def prepare(self, table: CaptureTable) -> tuple[ListCells, LatentClassData]:
        """Count, and put counts and priors together."""
        check_table(table)
        counts = list_cells(table, estimator=self.name, minimum_lists=3)
        return counts, latent_class_of_cells(
            counts.histories,
            counts.counts,
            counts.n_lists,
            n_classes=self.n_classes,
            size_prior=size_gamma(self.prior),
            concentration=self.concentration_prior,
        )

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(scenario, POSTERIOR)


def _by_tempering(
    setting: LatentClass, counts: ListCells, data: LatentClassData, rng: np.random.Generator
) -> "Posterior":
    temps = int(setting.n_temperatures)
    pilot = starts(data, (PILOT_CHAINS, temps), rng)
    betas = tuned_ladder(data, pilot, lowest=setting.lowest_power, rng=rng)
    sweeps = SWEEPS if setting.n_sweeps is None else (int(setting.n_sweeps),)
    for n_sweeps in sweeps:
        climb = _climb(setting, data, betas, n_sweeps, rng)
        found = Posterior(
            counts=counts,
            data=data,
            parameters=climb.draws,
            drawn=draw_sizes(data, climb.draws, rng),
            n_divergent=climb.n_divergent,
            n_sweeps=n_sweeps,
            betas=betas,
            climb=climb,
        )
        if measured(found).converged:
            break
    return found


def _climb(
    setting: LatentClass, data: LatentClassData, betas: Floats, n_sweeps: int, rng: np.random.Generator
) -> Tempered:
    return tempered(
        data,
        starts(data, (int(setting.n_chains), len(betas)), rng),
        betas=betas,
        n_draws=int(setting.n_draws),
        n_tune=int(setting.n_tune),
        n_sweeps=n_sweeps,
        target_accept=setting.target_accept or TEMPERING_ACCEPT,
        rng=rng,
    )


def _by_nuts(
    setting: LatentClass, counts: ListCells, data: LatentClassData, rng: np.random.Generator
) -> "Posterior | str":
    """Draw by NUTS; a text in place of a posterior says why there is none."""
    chains = draw_by_nuts(
        data,
        n_draws=int(setting.n_draws),
        n_tune=int(setting.n_tune),
        n_chains=int(setting.n_chains),
        target_accept=setting.target_accept or NUTS_ACCEPT,
        backend=setting.backend,
        rng=rng,
    )
    if chains.failure:
        return chains.failure
    x = chains.draws["x"]
    return Posterior(
        counts=counts,
        data=data,
        parameters=x,
        drawn=draw_sizes(data, x, rng),
        n_divergent=chains.n_divergent,
    )


def _estimate(
    setting: LatentClass,
    table: CaptureTable,
    found: "Posterior",
    provenance: Mapping[str, Any],
    rng: np.random.Generator,
) -> Estimate:
    return sampled_estimate(
        setting,
        table,
        sizes=found.sizes,
        n_observed=found.counts.n_observed,
        n_lists=found.counts.n_lists,
        convergence=measured(found),
        method=METHOD,
        provenance=provenance,
        details=details_of(found, setting.level, rng),
        diagnostics=diagnostics_of(found),
        protected=PROTECTED if found.counts.has_small else (),
    )


# --- settings ---------------------------------------------------------------------------------------------------------


def _checked_concentration(value: Any) -> tuple[float, float]:
    pair = tuple(value) if isinstance(value, tuple | list) else ()
    shape, rate = (as_number(part) for part in pair) if len(pair) == 2 else (math.nan, math.nan)
    if not (0.0 < shape < math.inf and 0.0 < rate < math.inf):
        raise SettingError(
            f"concentration_prior={value!r} must be the shape and the rate of a gamma distribution, two numbers "
            f"above 0, e.g. (0.25, 0.25)"
        )
    return shape, rate


def _check_inside(setting: str, value: Any) -> None:
    if not 0.0 < as_number(value) < 1.0:
        raise SettingError(f"{setting}={value!r} must lie between 0 and 1, the ends left out")


# === the latent class model as PyMC holds it, with class labels and population size summed out ========================


def draw_by_nuts(
    data: LatentClassData,
    *,
    n_draws: int,
    n_tune: int,
    n_chains: int,
    target_accept: float,
    backend: Backend,
    rng: np.random.Generator,
) -> Chains:
    """Draw the parameters by NUTS.

    Parameters
    ----------
    data : LatentClassData
    n_draws, n_tune : int
        Draws a chain, and steps of warm-up before them.
    n_chains : int
    target_accept : float
    backend : {"nutpie", "pymc"}
    rng : Generator

    Returns
    -------
    Chains
        With ``x``, the parameters in the order of `hiddenpop.kernels.bayes.latent_class`.
    """
    arrays = data_of(data)
    key = ("latent_class", data.n_classes, tuple((name, values.shape) for name, values in arrays.items()))
    return sample(
        partial(build, n_classes=data.n_classes),
        key,
        arrays,
        n_draws=n_draws,
        n_tune=n_tune,
        n_chains=n_chains,
        target_accept=target_accept,
        rng=rng,
        backend=backend,
    )


def data_of(data: LatentClassData) -> dict[str, npt.NDArray[Any]]:
    """Give the arrays that enter the model."""
    return {
        "members": data.members.astype(np.float64),
        "counts": data.counts,
        "log_shares": data.log_shares,
        "priors": np.array([data.shape, data.rate, data.a, data.b]),
    }


def build(data: Arrays, *, n_classes: int) -> Any:
    """Make the PyMC model.

    Parameters
    ----------
    data : mapping of str to ndarray
        By `data_of`.
    n_classes : int

    Returns
    -------
    pymc.Model
    """
    from pytensor import tensor

    pm = load_pymc()

    pt: Any = tensor  # a part of its functions has no types

    with pm.Model() as model:
        d = {name: pm.Data(name, values) for name, values in data.items()}
        shape, rate, a, b = (d["priors"][i] for i in range(4))
        z = pm.Flat("z", shape=n_classes - 1)
        logits = pm.Logistic("logits", 0.0, 1.0, shape=(n_classes, data["members"].shape[1]))
        pm.Deterministic("x", pt.concatenate([z, logits.ravel()]))
        exponents = pt.exp(z)
        total = exponents.sum()
        pm.Potential("sticks", z.sum() - (a + n_classes - 1.0) * pt.log(b + total))
        before = pt.concatenate([pt.zeros(1), pt.cumsum(exponents)])
        log_v = pt.concatenate([pt.log(-pt.expm1(-exponents)), pt.zeros(1)])
        log_nu = log_v - before
        log_missed = -pt.softplus(logits).sum(axis=1)
        log_cells = pt.logsumexp(log_nu + log_missed + d["members"] @ logits.T, axis=1)
        seen = (pt.exp(log_nu) * -pt.expm1(log_missed)).sum()
        by_cell = (d["counts"] * (log_cells - d["log_shares"])).sum()
        pm.Potential("likelihood", by_cell - (d["counts"].sum() + shape) * pt.log(rate + seen))
    return model


# === what a reader of a latent class posterior asks for ===============================================================
# Classes in use, hidden share, how the ladder was climbed.


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Posterior:
    """All that was drawn, and what from.

    Attributes
    ----------
    counts : ListCells
    data : LatentClassData
    parameters : ndarray, shape (chains, draws, p)
    drawn : SizeDraws
        Of shape (chains, draws).
    n_divergent : int
        At power 1.
    n_sweeps : int or None
        Sweeps a draw; None without tempering.
    betas : ndarray, shape (temps,), or None
        Powers of the likelihood; None without tempering.
    climb : Tempered or None
    """

    counts: ListCells
    data: LatentClassData
    parameters: Floats
    drawn: SizeDraws
    n_divergent: int
    n_sweeps: int | None = None
    betas: Floats | None = None
    climb: Tempered | None = None

    @property
    def sizes(self) -> Floats:
        """Draws of N, in persons; shape (chains, draws)."""
        return self.drawn.sizes

    @property
    def round_trips(self) -> int | None:
        """Round trips of all chains; None without tempering."""
        return None if self.climb is None else int(self.climb.round_trips.sum())

    @property
    def classes(self) -> float:
        """Average number of classes to which a person of the population belongs."""
        with np.errstate(all="ignore"):
            weights = class_weights(self.parameters, self.data.n_classes)
            empty = np.exp(self.sizes[..., None] * np.log1p(-np.minimum(weights, 1.0)))
        return float((1.0 - empty).sum(axis=-1).mean())


def measured(found: Posterior) -> Convergence:
    """Measure how well the chains agree.

    What a failed trajectory could not reach, exchanges with lower powers can: tempering is judged by its round trips,
    not by divergences.

    Parameters
    ----------
    found : Posterior

    Returns
    -------
    Convergence
    """
    divergent = None if found.climb else found.n_divergent
    return convergence(found.sizes, n_divergent=divergent, round_trips=found.round_trips)


def details_of(found: Posterior, level: float, rng: np.random.Generator) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    found : Posterior
    level : float
    rng : Generator
        For tables drawn again.

    Returns
    -------
    dict
    """
    with np.errstate(all="ignore"):
        hidden, _ = hidden_share(found.parameters, found.data.n_classes)
    details: dict[str, Any] = {
        "dropped_lists": list(found.counts.dropped),
        "classes": found.classes,
        "hidden_share": median_and_limits(hidden, level),
        "idata": _idata(found, hidden, rng),
    }
    if found.climb is None or found.betas is None:
        return details
    return details | {
        "powers": found.betas.tolist(),
        "swap_rates": found.climb.swap_rates.tolist(),
        "acceptance": found.climb.accept.tolist(),
        "n_sweeps": found.n_sweeps,
        "n_divergent": found.n_divergent,
        "round_trips": found.climb.round_trips.tolist(),
    }


def _idata(found: Posterior, hidden: Floats, rng: np.random.Generator) -> Any:
    held, groups = {"N": found.sizes, "hidden_share": hidden}, {}
    n_cells = 2**found.counts.n_lists - 1
    if found.sizes.size * n_cells <= MOST_VALUES:
        seen = np.zeros(n_cells)
        seen[found.counts.histories - 1] = found.counts.counts
        by_chain = [cell_probabilities(chain, found.data.n_classes)[..., 1:] for chain in found.parameters]
        cells = np.stack(by_chain)
        groups = cell_groups(found.drawn.expected[..., None] * cells, seen, rng)
        held[CELL_SHARES] = shares_of_seen(cells)
    return inference_data(held, groups=groups)


def diagnostics_of(found: Posterior) -> list[Diagnostic]:
    """Say what to beware of.

    Parameters
    ----------
    found : Posterior

    Returns
    -------
    list of Diagnostic
    """
    remarks = list(found.counts.diagnostics)
    n_classes = found.data.n_classes
    if n_classes > 1 and found.classes > ALL_IN_USE * n_classes:
        message = (
            f"{found.classes:.1f} of {n_classes} classes are in use on average: a larger n_classes could change the "
            f"answer"
        )
        remarks.append(Diagnostic("classes_used_up", "warning", message, round(found.classes, 2)))
    return remarks
