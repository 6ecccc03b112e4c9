"""`run`: a plan carried out, and a folder that a reviewer can check and do again."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hiddenpop._front_door import front_door
from hiddenpop._text import screen_text
from hiddenpop.runs.execute import Found, execute, finished, imported_versions, open_folder, write_manifest
from hiddenpop.runs.plan import Plan, read_plan
from hiddenpop.runs.write import write_all

__all__ = ["Run", "default_folder", "run"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run and what it left.

    Attributes
    ----------
    plan : Plan
    folder : Path
    found : Found
        Estimates, checks and parts, nothing withheld.
    files : tuple of str
        What stands in the folder, beside the manifest.
    """

    plan: Plan
    folder: Path
    found: Found
    files: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Give one tidy row an estimate, with its label."""
        rows = [estimate.to_frame().assign(label=label) for label, estimate in self.found.estimates.items()]
        frame = pd.concat(rows, ignore_index=True)
        return frame[["label", *(name for name in frame if name != "label")]]

    def summary(self) -> str:
        """Write the estimates, the verdicts and where everything is in a few lines of text."""
        lines = [f"{self.plan.title}: {self.plan.table.name}, {self.plan.table.n_observed:,} observed"]
        for label, estimate in self.found.estimates.items():
            number, limits = estimate.in_words()
            mark = "  reported" if label == self.plan.chosen else ""
            shown = f"N = {number} ({limits})" if estimate.status in ("ok", "boundary") else estimate.status
            lines.append(f"  {label}: {shown}{mark}")
        lines += [f"  {check.verdict:<10}  {label}" for label, check in self.found.checks.items()]
        return screen_text("\n".join([*lines, f"  {len(self.files)} files and a manifest in {self.folder}"]))

    def __repr__(self) -> str:
        return f"<Run {self.summary()}>"


def default_folder(path: str | os.PathLike[str]) -> Path:
    """Name the folder that a plan is run into: beside it, called after it.

    Examples
    --------
    >>> default_folder("study/analysis.toml").as_posix()
    'study/analysis-run'
    """
    plan = Path(path)
    return plan.with_name(f"{plan.stem}-run")


@front_door
def run(
    plan: str | os.PathLike[str] | Plan,
    out: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    progress: bool | None = None,
    trust: bool = False,
) -> Run:
    """Carry out a plan and leave a folder with everything that it led to.

    Parameters
    ----------
    plan : path or Plan
        A file such as ``analysis.toml``, or what `read_plan` made of it.
    out : path, optional
        The folder; by default beside the plan and called after it, ``analysis-run``.
    workers : int, optional
        Processes, -1 for every core. The numbers do not depend on it.
    progress : bool, optional
        Show a bar for every long computation.
    trust : bool
        Whether a file may name estimators that are not registered; see `read_plan`. A `Plan` has been read already.

    Returns
    -------
    Run

    Raises
    ------
    SettingError
        For a plan with faults, all of them named; and for a folder that cannot be used: one that another process is
        writing to, or that holds anything but an unfinished run of the same plan, inputs and versions.
    HiddenpopError
        What a step raises, with the name of the step in front.

    Notes
    -----
    The folder holds ``manifest.json`` (the plan, hashes of all that was read and left, settings with their defaults,
    versions, the machine, the time), ``results.json``, ``estimates.parquet``, ``strata.parquet``, ``draws.parquet``,
    ``checks/``, ``parts/``, ``figures/``, the report, and a copy of the plan. The data themselves are not in it, and of
    data that are not public small counts are withheld. Hashes of files that are not public are keyed
    (`hiddenpop.disclosure.secret_key`).

    Of data that are not public the folder stays inside: ``STAYS-INSIDE.txt`` says so, and its owner alone can open it.
    What may leave stands in ``release/``: the estimates, judged together under the rules of ``[release]`` in the
    plan. ``for-the-checker/`` holds the counts and rules behind each number of it.

    Every step draws its random numbers from the seed of the plan and its own label, so that another estimator more
    changes nothing. A run that was killed goes on where it was when it is started again, to the same bytes. Until it is
    complete the folder holds ``.work`` with finished steps that nothing has been withheld from, readable by their
    owner.

    Examples
    --------
    >>> import tempfile
    >>> text = '''
    ... [analysis]
    ... title = "Korea"
    ... question = "How many were there?"
    ... population = "Korean women held at Palembang"
    ... seed = 1
    ... [data]
    ... table = "korea"
    ... [[estimator]]
    ... name = "loglinear"
    ... model = "[12,3]"
    ... [choice]
    ... estimator = "loglinear"
    ... why = "It is the model of the source."
    ... [report]
    ... formats = ["json"]
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "analysis.toml"
    ...     _ = path.write_text(text)
    ...     done = run(path)
    >>> done.files[0], round(done.found.estimates["loglinear"].n_hat, 1)
    ('analysis.toml', 268.8)
    """
    if isinstance(plan, Plan):
        folder = default_folder(plan.path) if out is None else Path(out)
        planned = plan
    else:
        folder = default_folder(plan) if out is None else Path(out)
        planned = read_plan(plan, out=folder, trust=trust)
    with open_folder(planned, folder) as opened:
        if planned.protects:
            with suppress(OSError):  # a file system without rights
                folder.chmod(0o700)
        found = execute(planned, work=opened.work, workers=workers, progress=progress)
        outputs = write_all(planned, found, folder)
        versions = {**found.versions, **imported_versions()}
        write_manifest(folder, finished(opened.manifest, outputs, versions))
    return Run(plan=planned, folder=folder, found=found, files=tuple(outputs))
