"""Which assumptions a world keeps, worked out from its cell probabilities and its distortions."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.histories import bit_positions, captures
from hiddenpop.model import HierarchicalModel
from hiddenpop.synthetic.laws import history_bits, product_cells
from hiddenpop.synthetic.scenario import Scenario

__all__ = ["as_implied", "implied_assumptions", "implied_model"]

TOLERANCE = 1e-9
"""Of probabilities and log contrasts: above rounding, below any effect that a table could show."""

STRUCTURE = ("closed", "linked", "in_scope", "operating", "known_strata")


@front_door
def implied_assumptions(scenario: Scenario) -> frozenset[str]:
    """Work out which of the `ASSUMPTIONS` hold, whatever the scenario declares.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    frozenset of str

    Notes
    -----
    What concerns linkage, scope, coverage and time is told by the laws and distortions; the rest by the cell
    probabilities of the population added up over strata. ``rasch`` holds when they can be written as a mixture over
    one propensity: they are quasi-symmetric, and the factors of the number of captures are moments of a positive
    variable (Cressie and Holland 1983).

    References
    ----------
    Cressie, N. and Holland, P. W. (1983). Characterizing the manifest probabilities of latent trait models.
    Psychometrika 48(1), 129-141.

    Examples
    --------
    >>> from hiddenpop.synthetic import scenario
    >>> "independent" in implied_assumptions(scenario("independent-three"))
    True
    """
    broken = frozenset().union(
        *(getattr(part, "breaks", frozenset()) for part in scenario.distortions),
        *(getattr(group.law, "breaks", frozenset()) for group in scenario.groups if group.size),
    )
    cells = scenario.cell_probabilities()
    held = {
        "independent": _is_independent(cells),
        "homogeneous": _is_common(scenario) and "homogeneous" not in broken,
        "equal_lists": bool(np.ptp(_margins(cells)) < TOLERANCE),
        "rasch": _is_rasch(cells),
        "log_linear": implied_model(cells) is not None,
        **{name: name not in broken for name in STRUCTURE},
    }
    return frozenset(name for name, holds in held.items() if holds)


@front_door
def as_implied(scenario: Scenario) -> Scenario:
    """Let a scenario declare the assumptions and the model that hold in it, whatever it declared before.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    Scenario

    Examples
    --------
    >>> from dataclasses import replace
    >>> from hiddenpop.synthetic import scenario
    >>> as_implied(replace(scenario("one-pair-three"), model=None, assumptions=frozenset())).model
    '[12,3]'
    """
    model = implied_model(scenario.cell_probabilities())
    return replace(scenario, assumptions=implied_assumptions(scenario), model=model)


@front_door
def implied_model(cells: Floats) -> str | None:
    """Find the smallest hierarchical log-linear model that cell probabilities follow exactly.

    Parameters
    ----------
    cells : ndarray of float, shape (2**t,)
        Chance of each capture history.

    Returns
    -------
    str or None
        In bracket notation; None when there is none without the interaction of all lists.

    Notes
    -----
    A coefficient is the alternating sum of the logs of the cells within its term. Empty cells are structural zeros of
    an interaction if every cell above an empty one is empty too; otherwise no log-linear model holds.

    Examples
    --------
    >>> implied_model(np.array([0.4, 0.25, 0.1, 0.25])) is None
    True
    >>> implied_model(np.array([0.4, 0.4, 0.1, 0.1]))
    '[1,2]'
    """
    n_lists = len(cells).bit_length() - 1
    if cells.shape != (1 << n_lists,):
        raise SettingError(
            f"cells of shape {cells.shape} must be 2**t chances in a row, one a capture history"
        )
    zero = cells <= 0.0
    if zero[0] or not _is_up_set(zero, n_lists) or zero[[1 << i for i in range(n_lists)]].any():
        return None
    logs = np.log(np.where(zero, 1.0, cells))
    for position in range(n_lists):
        halves = logs.reshape(-1, 2, 1 << position)
        halves[:, 1] -= halves[:, 0]
    lowest = [h for h in np.flatnonzero(zero) if not any(zero[h & ~(1 << i)] for i in bit_positions(int(h)))]
    present = np.flatnonzero((np.abs(logs) > TOLERANCE) & ~zero)
    terms = {int(term) for term in (*present, *lowest) if term} | {1 << i for i in range(n_lists)}
    model = HierarchicalModel(n_lists, tuple(terms))
    return None if model.is_saturated else str(model)


def _margins(cells: Floats) -> Floats:
    margins: Floats = history_bits(len(cells).bit_length() - 1).T @ cells
    return margins


def _is_independent(cells: Floats) -> bool:
    return bool(np.abs(cells - product_cells([_margins(cells)]).ravel()).max() < TOLERANCE)


def _is_common(scenario: Scenario) -> bool:
    laws = [group.law.cell_probabilities() for group in scenario.groups if group.size]
    return all(bool(np.abs(law - laws[0]).max() < TOLERANCE) for law in laws)


def _is_up_set(zero: npt.NDArray[np.bool_], n_lists: int) -> bool:
    """Tell whether with every empty cell those of one more list are empty."""
    histories = np.arange(len(zero))
    return all(bool(np.all(~zero | zero[histories | 1 << i])) for i in range(n_lists))


def _is_rasch(cells: Floats) -> bool:
    if not np.all(cells > 0.0):
        return False
    n_lists = len(cells).bit_length() - 1
    counted = captures(np.arange(len(cells)))[:, None] == np.arange(n_lists + 1)
    design = np.hstack([history_bits(n_lists), counted]).astype(np.float64)
    logs = np.log(cells)
    values = np.linalg.lstsq(design, logs)[0]
    if np.abs(design @ values - logs).max() > TOLERANCE:
        return False
    moments = np.exp(values[n_lists:] - values[n_lists])
    return all(_is_moment_matrix(moments[start:]) for start in (0, 1))


def _is_moment_matrix(moments: Floats) -> bool:
    """Tell whether the Hankel matrix of a sequence has no negative eigenvalue, its scale taken out."""
    size = (len(moments) + 1) // 2
    hankel = moments[np.add.outer(np.arange(size), np.arange(size))]
    scale = np.sqrt(np.diag(hankel))
    return bool(np.linalg.eigvalsh(hankel / np.outer(scale, scale)).min() > -TOLERANCE)
