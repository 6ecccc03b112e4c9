"""What the benchmarks share: tables, designs, and one line that sets our figure beside its baseline."""

from collections.abc import Callable

import numpy as np
import pytest

from hiddenpop import datasets
from hiddenpop.model import HierarchicalModel, enumerate_models


@pytest.fixture(scope="session")
def dense_counts() -> Callable[[str], np.ndarray]:
    return lambda name: datasets.load(name).to_dense().astype(np.float64)


@pytest.fixture(scope="session")
def all_models() -> Callable[..., np.ndarray]:
    def collect(n_lists: int, max_order: int | None = None) -> np.ndarray:
        return np.concatenate(list(enumerate_models(n_lists, max_order=max_order)))

    return collect


@pytest.fixture(scope="session")
def dense_design() -> Callable[[int, int], np.ndarray]:
    """Explicit 0/1 design of a coded model on the observable cells, for the baseline."""

    def build(term_set: int, n_lists: int) -> np.ndarray:
        terms = np.array(HierarchicalModel.from_term_set(term_set, n_lists).terms)
        cells = np.arange(1, 1 << n_lists)
        return ((cells[:, None] & terms) == terms).astype(float)

    return build


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def write(line: str) -> None:
        with capsys.disabled():
            print(f"\n    {line}")

    return write
