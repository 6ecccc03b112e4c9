"""`run`: what it leaves, that nothing leaves that should not, and that nothing but the plan matters."""

import hashlib
import hmac
import importlib
import json
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from tests.runs.conftest import COUNTS, PLAN, PRIVATE

from hiddenpop import datasets, monitor
from hiddenpop.errors import SettingError, TableError
from hiddenpop.keys import secret_key, steps_key
from hiddenpop.result import Estimate
from hiddenpop.runs import read_plan, run
from hiddenpop.runs.execute import read_manifest, seed_of_step, write_manifest
from hiddenpop.runs.run import default_folder

SAME_BYTES = ("results.json", "estimates.parquet", "draws.parquet", "checks/list_influence.parquet")


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())


def test_it_leaves_what_a_reviewer_needs(finished: Path) -> None:
    folder = finished / "public-run"
    assert set(files_in(folder)) == {
        "analysis.toml",
        "manifest.json",
        "results.json",
        "estimates.parquet",
        "draws.parquet",
        "checks/list_influence.parquet",
        "figures/overlap.png",
        "figures/estimates.png",
        "figures/checks.png",
    }
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest["status"] == "complete"
    assert manifest["started"] <= manifest["finished"]
    assert manifest["plan"]["text"] == PLAN == (folder / "analysis.toml").read_text()
    assert manifest["inputs"] == [
        {"name": "korea", "kind": "data set", "hash": datasets.load("korea").fingerprint}
    ]
    for name, content in files_in(folder).items():
        if name != "manifest.json":
            assert manifest["outputs"][name] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert {"numpy", "pandas", "numba", "matplotlib"} <= set(manifest["versions"])
    assert manifest["estimators"][1]["settings"]["base"]["settings"]["interval"] == "profile"
    assert manifest["checks"][0]["settings"]["claim"] == "more than 100"
    assert manifest["machine"]["cores"] == os.cpu_count()


def test_the_numbers_are_those_of_the_package(finished: Path) -> None:
    plan = read_plan(finished / "public.toml")
    found = results(finished / "public-run")
    for written in found["estimates"]:
        label = written["label"]
        alone = plan.estimators[label].fit(plan.table, rng=seed_of_step(1, "estimate", label))
        assert (written["n_hat"], written["interval"]["low"]) == (alone.n_hat, alone.interval.low)
    rows = pd.read_parquet(finished / "public-run" / "estimates.parquet")
    assert rows["label"].tolist() == ["one model", "resampled"]
    assert rows["n_hat"].tolist() == [written["n_hat"] for written in found["estimates"]]
    check = found["checks"][0]
    assert (check["label"], check["settings"]["claim"]) == ("list_influence", "more than 100")
    draws = pd.read_parquet(finished / "public-run" / "draws.parquet")
    assert draws["estimator"].unique().tolist() == ["resampled"]
    assert len(draws) == 200


def test_small_counts_of_a_table_that_is_not_public_do_not_leave(finished: Path) -> None:
    folder = finished / "private-run"
    content = files_in(folder)
    assert "counts.csv" not in content
    assert content["results.json"].count(b"hmac-sha256:") >= 2
    manifest = read_manifest(folder)
    assert manifest is not None
    digest = hashlib.sha256((finished / "counts.csv").read_bytes()).hexdigest()
    assert not any(digest.encode() in blob for blob in content.values())
    assert manifest["inputs"][0]["hash"].startswith("hmac-sha256:")
    assert len(manifest["key"]) == 16
    found = results(folder)
    assert found["small_counts_shown"] is False
    checks = pd.read_parquet(folder / "checks" / "list_influence.parquet")
    assert checks["n_hat"].dropna().map(lambda n: float(f"{n:.2e}") == n).all()
    assert {"parts/subgroups-1.parquet", "strata.parquet", "figures/subgroups-1.png"} <= set(content)


# --- what may leave of a table that is not public ---------------------------------------------------------------------


