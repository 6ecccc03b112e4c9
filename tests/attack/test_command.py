"""What `estimate` and `compare` write of a private table, read by somebody who knows the formula of the estimator."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hiddenpop as hp
from hiddenpop.cli import main
from hiddenpop.result import Estimate

from .tools import ways_to_print

LISTS = ("police", "shelter", "health")
HISTORIES = [(1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)]
ON = np.array(HISTORIES)
THRESHOLD, VALUES, RANGE = 10, 5, 5
FITTED = 400
"""Tables that are fitted at most, after the closed form has left those with another size out."""

SETTINGS = {"independence": "independence", "pairs": "[12,13,23]"}


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))


def a_table(seed: int) -> np.ndarray:
    """Draw seven cells, some of them small, none of them empty."""
    rng = np.random.default_rng(seed)
    return 1 + rng.poisson(rng.choice([2.0, 5.0, 30.0, 120.0], size=7))


def a_file(counts: np.ndarray, folder: Path) -> str:
    rows = [",".join(map(str, (*bits, n))) for bits, n in zip(HISTORIES, counts, strict=True)]
    path = folder / "mine.csv"
    path.write_text("\n".join([",".join((*LISTS, "count")), *rows]))
    return str(path)


def asked(
    counts: np.ndarray, model: str, folder: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> Any:
    command = [
        "estimate",
        a_file(counts, folder),
        "--estimator",
        "loglinear",
        "--set",
        f"model={model}",
        "--json",
    ]
    assert main([*command, *options]) == 0
    return json.loads(capsys.readouterr().out)


KEEP_LISTS = np.array(
    [(-1, -1, 1, 0, 0, 0, 0), (-1, 0, 0, -1, 1, 0, 0), (0, -1, 0, -1, 0, 1, 0), (-1, -1, 0, -1, 0, 0, 1)]
)
"""Moves that leave the size of every list as it is: somebody on two or three in place of persons on each alone."""


def near(counts: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw tables around one: moves that keep the lists, and a few cells other by a little."""
    moves = rng.integers(-9, 10, size=(size, 4)) @ KEEP_LISTS
    little = rng.integers(-2, 3, size=(size, 7)) * (rng.random((size, 7)) < 0.5)
    found = counts + moves + little
    return found[(found >= 0).all(axis=1)]


def with_shown_sums(tables: np.ndarray, content: Any) -> np.ndarray:
    """Keep tables whose number of persons and sizes of lists round to what is shown."""
    sums = np.column_stack([tables.sum(axis=1), tables @ ON])
    shown = [content["n_observed"], *(content["lists"][name] for name in LISTS)]
    held = np.ones(len(tables), dtype=bool)
    for at, one in enumerate(shown):
        if isinstance(one, str):
            held &= (sums[:, at] < THRESHOLD) if one.startswith("<") else True
        else:
            held &= np.abs(sums[:, at] - one) <= (2.5 if at or content.get("rules") else 0.0)
    return tables[held]


def size_by_formula(table: np.ndarray, model: str) -> float:
    """Give N of all pairs in closed form, and of independence by bisection of its equation."""
    n = float(table.sum())
    if model != "independence":
        odd, even = table[[0, 1, 3, 6]].astype(float), table[[2, 4, 5]].astype(float)
        return n + odd.prod() / even.prod() if even.all() else math.inf
    sizes = (table @ ON).astype(float)

    def gap(size: float) -> float:
        return size * float(np.prod(1.0 - sizes / size)) - (size - n)

    low, high = n + 1e-9, n * 1e6
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if gap(middle) > 0 else (low, middle)
    return low


def fitted(table: np.ndarray, model: str) -> list[Any]:
    frame = {name: ON[:, at] for at, name in enumerate(LISTS)} | {"count": table}
    found = hp.LogLinear(model=model).fit(hp.CaptureTable.from_counts(hp_frame(frame)))
    return [found.status, found.n_hat, found.interval.low, found.interval.high]


def hp_frame(columns: dict[str, Any]) -> Any:
    import pandas as pd

    frame = pd.DataFrame(columns)
    return frame[frame["count"] > 0]


def prints_as(answers: list[Any], shown: list[Any], least: float) -> bool:
    """Tell whether answers are printed as what is shown; a limit without end is shown as nothing."""
    endless = [isinstance(one, float) and math.isinf(one) for one in answers]
    if any(one != (text is None) for one, text in zip(endless, shown, strict=True)):
        return False
    finite = [(one, str(text)) for one, text, end in zip(answers, shown, endless, strict=True) if not end]
    return bool(ways_to_print(*map(list, zip(*finite, strict=True)), least)) if finite else True


