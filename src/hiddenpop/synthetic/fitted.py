"""`fitted_scenario`: a table and a model, taken for the truth."""

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.estimators.loglinear import model_for
from hiddenpop.estimators.outcome import status_of_fit, terms_of
from hiddenpop.estimators.prepare import list_counts
from hiddenpop.kernels.poisson.model_fit import fit_model
from hiddenpop.model import HierarchicalModel
from hiddenpop.synthetic.implied import as_implied
from hiddenpop.synthetic.laws import CellLaw
from hiddenpop.synthetic.scenario import Group, Scenario
from hiddenpop.table import CaptureTable

__all__ = ["fitted_scenario"]


@front_door
def fitted_scenario(
    table: CaptureTable, model: str | HierarchicalModel, *, name: str, description: str | None = None
) -> Scenario:
    """Make a world in which a model fitted to a table is true.

    Parameters
    ----------
    table : CaptureTable
        Strata are added up.
    model : str or HierarchicalModel
        As for `hiddenpop.LogLinear`.
    name : str
        Name of the scenario.
    description : str, optional
        One sentence; by default it names the table and the model.

    Returns
    -------
    Scenario
        Its size is the estimate, rounded; its cell probabilities are the fitted means, rescaled.

    Raises
    ------
    SettingError
        If the fit has a status other than ``"ok"``: there is no population size to take for true.
    CapabilityError
        If the table has gaps or censored cells, or fewer than two lists that caught somebody.
    ModelError
        If the model is not one for these lists.

    Warns
    -----
    EmptyListWarning, CollapsedStrataWarning

    Examples
    --------
    >>> import hiddenpop as hp
    >>> scenario = fitted_scenario(hp.datasets.load("kosovo"), "[123,14,34]", name="like-kosovo")
    >>> scenario.truth, scenario.model
    (10357, '[123,14,34]')
    """
    data = list_counts(table, estimator="fitted_scenario")
    kept = model_for(model, table).restrict(data.kept)
    fit = fit_model(data.counts, terms_of(kept), data.n_lists)
    status, reason = status_of_fit(fit)
    if status != "ok":
        raise SettingError(
            f"{kept} on {table.name} has status {status!r} ({reason}), so no size to take; choose another model"
        )
    cells = fit.means / fit.means.sum()
    law = CellLaw(probabilities=tuple(cells.tolist()))
    return as_implied(
        Scenario(
            name=name,
            description=description or f"The model {kept} fitted to {table.name}, taken for the truth.",
            lists=data.lists,
            groups=(Group(size=round(data.n_observed + fit.n0), law=law),),
        )
    )
