"""What an estimate tells of its model, by name: coefficients, criteria, fitted cells, models that were tried."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError

__all__ = ["FittedModel", "ModelSelection", "fitted_model_of", "selection_of"]

CELL_FIGURES = ("history", "observed", "fitted", "residual", "on_face")
NO_COEFFICIENTS: dict[str, list[Any]] = {"term": [], "estimate": [], "standard_error": [], "note": []}
RESIDUALS = ("pearson", "deviance", "response")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelSelection:
    """Models that were tried, best first.

    Attributes
    ----------
    criterion : str
        What they are ranked by: a column of `models`.
    models : pandas.DataFrame
        One row per model: ``model``, ``deviance``, the criteria, ``n_hat``, ``status`` and, of an average, ``weight``.
    n_models : int or None
        How many the space has that were looked at; None where the search proved the best without looking at all.
    window : float
        Every model so near to the best, in units of the criterion, is among `models`; infinite where all are.
    """

    criterion: str
    models: pd.DataFrame
    n_models: int | None
    window: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedModel:
    """One model, as it was fitted to the persons observed.

    Attributes
    ----------
    model : str
        In the notation of the literature, e.g. ``"[12,3]"``, or as a formula.
    formula : str
        With the names of the lists; empty where the model has none.
    coefficients : pandas.DataFrame
        One row per parameter: ``term``, ``estimate`` (on the log scale of expected counts), ``standard_error``, ``z``,
        ``p_value`` (two-sided, normal), ``low`` and ``high`` (Wald, at `level`), ``note`` where it is not a number.
    level : float
        Of the limits in `coefficients`.
    criteria : mapping of str to float
        ``log_likelihood`` (Poisson, constants included), ``deviance``, ``df`` (residual), ``aic``, ``aicc``, ``bic``,
        with the number of persons observed as the sample size.
    goodness_of_fit : mapping
        ``deviance``, ``pearson``, ``df``, p-values and how they were found.
    cells : pandas.DataFrame
        One row per cell: lists and strata, ``history``, ``observed``, ``fitted``, ``residual`` (Pearson), ``on_face``
        (False where the fitted count is 0 by necessity).
    covariance : pandas.DataFrame or None
        Of the coefficients, at the maximum; None where the method does not give it, or after a journey through a file.
    selection : ModelSelection or None
        The models among which this one was chosen; None for a model given beforehand.
    """

    model: str
    formula: str
    coefficients: pd.DataFrame
    level: float
    criteria: Mapping[str, float]
    goodness_of_fit: Mapping[str, Any]
    cells: pd.DataFrame
    covariance: pd.DataFrame | None
    selection: ModelSelection | None

    @property
    def factors(self) -> list[str]:
        """Columns of `cells` that say which cell it is: lists and strata."""
        return [str(name) for name in self.cells.columns if name not in CELL_FIGURES]

    @property
    def n_parameters(self) -> int:
        """Parameters of the model, the intercept included."""
        return len(self.coefficients)

    def odds_ratios(self, level: float | None = None) -> pd.DataFrame:
        """Give the interactions as ratios of odds, with Wald limits.

        Parameters
        ----------
        level : float, optional
            Of the limits; that of the estimate by default.

        Returns
        -------
        pandas.DataFrame
            ``term``, ``odds_ratio``, ``low``, ``high``: of two lists how many times as large the odds of being on one
            are for those on the other, among persons on none of the other lists; of more lists how many times as
            large that ratio is. Main effects are left out.
        """
        limits = self.confint(level)
        table = self.coefficients
        joint = table["term"].astype(str).str.contains(r"[*:]", regex=True).to_numpy()
        ratios = np.exp(np.column_stack([table["estimate"], limits])[joint])
        found = pd.DataFrame(ratios, columns=["odds_ratio", "low", "high"])
        found.insert(0, "term", table.loc[joint, "term"].to_numpy())
        return found

    def confint(self, level: float | None = None) -> pd.DataFrame:
        """Give Wald limits of the coefficients.

        Parameters
        ----------
        level : float, optional
            That of the estimate by default.

        Returns
        -------
        pandas.DataFrame
            ``low`` and ``high``, one row per coefficient, by term.

        Raises
        ------
        SettingError
            If the level does not lie between 0 and 1.
        """
        return _limits(self.coefficients, self.level if level is None else level)

    def residuals(self, kind: str = "pearson") -> pd.Series:
        """Give what each cell is off by.

        Parameters
        ----------
        kind : {"pearson", "deviance", "response"}
            ``(n - m) / sqrt(m)``; the signed root of what the cell adds to the deviance; ``n - m``.

        Returns
        -------
        pandas.Series
            In the order of `cells`; 0 in cells whose fitted count is 0 by necessity.

        Raises
        ------
        SettingError
            For another kind.
        """
        if kind not in RESIDUALS:
            raise SettingError(
                f"kind={kind!r} is not a kind of residual; use {', '.join(map(repr, RESIDUALS))}"
            )
        if kind == "pearson":
            return self.cells["residual"].rename(kind)
        observed, fitted = (self.cells[name].to_numpy(dtype=np.float64) for name in ("observed", "fitted"))
        off = np.where(self.cells["on_face"].to_numpy(dtype=bool), observed - fitted, 0.0)
        if kind == "response":
            return pd.Series(off, index=self.cells.index, name=kind)
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(observed > 0, observed * np.log(observed / fitted), 0.0) - off
        root = np.sign(off) * np.sqrt(2.0 * np.maximum(own, 0.0))
        return pd.Series(np.where(off == 0.0, 0.0, root), index=self.cells.index, name=kind)

    def expected(self, history: str) -> float:
        """Give the expected number of persons with a capture history, over all strata.

        Parameters
        ----------
        history : str
            One sign per list in the order of the table, ``"1"`` for lists that they are on, e.g. ``"0110"``.

        Raises
        ------
        SettingError
            If there is no such cell.
        """
        here = self.cells["history"] == history
        if not here.any():
            known = self.cells["history"]
            raise SettingError(
                f"history={history!r} is not a cell of this table; write it like {known.iloc[0]!r}"
            )
        return float(self.cells.loc[here, "fitted"].sum())


def _limits(coefficients: pd.DataFrame, level: float) -> pd.DataFrame:
    if not 0.0 < level < 1.0:
        raise SettingError(f"level={level} must lie between 0 and 1, e.g. 0.95")
    from scipy.special import ndtri  # what a command needs to answer help loads no scipy

    z = -float(ndtri((1.0 - level) / 2.0))
    estimate, error = (
        coefficients[name].to_numpy(dtype=np.float64) for name in ("estimate", "standard_error")
    )
    return pd.DataFrame(
        {"low": estimate - z * error, "high": estimate + z * error},
        index=pd.Index(coefficients["term"], name="term"),
    )


def fitted_model_of(details: Mapping[str, Any], lists: Sequence[str], level: float) -> FittedModel | None:
    """Read the model out of what an estimator tells; None where it tells of none."""
    cells = details.get("cells")
    if cells is None:
        return None
    told, coefficients = pd.DataFrame(cells), pd.DataFrame(details.get("coefficients", NO_COEFFICIENTS))
    if not {"count", "fitted", "residual", "on_face"} <= set(told.columns):
        return None
    named = [name for name in lists if name in told.columns]
    return FittedModel(
        model=str(details.get("model", "")),
        formula=str(details.get("formula", "")),
        coefficients=_coefficients(coefficients, level),
        level=level,
        criteria=_criteria(details, told["count"].to_numpy(dtype=np.float64)),
        goodness_of_fit=dict(details.get("goodness_of_fit", {})),
        cells=_cells(told, named),
        covariance=_covariance(coefficients, told),
        selection=selection_of(details),
    )


def _criteria(details: Mapping[str, Any], counts: Floats) -> dict[str, float]:
    """Collect the criteria that an estimator tells; of one of a user's own these may be few, or none."""
    if "deviance" not in details:
        return {}
    from hiddenpop.kernels.poisson.model_fit import (
        saturated_constant,
    )  # loads scipy, which help has no need of

    deviance, goodness = float(details["deviance"]), details.get("goodness_of_fit", {})
    saturated = saturated_constant(np.append(0.0, counts))  # the first is the cell that nobody can be seen in
    found = {"log_likelihood": -0.5 * (deviance + saturated), "deviance": deviance}
    if "df" in goodness:
        found["df"] = float(goodness["df"])
    told = details.get("criteria", {})
    return found | {name: _number(told[name]) for name in ("aic", "aicc", "bic") if name in told}


