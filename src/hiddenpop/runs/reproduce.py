"""`reproduce`: a run done again, and compared number by number with what it left."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop._front_door import front_door
from hiddenpop.errors import HiddenpopError, SettingError
from hiddenpop.runs.agreement import (
    DIFFERS,
    UNEXPLAINED,
    VERDICTS,
    Comparing,
    Finding,
    compared,
    flattened,
)
from hiddenpop.runs.content import results_of
from hiddenpop.runs.data import digest_of_file, key_mark
from hiddenpop.runs.execute import Found, execute
from hiddenpop.runs.folder import LEFT_UNTIL_DONE
from hiddenpop.runs.manifest import (
    COMPLETE,
    MANIFEST,
    PLAN_COPY,
    core_versions,
    digest_of_output,
    machine,
    read_manifest,
    resolved,
)
from hiddenpop.runs.monte_carlo import allowances
from hiddenpop.runs.plan import Plan, plan_of_text
from hiddenpop.runs.write import RESULTS
from hiddenpop.serial import to_jsonable

__all__ = ["Reproduction", "reproduce"]

SAME, CHANGED, EDITED, MISSING, ADDED = "same", "changed", "edited", "missing", "added"
OTHER_KEY = "cannot be checked: its hash is keyed, and the key of this user is another"
FILES = ("file", "what", "status")
DISAGREES = (DIFFERS, UNEXPLAINED)
MOST_LINES = 20
ON_THE_MACHINE = ("system", "processor")
ALSO = ("llvmlite",)
"""What numbers rest on beside the versions that results name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reproduction:
    """A run done again.

    Attributes
    ----------
    folder : Path
    files : DataFrame
        One row a file: ``file``, ``what`` (``"input"`` or ``"output"``) and ``status``.
    findings : tuple of Finding
        One a value of ``results.json``, of the settings and of the plan.
    makings : tuple of str
        What the run was made with that is another now: versions, machine.
    """

    folder: Path
    files: pd.DataFrame
    findings: tuple[Finding, ...]
    makings: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether files are what they were and no value differs."""
        touched = self.files["status"].isin([CHANGED, EDITED, MISSING]).any()
        return not (touched or any(finding.verdict in DISAGREES for finding in self.findings))

    @property
    def counts(self) -> dict[str, int]:
        """How many values have each verdict."""
        number = Counter(finding.verdict for finding in self.findings)
        return {verdict: number[verdict] for verdict in VERDICTS if number[verdict]}

    def to_frame(self) -> pd.DataFrame:
        """Give one row a value: ``where``, ``before``, ``after``, ``verdict``, ``change`` and ``allowed``."""
        rows = [(f.where, f.before, f.after, f.verdict, f.change, f.allowed) for f in self.findings]
        return pd.DataFrame(rows, columns=["where", "before", "after", "verdict", "change", "allowed"])

    def to_dict(self) -> dict[str, Any]:
        """Give the comparison as plain values for JSON, of the values those that are not equal."""
        frame = self.to_frame()
        moved: dict[str, Any] = {
            "agrees": self.agrees,
            "made_otherwise": list(self.makings),
            "files": self.files,
            "counts": self.counts,
            "values": frame[frame["verdict"] != VERDICTS[0]].to_dict(orient="records"),
        }
        plain: dict[str, Any] = to_jsonable(moved)
        return plain

    def summary(self) -> str:
        """Say in lines of text what agrees and what does not."""
        head = "agrees with" if self.agrees else "does not agree with"
        counted = ", ".join(f"{number:,} {verdict}" for verdict, number in self.counts.items())
        lines = [f"Done again, the run {head} what stands in {self.folder}", f"  values: {counted}"]
        lines += [f"  made otherwise: {text}" for text in self.makings]
        lines += [
            f"  {row.what} {row.file}: {row.status}" for row in self.files.itertuples() if row.status != SAME
        ]
        told = [f for verdict in reversed(VERDICTS[1:]) for f in self.findings if f.verdict == verdict]
        lines += [f"  {finding.verdict}: {finding.in_words}" for finding in told[:MOST_LINES]]
        if len(told) > MOST_LINES:
            lines.append(f"  and {len(told) - MOST_LINES:,} more values that are not equal")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Reproduction {self.summary()}>"


@front_door
def reproduce(
    folder: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool | None = None,
    trust: bool = False,
) -> Reproduction:
    """Do a run again and compare it, number by number, with what it left.

    Parameters
    ----------
    folder : path
        Of a finished run.
    data : path, optional
        The folder from which the plan names its files; by default where they were, seen from `folder`.
    workers : int, optional
        Processes, -1 for every core.
    progress : bool, optional
        Show a bar for every long computation.
    trust : bool
        Whether the plan may name estimators that are not registered; see `hiddenpop.runs.read_plan`.

    Returns
    -------
    Reproduction

    Raises
    ------
    SettingError
        If the folder holds no finished run, or the plan can no longer be carried out; hashes of the inputs that have
        changed are named with it.

    Notes
    -----
    First hashes are compared: of every input, and of every file that the run left. Then the plan is carried out, in
    memory, and ``results.json`` compared value by value. Each is equal; or agrees but for rounding; or, where versions
    or machine are others and it comes from draws, lies within Monte Carlo error (four standard errors of the difference
    of two runs, from quantiles of the draws and their effective number); or it differs. On the same versions and
    machine the same seed gives the same numbers, so what moves then within Monte Carlo error is told as such and does
    not agree. Of numbers that rest on draws the details of a sampler are not compared across versions.

    Examples
    --------
    >>> import tempfile
    >>> from hiddenpop.runs import run
    >>> text = '''
    ... [analysis]
    ... title = "Korea"
    ... question = "How many were there?"
    ... population = "Korean women held at Palembang"
    ... seed = 1
    ... [data]
    ... table = "korea"
    ... [[estimator]]
    ... name = "chao"
    ... [choice]
    ... estimator = "chao"
    ... why = "A lower bound is enough here."
    ... [report]
    ... formats = []
    ... '''
    >>> with tempfile.TemporaryDirectory() as place:
    ...     path = Path(place) / "analysis.toml"
    ...     _ = path.write_text(text)
    ...     again = reproduce(run(path).folder)
    >>> again.agrees, list(again.counts)
    (True, ['equal'])
    """
    place = Path(folder)
    manifest = _finished_run(place)
    content = _text_of_plan(place, manifest)
    source = place / manifest["plan"]["inputs_from"] if data is None else Path(data)
    same_key = manifest.get("key", "") in ("", _own_key(manifest))
    files = _files(place, manifest, source, same_key)
    plan = _planned(content, place, source, files, trust)
    before = _read_results(place)
    found = execute(plan, work=None, workers=workers, progress=progress)
    after = json.loads(json.dumps(results_of(plan, found)))
    makings = _makings(manifest, before)
    known = Comparing(
        allowed=allowances(found, after, plan.chosen, plan.parts_of),
        drawn=_drawn(plan, found),
        same_makings=not makings,
        same_key=same_key,
    )
    settings = _compared_settings(plan, manifest, content, known)
    return Reproduction(
        folder=place, files=files, findings=(*compared(before, after, known), *settings), makings=makings
    )


def _finished_run(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise SettingError(f"there is no folder {folder}; name one that `hiddenpop run` left")
    manifest = read_manifest(folder)
    if manifest is None:
        raise SettingError(f"{folder} holds no {MANIFEST}; name a folder that `hiddenpop run` left")
    if manifest["status"] != COMPLETE or not isinstance(manifest.get("outputs"), dict):
        raise SettingError(
            f"the run in {folder} is unfinished; run its plan again, which goes on where it was"
        )
    return manifest


def _own_key(manifest: Mapping[str, Any]) -> str:
    """Give the mark of this user's key where one is asked about."""
    return key_mark() if manifest.get("key") else ""


