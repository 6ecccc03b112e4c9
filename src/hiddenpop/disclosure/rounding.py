"""Rounding: each number by itself, or all of them so that they still add up."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hiddenpop.disclosure.linear import programme
from hiddenpop.errors import SettingError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Rounded", "controlled_rounding", "conventional_rounding"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rounded:
    """Numbers rounded so that they add up.

    Attributes
    ----------
    cells : ndarray of int, shape (b,)
    numbers : ndarray of int, shape (q,)
        The sums, each the sum of the rounded cells.
    change : float
        Sum of all absolute changes of the numbers.
    optimal : bool
        Whether no rounding changes less, proven.
    """

    cells: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    change: float
    optimal: bool


def conventional_rounding(values: npt.ArrayLike, base: int) -> npt.NDArray[np.int64]:
    """Round each number to the nearest multiple of a base, halves up.

    Parameters
    ----------
    values : array_like, shape (q,)
    base : int

    Returns
    -------
    ndarray of int, shape (q,)
        They need not add up.

    Examples
    --------
    >>> conventional_rounding([2, 3, 7, 12], 5).tolist()
    [0, 5, 5, 10]
    """
    return (np.floor(np.asarray(values, dtype=np.float64) / base + 0.5) * base).astype(np.int64)


def controlled_rounding(matrix: "csr_array[Any]", cells: npt.ArrayLike, base: int) -> Rounded:
    """Round every number to one of its two neighbouring multiples of a base, so that all sums still add up.

    Parameters
    ----------
    matrix : csr_array, shape (q, b)
        The numbers as sums of base cells.
    cells : array_like of int, shape (b,)
    base : int

    Returns
    -------
    Rounded

    Raises
    ------
    SettingError
        If there is no such rounding, which happens in tables of three or more dimensions, or none was found.

    Notes
    -----
    Zero-restricted: a multiple of the base stays as it is, any other number moves by less than the base. Of all such
    roundings the one with the least sum of absolute changes.

    References
    ----------
    Cox, L. H. (1987). A constructive procedure for unbiased controlled rounding. Journal of the American Statistical
    Association 82(398), 520-524. doi:10.1080/01621459.1987.10478456

    Salazar-Gonzalez, J. J. (2006). Controlled rounding and cell perturbation: statistical disclosure limitation methods
    for tabular data. Mathematical Programming 105, 583-603. doi:10.1007/s10107-005-0666-9

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> found = controlled_rounding(csr_array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), [3, 3], 5)
    >>> sorted(found.cells.tolist()), found.numbers[2].item()
    ([0, 5], 5)
    """
    from scipy.optimize import Bounds, LinearConstraint
    from scipy.sparse import eye_array, hstack

    counts = np.asarray(cells, dtype=np.float64)
    values = matrix @ counts
    below, rest = np.floor(counts / base), counts % base
    floors, rests = np.floor(values / base), values % base
    # A cell is base * (below + up) with up of 0 or 1; so is a sum, and its change is linear in its own up.
    slope = base - 2 * rests
    steps = LinearConstraint(
        hstack([matrix, -eye_array(values.size, format="csr")], format="csr"),
        floors - matrix @ below,
        floors - matrix @ below,
    )
    ends = np.concatenate([rest > 0, rests > 0]).astype(np.float64)
    size = counts.size + values.size
    found = programme(
        np.concatenate([np.zeros(counts.size), slope]),
        integrality=np.ones(size, dtype=np.int64),
        bounds=Bounds(np.zeros(size), ends),
        constraints=[steps],
    )
    if found.x is None:
        raise SettingError(
            f"these {values.size} numbers cannot be rounded to base {base} so that they add up; round each by itself, "
            f"or round fewer tables together"
        )
    rounded = np.round((below + np.round(found.x[: counts.size])) * base).astype(np.int64)
    numbers = np.round(matrix @ rounded).astype(np.int64)
    return Rounded(
        cells=rounded,
        numbers=numbers,
        change=float(np.abs(numbers - values).sum()),
        optimal=found.status == 0,
    )
