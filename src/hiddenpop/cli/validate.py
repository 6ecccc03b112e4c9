"""`hiddenpop validate`: the standard validation, its figures and its page."""

from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from hiddenpop.cli.screen import print_text
from hiddenpop.errors import SettingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hiddenpop.validation import Study
    from hiddenpop.validation.standard import StandardRun

__all__ = ["validate"]

STORE = ".blocks"
COLUMNS = 6
PANEL_WIDTH, SIDE, HEAD, ROW, ERROR_HEIGHT = 2.6, 2.2, 0.8, 0.19, 3.0
PANEL_TITLE = 30
ZIPPED = ("independence", "best BIC model", "lower bound")
ZIP_SCENARIOS = ("independent-four", "two-pairs-four", "rasch-strong-four")


def validate(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few replicates: minutes, gross faults only.")
    ] = False,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder for table and figures; the page goes beside it."),
    ] = Path("validation"),
    workers: Annotated[int, typer.Option("--workers", help="Processes, -1 for every core.")] = -1,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Another seed than that of the standard.")
    ] = None,
) -> None:
    """Measure how the estimators do where the answer is known.

    Writes performance.csv and figures to DIR, and a page DIR.md that says which estimator fails where. An interrupted
    run goes on where it was.
    """
    from hiddenpop.parallel import parallel
    from hiddenpop.validation.standard import STANDARD_SEED, run_standard

    chosen = STANDARD_SEED if seed is None else seed
    with parallel(workers=workers, progress=True):
        store = _folders(out) / f"seed-{chosen}"
        run = run_standard(quick=quick, rng=chosen, store=store)
    _write(run, out, _command(quick, seed))
    print_text(f"{out.with_suffix('.md')}, {out / 'performance.csv'} and three figures in {out}")


def _command(quick: bool, seed: int | None) -> str:
    return (
        "hiddenpop validate" + (" --quick" if quick else "") + (f" --seed {seed}" if seed is not None else "")
    )


def _folders(out: Path) -> Path:
    """Make the folders, the one of blocks with a note for git that it is nothing to keep."""
    from hiddenpop._files import write_text

    store = out / STORE
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"--out {out}: {error.strerror}; name a folder you can write") from error
    write_text("*\n", store / ".gitignore")
    return store


def _write(run: "StandardRun", out: Path, command: str) -> None:
    from hiddenpop._files import write_file, write_text
    from hiddenpop.plotting import coverage_plot, error_overlap_plot
    from hiddenpop.validation.page import performance_table, validation_page

    write_file(performance_table(run).round({"value": 6, "mcse": 6}), out / "performance.csv")
    height = HEAD + ROW * run.study.replicates["scenario"].nunique()
    _draw_panels(coverage_plot, run.study, height, out / "coverage.png")
    _draw_panels(error_overlap_plot, run.study, ERROR_HEIGHT, out / "error-overlap.png")
    _draw_zip(run.study, out / "zip.png")
    write_text(validation_page(run, command=command, folder=out.name), out.with_suffix(".md"))


def _draw_panels(plot: "Callable[..., Axes]", study: "Study", height: float, path: Path) -> None:
    """Draw a panel an estimator, on common axes."""
    from matplotlib.figure import Figure

    from hiddenpop.plotting import save_figure

    labels = list(dict.fromkeys(study.replicates["estimator"]))
    n_rows = -(-len(labels) // COLUMNS)
    figure = Figure(figsize=(SIDE + PANEL_WIDTH * COLUMNS, height * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, COLUMNS, squeeze=False, sharey=True).ravel()
    note = ""
    for place, (label, ax) in enumerate(zip(labels, axes, strict=False)):
        plot(study, ax=ax, estimators=[label])
        ax.set_title(fill(label, PANEL_TITLE), loc="left", fontsize=10)
        note = ax.get_xlabel().replace("\n", "; ")
        ax.set_xlabel("")
        if place % COLUMNS:
            ax.set_ylabel("")
    for ax in axes[len(labels) :]:
        ax.set_axis_off()
    figure.supxlabel(note, fontsize=10)
    save_figure(figure, path)


def _draw_zip(study: "Study", path: Path) -> None:
    from matplotlib.figure import Figure

    from hiddenpop.plotting import save_figure, zip_plot

    figure = Figure(figsize=(4.6 * len(ZIPPED), 4.6 * len(ZIP_SCENARIOS)), layout="constrained")
    axes = figure.subplots(len(ZIP_SCENARIOS), len(ZIPPED), squeeze=False)
    for row, scenario in zip(axes, ZIP_SCENARIOS, strict=True):
        for ax, label in zip(row, ZIPPED, strict=True):
            zip_plot(study, scenario, label, ax=ax)
    save_figure(figure, path)
