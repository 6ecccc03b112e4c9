from itertools import combinations

import numpy as np
import pytest

from hiddenpop.kernels.bayes.graphs import NUMBER_OF_GRAPHS, decomposable_graphs


def neighbours(links, pairs, n_lists):
    found = {v: set() for v in range(n_lists)}
    for e, (i, j) in enumerate(pairs):
        if links >> e & 1:
            found[i].add(j)
            found[j].add(i)
    return found


def is_chordal(graph):
    """Take away, as long as there is one, a vertex whose neighbours are all linked: nothing must remain."""
    graph = {v: set(others) for v, others in graph.items()}
    while graph:
        simplicial = [v for v, o in graph.items() if all(b in graph[a] for a, b in combinations(o, 2))]
        if not simplicial:
            return False
        for other in graph.pop(simplicial[0]):
            graph[other].discard(simplicial[0])
    return True


def components(graph, members):
    left, number = set(members), 0
    while left:
        number += 1
        reached = {left.pop()}
        while reached:
            near = graph[reached.pop()] & left
            left -= near
            reached |= near
    return number


def maximal_cliques(graph, n_lists):
    complete = [
        mask
        for mask in range(1, 1 << n_lists)
        if all(b in graph[a] for a, b in combinations([v for v in range(n_lists) if mask >> v & 1], 2))
    ]
    return {mask for mask in complete if not any(mask & other == mask != other for other in complete)}


@pytest.mark.parametrize("n_lists", [2, 3, 4, 5, 6])
def test_there_are_as_many_as_labelled_chordal_graphs(n_lists):
    graphs = decomposable_graphs(n_lists)
    assert len(graphs.links) == NUMBER_OF_GRAPHS[n_lists] == [2, 8, 61, 822, 18154][n_lists - 2]
    assert len(set(graphs.links.tolist())) == len(graphs.links)
    assert graphs.n_links[0] == 0
    assert graphs.n_links[-1] == n_lists * (n_lists - 1) // 2


@pytest.mark.parametrize("n_lists", [2, 3, 4, 5])
def test_every_graph_is_judged_as_by_taking_away_simplicial_vertices(n_lists):
    graphs = decomposable_graphs(n_lists)
    chordal = {
        links
        for links in range(1 << len(graphs.pairs))
        if is_chordal(neighbours(links, graphs.pairs, n_lists))
    }
    assert chordal == set(graphs.links.tolist())


@pytest.mark.parametrize("n_lists", [3, 4, 5])
def test_cliques_are_the_maximal_complete_sets(n_lists):
    graphs = decomposable_graphs(n_lists)
    for g, links in enumerate(graphs.links.tolist()):
        graph = neighbours(links, graphs.pairs, n_lists)
        assert set(graphs.cliques(g)) == maximal_cliques(graph, n_lists)


@pytest.mark.parametrize("n_lists", [2, 3, 4, 5])
def test_cliques_minus_separators_count_connected_components(n_lists):
    # For every set w of lists the signed count of the sets apart from w is minus the number of components of the graph
    # on w, and of all sets 0. These 2**t equations have one solution, so they fix the separators.
    graphs = decomposable_graphs(n_lists)
    masks = np.arange(1 << n_lists)
    apart = graphs.coefficients @ (masks[:, None] & masks == 0)
    for g, links in enumerate(graphs.links.tolist()):
        graph = neighbours(links, graphs.pairs, n_lists)
        expected = [-components(graph, [v for v in range(n_lists) if w >> v & 1]) for w in masks.tolist()]
        assert apart[g].tolist() == expected


def test_a_chain_of_cliques_by_hand():
    graphs = decomposable_graphs(4)
    chain = next(g for g in range(61) if graphs.notation(g) == "[12,23,34]")
    row = {mask: int(c) for mask, c in enumerate(graphs.coefficients[chain]) if c}
    assert row == {0b0011: 1, 0b0110: 1, 0b1100: 1, 0b0010: -1, 0b0100: -1, 0b0000: -1}


def test_a_cycle_of_four_is_no_decomposable_graph():
    graphs = decomposable_graphs(4)
    assert "[12,14,23,34]" not in {graphs.notation(g) for g in range(61)}


@pytest.mark.parametrize("n_lists", [0, 1, 7])
def test_too_few_and_too_many_lists_are_refused(n_lists):
    with pytest.raises(ValueError, match=f"2 to 6 lists; got {n_lists}"):
        decomposable_graphs(n_lists)


def test_what_is_shared_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        decomposable_graphs(3).links[0] = 1
