import numpy as np
import pytest
from scipy.optimize import nnls

from hiddenpop.kernels.poisson.dense import Examined, free_at_maximum


def least_squares(matrix: np.ndarray, target: np.ndarray):
    """Examine least squares with some coefficients free and the others 0."""

    def examine(free: frozenset[int]) -> Examined[np.ndarray]:
        at = sorted(free)
        x = np.zeros(matrix.shape[1])
        if at:
            x[at] = np.linalg.lstsq(matrix[:, at], target, rcond=None)[0]
        score = matrix.T @ (target - matrix @ x)
        negative = frozenset(i for i in at if x[i] < 0.0)
        wanted = frozenset(i for i in range(len(x)) if i not in free and score[i] > 1e-9)
        return Examined(x, float(np.sum((target - matrix @ x) ** 2)), negative, wanted)

    return examine


@pytest.mark.parametrize("seed", range(40))
def test_it_ends_where_non_negative_least_squares_ends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = int(rng.integers(1, 8))
    matrix, target = rng.normal(size=(12, p)) + rng.normal(size=(12, 1)), rng.normal(size=12)
    start = [i for i in range(p) if rng.random() < 0.5]
    free, x = free_at_maximum(range(p), start, least_squares(matrix, target))
    exact, _ = nnls(matrix, target)
    assert x == pytest.approx(exact, abs=1e-9)
    assert free >= set(np.flatnonzero(exact > 1e-9))


def test_a_search_that_goes_round_looks_through_all_sets() -> None:
    # Whatever is turned leads back, but one set is right.
    right = frozenset({0, 2})
    seen = []

    def examine(free: frozenset[int]) -> Examined[str]:
        seen.append(free)
        if free == right:
            return Examined("right", 1.0, frozenset(), frozenset())
        turned = {1} if free <= {1} else free
        return Examined("wrong", 2.0, frozenset(turned & free), frozenset(turned - free))

    assert free_at_maximum(range(3), [], examine) == (right, "right")
    assert len(seen) == len(set(seen))


def test_where_rounding_leaves_no_set_right_the_best_without_a_negative_one_is_taken() -> None:
    deviances = {frozenset(): 5.0, frozenset({0}): 3.0, frozenset({1}): 4.0, frozenset({0, 1}): 2.0}

    def examine(free: frozenset[int]) -> Examined[float]:
        below = frozenset({1}) if free == {0, 1} else frozenset()
        return Examined(deviances[free], deviances[free], below, frozenset({0, 1}) - free)

    assert free_at_maximum([0, 1], [0, 1], examine) == (frozenset({0}), 3.0)