def _text_of_plan(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Take the plan from its copy, or where that was edited from the manifest, if it is whole there."""
    path = folder / PLAN_COPY
    stored = str(manifest["plan"]["text"])
    whole = digest_of_output(path) == manifest["plan"]["hash"]
    return path.read_bytes().decode("utf-8") if whole else stored


def _files(folder: Path, manifest: Mapping[str, Any], source: Path, same_key: bool) -> pd.DataFrame:
    """Compare every hash in the manifest with that of the file."""
    rows = [(item["name"], "input", _input_status(item, source, same_key)) for item in manifest["inputs"]]
    for name, digest in manifest["outputs"].items():
        found = digest_of_output(folder / name)
        rows.append((name, "output", SAME if found == digest else EDITED if found else MISSING))
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    known = {*manifest["outputs"], MANIFEST}
    rows += [
        (name, "output", ADDED) for name in sorted(there - known) if not name.startswith(LEFT_UNTIL_DONE)
    ]
    return pd.DataFrame(rows, columns=list(FILES))


def _input_status(item: Mapping[str, str], source: Path, same_key: bool) -> str:
    if item["kind"] != "file":
        return SAME  # the fingerprint of a published data set stands in the results, and is compared there
    public = item["hash"].startswith("sha256:")
    if not (source / item["name"]).is_file():
        return MISSING
    if not public and not same_key:
        return OTHER_KEY
    return SAME if digest_of_file(source / item["name"], public=public) == item["hash"] else CHANGED


def _planned(content: str, folder: Path, source: Path, files: pd.DataFrame, trust: bool) -> Plan:
    try:
        return plan_of_text(content, folder / PLAN_COPY, source, trust=trust)
    except HiddenpopError as error:
        touched = files[(files["what"] == "input") & (files["status"] != SAME)]
        told = "; ".join(f"the input {row.file!r} is {row.status}" for row in touched.itertuples())
        hint = f"; {told}; name the folder of the data with --data" if told else ""
        raise SettingError(f"the plan cannot be carried out again: {error}{hint}") from error


def _read_results(folder: Path) -> Any:
    try:
        return json.loads((folder / RESULTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{folder / RESULTS} cannot be read, so nothing can be compared: {error}"
        ) from error


def _makings(manifest: Mapping[str, Any], before: Any) -> tuple[str, ...]:
    """Say which versions that numbers rest on, and what of the machine, are others."""
    here, core = machine(), core_versions()
    told = {**manifest.get("versions", {}), **_versions_in(before), **manifest["core_versions"]}
    ours = {name: core.get(name) or _installed(name) for name in (*core, *_versions_in(before), *ALSO)}
    pairs = [(name, told.get(name, text), text) for name, text in ours.items()]
    pairs += [(name, manifest["machine"].get(name), here[name]) for name in ON_THE_MACHINE]
    return tuple(
        f"{name}: {str(old)[:19]} then, {str(new)[:19]} now" for name, old, new in pairs if old != new
    )


def _versions_in(results: Any) -> dict[str, str]:
    """Collect the versions that estimates name, those of samplers included."""
    versions: dict[str, str] = {}
    for path, text in flattened(results):
        if path[-2:-1] == ("versions",) and isinstance(text, str):
            versions[path[-1]] = text
    return versions


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _drawn(plan: Plan, found: Found) -> frozenset[tuple[str, ...]]:
    """Name the estimates, checks and parts that come from draws."""
    drawn = {label for label, estimate in found.estimates.items() if estimate.draws is not None}
    paths = {("estimates", label) for label in drawn}
    if plan.chosen in drawn:
        paths |= {("checks", label) for label in found.checks}
    if plan.parts_of in drawn:
        paths |= {("parts", label) for label in found.parts}
    return frozenset(paths)


def _compared_settings(
    plan: Plan, manifest: Mapping[str, Any], content: str, known: Comparing
) -> tuple[Finding, ...]:
    """Compare what the manifest says of plan and settings with the plan as it is carried out."""
    told = {key: manifest.get(key) for key in resolved(plan)}
    before = {
        "seed": manifest["seed"],
        "plan": {"hash": manifest["plan"]["hash"], "text": manifest["plan"]["text"]},
    }
    after = {"seed": plan.seed, "plan": {"hash": plan.digest, "text": content}}
    strict = Comparing(allowed={}, drawn=frozenset(), same_makings=True, same_key=known.same_key)
    return compared({**before, **told}, {**after, **resolved(plan)}, strict, f"{MANIFEST} ")
