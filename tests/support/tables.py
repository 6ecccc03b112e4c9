"""Tables from arrays of counts, without the warnings about lists that are odd on purpose."""

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.errors import ConstantListWarning, EmptyListWarning
from hiddenpop.histories import decode
from hiddenpop.table import CaptureTable


def table_of(counts: npt.ArrayLike) -> CaptureTable:
    """Build a table from counts by history, element 0 the unobserved cell; lists are ``l0``, ``l1``, ..."""
    cells = np.asarray(counts, dtype=np.int64)
    lists = [f"l{i}" for i in range(len(cells).bit_length() - 1)]
    seen = np.flatnonzero(cells)
    seen = seen[seen > 0]
    frame = pd.DataFrame(decode(seen, len(lists)), columns=lists).assign(count=cells[seen])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantListWarning)
        warnings.simplefilter("ignore", EmptyListWarning)
        return CaptureTable.from_counts(frame, lists=lists, count="count")
