"""An attack written apart from the audit: what follows from what is shown, by programmes of its own."""

import itertools

import numpy as np
from scipy.optimize import linprog


def linear_interval(shown, values, target, ends=None):
    """Smallest and largest value of a sum of cells, given sums shown, by two programmes with no step before them."""
    bounds = (0, None) if ends is None else ends
    found = []
    for sign in (1, -1):
        answer = linprog(
            sign * np.asarray(target, dtype=float), A_eq=shown, b_eq=values, bounds=bounds, method="highs-ipm"
        )
        assert answer.status in {0, 3}, answer.message
        found.append(sign * np.inf * -1 if answer.status == 3 else sign * answer.fun)
    return tuple(found)


def all_tables(shown, values, top):
    """Every table of whole numbers up to `top` that agrees with the sums shown, cell by cell."""
    shown, values = np.asarray(shown), np.asarray(values)
    found = [()]
    for j in range(shown.shape[1]):
        left = shown[:, j + 1 :].sum(axis=1) * top
        longer = []
        for table, count in itertools.product(found, range(top + 1)):
            sums = shown[:, : j + 1] @ np.array([*table, count])
            if (sums <= values).all() and (sums + left >= values).all():
                longer.append((*table, count))
        found = longer
    return np.array(found)
