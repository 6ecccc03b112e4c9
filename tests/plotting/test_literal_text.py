"""Names in figures are shown as they were typed, whatever they hold."""

import io

import pandas as pd
import pytest
from matplotlib.text import Text

import hiddenpop as hp

ROWS = [(1, 0, 0, 40), (0, 1, 0, 30), (1, 1, 0, 12), (0, 0, 1, 20), (1, 0, 1, 11)]


def drawn_texts(*names):
    table = hp.CaptureTable.from_counts(pd.DataFrame(ROWS, columns=[*names, "count"]), name=names[0])
    ax = table.plot()
    ax.figure.savefig(io.BytesIO(), format="png")
    return [text.get_text() for text in ax.figure.findobj(Text)]


@pytest.mark.parametrize("name", [r"$\frac$", "a $x$ b", "$", "5$"])
def test_dollar_signs_are_no_mathematics(name):
    assert name.replace("$", r"\$") in drawn_texts(name, "b", "c")  # Matplotlib draws an escaped one as it is


def test_signs_without_a_glyph_are_boxes_and_endless_names_are_shortened():
    texts = drawn_texts("\u65e5 police", "b" * 200, "c")
    assert "\u25a1 police" in texts
    assert max(len(line) for text in texts for line in text.split("\n")) < 130