def test_a_run_on_private_data_stays_inside_and_what_may_leave_stands_apart(finished: Path) -> None:
    folder = finished / "private-run"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "stays where they are" in (folder / "STAYS-INSIDE.txt").read_text()
    checker = folder / "for-the-checker"
    assert stat.S_IMODE(checker.stat().st_mode) == 0o700
    assert {"account.csv", "audit.csv", "knowledge.json", "STAYS-INSIDE.txt"} <= set(files_in(checker))
    assert set(files_in(folder / "release")) == {
        "covariates--answers.csv",
        "covariates--counts.csv",
        "estimates.json",
        "estimates.png",
        "release.json",
    }
    assert not {"release", "for-the-checker", "STAYS-INSIDE.txt"} & {
        path.name for path in (finished / "public-run").iterdir()
    }
    manifest = read_manifest(folder)
    assert manifest is not None
    assert {name for name in files_in(folder) if name != "manifest.json"} == set(manifest["outputs"])


def test_what_may_leave_holds_no_number_with_all_its_digits(finished: Path) -> None:
    folder = finished / "private-run"
    inside, released = results(folder), json.loads((folder / "release" / "estimates.json").read_text())
    whole = inside["estimates"][0]
    numbers = [whole["n_hat"], whole["interval"]["low"], whole["interval"]["high"]]
    telling = [str(whole["seed"]), inside["table"]["fingerprint"], *(f"{number:.0f}" for number in numbers)]
    assert any(text in (folder / "results.json").read_text() for text in telling)
    for name, content in files_in(folder / "release").items():
        if not name.endswith(".png"):
            assert not [text for text in telling if text in content.decode()], name
    (one,) = released["estimates"]
    assert set(one) == {
        "label", "method", "status", "n_hat", "interval", "n_lists", "n_observed", "lists",
    }  # fmt: skip
    assert one["n_observed"] % 5 == 0
    assert all(isinstance(n, str) or n % 5 == 0 for n in one["lists"].values())
    audit = pd.read_csv(folder / "for-the-checker" / "audit.csv")
    assert len(audit) == 3  # the counts of 3, 2 and 5
    assert audit["open"].all()


