"""Exact verdicts on the dark figure, in rational arithmetic and with certificates that are checked on the way.

The directions in which the log-likelihood does not fall are the cone ``C = {d : A_w d = 0 where people were seen,
A_w d <= 0 at the empty observable cells}``. With ``d_0`` the coordinate of the intercept, the dark figure is fixed
when ``d_0 = 0`` on all of C, climbs to infinity when ``d_0 >= 0`` on C and not 0, falls to 0 when ``d_0 <= 0`` and
not 0, and is not identified when C holds both signs. No facial set, no removal of empty margins, no tolerance.

By Farkas' lemma ``d_0 <= 0`` on C exactly when the row of the unobserved cell is a non-negative combination of the
rows of the empty cells plus any combination of the others: one question of membership in a cone, answered by
simplex phase 1 with Bland's rule on fractions. The null space of the rows with people makes it a small one.
"""

from fractions import Fraction

Vector = list[Fraction]
Matrix = list[Vector]


def design_row(cell, terms):
    return [Fraction(int(cell & term == term)) for term in terms]


def reduced_echelon(rows):
    """Row-reduce; return (rows with a pivot, the pivot columns)."""
    rows = [list(row) for row in rows]
    n_columns = len(rows[0]) if rows else 0
    done, pivots = 0, []
    for column in range(n_columns):
        found = next((i for i in range(done, len(rows)) if rows[i][column]), None)
        if found is None:
            continue
        rows[done], rows[found] = rows[found], rows[done]
        head = rows[done][column]
        rows[done] = [value / head for value in rows[done]]
        for i, row in enumerate(rows):
            if i != done and row[column]:
                factor = row[column]
                rows[i] = [a - factor * b for a, b in zip(row, rows[done], strict=True)]
        pivots.append(column)
        done += 1
    return rows[:done], pivots


def null_space(rows, n_columns):
    """Basis of ``{d : row . d = 0 for every row}``, one vector a free column."""
    echelon, pivots = reduced_echelon(rows)
    basis = []
    for free in (column for column in range(n_columns) if column not in pivots):
        vector = [Fraction(0)] * n_columns
        vector[free] = Fraction(1)
        for row, pivot in zip(echelon, pivots, strict=True):
            vector[pivot] = -row[free]
        basis.append(vector)
    return basis


def dot(a, b):
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def in_cone(generators, target):
    """Whether `target` is a non-negative combination of `generators`; the answer is proved before it is given."""
    weights, separator = _phase_one(generators, target)
    if separator is None:
        assert all(weight >= 0 for weight in weights)
        combined = (
            [dot(weights, column) for column in zip(*generators, strict=True)]
            if generators
            else [0] * len(target)
        )
        assert combined == target
        return True
    assert all(dot(generator, separator) <= 0 for generator in generators)
    assert dot(target, separator) > 0
    return False


def _phase_one(generators, target):
    """Find weights, or a vector with no positive product with a generator and a positive one with the target."""
    q, m = len(target), len(generators)
    signs = [-1 if value < 0 else 1 for value in target]
    table = [
        [signs[i] * generator[i] for generator in generators]
        + [Fraction(int(i == j)) for j in range(q)]
        + [signs[i] * target[i]]
        for i in range(q)
    ]
    costs = [-sum((row[j] for row in table), Fraction(0)) for j in range(m)] + [Fraction(0)] * q
    costs.append(-sum((row[-1] for row in table), Fraction(0)))
    basis = list(range(m, m + q))
    while (entering := next((j for j in range(m + q) if costs[j] < 0), None)) is not None:
        ratios = [(row[-1] / row[entering], basis[i], i) for i, row in enumerate(table) if row[entering] > 0]
        leaving = min(ratios)[2]
        _pivot(table, costs, leaving, entering)
        basis[leaving] = entering
    if costs[-1] < 0:
        return None, [signs[i] * (1 - costs[m + i]) for i in range(q)]
    weights = [Fraction(0)] * m
    for row, column in zip(table, basis, strict=True):
        if column < m:
            weights[column] = row[-1]
    return weights, None


def _pivot(table, costs, leaving, entering):
    head = table[leaving][entering]
    table[leaving] = pivot_row = [value / head for value in table[leaving]]
    for i, row in enumerate(table):
        if i != leaving and row[entering]:
            factor = row[entering]
            table[i] = [a - factor * b for a, b in zip(row, pivot_row, strict=True)]
    factor = costs[entering]
    costs[:] = [a - factor * b for a, b in zip(costs, pivot_row, strict=True)]


class AscentCone:
    """The cone of directions in which the likelihood of one model on one table does not fall.

    `cells` restricts the likelihood to some of the observable cells, `terms` must hold 0, the intercept.
    """

    def __init__(self, counts, terms, cells=None):
        self.terms = [int(term) for term in terms]
        self.cells = list(range(1, len(counts))) if cells is None else [int(w) for w in cells]
        self.positive = [w for w in self.cells if counts[w] > 0]
        self.empty = [w for w in self.cells if not counts[w] > 0]
        self.basis = null_space([design_row(w, self.terms) for w in self.positive], len(self.terms))
        self.walls = [self._reduced(w) for w in self.empty]

    def _reduced(self, cell):
        row = design_row(cell, self.terms)
        return [dot(row, vector) for vector in self.basis]

    def ascends(self, cell, sign):
        """Whether some direction of the cone moves the linear predictor of `cell` in the direction `sign`."""
        target = [sign * value for value in self._reduced(cell)]
        return not in_cone(self.walls, target)

    def status(self):
        return {
            (False, False): "ok",
            (True, False): "unbounded",
            (False, True): "boundary",
            (True, True): "not_identified",
        }[self.ascends(0, 1), self.ascends(0, -1)]

    def face(self):
        """Observable cells whose fitted mean is positive."""
        return sorted(self.positive + [w for w in self.empty if not self.ascends(w, -1)])

    def is_a_point(self):
        """Whether the cone is {0}: the maximum is attained and unique."""
        whole = [[Fraction(int(i == j)) for j in range(len(self.basis))] for i in range(len(self.basis))]
        return all(in_cone(self.walls, [sign * x for x in unit]) for unit in whole for sign in (1, -1))


def exact_status(counts, terms):
    return AscentCone(counts, terms).status()


def exact_face(counts, terms):
    return AscentCone(counts, terms).face()


def exact_existence(counts, terms):
    """The existence test of the literature: take out empty margins and the cells above them, then ask for a maximum."""
    size = len(counts)
    margins = {t: sum(counts[w] for w in range(1, size) if w & t == t) for t in map(int, terms)}
    dead = [t for t in margins if t and margins[t] == 0]
    live_cells = [w for w in range(1, size) if not any(w & t == t for t in dead)]
    return AscentCone(counts, [t for t in margins if t not in dead], live_cells).is_a_point()


def exact_pivots(cells, terms):
    """Which columns of the design are independent of those before them."""
    rows = [design_row(int(w), [int(t) for t in terms]) for w in cells]
    if not rows:
        return [False] * len(terms)
    _, pivots = reduced_echelon(rows)
    return [column in pivots for column in range(len(terms))]
