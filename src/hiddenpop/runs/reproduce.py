"""`reproduce`: a run done again, and compared number by number with what it left."""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._files import parse_json
from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.errors import HiddenpopError, SettingError
from hiddenpop.kernels.resampling.bootstrap_limits import limit_errors, quantile_error
from hiddenpop.result import Estimate
from hiddenpop.runs.execute import (
    COMPLETE,
    LEFT_UNTIL_DONE,
    MANIFEST,
    PLAN_COPY,
    Found,
    core_versions,
    digest_of_output,
    execute,
    machine,
    read_manifest,
    resolved,
)
from hiddenpop.runs.plan import Plan, plan_of_text
from hiddenpop.runs.sections import digest_of_file, key_mark
from hiddenpop.runs.write import RESULTS, results_of
from hiddenpop.serial import to_jsonable

__all__ = ["Reproduction", "reproduce"]

Keys = tuple[str, ...]

ROUNDING, NOTHING = 1e-6, 1e-9
"""Relative and absolute change that rounding can make.

Another processor adds in another order. A maximum found by comparing values is then good to the root of their rounding,
1e-8, and a limit that rests on it to some times that.
"""

EQUAL, AGREES, CHANCE = "equal", "equal but for rounding", "within Monte Carlo error"
UNEXPLAINED = "moved within Monte Carlo error, on the same versions and machine"
NOT_COMPARED, DIFFERS = "not compared", "different"
VERDICTS = (EQUAL, AGREES, CHANCE, NOT_COMPARED, UNEXPLAINED, DIFFERS)

ABSENT = "(not there)"
JUDGED = ("status", "passed", "label", "seed", "n_points")
"""What has to be the same however often the random numbers are drawn."""

DIGITS = re.compile(r"[0-9][0-9,.]*")

SAME, CHANGED, EDITED, MISSING, ADDED = "same", "changed", "edited", "missing", "added"
OTHER_KEY = "cannot be checked: its hash is keyed, and the key of this user is another"
FILES = ("file", "what", "status")
DISAGREES = (DIFFERS, UNEXPLAINED)
MOST_LINES = 20
ON_THE_MACHINE = ("system", "processor")
ALSO = ("llvmlite",)
"""What numbers rest on beside the versions that results name."""

Allowances = dict[Keys, float]

ERRORS_ALLOWED = 4.0
"""Standard errors that two runs may lie apart: of a thousand numbers hardly one does by chance."""

CORRECTED = ("bc", "bca")
"""Bootstrap limits at shares that are estimated too."""

