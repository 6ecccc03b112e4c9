"""Arrays named by what they hold, for annotations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Arrays", "Bools", "Floats", "Ints", "TermSets", "Texts", "Words"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.str_]
Arrays = Mapping[str, npt.NDArray[Any]]

Words = npt.NDArray[np.uint64]
"""Bits in words."""

TermSets = npt.NDArray[np.uint64]
"""Sets of terms as bits in words, one row per set."""
