# ruff: noqa: D401 - the docstrings of figures are what the page says of them
"""The gallery: every figure of `hiddenpop.plotting`, drawn from real tables, with the code that draws it.

The name of a function is that of the figure, its docstring says what to read from it, and its body is what the page
shows. `python docs/gallery.py` draws all of them anew.
"""

import contextlib
import hashlib
import inspect
import re
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import hiddenpop as hp
from hiddenpop import monitor, plotting, sensitivity, validation
from hiddenpop.bayes.diagnostics import posterior_predictive
from hiddenpop.sensitivity.dependence_sweep import DependenceSweep
from hiddenpop.synthetic import scenario
from hiddenpop.synthetic.local import draw_local

__all__ = [
    "ENTRIES",
    "code_of",
    "draw",
    "halves",
    "is_drawn",
    "make_gallery",
    "note_drawn",
    "page",
    "section_of",
]

DPI = 90
SOURCE = Path(__file__).parents[1] / "src"

HEAD = """# Gallery

Every figure of {py:mod}`hiddenpop.plotting`, with the code that draws it. A figure takes a table, an estimate or a
result, and an `ax` if it is to be drawn on one that is there; it gives the `Axes` back. Estimates, tables and results
of checks have a method `plot()` that draws the usual one.

Of a table that is not public, draw with `protect=True` whatever is to leave: small counts are then left out, and the
figure says so. The examples share these imports:

```python
import numpy as np

import hiddenpop as hp
from hiddenpop import monitor, plotting, sensitivity, validation
from hiddenpop.bayes.diagnostics import posterior_predictive
from hiddenpop.sensitivity.dependence_sweep import DependenceSweep
from hiddenpop.synthetic import scenario
from hiddenpop.synthetic.local import draw_local
```
"""


def overlap_plot() -> Any:
    """Who is on which lists. A bar is a capture history: the people on the lists with a dot, and on no other."""
    table = hp.datasets.load("uk_5")
    return plotting.overlap_plot(table)


def forest_plot() -> Any:
    """Estimates side by side. The dotted line is the number observed, below which nothing can lie."""
    table = hp.datasets.load("uk_5")
    panel = hp.compare(table, hp.standard_panel())
    return plotting.forest_plot(panel.estimates, labels=panel.labels)


def landscape_plot() -> Any:
    """Every model within reach of the best. Here two clouds of models fit alike and differ by ten thousand people."""
    estimate = hp.SelectedLogLinear(criterion="bic").fit(hp.datasets.load("uk_5"))
    return plotting.landscape_plot(estimate)


def residual_plot() -> Any:
    """Where a model misses the counts. A residual beyond 2 or 3 is a capture history the model cannot explain."""
    estimate = hp.LogLinear(model="independence").fit(hp.datasets.load("kosovo"))
    return plotting.residual_plot(estimate)


def bootstrap_plot() -> Any:
    """The estimates of a bootstrap, by the model that each resample chose. Two humps are two models taking turns."""
    setting = hp.Bootstrapped(
        base=hp.SelectedLogLinear(search="exhaustive"), n_boot=1000, n_top=100, interval="percentile"
    )
    estimate = setting.fit(hp.datasets.load("uk_5"), rng=1)
    return plotting.bootstrap_plot(estimate)


def check_plot() -> Any:
    """What one check found: here N under fixed odds ratios between two lists, and where the claim begins to fail."""
    check = DependenceSweep(pairs=[("EXH", "OSCE"), ("ABA", "HRW")], claim="more than 8,000")
    result = check.run(hp.LogLinear(model="all-pairs"), hp.datasets.load("kosovo"))
    return plotting.check_plot(result)


def check_page() -> Any:
    """The standard checks on one page, for the appendix of a report."""
    report = sensitivity.standard(hp.datasets.load("kosovo"), "loglinear", claim="more than 6,000", rng=1)
    return plotting.check_page(report.results)