FEWEST_DRAWS = 20


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
    environment : tuple of str
        What the run was made with that is another now: versions, machine.
    """

    folder: Path
    files: pd.DataFrame
    findings: "tuple[Finding, ...]"
    environment: tuple[str, ...]

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
            "made_otherwise": list(self.environment),
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
        lines += [f"  made otherwise: {text}" for text in self.environment]
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
    """Repeat a run and compare it, number by number, with what it left.

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
    environment = _environment(manifest, before)
    known = Comparing(
        allowed=allowances(found, after, plan.chosen, plan.parts_of),
        drawn=_drawn(plan, found),
        same_environment=not environment,
        same_key=same_key,
    )
    settings = _compared_settings(plan, manifest, content, known)
    return Reproduction(
        folder=place,
        files=files,
        findings=(*compared(before, after, known), *settings),
        environment=environment,
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
        return parse_json((folder / RESULTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{folder / RESULTS} cannot be read, so nothing can be compared: {error}"
        ) from error


def _environment(manifest: Mapping[str, Any], before: Any) -> tuple[str, ...]:
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
    plan: Plan, manifest: Mapping[str, Any], content: str, known: "Comparing"
) -> "tuple[Finding, ...]":
    """Compare what the manifest says of plan and settings with the plan as it is carried out."""
    told = {key: manifest.get(key) for key in resolved(plan)}
    before = {
        "seed": manifest["seed"],
        "plan": {"hash": manifest["plan"]["hash"], "text": manifest["plan"]["text"]},
    }
    after = {"seed": plan.seed, "plan": {"hash": plan.digest, "text": content}}
    strict = Comparing(allowed={}, drawn=frozenset(), same_environment=True, same_key=known.same_key)
    return compared({**before, **told}, {**after, **resolved(plan)}, strict, f"{MANIFEST} ")


# === two sets of results compared number by number ====================================================================
# Equal, equal but for rounding or for chance, or different.


@dataclass(frozen=True, slots=True)
class Finding:
    """One value before and after.

    Parameters
    ----------
    where : str
        Such as ``"estimates[BIC].interval.low"``.
    before, after : object
    verdict : str
        One of `VERDICTS`.
    change, allowed : float
        Of a number; nan of anything else.
    """

    where: str
    before: Any
    after: Any
    verdict: str
    change: float = math.nan
    allowed: float = math.nan

    @property
    def in_words(self) -> str:
        """The finding in a line."""
        told = f"{self.where}: {_shown(self.before)} then, {_shown(self.after)} now"
        if math.isnan(self.change):
            return told
        return f"{told} (changed by {self.change:.3g}, allowed {self.allowed:.3g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """What is known of two runs when their numbers are compared.

    Parameters
    ----------
    allowed : dict
        How far numbers that come from draws may move.
    drawn : frozenset of tuple of str
        Beginnings of the paths of estimates, checks and parts that come from draws.
    same_environment : bool
        Whether versions and machine are the same, so that nothing may move.
    same_key : bool
        Whether keyed hashes of data that are not public can be compared.
    """

    allowed: Allowances
    drawn: frozenset[Keys]
    same_environment: bool
    same_key: bool


def _shown(value: Any) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def flattened(value: Any, path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Give every value with its path; items of a list go by their label, or their place.

    Examples
    --------
    >>> dict(flattened({"estimates": [{"label": "BIC", "n": 3}], "none": []}))
    {('estimates', 'BIC', 'label'): 'BIC', ('estimates', 'BIC', 'n'): 3, ('none',): []}
    """
    items: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = list(zip(_names_of(value), value, strict=True))
    if not items:
        yield path, value
    for name, item in items:
        yield from flattened(item, (*path, name))


def _names_of(items: list[Any]) -> list[str]:
    labels = [item.get("label") if isinstance(item, Mapping) else None for item in items]
    unique = all(isinstance(label, str) for label in labels) and len(set(labels)) == len(labels)
    return [str(label) for label in labels] if unique else [str(place) for place in range(len(items))]


def compared(before: Any, after: Any, known: Comparing, root: str = "") -> tuple[Finding, ...]:
    """Compare two trees of plain values.

    Parameters
    ----------
    before, after : dict
    known : Comparing
    root : str
        What stands in front of every path in words.

    Returns
    -------
    tuple of Finding
        One a value, equal ones included.

    Examples
    --------
    >>> known = Comparing(allowed={("n",): 2.0}, drawn=frozenset(), same_environment=False, same_key=True)
    >>> [finding.verdict for finding in compared({"n": 10.0, "m": 1.0}, {"n": 11.0, "m": 2.0}, known)]
    ['within Monte Carlo error', 'different']
    """
    old, new = dict(flattened(before)), dict(flattened(after))
    return tuple(
        _finding(path, old.get(path, ABSENT), new.get(path, ABSENT), known, root) for path in {**old, **new}
    )


def _finding(path: Keys, before: Any, after: Any, known: Comparing, root: str) -> Finding:
    where = root + _in_words(path)
    if _is_number(before) and _is_number(after):
        old, new = _as_float(before), _as_float(after)
        change, allowed = abs(new - old), _rounding(old, new)
        chance = known.allowed.get(path, 0.0)
        verdict = _verdict_of_number(before == after, change <= allowed, change <= chance, path, known)
        return Finding(where, before, after, verdict, change, max(allowed, chance))
    same = before == after and isinstance(before, bool) == isinstance(after, bool)
    return Finding(where, before, after, EQUAL if same else _verdict_of_text(path, before, after, known))


def _in_words(path: Keys) -> str:
    """Write a path: names of items in brackets."""
    text = ""
    for place, name in enumerate(path):
        item = name.isdigit() or (place == 1 and path[0] in ("estimates", "estimators", "checks", "parts"))
        text += f"[{name}]" if item else (f".{name}" if text else name)
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: float) -> float:
    """Give a number as one that can be subtracted; of one that is too large nothing is near."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _rounding(before: float, after: float) -> float:
    """Give what rounding can change; nothing of what is not finite, which only a file edited by hand holds."""
    largest = max(abs(before), abs(after))
    return max(NOTHING, ROUNDING * largest) if math.isfinite(largest) else 0.0


def _verdict_of_number(equal: bool, rounded: bool, chance: bool, path: Keys, known: Comparing) -> str:
    if equal:
        return EQUAL
    if rounded and path[-1] not in JUDGED:
        return AGREES
    if chance:
        return UNEXPLAINED if known.same_environment else CHANCE
    return NOT_COMPARED if _may_move(path, known) and path not in known.allowed else DIFFERS


def _verdict_of_text(path: Keys, before: Any, after: Any, known: Comparing) -> str:
    if "versions" in path and "provenance" in path and not known.same_environment:
        return NOT_COMPARED
    if path[-1] == "fingerprint" and not known.same_key:
        return NOT_COMPARED
    if ABSENT in (before, after) and not _may_move(path, known):
        return DIFFERS
    alike = (
        isinstance(before, str) and isinstance(after, str) and DIGITS.sub("", before) == DIGITS.sub("", after)
    )
    supporting = alike or {"details", "diagnostics"} & set(path)
    return NOT_COMPARED if supporting and _may_move(path, known) else DIFFERS


def _may_move(path: Keys, known: Comparing) -> bool:
    """Whether a value rests on draws that other versions or another machine make otherwise."""
    return not known.same_environment and path[:2] in known.drawn and path[-1] not in JUDGED


# === how far a number may move when other random numbers are drawn: standard errors of quantiles of draws =============


def effective_draws(draws: Floats, recorded: float = math.inf) -> float:
    """Give the number of independent draws that these are worth, from means of batches of the share below the median.

    Parameters
    ----------
    draws : ndarray, shape (n,)
        In the order in which they were drawn.
    recorded : float
        What the sampler itself says; the smaller of the two counts.

    Returns
    -------
    float

    References
    ----------
    Flegal, J. M., Haran, M. and Jones, G. L. (2008). Markov chain Monte Carlo: can we trust the third significant
    figure? Statistical Science 23(2), 250-260. doi:10.1214/08-STS257

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bool(effective_draws(np.repeat(rng.random(100), 50)) < 500 < effective_draws(rng.random(5000)))
    True
    """
    n = len(draws)
    below = (draws <= np.median(draws)).astype(np.float64)
    size = math.isqrt(n)
    batches = below[: n // size * size].reshape(-1, size).mean(axis=1)
    spread, between = below.var(), size * batches.var(ddof=1)
    counted = n if between <= spread or spread == 0.0 else n * spread / between
    return max(1.0, min(counted, n, recorded))


def allowances(found: Found, results: Mapping[str, Any], chosen: str, parts_of: str) -> Allowances:
    """Say how far each number that comes from draws may lie from that of another run.

    Parameters
    ----------
    found : Found
    results : mapping
        What `results_of` made of it.
    chosen, parts_of : str
        Labels of the estimates that the checks and the parts are about.

    Returns
    -------
    dict
        By the path of a number in the results. Points of checks and rows of parts, of which no draws are kept, may move
        by the same share of their interval as the estimate they are about.
    """
    found_allowances: Allowances = {}
    for label, estimate in found.estimates.items():
        found_allowances.update(_of_estimate(("estimates", label), estimate))
    for section, about in (("checks", chosen), ("parts", parts_of)):
        share = _share_of_interval(found.estimates.get(about))
        if share > 0.0:
            found_allowances.update(_of_rows(section, results[section], share))
    return found_allowances


def _of_estimate(path: Keys, estimate: Estimate) -> Iterator[tuple[Keys, float]]:
    if estimate.draws is None or len(estimate.draws) < FEWEST_DRAWS:
        return
    point, low, high = _errors(estimate, estimate.draws, _limits(estimate))
    yield (*path, "n_hat"), point
    yield (*path, "n_hidden"), point
    yield (*path, "interval", "low"), low
    yield (*path, "interval", "high"), high
    tail = (1.0 - estimate.interval.level) / 2.0
    columns = () if estimate.stratum_draws is None else estimate.stratum_draws.T
    for row, draws in enumerate(columns):
        limits = np.quantile(draws, [tail, 1.0 - tail], method="closest_observation")
        errors = _errors(estimate, draws, (float(limits[0]), float(limits[1])))
        for name, allowed in zip(("n_hat", "low", "high"), errors, strict=True):
            yield (*path, "by_stratum", str(row), name), allowed


def _limits(estimate: Estimate) -> tuple[float, float]:
    return estimate.interval.low, estimate.interval.high


def _errors(estimate: Estimate, draws: Floats, interval: tuple[float, float]) -> tuple[float, float, float]:
    """Give what estimate and limits may move; a bootstrap leaves the estimate where it is."""
    recorded = estimate.convergence or {}
    centre = effective_draws(draws, float(recorded.get("ess_bulk", math.inf)))
    limits = effective_draws(draws, float(recorded.get("ess_tail", math.inf)))
    corrected = estimate.estimator.settings.get("interval") in CORRECTED
    errors = (
        0.0 if estimate.draws_are == "bootstrap" else quantile_error(draws, 0.5, centre),
        *limit_errors(draws, *interval, floor=-math.inf, corrected=corrected, effective=limits),
    )
    first, second, third = (_between_runs(error) for error in errors)
    return first, second, third


def _between_runs(error: float) -> float:
    """Turn the error of one run into what two may lie apart."""
    return 0.0 if math.isnan(error) else ERRORS_ALLOWED * math.sqrt(2.0) * error


def _share_of_interval(estimate: Estimate | None) -> float:
    if estimate is None or estimate.draws is None or len(estimate.draws) < FEWEST_DRAWS:
        return 0.0
    width = estimate.interval.width
    return (
        max(_errors(estimate, estimate.draws, _limits(estimate))) / width if 0.0 < width < math.inf else 0.0
    )


def _of_rows(section: str, items: list[dict[str, Any]], share: float) -> Iterator[tuple[Keys, float]]:
    for item in items:
        for name, rows in item.items():
            if not isinstance(rows, list):
                continue
            for place, row in enumerate(rows):
                for column in row if isinstance(row, Mapping) else ():
                    width = _width(row, str(column))
                    if width > 0.0:
                        yield (section, item["label"], name, str(place), str(column)), share * width


def _width(row: Mapping[str, Any], column: str) -> float:
    """Give the width of the interval that a number of a row belongs to."""
    stem = column.removesuffix("_low").removesuffix("_high")
    ends = [row.get(f"{stem}_low"), row.get(f"{stem}_high")]
    if stem in ("n_hat", "rate", "low", "high"):
        ends = [row.get("low"), row.get("high")]
    numbers = [float(end) for end in ends if isinstance(end, int | float)]
    return numbers[1] - numbers[0] if len(numbers) == 2 else 0.0