def open_cells(counts: np.ndarray, content: Any, model: str, *, exact: bool) -> tuple[int, int]:
    """Count the small cells, and those of which enough values agree with everything shown."""
    rng = np.random.default_rng(7)
    one = content if exact else content["estimates"][0]
    tables = np.unique(np.vstack([counts, near(counts, rng, 300_000)]), axis=0)
    if exact:
        tables = tables[tables.sum(axis=1) == one["n_observed"]]
    else:
        tables = with_shown_sums(tables, one | {"rules": content["rules"]})
    shown = [one["status"], *(one["n_hat"], one["interval"]["low"], one["interval"]["high"])]
    small = [at for at in range(7) if 0 < counts[at] < THRESHOLD]
    least = 0.0 if isinstance(one["n_observed"], str) else float(one["n_observed"])
    values: dict[int, set[int]] = {at: set() for at in small}
    tried = 0
    for table in tables[rng.permutation(len(tables))]:
        if all(len(found) >= 10 for found in values.values()) or tried >= FITTED:
            break
        size = size_by_formula(table, model)
        if exact:
            agrees = math.isclose(size, one["n_hat"], rel_tol=1e-9)
        elif shown[1] == ".":
            agrees = True
        else:
            agrees = prints_as([size], shown[1:2], least)
            if agrees:
                tried += 1
                agrees = prints_as(fitted(table, model), shown, least)
        if agrees:
            for at in small:
                values[at].add(int(table[at]))
    held = [len(found) >= VALUES and max(found) - min(found) >= RANGE for found in values.values()]
    return len(small), sum(held)


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
@pytest.mark.parametrize("model", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 60))]
)
def test_no_small_count_follows_from_an_estimate(
    seed: int, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = a_table(seed)
    content = asked(counts, model, tmp_path, capsys)
    assert content["released"]
    n_small, n_open = open_cells(counts, content, model, exact=False)
    assert n_open == n_small


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
def test_the_attack_finds_small_counts_where_all_digits_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, told = SETTINGS["pairs"], 0
    for seed in range(4):
        counts = a_table(seed)
        content = asked(counts, model, tmp_path, capsys, "--show-small-counts")
        n_small, n_open = open_cells(counts, content, model, exact=True)
        told += n_small - n_open
    assert told >= 3


# --- files and figures: nothing of an estimate is written past the release ------------------------------------------


COMMANDS = {
    "one": ["estimate", "TABLE", "--estimator", "selected"],
    "side by side": ["compare", "TABLE", "loglinear", "chao"],
}


def numbers_in(content: Any) -> set[float]:
    """Give every number in plain data, those in its texts included."""
    if isinstance(content, dict):
        return set().union(*map(numbers_in, content.values()), set())
    if isinstance(content, list):
        return set().union(*map(numbers_in, content), set())
    if isinstance(content, str):
        return {float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", content)}
    return {float(content)} if isinstance(content, int | float) else set()


def places_of(figure: Any) -> set[float]:
    """Give where along the axis of persons something is drawn; the ends of the axis apart."""
    (ax, *_) = figure.axes
    ends = set(ax.get_xlim())
    found = {float(x) for line in ax.lines for x in np.asarray(line.get_xdata(), dtype=float)}
    found |= {float(x) for some in ax.collections for path in some.get_paths() for x in path.vertices[:, 0]}
    return found - ends


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    from hiddenpop import plotting

    kept: list[Any] = []
    monkeypatch.setattr(plotting, "save_figure", lambda figure, path, **options: kept.append(figure))
    return kept


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_figure_holds_no_number_that_the_json_does_not(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], figures: list[Any]
) -> None:
    words = [a_file(a_table(1), tmp_path) if word == "TABLE" else word for word in command]
    plot = ["--plot", str(tmp_path / "figure.svg"), "--json"]
    assert main([*words, *plot]) == 0
    content = json.loads(capsys.readouterr().out)
    known = numbers_in(content["estimates"])
    (figure,) = figures
    assert places_of(figure)
    assert places_of(figure) <= known
    assert numbers_in([label.get_text() for label in figure.axes[0].get_yticklabels()]) <= known
    assert main([*words, *plot, "--show-small-counts"]) == 0
    assert places_of(figures[1]) - known  # a figure of the whole estimate is found out


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_nothing_writes_an_estimate_past_the_release(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [a_file(a_table(1), tmp_path) if word == "TABLE" else word for word in command]
    words += ["--json", "--plot", str(tmp_path / "figure.svg")]
    past: list[str] = []

    def watch(owner: Any, name: str) -> None:
        done = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: past.append(name) or done(*a, **k))

    from hiddenpop import plotting

    for name in ("to_dict", "to_frame", "_repr_html_"):
        watch(Estimate, name)
    for name in plotting.__all__:
        if name != "save_figure":
            watch(plotting, name)
    assert main(words) == 0
    assert past == []
    assert main([*words, "--show-small-counts"]) == 0
    assert {"to_dict", "forest_plot"} <= set(past)


def test_draws_of_a_private_table_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "draws.parquet"
    words = ["estimate", a_file(a_table(1), tmp_path), "--estimator", "decomposable", "--draws", str(path)]
    assert main(words) == 2
    assert "draws tell of every count behind them" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_everything_in_full_goes_to_a_marked_file_that_its_owner_alone_can_read(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "full.json"
    counts = a_table(1)
    words = [a_file(counts, tmp_path) if word == "TABLE" else word for word in command]
    assert main([*words, "--inside", str(path), "--json"]) == 0
    released = json.loads(capsys.readouterr().out)
    content = json.loads(path.read_text())
    assert next(iter(content)) == "inside"
    assert "must not leave" in content["inside"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(map(float, counts)) <= numbers_in(content)
    one = content["estimates"][0] if "estimates" in content else content
    assert one["n_hat"] not in numbers_in(released)