def trace_plot() -> Any:
    """The way of each chain. Chains that stay in different places have not found the same posterior."""
    estimate = hp.ThresholdedLogLinear(n_draws=1000).fit(hp.datasets.load("western_us"), rng=1)
    return plotting.trace_plot(estimate)


def rank_plot() -> Any:
    """How the draws of each chain rank among all: flat where chains agree, sloped or humped where they do not."""
    estimate = hp.ThresholdedLogLinear(n_draws=1000).fit(hp.datasets.load("western_us"), rng=1)
    return plotting.rank_plot(estimate)


def predictive_plot() -> Any:
    """Observed counts within what the fitted posterior would give again. A count outside is one the model misses."""
    table = hp.datasets.load("western_us")
    estimate = hp.ThresholdedLogLinear(n_draws=1000).fit(table, rng=1)
    return plotting.predictive_plot(posterior_predictive(estimate, table))


def part_plot() -> Any:
    """Parts of a population with their limits, one row each."""
    births = hp.datasets.load("spina_bifida")
    estimate = hp.CovariateLogLinear(model="S1 + S2*S3 + eth").fit(births, rng=1)
    return plotting.part_plot(monitor.subgroups(estimate, "eth"))


def trend_plot() -> Any:
    """One trend year by year. The outer limits hold for all years at once, which is what a reader compares."""
    table = scenario("years-four").draw(rng=1)
    model = f"({' + '.join(table.lists)})*year"
    estimate = hp.CovariateLogLinear(model=model).fit(table, rng=1)
    return plotting.trend_plot(monitor.trend(estimate))


def subgroup_plot() -> Any:
    """A trend for every group, on the same scale."""
    table = hp.datasets.load("simdat").collapse("X2", "X3", "X4")
    estimate = hp.CovariateLogLinear(model="(R1 + R2 + R3 + R4 + X1)*Y").fit(table, rng=1)
    return plotting.subgroup_plot(monitor.trend(estimate, "Y", by="X1"))


def ranking_plot() -> Any:
    """The largest groups with the limits of their ranks: where these overlap, a league table is mostly chance."""
    table = draw_local(n_places=12, n_persons=3000, rng=1).table.collapse("region")
    model = f"{' + '.join(table.lists)} + municipality"
    estimate = hp.CovariateLogLinear(model=model).fit(table, rng=1)
    return plotting.ranking_plot(monitor.ranks(estimate, "municipality", top=5))


def coverage_plot() -> Any:
    """How often intervals hold the truth, in worlds whose size is known."""
    estimators = {
        "independence": hp.LogLinear(interval="wald"),
        "pairs": hp.LogLinear(model="all-pairs", interval="wald"),
    }
    worlds = ["independent-three", "one-pair-three", "tiny-overlaps-three"]
    study = validation.study(estimators, worlds, n_rep=60, rng=1)
    return plotting.coverage_plot(study)


def zip_plot() -> Any:
    """All intervals of one estimator in one world, the worst on top. Those that miss the truth are coloured."""
    estimators = {"best BIC model": hp.SelectedLogLinear()}
    study = validation.study(estimators, ["two-pairs-four"], n_rep=100, rng=1)
    return plotting.zip_plot(study, "two-pairs-four", "best BIC model")


def error_overlap_plot() -> Any:
    """Relative error against the smallest overlap: few people on two lists say little."""
    estimators = {
        "independence": hp.LogLinear(interval="wald"),
        "pairs": hp.LogLinear(model="all-pairs", interval="wald"),
    }
    worlds = ["independent-three", "one-pair-three", "tiny-overlaps-three"]
    study = validation.study(estimators, worlds, n_rep=60, rng=1)
    return plotting.error_overlap_plot(study)


def calibration_plot() -> Any:
    """Where the truth lies in its posterior, over many populations drawn from the prior: flat when it is right.

    Here with a posterior in closed form: each person is found with a chance of 0.4, and N has a gamma-Poisson prior.
    """

    def replicate(rng: np.random.Generator) -> tuple[int, Any]:
        size = rng.negative_binomial(20, 0.01)
        found = rng.binomial(size, 0.4)
        return size, found + rng.negative_binomial(20 + found, 1 - 0.99 * 0.6, size=1000)

    return plotting.calibration_plot(validation.calibrate(replicate, n_rep=300, rng=1))


