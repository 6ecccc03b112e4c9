"""Tables drawn by hypothesis: few persons, many, or hundreds of millions in a cell; margins and cells of nobody."""

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

sparse = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 7])
KINDS = {
    "sparse": sparse,
    "mixed": sparse | st.integers(0, 5000),
    "full": st.integers(1, 300),
    "huge": st.sampled_from([0, 1, 12]) | st.integers(0, 10**9),
}


@st.composite
def counts_by_history(draw: Any, kinds: tuple[str, ...] = tuple(KINDS)) -> tuple[int, np.ndarray]:
    """Counts by history on two to four lists, at times with a margin of zero, or with cells so empty that a face is."""
    n_lists = draw(st.integers(2, 4))
    size = 1 << n_lists
    kind = KINDS[draw(st.sampled_from(kinds))]
    counts = np.array([0, *draw(st.lists(kind, min_size=size - 1, max_size=size - 1))], dtype=np.float64)
    for empty in draw(st.lists(st.integers(1, size - 1), max_size=2)):
        counts[np.arange(size) & empty == empty] = 0.0
    assume(counts.sum() > 0)
    return n_lists, counts