def _number(told: float | None) -> float:
    return math.inf if told is None else float(told)  # AICc of few persons; JSON has no infinity


def _coefficients(told: pd.DataFrame, level: float) -> pd.DataFrame:
    from scipy.special import ndtr

    numbers = told.astype({"estimate": float, "standard_error": float})
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (numbers["estimate"] / numbers["standard_error"]).to_numpy()
    limits = _limits(numbers, level)
    found = numbers.assign(
        z=z, p_value=2.0 * ndtr(-np.abs(z)), low=limits["low"].to_numpy(), high=limits["high"].to_numpy()
    )
    first = ["term", "estimate", "standard_error", "z", "p_value", "low", "high", "note"]
    return found[first + [name for name in found.columns if name not in first]]


def _cells(told: pd.DataFrame, lists: Sequence[str]) -> pd.DataFrame:
    found = told.rename(columns={"count": "observed"})
    histories = told[list(lists)].astype(int).astype(str).agg("".join, axis=1) if lists else ""
    found.insert(list(found.columns).index("observed"), "history", histories)
    return found


def _covariance(coefficients: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame | None:
    """Inverse information of a model of lists, from its fitted counts; None for other models."""
    if "positions" not in coefficients.columns:
        return None
    terms = coefficients["term"].astype(str)
    on = cells["on_face"].to_numpy(dtype=bool)
    columns = [
        np.all([cells[name].to_numpy() == 1 for name in term.split("*")], axis=0)
        if term != "intercept"
        else np.ones(len(cells), dtype=bool)
        for term in terms
    ]
    design = np.column_stack(columns)[on].astype(np.float64)
    errors = coefficients["standard_error"].to_numpy(dtype=np.float64)
    held = np.isfinite(errors)
    found = np.full((len(terms), len(terms)), np.nan)
    weighted = design[:, held] * cells["fitted"].to_numpy(dtype=np.float64)[on, None]
    with np.errstate(all="ignore"):
        try:
            found[np.ix_(held, held)] = np.linalg.inv(design[:, held].T @ weighted)
        except np.linalg.LinAlgError:
            return None
    return pd.DataFrame(found, index=list(terms), columns=list(terms))


def selection_of(details: Mapping[str, Any]) -> ModelSelection | None:
    """Read the models that were tried; None where one was given."""
    tried, criterion = details.get("selection"), details.get("criterion")
    if tried is None or criterion is None:
        return None
    models, proof = pd.DataFrame(tried), details.get("proof")
    if proof is None:
        return ModelSelection(
            criterion=str(criterion), models=models, n_models=int(details.get("n_models", len(models)))
        )
    window = proof["window"] if isinstance(proof, Mapping) else proof.window
    return ModelSelection(criterion=str(criterion), models=models, n_models=None, window=float(window))
