"""Plots are drawn without a screen, and every figure is closed."""

from collections.abc import Iterator

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Draw without a screen, and fail a test that changes a setting of matplotlib."""
    mpl.use("agg")
    before = dict(mpl.rcParams)
    yield
    from matplotlib import pyplot as plt

    plt.close("all")
    assert dict(mpl.rcParams) == before


@pytest.fixture
def ax() -> Axes:
    return Figure(figsize=(8, 5), layout="constrained").add_subplot()
