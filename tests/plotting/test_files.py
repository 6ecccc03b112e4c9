"""Figures in files: whole or not at all."""

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import hiddenpop as hp
from hiddenpop.errors import SettingError, TableError
from hiddenpop.plotting import overlap_plot, save_figure

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture
def figure(ax: Axes) -> Figure:
    figure = overlap_plot(hp.datasets.load("korea"), ax=ax).figure
    assert isinstance(figure, Figure)
    return figure


@pytest.mark.parametrize("suffix", [*MAGIC, ".PNG"])
def test_suffix_says_the_format(figure: Figure, tmp_path: Path, suffix: str) -> None:
    written = save_figure(figure, tmp_path / f"figure{suffix}")
    assert written.read_bytes().startswith(MAGIC[suffix.lower()])
    assert list(tmp_path.iterdir()) == [written]


@pytest.mark.parametrize("suffix", list(MAGIC))
def test_equal_figures_give_equal_bytes(tmp_path: Path, suffix: str) -> None:
    def drawn(name: str) -> bytes:
        ax = Figure().add_subplot()
        overlap_plot(hp.datasets.load("korea"), ax=ax)
        return save_figure(ax.figure, tmp_path / f"{name}{suffix}").read_bytes()

    assert drawn("one") == drawn("two")


@pytest.mark.parametrize("name", ["figure.jpg", "figure"])
def test_unknown_suffix_is_refused(figure: Figure, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match=r"its suffix is '(\.jpg)?'; choose \.png, \.svg, \.pdf"):
        save_figure(figure, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_missing_folder_is_one_clear_line(figure: Figure, tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match=r"cannot write the figure .*absent.*: No such file or directory; choose"
    ):
        save_figure(figure, tmp_path / "absent" / "figure.png")


def test_a_folder_that_is_a_file_is_one_clear_line(figure: Figure, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match="Not a directory; choose a folder you can write"):
        save_figure(figure, tmp_path / "file" / "figure.png")


def test_a_failed_write_leaves_the_old_file_and_no_draft(
    figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "figure.png"
    target.write_bytes(b"old")

    def fail(self: Figure, path: Path, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(TableError, match="No space left on device"):
        save_figure(figure, target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