def save_figure() -> Any:
    """A figure written to a file, whole or not at all. The suffix says the format."""
    ax = hp.datasets.load("korea").plot()
    plotting.save_figure(ax.figure, "korea.png")
    return ax


ENTRIES: dict[str, Callable[[], Any]] = {
    entry.__name__: entry
    for entry in (
        overlap_plot,
        forest_plot,
        landscape_plot,
        residual_plot,
        bootstrap_plot,
        check_plot,
        check_page,
        trace_plot,
        rank_plot,
        predictive_plot,
        part_plot,
        trend_plot,
        subgroup_plot,
        ranking_plot,
        coverage_plot,
        zip_plot,
        error_overlap_plot,
        calibration_plot,
        save_figure,
    )
}
"""In the order of the page: data, estimates, checks, chains, monitor, studies, files."""


def code_of(entry: Callable[[], Any]) -> str:
    """Give the body of an entry as it stands on the page: without its docstring, the last figure kept as ``ax``.

    Examples
    --------
    >>> print(code_of(overlap_plot))
    table = hp.datasets.load("uk_5")
    ax = plotting.overlap_plot(table)
    """
    source = inspect.getsource(entry)
    body = source.split('"""', 2)[2]
    lines = textwrap.dedent(body.strip("\n")).rstrip().splitlines()
    last = lines.pop()
    if last == "return ax":
        return "\n".join(lines)
    name = "figure" if entry is check_page else "ax"
    return "\n".join([*lines, re.sub(r"^return ", f"{name} = ", last)])


CHAINS = (
    "trace_plot",
    "rank_plot",
    "predictive_plot",
    "part_plot",
    "trend_plot",
    "subgroup_plot",
    "ranking_plot",
)
"""Figures that share no compiled kernel with the others: two processes draw them and the others side by side."""


def halves() -> tuple[list[str], list[str]]:
    """Give the names of the figures for two processes."""
    return list(CHAINS), [name for name in ENTRIES if name not in CHAINS]


def make_gallery(docs: Path, names: Sequence[str] = ()) -> None:
    """Draw figures, all of them where none is named."""
    folder = docs / "_gallery"
    folder.mkdir(exist_ok=True)
    for name in names or ENTRIES:
        draw(ENTRIES[name], folder / f"{name}.png")


def note_drawn(docs: Path) -> None:
    """Write down what the figures were drawn from."""
    (docs / "_gallery" / "stamp").write_text(_fingerprint())


def is_drawn(docs: Path) -> bool:
    """Tell whether the figures that are there were drawn by this code."""
    stamp = docs / "_gallery" / "stamp"
    return stamp.exists() and stamp.read_text() == _fingerprint()


def page() -> str:
    """Write the page."""
    return "\n\n".join([HEAD, *(section_of(name, entry) for name, entry in ENTRIES.items())]) + "\n"


def _fingerprint() -> str:
    """Hash what the figures follow from: this file and the package."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(SOURCE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def draw(entry: Callable[[], Any], path: Path) -> None:
    """Draw one figure into a file, in an empty folder and without a screen."""
    mpl.use("agg")
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        warnings.simplefilter("ignore", hp.errors.HiddenpopWarning)
        drawn = entry()
        figure = drawn if isinstance(drawn, Figure) else drawn.get_figure()
        figure.savefig(path, dpi=DPI, bbox_inches="tight")
        plt.close("all")


def section_of(name: str, entry: Callable[[], Any]) -> str:
    """Write the section of one figure."""
    words = inspect.getdoc(entry)
    return (
        f"## {name}\n\n{words} See {{py:func}}`hiddenpop.plotting.{name}`.\n\n"
        f"```python\n{code_of(entry)}\n```\n\n![{words}](_gallery/{name}.png)"
    )


if __name__ == "__main__":
    make_gallery(Path(__file__).parent, sys.argv[1:])
