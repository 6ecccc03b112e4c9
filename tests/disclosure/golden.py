"""The reference answers, as the numbers of a release."""

import json
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, kron

from hiddenpop.disclosure.linear import Need
from hiddenpop.disclosure.suppression import Numbers

GOLDEN = Path(__file__).parents[1] / "golden" / "disclosure"


def answers(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


def numbers(matrix, truth, primary, fixed, need) -> Numbers:
    values = matrix @ truth
    return Numbers(
        cells=tuple(f"cell {j}" for j in range(truth.size)),
        matrix=matrix,
        truth=truth,
        floor=np.zeros(truth.size),
        ceiling=np.full(truth.size, np.inf),
        cost=np.maximum(values, 1.0),
        primary=primary,
        fixed=fixed,
        need=need,
        low=np.full(values.size, -np.inf),
        high=np.full(values.size, np.inf),
    )


def linked(case) -> tuple[list[str], Numbers]:
    """Cells and the relations between them; the leaves are what no relation makes of others."""
    parts = {}
    for parent, children in case["relations"]:
        parts.setdefault(parent, children)
    names = list(case["cells"])
    leaves = [name for name in names if name not in parts]

    def row(name):
        if name in parts:
            return sum(row(child) for child in parts[name])
        return np.array(leaves) == name

    matrix = csr_array(np.array([np.asarray(row(name), dtype=float) for name in names]))
    truth = np.array([case["cells"][name] for name in leaves], dtype=float)
    size = len(names)
    if case["required_width"] is None:
        sides = [
            np.array([case[key].get(name, 0.0) for name in names], dtype=float)
            for key in ("lower_protection", "upper_protection")
        ]
        need = Need(down=sides[0], up=sides[1], width=np.zeros(size))
    else:
        need = Need.of_width(case["required_width"], size)
    primary = np.array([name in case["primaries"] for name in names])
    return names, numbers(matrix, truth, primary, np.zeros(size, dtype=bool), need)


def sums(shape, sizes, hierarchies) -> csr_array:
    """Give the cells of a table with all its margins as sums of inner cells."""
    dimensions = []
    for size, total, hierarchy in zip(shape, sizes, hierarchies, strict=True):
        codes = np.zeros((total, size))
        codes[:size] = np.eye(size)
        for parent, children in hierarchy:
            codes[parent] = codes[children].sum(axis=0)
        dimensions.append(csr_array(codes))
    return csr_array(reduce(lambda first, second: kron(first, second, format="csr"), dimensions))


def random_table(case) -> Numbers:
    matrix = sums(case["shape"], case["sizes"], case["hierarchies"])
    truth = np.array(case["leaves"], dtype=float)
    values = matrix @ truth
    primary = np.zeros(values.size, dtype=bool)
    primary[[np.ravel_multi_index(place, case["sizes"]) for place in case["primaries"]]] = True
    fixed = values == 0
    fixed[-1] = True
    return numbers(matrix, truth, primary, fixed, Need.of_width(case["width"], values.size))


def big_table(name: str) -> Numbers:
    counts = pd.read_csv(GOLDEN / name, index_col=0).to_numpy(dtype=float)
    province = np.repeat(np.arange(12), [34] * 4 + [33] * 8)
    places = [list(np.flatnonzero(province == p)) for p in range(12)]
    rows = [[400 + p, places[p]] for p in range(12)] + [[412, list(range(400))]]
    matrix = sums([400, 20], [413, 21], [rows, [[20, list(range(20))]]])
    values = matrix @ counts.ravel()
    fixed = values == 0
    fixed[-1] = True
    primary = (values > 0) & (values < 10)
    return numbers(matrix, counts.ravel(), primary, fixed, Need.of_width(10, values.size))
