"""Decomposable graphs on a few lists: all of them, with their cliques and separators."""

from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise

import numpy as np

from hiddenpop._typing import Bools, Ints
from hiddenpop.histories import bit_positions
from hiddenpop.model import term_label

__all__ = ["LARGEST_ENUMERATION", "NUMBER_OF_GRAPHS", "DecomposableGraphs", "decomposable_graphs"]


LARGEST_ENUMERATION = 6
NUMBER_OF_GRAPHS = {2: 2, 3: 8, 4: 61, 5: 822, 6: 18_154, 7: 617_675}
"""Chordal graphs on labelled vertices; the last is there for a message."""


@dataclass(frozen=True, slots=True, eq=False)
class DecomposableGraphs:
    """All decomposable (chordal) graphs on the lists, from no link to every link.

    Attributes
    ----------
    n_lists : int
    pairs : tuple of (int, int)
        Positions of the lists that link ``e`` joins.
    links : ndarray of int64, shape (g,)
        Bit ``e`` is set when the graph has link ``e``. Sorted by number of links, then by code.
    coefficients : ndarray of int64, shape (g, 2**t)
        How often each set of lists is a clique, minus how often it is a separator. The empty set counts minus the
        number of connected components: one for the normalising constant, and one for each empty separator.
    """

    n_lists: int
    pairs: tuple[tuple[int, int], ...]
    links: Ints
    coefficients: Ints

    @property
    def n_links(self) -> Ints:
        """Number of links of each graph."""
        return np.bitwise_count(self.links).astype(np.int64)

    @property
    def linked(self) -> Bools:
        """Whether each graph has each link, shape (g, number of pairs)."""
        return (self.links[:, None] >> np.arange(len(self.pairs)) & 1).astype(np.bool_)

    def cliques(self, graph: int) -> tuple[int, ...]:
        """Cliques of one graph as masks of lists, from large to small.

        Examples
        --------
        >>> decomposable_graphs(3).cliques(-1)
        (7,)
        """
        return _all_cliques(self)[graph]

    def notation(self, graph: int) -> str:
        """Bracket notation of one graph: its cliques by positions of the lists.

        Examples
        --------
        >>> decomposable_graphs(3).notation(0), decomposable_graphs(3).notation(-1)
        ('[1,2,3]', '[123]')
        """
        return _all_notations(self)[graph]


@cache
def _all_cliques(graphs: DecomposableGraphs) -> tuple[tuple[int, ...], ...]:
    """Cliques of every graph."""
    sets = range(1 << graphs.n_lists)
    order = np.array(sorted(sets, key=lambda mask: (-mask.bit_count(), bit_positions(mask))))
    graph, place = np.nonzero(graphs.coefficients[:, order] > 0)
    ends = np.searchsorted(graph, np.arange(len(graphs.links) + 1)).tolist()
    found = order[place].tolist()
    return tuple(tuple(found[start:stop]) for start, stop in pairwise(ends))


@cache
def _all_notations(graphs: DecomposableGraphs) -> tuple[str, ...]:
    """Bracket notation of every graph."""
    labels = [term_label(clique, graphs.n_lists) if clique else "" for clique in range(1 << graphs.n_lists)]
    return tuple(
        "[" + ",".join(labels[clique] for clique in cliques) + "]" for cliques in _all_cliques(graphs)
    )


@cache
def decomposable_graphs(n_lists: int) -> DecomposableGraphs:
    """Enumerate the decomposable graphs on 2 to 6 lists.

    Every graph is ordered by maximum cardinality search; it is decomposable exactly when the earlier neighbours of
    each list form a complete set. Those sets then give cliques and separators: a list ``v`` with earlier neighbours
    ``P`` adds ``P + v`` and takes ``P`` away, and what is neither clique nor separator cancels.

    Parameters
    ----------
    n_lists : int

    Returns
    -------
    DecomposableGraphs
        Its arrays are read-only.

    Raises
    ------
    ValueError
        For fewer than 2 or more than 6 lists.

    References
    ----------
    Tarjan, R. E. and Yannakakis, M. (1984). Simple linear-time algorithms to test chordality of graphs, test
    acyclicity of hypergraphs, and selectively reduce acyclic hypergraphs. SIAM Journal on Computing 13(3), 566-579.
    doi:10.1137/0213035

    Examples
    --------
    >>> [len(decomposable_graphs(t).links) for t in (2, 3, 4, 5)]
    [2, 8, 61, 822]
    """
    if not 2 <= n_lists <= LARGEST_ENUMERATION:
        raise ValueError(f"graphs are enumerated for 2 to {LARGEST_ENUMERATION} lists; got {n_lists}")
    pairs = tuple(combinations(range(n_lists), 2))
    codes = np.arange(1 << len(pairs), dtype=np.int64)
    coefficients, chordal = _search(_neighbours(codes, pairs, n_lists), n_lists)
    links = codes[chordal]
    order = np.lexsort((links, np.bitwise_count(links)))
    graphs = DecomposableGraphs(n_lists, pairs, links[order], coefficients[chordal][order])
    for array in (graphs.links, graphs.coefficients):
        array.flags.writeable = False
    return graphs


def _neighbours(codes: Ints, pairs: tuple[tuple[int, int], ...], n_lists: int) -> Ints:
    """Masks of the neighbours of each list in each graph, shape (g, t)."""
    masks = np.zeros((len(codes), n_lists), dtype=np.int64)
    for link, (i, j) in enumerate(pairs):
        there = codes >> link & 1
        masks[:, i] |= there << j
        masks[:, j] |= there << i
    return masks


def _search(neighbours: Ints, n_lists: int) -> tuple[Ints, Bools]:
    """Maximum cardinality search in all graphs at once: signed counts of cliques and separators, and chordality."""
    rows = np.arange(len(neighbours))
    coefficients = np.zeros((len(neighbours), 1 << n_lists), dtype=np.int64)
    chordal = np.ones(len(neighbours), dtype=np.bool_)
    visited = np.zeros(len(neighbours), dtype=np.int64)
    for _ in range(n_lists):
        earlier = np.bitwise_count(neighbours & visited[:, None]).astype(np.int64)
        earlier[(visited[:, None] >> np.arange(n_lists) & 1) == 1] = -1
        chosen = np.argmax(earlier, axis=1)
        parents = neighbours[rows, chosen] & visited
        for u in range(n_lists):
            others = parents & ~(1 << u)
            chordal &= (parents >> u & 1 == 0) | (neighbours[:, u] & others == others)
        coefficients[rows, parents | 1 << chosen] += 1
        coefficients[rows, parents] -= 1
        visited |= 1 << chosen
    return coefficients, chordal
