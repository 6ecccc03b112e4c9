import numpy as np
import pytest
from scipy.sparse import csr_array
from tests.disclosure.golden import answers, sums

from hiddenpop.disclosure.rounding import controlled_rounding, conventional_rounding
from hiddenpop.errors import SettingError

CASES = answers("controlled_rounding")["tables"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_least_change(case):
    matrix = sums(case["shape"], case["sizes"], case["hierarchies"])
    cells = np.array(case["leaves"], dtype=float)
    found = controlled_rounding(matrix, cells, case["base"])
    values = matrix @ cells
    assert found.optimal
    assert found.change == pytest.approx(case["least_total_change"])
    assert (found.numbers == matrix @ found.cells).all()
    assert (found.numbers % case["base"] == 0).all()
    assert (np.abs(found.numbers - values) < case["base"]).all()
    assert np.abs(matrix @ np.array(case["one_rounding_of_leaves"]) - values).sum() == found.change
    alone = conventional_rounding(values, case["base"])
    additive = bool((alone == matrix @ conventional_rounding(cells, case["base"])).all())
    assert additive == case["conventional_additive"]


def test_four_hundred_by_twenty_adds_up():
    rng = np.random.default_rng(3)
    counts = rng.poisson(12, size=8000).astype(float)
    matrix = sums([400, 20], [401, 21], [[[400, list(range(400))]], [[20, list(range(20))]]])
    found = controlled_rounding(matrix, counts, 5)
    assert (np.abs(found.numbers - matrix @ counts) < 5).all()
    assert (found.numbers == matrix @ found.cells).all()


def test_a_table_without_such_a_rounding():
    """Three pairs of cells with odd sums, each of which must stay as it is."""
    matrix = csr_array(np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, 1]]))
    with pytest.raises(SettingError, match="3 numbers cannot be rounded to base 2 so that they add up"):
        controlled_rounding(matrix, np.array([1.0, 1.0, 1.0]), 2)
