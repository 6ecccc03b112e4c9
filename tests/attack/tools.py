"""What somebody outside has: the files of a release, the formulas of the estimators, and time. Nothing of the audit."""

import itertools
import json
import math

import numpy as np
import pandas as pd
from scipy.optimize import linprog

THRESHOLD, VALUES, RANGE = 10, 5, 5


def read_release(folder):
    """Read every table as text, and what the marks say."""
    about = json.loads((folder / "release.json").read_text())
    assert not about["unprotected"]
    frames = {path.stem: pd.read_csv(path, dtype=str, keep_default_na=False) for path in folder.glob("*.csv")}
    return frames, about["rules"]


def ends(shown, rules, *, rounded):
    """Say between which counts a number or a mark is."""
    if shown == ".":
        return (float(rules["threshold"]) if rules["marks"] == "small" else 1.0), math.inf
    if shown.startswith("<"):
        return 1.0, float(shown[1:]) - 1
    value = float(shown)
    if rounded and value:
        possible = [
            n
            for n in range(max(rules["threshold"], int(value) - 10), int(value) + 11)
            if math.floor(n / rules["rounding"] + 0.5) * rules["rounding"] == value
        ]
        return float(min(possible)), float(max(possible))
    return value, value


class Facts:
    """Sums of cells, each between two ends."""

    def __init__(self, size):
        self.rows, self.low, self.high, self.size = [], [], [], size

    def add(self, row, low, high):
        self.rows.append(np.asarray(row, dtype=float))
        self.low.append(low)
        self.high.append(high)

    @property
    def matrix(self):
        return np.array(self.rows).reshape(len(self.rows), self.size)

    def agrees(self, table):
        sums = self.matrix @ table
        return bool(
            (sums >= np.array(self.low) - 1e-9).all()
            and (sums <= np.array(self.high) + 1e-9).all()
            and (np.asarray(table) >= 0).all()
        )

    def interval(self, target):
        """Smallest and largest value of a sum of cells, by two programmes with no step before them."""
        rows, low, high = self.matrix, np.array(self.low), np.array(self.high)
        some = np.isfinite(high)
        found = []
        for sign in (1, -1):
            answer = linprog(
                sign * np.asarray(target, dtype=float),
                A_ub=np.concatenate([-rows, rows[some]]),
                b_ub=np.concatenate([-low, high[some]]),
                bounds=(0, None),
                method="highs-ipm",
            )
            assert answer.status in {0, 3}, answer.message
            found.append(-sign * math.inf if answer.status == 3 else sign * answer.fun)
        return found

    def all_tables(self, most=100_000):
        """Every table of whole numbers that agrees; None where there are more than `most`."""
        rows, low, high = self.matrix, np.array(self.low), np.array(self.high)
        tops = [self.interval(np.eye(self.size)[j]) for j in range(self.size)]
        if not np.isfinite(tops).all():
            return None
        ranges = [range(max(0, math.ceil(first - 1e-6)), math.floor(last + 1e-6) + 1) for first, last in tops]
        found = [()]
        for j, values in enumerate(ranges):
            rest = np.array([[each[0], each[-1]] for each in ranges[j + 1 :]]).reshape(-1, 2)
            least, most_left = rows[:, j + 1 :] @ rest[:, 0], rows[:, j + 1 :] @ rest[:, 1]
            longer = []
            for table, count in itertools.product(found, values):
                sums = rows[:, : j + 1] @ np.array([*table, count])
                if (sums + least <= high + 1e-9).all() and (sums + most_left >= low - 1e-9).all():
                    longer.append((*table, count))
                    if len(longer) > most:
                        return None
            found = longer
        return np.array(found, dtype=float)


def facts_of(frame, cells, rules, *, value="count", rounded=False, kept=None):
    """Read a table of counts: a column a dimension, "total" where it adds up; `kept` tells whom it is about."""
    facts = Facts(len(cells))
    dimensions = [name for name in frame.columns if name != value]
    for row in frame.to_dict("records"):
        inside = np.ones(len(cells), dtype=bool) if kept is None else kept.copy()
        for name in dimensions:
            if row[name] != "total":
                inside &= cells[name].astype(str).to_numpy() == row[name]
        facts.add(inside, *ends(row[value], rules, rounded=rounded))
    return facts


