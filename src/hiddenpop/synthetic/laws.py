"""How persons come onto lists: the law of a capture history, and the plainest laws."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import check_share
from hiddenpop.histories import decode

__all__ = [
    "MAX_LISTS",
    "CellLaw",
    "IndependentLists",
    "Law",
    "check_between",
    "check_law",
    "check_weights",
    "distinct_names",
    "history_bits",
    "product_cells",
    "shares_of",
]

MAX_LISTS = 12
"""Every one of the 2**t cells is drawn, so the number of lists is bounded."""

SUM_TOLERANCE = 1e-9
"""Probabilities written as decimals add up to 1 within this; a mistake is larger."""


@runtime_checkable
class Law(Protocol):
    """The joint law of a person's captures by `n_lists` lists.

    A law may also have `lists`, the names in their order, and `breaks`, the assumptions that it makes untrue for
    reasons that the cell probabilities do not show.
    """

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        ...

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``; element 0 is the chance of never being caught."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndependentLists:
    """Lists that catch independently of each other, each everybody with the same chance.

    Parameters
    ----------
    probabilities : tuple of float
        The chance that a list catches a person, one a list, each from 0 to 1.

    Raises
    ------
    SettingError
        For a probability that is none.

    Examples
    --------
    >>> IndependentLists(probabilities=(0.5, 0.2)).cell_probabilities().round(2).tolist()
    [0.4, 0.4, 0.1, 0.1]
    """

    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", shares_of("probabilities", self.probabilities))

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.probabilities)

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        return product_cells([self.probabilities]).ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellLaw:
    """A law given cell by cell, the same for everybody.

    Parameters
    ----------
    probabilities : tuple of float, length 2**t
        The chance of each capture history; element 0 is that of never being caught. They add up to 1.

    Raises
    ------
    SettingError
        For a probability that is none, a sum other than 1, or a number of cells that is not a power of 2.

    Examples
    --------
    >>> CellLaw(probabilities=(0.4, 0.3, 0.2, 0.1)).n_lists
    2
    """

    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        cells = shares_of("probabilities", self.probabilities)
        if len(cells) < 4 or len(cells) & (len(cells) - 1):
            raise SettingError(
                f"probabilities has {len(cells)} cells; t lists have 2**t, the one of never being caught included"
            )
        check_weights("probabilities", cells)
        object.__setattr__(self, "probabilities", cells)

    @property
    def n_lists(self) -> int:
        """Number of lists, t."""
        return len(self.probabilities).bit_length() - 1

    def cell_probabilities(self) -> Floats:
        """Chance of each capture history, shape ``(2**t,)``."""
        cells: Floats = np.array(self.probabilities)
        cells /= cells.sum()
        return cells


def product_cells(chances: npt.ArrayLike) -> Floats:
    """Cell probabilities, shape ``(m, 2**t)``, of m kinds of persons with independent chances, shape ``(m, t)``.

    Examples
    --------
    >>> product_cells([[0.5, 0.0], [1.0, 1.0]]).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    matrix = np.atleast_2d(np.asarray(chances, dtype=np.float64))
    cells = np.ones((len(matrix), 1))
    for column in matrix.T[:, :, None]:
        cells = np.concatenate([cells * (1.0 - column), cells * column], axis=1)
    return cells


def history_bits(n_lists: int) -> npt.NDArray[np.bool_]:
    """Give all capture histories, shape ``(2**t, t)``, one column a list."""
    return decode(np.arange(1 << n_lists), n_lists).astype(np.bool_)


def shares_of(setting: str, values: Sequence[float]) -> tuple[float, ...]:
    """Check a sequence of numbers from 0 to 1 and make it a tuple of floats."""
    given: object = values
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or not len(given):
        raise SettingError(f"{setting}={values!r} must be a sequence of numbers, e.g. (0.3, 0.2)")
    for position, value in enumerate(values):
        check_share(f"{setting}[{position}]", value)
    return tuple(float(value) for value in values)


def check_between(setting: str, value: float, least: float, most: float) -> None:
    """Refuse what is not a number from `least` to `most`."""
    given: object = value
    number = math.nan if isinstance(given, bool) or not isinstance(given, Real) else float(value)
    if not least <= number <= most or math.isinf(number):
        limits = f"at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:,g}"
        raise SettingError(f"{setting}={value!r} must be a number {limits}")


def distinct_names(setting: str, names: Sequence[str]) -> tuple[str, ...]:
    """Check a sequence of different names and make it a tuple."""
    given: object = names
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise SettingError(f"{setting}={names!r} must be a sequence of names, e.g. ('police', 'shelter')")
    for name in names:
        if list(names).count(name) > 1:
            raise SettingError(f"{setting}={tuple(names)!r} has the name {name!r} twice; name it once")
    return tuple(names)


def check_weights(setting: str, weights: Sequence[float]) -> None:
    """Refuse shares that do not add up to 1."""
    total = math.fsum(weights)
    if abs(total - 1.0) > SUM_TOLERANCE:
        raise SettingError(f"{setting} add up to {total:.12g}, not to 1; correct or rescale them")


def check_law(where: str, law: Law, lists: Sequence[str]) -> None:
    """Refuse a law that is not one for `lists`, or whose cell probabilities are none.

    Raises
    ------
    SettingError
        With `where` in front.
    """
    if not isinstance(law, Law):
        raise SettingError(
            f"{where}: {law!r} is not a law; give e.g. IndependentLists(probabilities=(0.3, 0.2))"
        )
    if law.n_lists != len(lists):
        raise SettingError(f"{where}: the law is one for {law.n_lists} lists and there are {len(lists)}")
    names = getattr(law, "lists", None)
    if names is not None and tuple(names) != tuple(lists):
        raise SettingError(f"{where}: the law names the lists {', '.join(names)}, not {', '.join(lists)}")
    cells = law.cell_probabilities()
    if cells.shape != (1 << len(lists),) or not np.all(cells >= 0.0):
        raise SettingError(
            f"{where}: cell_probabilities() must give {1 << len(lists)} numbers of at least 0, one a capture history"
        )
    check_weights(f"{where}: the cell probabilities", cells.tolist())
