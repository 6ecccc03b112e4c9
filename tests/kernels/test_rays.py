"""Cones by their extreme rays, against linear programmes and non-negative least squares."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, nnls
from tests.support.drawn import counts_by_history
from tests.support.plain import terms_of

from hiddenpop.kernels.poisson import faces
from hiddenpop.kernels.poisson.faces import MOST_DIMENSIONS, Cone, cone_below, null_space
from hiddenpop.kernels.poisson.plain import independent_terms, live_part, superset_sums
from hiddenpop.model import HierarchicalModel, enumerate_models

quick = settings(max_examples=200, deadline=None, derandomize=True)
ROUNDING = 1e-8


@st.composite
def rows_of(draw: Any) -> np.ndarray:
    """Few or many rows of small whole numbers, some of them 0, opposite to each other, or multiples."""
    k = draw(st.integers(1, MOST_DIMENSIONS))
    row = st.lists(st.integers(-3, 3), min_size=k, max_size=k)
    rows = np.array(draw(st.lists(row, max_size=7)), dtype=np.float64).reshape(-1, k)
    return rows * draw(st.sampled_from([1.0, 1e-3, 1e4]))


def generators(cone: Cone) -> np.ndarray:
    """Directions whose non-negative sums are the cone, one a row."""
    return np.vstack([cone.rays, cone.lines, -cone.lines])


def distinct(rays: np.ndarray) -> np.ndarray:
    """Rays each once; the same one may come from several pairs of rows, with other last digits."""
    same = np.triu(rays @ rays.T > 1.0 - ROUNDING, 1).any(axis=0)
    return np.asarray(rays[~same])


def largest(objective: np.ndarray, rows: np.ndarray) -> float:
    """Largest value of an objective over the directions of a cone within a box, by a linear programme."""
    done = linprog(
        -objective, A_ub=rows if len(rows) else None, b_ub=np.zeros(len(rows)) if len(rows) else None,
        bounds=(-1.0, 1.0), method="highs",
    )  # fmt: skip
    return float(-done.fun)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(rows_of(), st.integers(0, 10**6))
def test_a_direction_climbs_exactly_where_a_linear_programme_finds_one(rows: np.ndarray, seed: int) -> None:
    found = generators(cone_below(rows))
    objectives = np.random.default_rng(seed).integers(-3, 4, size=(6, rows.shape[1])).astype(np.float64)
    for objective in objectives:
        assert bool((found @ objective > ROUNDING).any()) == (largest(objective, rows) > ROUNDING)


@quick
@given(rows_of(), st.integers(0, 10**6))
def test_every_direction_of_the_cone_is_a_sum_of_rays_and_lines(rows: np.ndarray, seed: int) -> None:
    cone = cone_below(rows)
    found = generators(cone)
    scale = np.abs(rows).max(initial=1.0)
    assert (rows @ found.T <= ROUNDING * scale).all()
    assert (np.abs(rows @ cone.lines.T) <= ROUNDING * scale).all()
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(found)))
    drawn = np.random.default_rng(seed).normal(size=(30, rows.shape[1]))
    for direction in drawn[(rows @ drawn.T <= 0.0).all(axis=0)]:
        _, left = nnls(found.T, direction) if len(found) else (None, np.linalg.norm(direction))
        assert left < ROUNDING


@quick
@given(rows_of())
def test_no_ray_is_a_sum_of_the_others(rows: np.ndarray) -> None:
    cone = cone_below(rows)
    rays = distinct(cone.rays)
    for i, ray in enumerate(rays):
        others = np.vstack([np.delete(rays, i, axis=0), cone.lines, -cone.lines])
        _, left = nnls(others.T, ray) if len(others) else (None, 1.0)
        assert left > 1e-6


def test_cones_that_are_known() -> None:
    assert cone_below(np.zeros((0, 2))).lines.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert cone_below(np.zeros((3, 2))).lines.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    half = cone_below(np.array([[2.0, 0.0]]))
    assert half.rays.tolist() == [[-1.0, 0.0]]
    assert np.abs(half.lines).tolist() == [[0.0, 1.0]]
    plane = cone_below(np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]))
    assert (len(plane.rays), len(plane.lines)) == (0, 2)
    point = cone_below(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
    assert (len(point.rays), len(point.lines)) == (0, 0)
    corner = cone_below(-np.eye(3))
    assert sorted(distinct(corner.rays).round(9).tolist()) == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


@quick
@given(st.integers(0, 9), st.integers(1, 6), st.integers(0, 6), st.integers(0, 10**6))
def test_a_null_space_is_that_of_scipy(n_rows: int, n_columns: int, rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rank = min(rank, n_rows, n_columns)
    matrix = rng.normal(size=(n_rows, rank)) @ rng.normal(size=(rank, n_columns))
    ours = null_space(matrix, n_columns - rank)
    assert ours.T @ ours == pytest.approx(np.eye(n_columns - rank), abs=1e-12)
    assert np.abs(matrix @ ours).max(initial=0.0) < 1e-12
    if n_rows:
        theirs = scipy.linalg.null_space(matrix, rcond=1e-9)
        assert ours @ ours.T == pytest.approx(theirs @ theirs.T, abs=1e-9)


SPACES = {t: np.concatenate(list(enumerate_models(t))).tolist() for t in (2, 3, 4)}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(counts_by_history(), st.data())
def test_faces_and_directions_by_rays_are_those_of_linear_programmes(
    table: tuple[int, np.ndarray], data: Any
) -> None:
    n_lists, counts = table
    model = HierarchicalModel.from_term_set(data.draw(st.sampled_from(SPACES[n_lists])), n_lists)
    terms = terms_of(model)
    alive, live = live_part(superset_sums(counts, n_lists), terms)
    active, cells = terms[alive], np.flatnonzero(live)[1:]
    positive = counts[cells] > 0
    free = int((~independent_terms(cells[positive], active)).sum())
    assume(0 < free <= MOST_DIMENSIONS)
    design = faces.lattice_design(cells, active)
    on_face = faces.facial_set(design, positive)
    assert faces._facial_set_by_rays(design, positive, free).tolist() == on_face.tolist()
    independent = independent_terms(cells[on_face], active)
    if not independent[-1] and independent_terms(cells, active)[-1]:
        left = len(active) - int(independent.sum())
        by_programme = faces.direction_of_dark_figure(design, on_face, intercept=len(active) - 1)
        assert faces._direction_by_rays(design, on_face, left) == by_programme