@pytest.mark.usefixtures("without_figures")
def test_a_run_is_judged_with_what_has_left_before_and_by_its_own_rules(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []
    write = importlib.import_module("hiddenpop.runs.write")
    made = write.release_estimates

    def watched(table: Any, estimates: Any, rules: Any, earlier: Any) -> Any:
        judged.append((rules.label, len(earlier)))
        return made(table, estimates, rules, earlier)

    monkeypatch.setattr(write, "release_estimates", watched)
    more = '[release]\nearlier = ["private-run/for-the-checker"]\n[release.rules]\nname = "ours"\nthreshold = 12\n'
    (copied / "again.toml").write_text(PRIVATE + more)
    done = run(copied / "again.toml", workers=1)
    assert judged == [("ours, version 1", 1)]
    shown = json.loads((done.folder / "release" / "estimates.json").read_text())
    assert shown["rules"] == "ours, version 1"
    (copied / "wrong.toml").write_text(PRIVATE + '[release]\nearlier = ["none"]\n')
    with pytest.raises(SettingError, match=r"\[release\]"):
        read_plan(copied / "wrong.toml")
    (copied / "wrong.toml").write_text(PRIVATE + "[release]\nrules = 3\n")
    with pytest.raises(SettingError, match=r"not a section; write settings below \[release.rules\]"):
        read_plan(copied / "wrong.toml")


@pytest.mark.usefixtures("without_figures")
def test_a_report_that_may_leave_is_made_of_what_was_released_alone(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past: list[str] = []
    write = importlib.import_module("hiddenpop.runs.write")
    made = write._write_release

    def watched(*given: Any) -> Any:
        with monkeypatch.context() as patch:
            for name in ("to_dict", "to_frame", "summary", "_repr_html_", "in_words"):
                patch.setattr(Estimate, name, lambda *a, name=name, **k: past.append(name))
            return made(*given)

    monkeypatch.setattr(write, "_write_release", watched)
    text = PRIVATE.replace("formats = []", 'formats = ["html", "json"]\nlanguages = ["en", "nl"]')
    (copied / "again.toml").write_text(text)
    done = run(copied / "again.toml", workers=1)
    assert past == []
    whole = results(done.folder)["estimates"][0]
    digits = {
        f"{number:,.0f}" for number in (whole["n_hat"], whole["interval"]["low"], whole["interval"]["high"])
    }
    for name in ("report.html", "report.nl.html"):
        page = (done.folder / "release" / name).read_text()
        assert "police" in page
        assert not [text for text in digits if text in page or text.replace(",", ".") in page]
        assert "hmac-sha256" not in page
    assert not (done.folder / "release" / "report.json").exists()


@pytest.mark.usefixtures("without_figures")
def test_where_nothing_can_be_released_the_run_says_why(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> Any:
        raise SettingError("nothing is released: too narrow")

    monkeypatch.setattr(importlib.import_module("hiddenpop.runs.write"), "release_estimates", refuse)
    done = run(copied / "private.toml", copied / "other", workers=1)
    assert (done.folder / "NOT-RELEASED.txt").read_text() == "nothing is released: too narrow\n"
    assert not (done.folder / "release").exists()


@pytest.mark.usefixtures("without_figures")
def test_a_trend_without_each_list_tells_nobody_who_is_on_one_list_alone(tmp_path: Path) -> None:
    monitor = '[monitor]\ntrend_by_list = "year"\ntrend = { year = "year" }'
    text = PRIVATE.replace("sex", "year").replace('[monitor]\nsubgroups = "year"', monitor)
    (tmp_path / "plan.toml").write_text(text)
    (tmp_path / "counts.csv").write_text(
        COUNTS.replace("sex", "year").replace(",f,", ",2015,").replace(",m,", ",2016,")
    )
    done = run(tmp_path / "plan.toml", workers=1)
    rows = pd.read_parquet(done.folder / "parts" / "trend_by_list-1.parquet")
    one_out = rows["without"] != "(none)"
    assert set(rows.loc[one_out, "n_observed"]) == {"<10"}
    assert rows.loc[~one_out, "n_observed"].tolist() == ["327", "183"]
    sizes = pd.to_numeric(rows["n_hat"])
    assert sizes.map(lambda n: float(f"{n:.2e}") == n).all()
    inside = done.found.parts["trend_by_list-1"].frame
    assert sizes.to_numpy() == pytest.approx(inside["n_hat"].to_numpy(), rel=0.01)
    directions = pd.read_parquet(done.folder / "parts" / "trend_by_list-1-directions.parquet")
    assert directions["ratio"].map(lambda n: float(f"{n:.2e}") == n).all()


MONITOR = """[monitor]
rates = { by = "sex", residents = "residents.csv", per = 1000 }
ranks = [{ by = "sex", top = 1 }, { by = ["sex"], top = 1, residents = "residents.csv" }]
subgroups = [["sex"]]

[monitor.un_indicator]
residents = "residents.csv"
mapping = { sex = ["Sex", { f = "FEMALE", m = "MALE" }] }
area = ["528", "Netherlands"]
year = 2015
"""


def test_every_part_of_a_monitor_can_be_planned(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text(COUNTS)
    (tmp_path / "residents.csv").write_text("sex,residents\nf,9000\nm,8000\n")
    text = PRIVATE.replace('[monitor]\nsubgroups = "sex"\n', MONITOR)
    (tmp_path / "plan.toml").write_text(text)
    done = run(tmp_path / "plan.toml", workers=1)
    assert list(done.found.parts) == ["rates-1", "ranks-1", "ranks-2", "subgroups-1", "un_indicator-1"]
    assert [source.name for source in done.plan.inputs] == ["counts.csv", "residents.csv"]
    assert done.plan.inputs[1].digest.startswith("sha256:")
    frame = pd.read_parquet(done.folder / "parts" / "rates-1.parquet")
    assert frame["residents"].tolist() == [9000.0, 8000.0, 17000.0]
    assert {f"figures/{name}.png" for name in ("rates-1", "ranks-1", "subgroups-1")} <= set(done.files)
    assert [part["kind"] for part in results(done.folder)["parts"]][0::2] == ["Rates", "Ranks", "UNIndicator"]


@pytest.mark.usefixtures("without_figures")
def test_a_small_population_is_withheld_in_every_file(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("a,b,count\n1,0,3\n0,1,2\n1,1,2\n")
    text = PLAN.replace('table = "korea"', 'file = "few.csv"').replace('"[12,3]"', '"independence"')
    (tmp_path / "few.toml").write_text(text.replace("n_boot = 200", "n_boot = 40\nlevel = 0.7"))
    folder = run(tmp_path / "few.toml", workers=1).folder
    assert "draws.parquet" not in files_in(folder)
    rows = pd.read_parquet(folder / "estimates.parquet")
    assert rows[["n_hat", "low", "n_observed", "n_hidden"]].eq("<10").all(axis=None)
    shown = results(folder)
    assert shown["table"]["n_observed"] == "<10"
    assert {written["n_observed"] for written in shown["estimates"]} == {"<10"}
    lifted = text.replace("[report]", "[report]\nshow_small_counts = true")
    (tmp_path / "open.toml").write_text(lifted.replace("n_boot = 200", "n_boot = 40\nlevel = 0.7"))
    folder = run(tmp_path / "open.toml", workers=1).folder
    assert results(folder)["table"]["n_observed"] == 7
    assert results(folder)["small_counts_shown"] is True
    assert json.loads((folder / "manifest.json").read_text())["small_counts_shown"] is True


@pytest.mark.usefixtures("without_figures")
def test_same_plan_same_bytes_on_any_number_of_workers(finished: Path, tmp_path: Path) -> None:
    again = run(finished / "public.toml", tmp_path / "again", workers=2).folder
    before, after = files_in(finished / "public-run"), files_in(again)
    assert {name for name in before if not name.startswith("figures/")} == set(after)
    for name in set(after) - {"manifest.json"}:
        assert before[name] == after[name], name


@pytest.mark.usefixtures("without_figures")
def test_another_estimator_changes_nothing_of_the_others(finished: Path, tmp_path: Path) -> None:
    more = '[[estimator]]\nlabel = "more"\nname = "chao"\n[[estimator]]\nlabel = "one model"'
    (tmp_path / "more.toml").write_text(PLAN.replace('[[estimator]]\nlabel = "one model"', more))
    found, before = results(run(tmp_path / "more.toml").folder), results(finished / "public-run")
    assert [written["label"] for written in found["estimates"]] == ["more", "one model", "resampled"]
    assert found["estimates"][1:] == before["estimates"]
    assert found["checks"] == before["checks"]


@pytest.mark.usefixtures("without_figures")
def test_another_seed_makes_other_draws(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(PLAN.replace("seed = 1", "seed = 2"))
    found, before = results(run(tmp_path / "other.toml").folder), results(finished / "public-run")
    assert found["estimates"][0]["interval"] == before["estimates"][0]["interval"]
    assert found["estimates"][1]["interval"] != before["estimates"][1]["interval"]


def test_the_seed_of_a_step_depends_on_its_label_alone() -> None:
    seeds = {
        seed_of_step(seed, kind, label)
        for seed in (1, 2)
        for kind in ("estimate", "check")
        for label in ("a", "b")
    }
    assert len(seeds) == 8
    assert max(seeds) < 2**53
    assert seed_of_step(1, "estimate", 'a","b') != seed_of_step(1, 'estimate","a', "b")


@pytest.mark.usefixtures("without_figures")
def test_a_run_tells_itself(finished: Path, tmp_path: Path) -> None:
    done = run(read_plan(finished / "public.toml"), tmp_path / "told")
    assert done.to_frame()["label"].tolist() == ["one model", "resampled"]
    summary = done.summary()
    assert "resampled: N = " in summary
    assert "reported" in summary
    assert "list_influence" in repr(done)
    assert default_folder(Path("x") / "plan.toml") == Path("x") / "plan-run"


@pytest.mark.usefixtures("without_figures")
def test_a_check_run_twice_has_two_names(tmp_path: Path) -> None:
    twice = 'checks = ["list_influence", { name = "list_influence", moves = ["leave_one_out"] }]'
    (tmp_path / "twice.toml").write_text(PLAN.replace('checks = ["list_influence"]', twice))
    done = run(tmp_path / "twice.toml")
    assert list(done.found.checks) == ["list_influence", "list_influence-2"]
    assert "checks/list_influence-2.parquet" in done.files


def test_what_a_step_refuses_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text(COUNTS)
    text = PRIVATE.replace('subgroups = "sex"', 'subgroups = { by = "sex", level = 0.999 }')
    (tmp_path / "late.toml").write_text(text)
    with pytest.raises(SettingError, match=r"the part 'subgroups-1' could not be made: level=0\.999"):
        run(tmp_path / "late.toml")
    manifest = read_manifest(tmp_path / "late-run")
    assert manifest is not None
    assert manifest["status"] == "unfinished"


# --- folders ---


def test_a_finished_run_is_not_written_over(copied: Path) -> None:
    before = files_in(copied / "public-run")
    with pytest.raises(SettingError, match=r"holds a finished run; .*hiddenpop reproduce.*--out"):
        run(copied / "public.toml")
    (copied / "public.toml").write_text(PLAN.replace("seed = 1", "seed = 2"))
    with pytest.raises(SettingError, match="holds a finished run of another plan"):
        run(copied / "public.toml")
    assert files_in(copied / "public-run") == before


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(SettingError, match=r"holds other files \('thesis.txt'\)"):
        run(tmp_path / "plan.toml", out)
    (out / "manifest.json").write_text("{")
    with pytest.raises(SettingError, match="cannot be read as the manifest of a run"):
        run(tmp_path / "plan.toml", out)
    (out / "manifest.json").write_text('{"name": "an app"}')
    with pytest.raises(SettingError, match="is not a manifest of a run that this version reads"):
        run(tmp_path / "plan.toml", out)
    (out / "manifest.json").write_text('{"schema_version": 1, "seed": 1, "inputs": [3], "plan": "x"}')
    with pytest.raises(
        SettingError, match="is not a whole manifest of a run: status, plan, core_versions, machine"
    ):
        run(tmp_path / "plan.toml", out)
    assert {p.name for p in out.iterdir()} == {"thesis.txt", "manifest.json"}


def unfinished(copied: Path, **changes: Any) -> Path:
    """Turn a finished run into one that was left before its end."""
    folder = copied / "private-run"
    manifest = read_manifest(folder)
    assert manifest is not None
    write_manifest(folder, {**manifest, "status": "unfinished", **changes})
    return folder


@pytest.mark.usefixtures("without_figures")
def test_an_unfinished_run_goes_on(copied: Path) -> None:
    before = files_in(copied / "private-run")
    folder = unfinished(copied)
    (folder / "results.json").write_text("half")
    (folder / ".results.json.123.part").write_text("half")
    run(copied / "private.toml")
    after = files_in(folder)
    assert set(after) == set(before)
    assert all(after[name] == before[name] for name in before if name != "manifest.json")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("plan", "the plan is another one"),
        ("input", "the input 'counts.csv' has changed since"),
        ("version", r"numpy has changed since \(1.0 then, "),
        ("source", "source of hiddenpop has changed since"),
    ],
)
def test_an_unfinished_run_of_something_else_is_not_gone_on_with(
    change: str, told: str, copied: Path
) -> None:
    core = dict(read_manifest(copied / "private-run")["core_versions"])  # type: ignore[index]
    core |= {"version": {"numpy": "1.0"}, "source": {"source of hiddenpop": "x"}}.get(change, {})
    folder = unfinished(copied, core_versions=core)
    if change == "plan":
        (copied / "private.toml").write_text(PRIVATE + "\n# a remark\n")
    if change == "input":
        (copied / "counts.csv").write_text(COUNTS.replace("143", "144"))
    before = files_in(folder)
    with pytest.raises(SettingError, match=f"unfinished run that cannot be gone on with: .*{told}"):
        run(copied / "private.toml")
    assert files_in(folder) == before


@pytest.mark.usefixtures("without_figures")
def test_two_runs_never_write_into_each_others_folder(copied: Path) -> None:
    folder = unfinished(copied)
    (folder / ".work").mkdir()
    before = files_in(folder)
    with (
        FileLock(folder / ".work" / "lock"),
        pytest.raises(SettingError, match=r"another run is writing to .*--out"),
    ):
        run(copied / "private.toml")
    assert {name for name in files_in(folder) if name != ".work/lock"} == set(before)
    run(copied / "private.toml")
    assert not (folder / ".work").exists()


def test_what_has_to_stay_is_readable_by_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "counts.csv").write_text(COUNTS)
    (tmp_path / "plan.toml").write_text(PRIVATE)
    seen: dict[str, int] = {}

    def stop(*args: object) -> None:
        for path in (tmp_path / "plan-run").rglob("*"):
            seen[path.relative_to(tmp_path / "plan-run").parts[0]] = stat.S_IMODE(path.stat().st_mode)
        seen["work"] = stat.S_IMODE((tmp_path / "plan-run" / ".work").stat().st_mode)
        raise TableError("stopped")

    monkeypatch.setattr(importlib.import_module("hiddenpop.runs.run"), "write_all", stop)
    with pytest.raises(TableError, match="stopped"):
        run(tmp_path / "plan.toml")
    assert seen["work"] == 0o700
    assert set(seen) == {"work", ".work", "manifest.json"}


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722])
def test_a_folder_of_steps_that_others_may_write_is_refused(mode: int, copied: Path) -> None:
    folder = unfinished(copied)
    (folder / ".work").mkdir()
    (folder / ".work").chmod(mode)
    with pytest.raises(SettingError, match=r"others may write to .*\.work .*run: chmod 700 .*\.work"):
        run(copied / "private.toml")
    (folder / ".work").chmod(0o700)
    run(copied / "private.toml")


def test_a_folder_of_steps_that_is_a_link_is_refused(copied: Path) -> None:
    folder = unfinished(copied)
    (copied / "elsewhere").mkdir(mode=0o700)
    (folder / ".work").symlink_to(copied / "elsewhere")
    with pytest.raises(SettingError, match=r"\.work leads elsewhere; delete that link"):
        run(copied / "private.toml")


def test_a_folder_of_steps_of_another_user_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = unfinished(copied)
    (folder / ".work").mkdir(mode=0o700)
    monkeypatch.setattr("os.geteuid", lambda: 12345678)
    with pytest.raises(SettingError, match=r"\.work belongs to another user"):
        run(copied / "private.toml")


@pytest.mark.usefixtures("without_figures")
def test_blocks_of_somebody_else_are_computed_again(tmp_path: Path, finished: Path) -> None:
    """Whoever hands on an unfinished run can write blocks with a right checksum, and has no signature."""
    from hiddenpop.runs.execute import execute
    from hiddenpop.store import read_finished, write_finished

    (tmp_path / "plan.toml").write_text(PLAN)
    plan, work = read_plan(tmp_path / "plan.toml"), tmp_path / "work"
    first = execute(plan, work=work, workers=1)
    blocks = sorted((work / "blocks").iterdir())
    assert blocks
    for path in blocks:
        [own] = read_finished(path, steps_key())
        write_finished(path, own * 0 if hasattr(own, "dtype") else own)
    for path in (work / "steps").iterdir():
        path.unlink()
    again = execute(plan, work=work, workers=1)
    assert [e.draws is None or e.draws.tolist() for e in again.estimates.values()] == [
        e.draws is None or e.draws.tolist() for e in first.estimates.values()
    ]
    assert all(list(read_finished(path, steps_key())) for path in blocks)


def test_a_file_that_vanishes_before_it_is_hashed_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("hiddenpop.runs.write")
    (tmp_path / "plan.toml").write_text(PLAN)

    def lose(plan: Any, found: Any, folder: Path) -> list[str]:
        (folder / "draws.parquet").unlink()
        return []

    monkeypatch.setattr(module, "_write_figures", lose)
    with pytest.raises(SettingError, match=r"draws\.parquet was written and is gone; .*run again"):
        run(tmp_path / "plan.toml")
    assert read_manifest(tmp_path / "plan-run")["status"] == "unfinished"  # type: ignore[index]


def test_a_step_of_somebody_else_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hiddenpop.runs.execute import Steps

    steps = Steps(tmp_path / "steps", "run")
    assert steps.done("estimate", "x", lambda: 1) == 1
    assert steps.done("estimate", "x", lambda: 2) == 1
    assert steps.done("estimate", "y", lambda: 3) == 3
    assert Steps(tmp_path / "steps", "other run").done("estimate", "x", lambda: 4) == 4
    assert steps.done("estimate", "no plain form", lambda: lambda: 8)() == 8
    monkeypatch.setenv("HIDDENPOP_STEPS_KEY_FILE", str(tmp_path / "another key"))
    assert steps.done("estimate", "x", lambda: 5) == 5
    for path in (tmp_path / "steps").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert steps.done("estimate", "x", lambda: 6) == 6
    monkeypatch.setenv("HIDDENPOP_STEPS_KEY_FILE", str(tmp_path / "file" / "key"))
    (tmp_path / "file").write_text("")
    assert steps.done("estimate", "x", lambda: 7) == 7
    assert len(list((tmp_path / "steps").iterdir())) == 3


def test_who_has_the_key_of_fingerprints_can_plant_no_step(tmp_path: Path) -> None:
    """A colleague shares that key, as SECURITY advises, and writes a step: a pickle, or numbers of his own."""
    from hiddenpop.runs.execute import Steps

    class Planted:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path / "ran").write_text, ("code",)

    shared = secret_key()
    steps = Steps(tmp_path / "steps", "run")
    assert steps.done("estimate", "x", lambda: 1) == 1
    [path] = (tmp_path / "steps").iterdir()
    own = path.read_bytes()
    for payload in (pickle.dumps(Planted()), own[32:]):
        path.write_bytes(hmac.digest(shared, path.name.encode() + payload, "sha256") + payload)
        assert steps.done("estimate", "x", lambda: 2) == 2
    path.write_bytes(own)
    assert steps.done("estimate", "x", lambda: 3) == 1
    mine = steps_key()
    payload = pickle.dumps(Planted())
    path.write_bytes(hmac.digest(mine, path.name.encode() + payload, "sha256") + payload)
    assert steps.done("estimate", "x", lambda: 4) == 4
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("without_figures")
def test_subgroups_of_a_bootstrap_around_strata_can_be_planned(tmp_path: Path) -> None:
    inside = 'base = { name = "stratified", settings = { base = { name = "selected", settings = {} } } }'
    text = PRIVATE.replace('name = "covariate_loglinear"', f'name = "bootstrapped"\n{inside}')
    text = text.replace('model = "police + shelter + clinic + sex"\n', "").replace('["list_influence"]', "[]")
    (tmp_path / "plan.toml").write_text(text)
    (tmp_path / "counts.csv").write_text(COUNTS)
    done = run(tmp_path / "plan.toml", workers=1)
    found = monitor.subgroups(done.found.estimates["covariates"], "sex")
    pd.testing.assert_frame_equal(done.found.parts["subgroups-1"].frame, found.frame)
