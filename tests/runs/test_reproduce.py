"""`reproduce`: what agrees, what has been touched, and what may move by chance; each on a planted fault."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hiddenpop.errors import SettingError
from hiddenpop.runs import Reproduction, reproduce
from hiddenpop.runs.execute import read_manifest, write_manifest
from hiddenpop.runs.reproduce import (
    AGREES,
    CHANCE,
    DIFFERS,
    EQUAL,
    NOT_COMPARED,
    UNEXPLAINED,
    Comparing,
    compared,
)

pytestmark = pytest.mark.usefixtures("without_figures")


def change_results(folder: Path, change: Callable[[Any], None]) -> None:
    path = folder / "results.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=1) + "\n")


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = read_manifest(folder)
    assert manifest is not None
    write_manifest(folder, {**manifest, **changes})


def made_elsewhere(folder: Path) -> None:
    """Write down that the run was made with another version."""
    manifest = read_manifest(folder)
    assert manifest is not None
    change_manifest(folder, core_versions={**manifest["core_versions"], "numpy": "1.26.0"})


def status_of(found: Reproduction, file: str) -> str:
    return str(found.files.set_index("file").loc[file, "status"])


def verdicts(found: Reproduction) -> dict[str, str]:
    return {f.where: f.verdict for f in found.findings if f.verdict != EQUAL}


@pytest.mark.parametrize("name", ["public", "private"])
def test_a_run_that_nobody_touched_agrees(name: str, finished: Path, copied: Path) -> None:
    found = reproduce(copied / f"{name}-run", workers=1)
    assert found.agrees
    assert found.environment == ()
    assert list(found.counts) == [EQUAL]
    assert found.counts[EQUAL] > 200
    assert set(found.files["status"]) == {"same"}
    assert set(found.files["what"]) == {"input", "output"}
    assert found.summary().startswith("Done again, the run agrees with")
    assert found.to_dict()["values"] == []
    assert not list(copied.rglob(".work"))


def test_one_digit_changed_by_hand_is_found_and_named(copied: Path) -> None:
    folder = copied / "public-run"

    def change(content: Any) -> None:
        content["estimates"][0]["n_hat"] += 0.1

    change_results(folder, change)
    found = reproduce(folder)
    assert not found.agrees
    assert status_of(found, "results.json") == "edited"
    assert verdicts(found) == {"estimates[one model].n_hat": DIFFERS}
    finding = next(f for f in found.findings if f.verdict == DIFFERS)
    assert finding.before == pytest.approx(finding.after + 0.1)
    assert finding.change == pytest.approx(0.1)
    assert "estimates[one model].n_hat: " in found.summary()
    row = found.to_frame().set_index("where").loc["estimates[one model].n_hat"]
    assert row["verdict"] == DIFFERS
    assert found.to_dict()["values"][0]["where"] == "estimates[one model].n_hat"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda r: r["estimates"][1].update(status="boundary"), "estimates[resampled].status"),
        (lambda r: r["estimates"][1]["interval"].update(high=None), "estimates[resampled].interval.high"),
        (lambda r: r["checks"][0].update(passed=not r["checks"][0]["passed"]), "checks[list_influence].passed"),
        (lambda r: r["checks"][0]["table"][1].update(n_hat=1.0), "checks[list_influence].table[1].n_hat"),
        (lambda r: r["checks"][0]["table"].pop(), "checks[list_influence].table["),
        (lambda r: r["estimates"].pop(0), "estimates[one model]."),
        (lambda r: r.update(title="Another"), "title"),
        (lambda r: r.update(more=1), "more"),
        (lambda r: r["choice"].update(why="Because."), "choice.why"),
        (lambda r: r["table"].update(public=1), "table.public"),
    ],
)  # fmt: skip
def test_every_kind_of_edit_is_named(change: Callable[[Any], None], where: str, copied: Path) -> None:
    change_results(copied / "public-run", change)
    found = reproduce(copied / "public-run")
    assert not found.agrees
    named = verdicts(found)
    assert named
    assert all(key.startswith(where) for key in named), named
    assert set(named.values()) == {DIFFERS}


def test_a_row_of_the_input_changed_is_found_and_named(copied: Path) -> None:
    path = copied / "counts.csv"
    path.write_text(path.read_text().replace("1,0,0,f,143", "1,0,0,f,153"))
    found = reproduce(copied / "private-run")
    assert not found.agrees
    assert status_of(found, "counts.csv") == "changed"
    named = verdicts(found)
    assert named["estimates[covariates].n_hat"] == DIFFERS
    assert named["table.fingerprint"] == DIFFERS
    assert "input counts.csv: changed" in found.summary()


def test_another_seed_in_the_manifest_is_found_and_named(copied: Path) -> None:
    change_manifest(copied / "public-run", seed=2)
    found = reproduce(copied / "public-run")
    assert not found.agrees
    assert verdicts(found) == {"manifest.json seed": DIFFERS}


def test_another_seed_in_plan_and_manifest_is_found_by_the_numbers(copied: Path) -> None:
    folder = copied / "public-run"
    manifest = read_manifest(folder)
    assert manifest is not None
    text = manifest["plan"]["text"].replace("seed = 1", "seed = 2")
    (folder / "analysis.toml").write_text(text)
    change_manifest(folder, seed=2, plan={**manifest["plan"], "text": text})
    found = reproduce(folder)
    named = verdicts(found)
    assert status_of(found, "analysis.toml") == "edited"
    assert named["manifest.json plan.hash"] == DIFFERS
    assert named["estimates[resampled].seed"] == DIFFERS
    assert named["estimates[resampled].interval.low"] == UNEXPLAINED
    assert not found.agrees


def test_an_edited_copy_of_the_plan_does_not_lead_astray(copied: Path) -> None:
    path = copied / "public-run" / "analysis.toml"
    path.write_text(path.read_text().replace("seed = 1", "seed = 2"))
    found = reproduce(copied / "public-run")
    assert status_of(found, "analysis.toml") == "edited"
    assert verdicts(found) == {}
    assert not found.agrees


def test_files_edited_lost_or_added_are_named(copied: Path) -> None:
    folder = copied / "public-run"
    (folder / "figures" / "overlap.png").write_bytes(b"another figure")
    (folder / "draws.parquet").unlink()
    (folder / "note.txt").write_text("mine")
    found = reproduce(folder)
    assert status_of(found, "figures/overlap.png") == "edited"
    assert status_of(found, "draws.parquet") == "missing"
    assert status_of(found, "note.txt") == "added"
    assert not found.agrees
    assert verdicts(found) == {}


def test_a_file_that_was_added_alone_does_no_harm(copied: Path) -> None:
    (copied / "public-run" / "note.txt").write_text("mine")
    assert reproduce(copied / "public-run").agrees


def test_a_setting_whose_default_changed_is_named(copied: Path) -> None:
    folder = copied / "public-run"
    manifest = read_manifest(folder)
    assert manifest is not None
    manifest["estimators"][1]["settings"]["scheme"] = "parametric"
    change_manifest(folder, estimators=manifest["estimators"])
    assert verdicts(reproduce(folder)) == {"manifest.json estimators[resampled].settings.scheme": DIFFERS}


# --- chance ---


def shift(name: str, by: float) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        interval = content["estimates"][1]["interval"]
        interval[name] += by * (interval["high"] - interval["low"])

    return change


def test_on_other_versions_a_limit_may_move_by_chance(copied: Path) -> None:
    folder = copied / "public-run"
    made_elsewhere(folder)
    change_results(folder, shift("high", 0.02))
    found = reproduce(folder)
    assert verdicts(found) == {"estimates[resampled].interval.high": CHANCE}
    assert found.environment == ("numpy: 1.26.0 then, " + found.environment[0].split("then, ")[1],)
    assert "made otherwise: numpy: 1.26.0 then" in found.summary()


def test_but_not_by_more_than_chance(copied: Path) -> None:
    folder = copied / "public-run"
    made_elsewhere(folder)
    change_results(folder, shift("low", -5.0))
    found = reproduce(folder)
    assert verdicts(found) == {"estimates[resampled].interval.low": DIFFERS}
    assert not found.agrees


def test_on_the_same_versions_nothing_moves_by_chance(copied: Path) -> None:
    folder = copied / "public-run"
    change_results(folder, shift("high", 0.02))
    found = reproduce(folder)
    assert verdicts(found) == {"estimates[resampled].interval.high": UNEXPLAINED}
    assert not found.agrees


def test_an_estimate_without_draws_may_not_move_on_any_version(copied: Path) -> None:
    folder = copied / "public-run"
    made_elsewhere(folder)

    def change(content: Any) -> None:
        content["estimates"][0]["interval"]["high"] += 0.5
        content["estimates"][1]["n_hat"] += 0.5

    change_results(folder, change)
    assert verdicts(reproduce(folder)) == {
        "estimates[one model].interval.high": DIFFERS,
        "estimates[resampled].n_hat": DIFFERS,
    }


def test_rounding_is_told_apart() -> None:
    known = Comparing(allowed={}, drawn=frozenset(), same_environment=True, same_key=True)

    def verdict(before: Any, after: Any, name: str = "x") -> str:
        return compared({name: before}, {name: after}, known)[0].verdict

    assert verdict(1000.0, 1000.0) == EQUAL
    assert verdict(1000.0, 1000.0005) == AGREES
    assert verdict(1000.0, 1000.005) == DIFFERS
    assert verdict(1e-17, 0.0) == AGREES
    assert verdict(3, 3.0) == EQUAL
    assert verdict(1, True) == DIFFERS
    assert verdict(None, 3.0) == DIFFERS
    assert verdict([], [1.0]) == DIFFERS
    assert verdict(10**9, 10**9 + 1, "seed") == DIFFERS
    assert verdict("<10", 9) == DIFFERS
    assert verdict(math.inf, 9.0) == DIFFERS
    assert verdict(math.nan, 9.0) == DIFFERS
    assert verdict(10**400, 9.0) == DIFFERS
    assert verdict(10**400, 10**400) == EQUAL


def test_what_rests_on_draws_is_not_compared_across_versions() -> None:
    before = {"estimates": [{"label": "b", "details": {"ess": 800}, "reason": "of 3 chains", "status": "ok"}]}
    after = {
        "estimates": [{"label": "b", "details": {"ess": 812}, "reason": "of 4 chains", "status": "boundary"}]
    }
    drawn = frozenset({("estimates", "b")})
    found = {}
    for same in (True, False):
        known = Comparing(allowed={}, drawn=drawn, same_environment=same, same_key=True)
        found[same] = {f.where[13:]: f.verdict for f in compared(before, after, known)}
    assert found[False] == {
        "label": EQUAL,
        "details.ess": NOT_COMPARED,
        "reason": NOT_COMPARED,
        "status": DIFFERS,
    }
    assert set(found[True].values()) == {EQUAL, DIFFERS}


def test_with_another_key_inputs_that_are_not_public_cannot_be_checked(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "of a reviewer"))
    found = reproduce(copied / "private-run")
    assert status_of(found, "counts.csv").startswith("cannot be checked: ")
    assert set(verdicts(found).values()) == {NOT_COMPARED}
    assert all("fingerprint" in where for where in verdicts(found))
    assert found.agrees


# --- folders ---


def test_data_may_stand_elsewhere(copied: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    (copied / "private-run").rename(folder)
    with pytest.raises(SettingError, match=r"the input 'counts.csv' is missing; .*--data"):
        reproduce(folder)
    assert reproduce(folder, data=copied).agrees


def test_a_folder_without_a_finished_run_is_refused(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="there is no folder"):
        reproduce(tmp_path / "gone")
    with pytest.raises(SettingError, match=r"holds no manifest\.json"):
        reproduce(tmp_path)
    change_manifest(copied / "public-run", status="unfinished")
    with pytest.raises(SettingError, match="is unfinished; run its plan again"):
        reproduce(copied / "public-run")
    change_manifest(copied / "public-run", status="complete", plan={"hash": "x"})
    with pytest.raises(SettingError, match="not a whole manifest"):
        reproduce(copied / "public-run")
    (copied / "private-run" / "results.json").write_text("{")
    with pytest.raises(SettingError, match=r"results\.json cannot be read, so nothing can be compared"):
        reproduce(copied / "private-run")


def test_a_plan_that_can_no_longer_be_carried_out_is_told_with_what_changed(copied: Path) -> None:
    (copied / "counts.csv").write_text("police,count\n1,30\n")
    with pytest.raises(
        SettingError, match=r"(?s)cannot be carried out again: .*'sex'.*'counts\.csv' is changed"
    ):
        reproduce(copied / "private-run")
