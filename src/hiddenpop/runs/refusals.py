"""What an estimator would refuse a table for, found without fitting, so that a plan can be refused before it starts."""

import warnings
from collections.abc import Callable
from typing import Any

from hiddenpop._cells import unknown_name
from hiddenpop.errors import CapabilityError, HiddenpopError
from hiddenpop.estimators.coverage_rules import refuse_coverage
from hiddenpop.estimators.prepare import list_counts
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.table import CaptureTable

__all__ = ["modelled_strata", "refusal"]


def refusal(estimator: Any, table: CaptureTable) -> str:
    """Say why an estimator cannot treat a table, as far as that can be told quickly.

    Parameters
    ----------
    estimator : Estimator
    table : CaptureTable

    Returns
    -------
    str
        Empty where nothing speaks against it. An estimator of one's own is not looked into.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> refusal(hp.Chapman(lists=("EXH", "UN")), hp.datasets.load("kosovo"))
    "lists=('EXH', 'UN'): kosovo has no list 'UN' that caught somebody; it has EXH, ABA, OSCE, HRW"
    """
    look = _LOOKS.get(spec_of(estimator).name)
    if look is None:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fit itself will say them
            look(estimator, table)
    except HiddenpopError as error:
        return str(error)
    return ""


def modelled_strata(estimator: Any, table: CaptureTable) -> tuple[str, ...] | None:
    """Name the covariates by whose levels an estimator gives numbers; None where that is not known.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> table = hp.datasets.load("spina_bifida")
    >>> modelled_strata(hp.Stratified(base=hp.Chapman()), table), modelled_strata(hp.LogLinear(), table)
    (('eth',), ())
    """
    everything = tuple(map(str, table.strata.columns))
    name = spec_of(estimator).name
    if name == "stratified":
        return tuple(estimator.by) or everything
    if name in ("covariate_loglinear", "covariate_selected"):
        return _covariates_of_models(estimator, table)
    if name == "bayesian_loglinear":
        return everything if estimator.strata == "model" else ()
    return None if name == "pooled" or name not in _LOOKS else ()


def _covariates_of_models(estimator: Any, table: CaptureTable) -> tuple[str, ...] | None:
    from hiddenpop.estimators.covariate_formula import model_of_table

    model = estimator.model if hasattr(estimator, "model") else estimator.maximal
    try:
        return tuple(model_of_table(model, table).covariates)
    except HiddenpopError:
        return None


def _fits(estimator: Any, table: CaptureTable) -> None:
    """Fit what is fitted in milliseconds."""
    estimator.fit(table)


def _one_model(estimator: Any, table: CaptureTable) -> None:
    from hiddenpop.estimators.loglinear import counts_under, model_for

    model_for(estimator.model, table)
    counts_under(estimator, table)


def _many_models(estimator: Any, table: CaptureTable) -> None:
    from hiddenpop.estimators.loglinear import counts_under
    from hiddenpop.model import MAX_ENUMERATED_LISTS

    n_lists = counts_under(estimator, table).n_lists
    if estimator.search == "exhaustive" and n_lists > MAX_ENUMERATED_LISTS:
        raise CapabilityError(
            f'search="exhaustive" fits every model of at most {MAX_ENUMERATED_LISTS} lists, and {table.name} has '
            f'{n_lists}; take search="exact", or merge lists of the same kind'
        )


def _covariates(estimator: Any, table: CaptureTable) -> None:
    from hiddenpop.estimators.covariate_formula import model_of_table

    models = [getattr(estimator, key) for key in ("model", "minimal", "maximal") if hasattr(estimator, key)]
    for text in models:
        model = model_of_table(text, table)
    refuse_coverage(table, model.covariates, estimator.name)


def _strata_apart(estimator: Any, table: CaptureTable) -> None:
    known = list(map(str, table.strata.columns))
    for name in estimator.by:
        if name not in known:
            raise unknown_name("covariate", name, known)
    reasons = [refusal(estimator.base, part) for _, part in table.split(*estimator.by)]
    if all(reasons):
        raise CapabilityError(f"the base can treat no stratum of {table.name}: {reasons[0]}")


def _resampled(estimator: Any, table: CaptureTable) -> None:
    if why := refusal(estimator.base, table):
        raise CapabilityError(why)


def _at_least(fewest: int) -> Callable[[Any, CaptureTable], None]:
    def look(estimator: Any, table: CaptureTable) -> None:
        list_counts(table, estimator=estimator.name, minimum_lists=fewest)

    return look


def _model_space(estimator: Any, table: CaptureTable) -> None:
    from hiddenpop.bayes.averaged_space import model_space

    data = list_counts(table, estimator=estimator.name, minimum_lists=3)
    model_space(data.n_lists, estimator.max_order, table.name, estimator.name)


def _graphs(estimator: Any, table: CaptureTable) -> None:
    from hiddenpop.kernels.graphs import LARGEST_ENUMERATION

    n_lists = list_counts(table, estimator=estimator.name).n_lists
    if n_lists > LARGEST_ENUMERATION:
        raise CapabilityError(
            f"{estimator.name} sums over all graphs of at most {LARGEST_ENUMERATION} lists, and {table.name} has "
            f"{n_lists}; merge lists of the same kind with merge_lists, or drop some"
        )


def _identified(estimator: Any, table: CaptureTable) -> None:
    for name in estimator.lists or ():
        if name not in table.lists:
            raise CapabilityError(
                f"lists names {name!r}, and {table.name} has no such list; it has {', '.join(table.lists)}"
            )
    list_counts(table, estimator=estimator.name)


def _cells(estimator: Any, table: CaptureTable) -> None:
    from hiddenpop.bayes.cells_design import cells_design

    cells_design(
        table,
        order=int(estimator.order),
        strata=estimator.strata,
        structural_zeros=estimator.structural_zeros,
        estimator=estimator.name,
    )


def _thresholds(estimator: Any, table: CaptureTable) -> None:
    from hiddenpop.bayes.thresholded import problem_of

    problem_of(estimator, table)


def _pooled(estimator: Any, table: CaptureTable) -> None:
    from hiddenpop.bayes.pooled_design import Plan, pooled_design

    plan = Plan(
        place=estimator.place,
        year=estimator.year,
        region=estimator.region,
        places=estimator.places,
        residents=estimator.residents,
        order=int(estimator.order),
    )
    pooled_design(table, plan, estimator=estimator.name)


_LOOKS: dict[str, Callable[[Any, CaptureTable], None]] = {
    "loglinear": _one_model,
    "selected": _many_models,
    "averaged": _many_models,
    "lincoln_petersen": _fits,
    "chapman": _fits,
    "chao": _fits,
    "closed_population": _fits,
    "sample_coverage": _fits,
    "bootstrapped": _resampled,
    "stratified": _strata_apart,
    "covariate_loglinear": _covariates,
    "covariate_selected": _covariates,
    "pooled": _pooled,
    "decomposable": _graphs,
    "identified": _identified,
    "latent_class": _at_least(3),
    "bayesian_loglinear": _cells,
    "bayesian_averaged": _model_space,
    "thresholded": _thresholds,
}
