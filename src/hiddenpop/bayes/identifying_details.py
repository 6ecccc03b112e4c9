"""What a reader of an identified posterior asks for: the assumption in words, remarks, and frames."""

import math
from typing import Any, Literal

import numpy as np
import pandas as pd

from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.observed_cells import ObservedCells, Sizes, Xi, median_xi
from hiddenpop.bayes.outcome import median_and_limits, quantiles
from hiddenpop.histories import captures, decode
from hiddenpop.result import Diagnostic

__all__ = ["PROTECTED", "assumption_in_words", "details_of", "diagnostics_of", "method_of"]

SEVERAL_CONTRADICTED = 0.01
NEARLY_ALL = 0.9
SHARES = (0.005, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.995)
LARGEST_LOG = math.log(1e300)
PROTECTED = ("cells", "contradicted", "empty_share", "hidden_share", "quantiles", "ratio")
"""Details that give small counts away: the cells, and exact figures that can be solved for them."""


def assumption_in_words(cells: ObservedCells, xi: Xi) -> str:
    """Name the assumption.

    Parameters
    ----------
    cells : ObservedCells
    xi : float or ("lognormal", median, sd)

    Returns
    -------
    str
    """
    where = "" if cells.are_all else f" in the table of {', '.join(cells.lists)}"
    if isinstance(xi, tuple):
        return (
            f"highest-order interaction{where} by a prior, xi log-normal around {xi[1]:g} with sd {xi[2]:g}"
        )
    return (
        f"no highest-order interaction{where}"
        if xi == 1.0
        else f"highest-order interaction{where} of xi={xi:g}"
    )


def method_of(cells: ObservedCells, xi: Xi) -> str:
    """Name the interval: the assumption, and where the cells come from when they are not Dirichlet.

    Parameters
    ----------
    cells : ObservedCells
    xi : float or ("lognormal", median, sd)

    Returns
    -------
    str
    """
    by = "" if cells.fitted is None else f", observed cells by {cells.fitted.name}"
    return f"equal-tailed posterior, {assumption_in_words(cells, xi)}{by}"


def diagnostics_of(cells: ObservedCells, sizes: Sizes, xi: Xi) -> list[Diagnostic]:
    """Say what the answer rests on and what to beware of.

    Parameters
    ----------
    cells : ObservedCells
    sizes : Sizes
    xi : float or ("lognormal", median, sd)

    Returns
    -------
    list of Diagnostic
    """
    passed_on = [] if cells.fitted is None else cells.fitted.diagnostics
    return [
        _assumption(cells, xi),
        *passed_on,
        *_empty_cells(cells),
        *_contradicted(sizes),
        *_no_upper_limit(sizes),
    ]


def _assumption(cells: ObservedCells, xi: Xi) -> Diagnostic:
    multiplier = 1.0 / median_xi(xi)
    multiplied = "the dark figure" if cells.are_all else f"the number on none of {', '.join(cells.lists)}"
    message = (
        f"{assumption_in_words(cells, xi)} is an assumption that the table cannot test: it multiplies {multiplied} by "
        f"1/xi = {multiplier:.3g}, compared with no interaction; a larger xi means fewer hidden"
    )
    return Diagnostic("assumption", "info", message, multiplier)


def _empty_cells(cells: ObservedCells) -> list[Diagnostic]:
    if not cells.n_empty:
        return []
    if cells.fitted is not None:
        message = (
            f"{cells.n_empty} of {len(cells.counts) - 1} cells hold nobody: their shares, and with them the ratio, "
            f"are what {cells.fitted.name} makes of the other cells"
        )
        return [Diagnostic("empty_cells", "info", message, cells.n_empty)]
    share = cells.empty_share
    much = "nearly all" if share > NEARLY_ALL else "more than half" if share > 0.5 else "a part"
    message = (
        f"{cells.n_empty} of {len(cells.counts) - 1} cells hold nobody, and of these the prior count of "
        f"{cells.prior_count:.3g} persons alone speaks: {much} of the spread of the posterior comes from it; compare "
        f"others with sweep_prior_count"
    )
    return [Diagnostic("empty_cells", "warning", message, cells.n_empty)]


def _contradicted(sizes: Sizes) -> list[Diagnostic]:
    if sizes.contradicted == 0.0:
        return []
    severity: Literal["info", "warning"] = "warning" if sizes.contradicted > SEVERAL_CONTRADICTED else "info"
    message = (
        f"{sizes.contradicted:.1%} of the draws of the observed cells agree with no population size, as more persons "
        f"are on other lists only than the assumption allows; the posterior is that of the {len(sizes.drawn):,} others"
    )
    return [Diagnostic("contradicted", severity, message, round(sizes.contradicted, 3))]


def _no_upper_limit(sizes: Sizes) -> list[Diagnostic]:
    if math.isfinite(sizes.limits()[1]) or not len(sizes.drawn):
        return []
    message = (
        f"the upper limit of the posterior lies further than {sizes.n_observed:,} persons can tell and is written as "
        f"infinite; details['quantiles'] has it as drawn"
    )
    return [Diagnostic("no_upper_limit", "warning", message)]


def details_of(cells: ObservedCells, sizes: Sizes, xi: Xi) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    cells : ObservedCells
    sizes : Sizes
    xi : float or ("lognormal", median, sd)

    Returns
    -------
    dict
    """
    ratio = np.exp(np.minimum(cells.draws.log_ratio, LARGEST_LOG))
    agreement = {} if cells.fitted is None else {"convergence": cells.fitted.convergence}
    return {
        **agreement,
        "dropped_lists": list(cells.data.dropped),
        "assumption": assumption_in_words(cells, xi),
        "lists": list(cells.lists),
        "xi": list(xi) if isinstance(xi, tuple) else xi,
        "multiplier": 1.0 / median_xi(xi),
        "prior_count": cells.prior_count,
        "ratio": median_and_limits(ratio, sizes.level),
        "hidden_share": median_and_limits(sizes.hidden_share, sizes.level),
        "quantiles": pd.DataFrame({"share": SHARES, "n": quantiles(sizes.drawn, SHARES)}),
        "cells": _cell_frame(cells),
        "empty_share": cells.empty_share,
        "contradicted": sizes.contradicted,
        "idata": _idata(cells, sizes),
    }


def _cell_frame(cells: ObservedCells) -> pd.DataFrame:
    """Cells of the ratio with their counts, and the side of the line of R on which each stands."""
    histories = np.arange(1, len(cells.counts))
    odd = captures(histories) % 2 == 1
    return pd.DataFrame(decode(histories, len(cells.lists)), columns=list(cells.lists)).assign(
        count=cells.counts[1:].astype(np.int64), side=np.where(odd, "above", "below")
    )


def _idata(cells: ObservedCells, sizes: Sizes) -> Any:
    """Give the draws chain by chain, unless some were left out."""
    if not len(sizes.drawn):
        return None
    whole = cells.fitted is not None and cells.fitted.log_ratio.size == len(sizes.drawn)
    chains = len(cells.fitted.log_ratio) if cells.fitted is not None and whole else 1
    values = {"N": sizes.drawn, "hidden_share": sizes.hidden_share, "xi": np.exp(sizes.log_xi)}
    return inference_data({name: drawn.reshape(chains, -1) for name, drawn in values.items()})