def floor_facts(frame, cells, rules, lists):
    """Read the number observed and the sizes of lists of an estimate."""
    facts = Facts(len(cells))
    for row in frame.to_dict("records"):
        inside = (
            np.ones(len(cells))
            if row["number"] == "n_observed"
            else cells[row["number"]].to_numpy(dtype=float)
        )
        facts.add(inside, *ends(row["count"], rules, rounded=True))
    assert set(frame["number"]) == {"n_observed", *lists}
    return facts


def joined(*many):
    facts = Facts(many[0].size)
    for one in many:
        for row, low, high in zip(one.rows, one.low, one.high, strict=True):
            facts.add(row, low, high)
    return facts


# --- the estimators, by their formulas -------------------------------------------------------------------------------


def chapman(counts, cells, lists):
    """Two lists; the interval is log-normal for the persons on neither."""
    first, second = (cells[name].to_numpy(dtype=float) for name in lists[:2])
    n1, n2, m = counts @ first, counts @ second, counts @ (first * second)
    n_hat = (n1 + 1) * (n2 + 1) / (m + 1) - 1
    variance = (n1 + 1) * (n2 + 1) * (n1 - m) * (n2 - m) / ((m + 1) ** 2 * (m + 2))
    return _with_limits(n_hat, variance, n1 + n2 - m)


def chao(counts, cells, lists):
    """The lower bound from those seen once and twice, in its form without division by zero."""
    times = cells[list(lists)].to_numpy(dtype=float).sum(axis=1)
    n, once, twice = counts.sum(), counts[times == 1].sum(), counts[times == 2].sum()
    hidden = once * (once - 1) / (2 * (twice + 1))
    variance = hidden + hidden**2 * (1 / max(once, 1) + 1 / (twice + 1)) * 4
    return _with_limits(n + hidden, variance, n)


def _with_limits(n_hat, variance, n):
    hidden = n_hat - n
    if hidden <= 0:
        return ["boundary", float(n), float(n), float(n)]
    spread = math.exp(1.96 * math.sqrt(math.log1p(variance / hidden**2)))
    return ["ok", float(n_hat), float(n + hidden / spread), float(n + hidden * spread)]


ESTIMATORS = {"chapman": chapman, "chao": chao}


def two_digits(value):
    """Print as the rules of the floor say: two digits, never finer than 10, halves up."""
    size = math.floor(math.log10(max(abs(value), 10.0)))
    step = max(10.0, 10.0 ** (size - 1))
    return math.floor(value / step + 0.5) * step


def one_digit(value):
    size = math.floor(math.log10(max(abs(value), 10.0)))
    step = max(10.0, 10.0**size)
    return math.floor(value / step + 0.5) * step


def on_a_grid(value):
    power = 10.0 ** math.floor(math.log10(max(value, 10.0)))
    steps = ([0.0] if value < power else []) + [power * k for k in (1, 2, 5, 10)]
    low = max(step for step in steps if step <= value)
    return f"between {low:,.10g} and {min(step for step in steps if step > value):,.10g}"


def ways_to_print(answers, shown, least=0.0):
    """Tell in which of the known ways answers print as what is shown; no number below `least` is shown."""
    ways = {"two digits": two_digits, "one digit": one_digit, "grid": on_a_grid}
    found = set()
    for name, way in ways.items():
        printed = [one if isinstance(one, str) else way(one) for one in answers]
        printed = [one if isinstance(one, str) else max(one, least) for one in printed]
        same = [
            one == text if isinstance(one, str) else _same(text, one)
            for one, text in zip(printed, shown, strict=True)
        ]
        if all(same):
            found.add(name)
    return found


def _same(text, number):
    try:
        return float(text) == number
    except ValueError:
        return False
