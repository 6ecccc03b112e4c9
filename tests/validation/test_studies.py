"""Studies: the same results whatever else is in them, files that can be gone on from, faults that are named."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster
from joblib.externals.loky import get_reusable_executor
from pandas.testing import assert_frame_equal
from tests.validation.estimators import Buggy, Guess, Refusing

import hiddenpop as hp
from hiddenpop.errors import SettingError, TableError, UnknownNameError
from hiddenpop.store import read_finished
from hiddenpop.synthetic import LIBRARY, Scenario
from hiddenpop.validation import join_studies, read_study, rerun_block, study
from hiddenpop.validation.measures import NOT_APPLICABLE

TWO, THREE = LIBRARY["independent-two"], LIBRARY["independent-three"]
BOTH = {"guess": Guess(), "independence": hp.LogLinear()}


@pytest.fixture(scope="module", autouse=True)
def workers_end_with_the_module() -> Iterator[None]:
    yield
    get_reusable_executor().shutdown(wait=True)


def run(estimators: Any = BOTH, scenarios: Any = (TWO, THREE), **more: Any) -> Any:
    return study(estimators, scenarios, **{"n_rep": 7, "rng": 1, "block_size": 3, **more})


def rows(result: Any, **names: str) -> pd.DataFrame:
    frame = result.replicates
    for column, name in names.items():
        frame = frame[frame[column] == name]
    return frame.reset_index(drop=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files but run times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "times" not in path.parts
    }


def test_a_study_has_a_row_for_each_replicate() -> None:
    result = run()
    assert len(result.replicates) == 2 * 2 * 7
    assert rows(result, scenario=TWO.name, estimator="guess")["replicate"].tolist() == list(range(7))
    assert set(rows(result, scenario=TWO.name)["truth"]) == {TWO.truth}
    assert (result.times["seconds"] > 0).all()


def test_all_estimators_see_the_same_tables() -> None:
    result = run()
    for name in (TWO.name, THREE.name):
        seen = [rows(result, scenario=name, estimator=label)["n_observed"].tolist() for label in BOTH]
        assert seen[0] == seen[1]
        assert len(set(seen[0])) > 1


def test_company_changes_nothing() -> None:
    whole = run()
    alone = run({"guess": Guess()}, [THREE])
    assert_frame_equal(alone.replicates, rows(whole, scenario=THREE.name, estimator="guess"))


def test_more_replicates_begin_with_those_there_were() -> None:
    longer = run(n_rep=11, block_size=4)
    assert_frame_equal(
        run().replicates, longer.replicates[longer.replicates["replicate"] < 7].reset_index(drop=True)
    )


def test_another_seed_gives_other_tables() -> None:
    assert run(rng=2).replicates["n_observed"].tolist() != run().replicates["n_observed"].tolist()


def test_a_block_runs_alone() -> None:
    whole = rows(run(), scenario=THREE.name)
    alone = rerun_block(BOTH, THREE, 1, n_rep=7, rng=1, block_size=3)
    assert_frame_equal(alone, whole[whole["replicate"].between(3, 5)].reset_index(drop=True))
    with pytest.raises(
        SettingError, match="block=3 is not there: 7 replicates in blocks of 3 have blocks 0 to 2"
    ):
        rerun_block(BOTH, THREE, 3, n_rep=7, rng=1, block_size=3)


def test_files_are_the_same_bytes_on_any_number_of_workers(tmp_path: Path) -> None:
    results = [run(out=tmp_path / str(n), workers=n) for n in (1, 2, 3)]
    first, *others = (contents(tmp_path / str(n)) for n in (1, 2, 3))
    assert len(first) == 1 + 2 * 2 * 3
    assert all(other == first for other in others)
    assert_frame_equal(results[0].replicates, results[2].replicates)


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes(tmp_path: Path) -> None:
    run(out=tmp_path / "here")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        run(out=tmp_path / "there")
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_a_finished_study_is_read_back(tmp_path: Path) -> None:
    result = run({**BOTH, "refusing": Refusing()}, out=tmp_path)
    again = read_study(tmp_path)
    assert_frame_equal(again.replicates, result.replicates)
    assert_frame_equal(again.times, result.times)
    assert_frame_equal(again.scenarios, result.scenarios)


def test_what_a_block_holds_belongs_to_its_schema(tmp_path: Path) -> None:
    # Measures follow from these columns and may grow; another column, or another meaning, is another schema.
    study(["chapman"], ["independent-two"], n_rep=2, rng=1, out=tmp_path)
    (block,) = (tmp_path / "blocks").glob("*.block")
    assert json.loads((tmp_path / "manifest.json").read_text())["schema_version"] == 2
    assert tuple(next(read_finished(block))) == (
        "scenario", "estimator", "replicate", "truth", "n_hat", "low", "high", "level", "status", "reason",
        "has_interval", "n_observed", "n_failed", "n_warnings",
    )  # fmt: skip
    assert read_study(tmp_path).wide()["replicates_given_ok"].tolist() == [2.0]


def test_an_interrupted_study_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = contents_of_a_run(tmp_path / "whole")
    part = tmp_path / "part"
    run(out=part)
    blocks = sorted((part / "blocks").glob("*.block"))
    blocks[0].unlink()
    blocks[5].write_bytes(blocks[5].read_bytes()[:100])
    with pytest.raises(TableError, match="is not finished: 10 of its 12 blocks are there"):
        read_study(part)
    fitted = count_fits(monkeypatch)
    run(out=part)
    assert contents(part) == whole
    assert 0 < sum(fitted) <= 6


def contents_of_a_run(folder: Path) -> dict[str, bytes]:
    run(out=folder)
    return contents(folder)


def count_fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the tables that are drawn from now on."""
    drawn: list[int] = []
    original = Scenario.draw

    def draw(self: Scenario, **settings: Any) -> Any:
        drawn.append(1)
        return original(self, **settings)

    monkeypatch.setattr(Scenario, "draw", draw)
    return drawn


def test_an_estimator_more_computes_nothing_else_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run({"guess": Guess()}, out=tmp_path)
    before = contents(tmp_path)
    run(out=tmp_path)
    after = contents(tmp_path)
    assert {name: after[name] for name in before if name != "manifest.json"} == {
        name: content for name, content in before.items() if name != "manifest.json"
    }
    drawn = count_fits(monkeypatch)
    run(out=tmp_path)
    assert not drawn


@pytest.mark.parametrize(
    "change",
    [
        {"rng": 2},
        {"estimators": {"guess": Guess(centre=4001.0), "independence": hp.LogLinear(level=0.9)}},
        {"scenarios": (TWO.resized(3990), THREE.resized(2990))},
    ],
)
def test_blocks_of_other_settings_are_never_mixed_in(tmp_path: Path, change: dict[str, Any]) -> None:
    run(out=tmp_path)
    mixed = run(out=tmp_path, **change)
    assert_frame_equal(mixed.replicates, run(**change).replicates)
    assert_frame_equal(read_study(tmp_path).replicates, mixed.replicates)


def test_the_manifest_says_what_was_done_and_holds_no_clock(tmp_path: Path) -> None:
    run(out=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["seed"], manifest["n_rep"], len(manifest["entropy"])) == (1, 7, 4)
    assert set(manifest["versions"]) >= {"hiddenpop", "numpy", "numba"}
    assert manifest["estimators"][1]["settings"]["model"] == "independence"
    assert sorted(manifest["blocks"]) == sorted(path.name for path in (tmp_path / "blocks").glob("*.block"))


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    run(out=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def test_what_an_estimator_cannot_treat_is_noted_and_counted_apart() -> None:
    result = run({"guess": Guess(), "refusing": Refusing()}, [TWO])
    refused = rows(result, estimator="refusing")
    assert set(refused["status"]) == {NOT_APPLICABLE}
    assert set(refused["reason"]) == {"independent-two is beyond me"}
    assert set(refused["n_warnings"]) == {1}
    assert refused["n_hat"].isna().all()
    found = result.performance().set_index(["estimator", "measure"])["value"]
    assert found["refusing"].to_dict() == {"not_applicable": 1.0}
    assert found["guess", "not_applicable"] == 0.0


def test_a_table_with_gaps_in_coverage_is_not_applicable() -> None:
    result = run({"independence": hp.LogLinear()}, ["gap-region-three"])
    assert set(result.replicates["status"]) == {NOT_APPLICABLE}
    assert result.replicates["reason"].str.contains("did not operate in every stratum").all()


def test_warnings_of_the_package_are_silent_and_counted() -> None:
    result = run({"independence": hp.LogLinear()}, ["by-sex-four"])
    assert set(result.replicates["n_warnings"]) == {1}
    assert result.wide()["warned"].tolist() == [1.0]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bug_ends_the_study_and_is_found(workers: int) -> None:
    # Which block fails first is chance once there are two workers.
    where = (
        r"in scenario 'independent-(two|three)', estimator 'buggy', replicate (\d) of the block from \2 to \d, "
        r"entropy \[\d+, \d+, \d+, \d+\]"
    )
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        run({"guess": Guess(), "buggy": Buggy()}, workers=workers)
    assert any(re.fullmatch(where, note) for note in caught.value.__notes__)


def test_a_function_of_the_scenario_stands_for_an_estimator() -> None:
    def by_model(world: Scenario) -> hp.LogLinear:
        if world.model is None:
            raise hp.errors.CapabilityError("no model holds")
        return hp.LogLinear(model=world.model)

    result = run({"true": by_model}, ["one-pair-three", "rasch-three"])
    assert set(rows(result, scenario="one-pair-three")["status"]) == {"ok"}
    assert set(rows(result, scenario="rasch-three")["reason"]) == {"no model holds"}
    named = run({"true": hp.LogLinear(model="[12,3]")}, ["one-pair-three"])
    assert_frame_equal(rows(result, scenario="one-pair-three"), named.replicates)


def test_without_draws_to_make_the_seed_of_a_fit_does_not_matter() -> None:
    # A seed would start a bootstrap of the goodness of fit, at the price of a thousand fits.
    world = LIBRARY["sparse-eight-fifty"]
    table = world.draw(rng=1)
    for estimator in (hp.LogLinear(), hp.SelectedLogLinear(search="stepwise_p"), hp.ChaoLowerBound()):
        bare, seeded = estimator.fit(table), estimator.fit(table, rng=1)
        assert (bare.n_hat, bare.interval) == (seeded.n_hat, seeded.interval)


def test_names_stand_for_estimators_and_scenarios() -> None:
    result = study(["chapman", hp.LogLinear(model="[1,2]")], ["independent-two"], n_rep=2, rng=1)
    assert list(result.replicates["estimator"].unique()) == ["chapman", "loglinear (model=[1,2])"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_rep": 0}, "n_rep=0 must be a whole number"),
        ({"block_size": 0}, "block_size=0 must be a whole number"),
        ({"estimators": []}, "there are no estimators"),
        ({"estimators": "chao"}, "there are no estimators in 'chao'"),
        ({"estimators": [hp.LogLinear]}, "is not an estimator"),
        ({"estimators": ["chao", "chao"]}, "estimator 'chao' is there twice"),
        ({"scenarios": []}, "there are no scenarios"),
        ({"scenarios": "independent-two"}, "there are no scenarios"),
        ({"scenarios": [TWO, "independent-two"]}, "scenario 'independent-two' is there twice"),
        ({"rng": -1}, "is neither a seed"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_drawn(
    change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = count_fits(monkeypatch)
    with pytest.raises(SettingError, match=message):
        run(**change)
    assert not drawn


def test_a_name_that_is_not_there_is_refused_with_a_hint() -> None:
    with pytest.raises(UnknownNameError, match="independent-two"):
        run(scenarios=["independent-too"])
    with pytest.raises(UnknownNameError, match="did you mean 'chapman'"):
        run(["chapmann"])


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"cannot use .*file for a study"):
        run(out=tmp_path / "file")


@pytest.mark.parametrize("text", [None, "{", '{"schema_version": 99}'])
def test_a_folder_without_a_study_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(TableError, match=r"holds no study|schema version 99"):
        read_study(tmp_path)


def test_performance_is_tidy_and_wide_and_in_words() -> None:
    result = run({**BOTH, "refusing": Refusing()}, n_rep=20)
    tidy, wide = result.performance(), result.wide()
    assert list(tidy.columns) == ["scenario", "estimator", "measure", "value", "mcse"]
    assert wide["estimator"].tolist() == ["guess", "independence", "refusing"] * 2
    coverage = tidy[(tidy["measure"] == "coverage") & (tidy["estimator"] == "independence")]["value"]
    assert wide[wide["estimator"] == "independence"]["coverage"].tolist() == coverage.tolist()
    assert math.isnan(wide["coverage"].iloc[2])
    lines = result.to_markdown(["coverage", "bias"]).splitlines()
    assert lines[0] == "| scenario | estimator | coverage | bias |"
    assert len(lines) == 2 + 6
    with pytest.raises(SettingError, match="there is no measure 'power'"):
        result.to_markdown(["power"])
    assert set(result.run_times()["measure"]) == {"seconds"}


def test_studies_are_joined_unless_they_overlap() -> None:
    one, other = run({"guess": Guess()}), run({"independence": hp.LogLinear()})
    joined = join_studies([one, other])
    assert len(joined.replicates) == len(one.replicates) + len(other.replicates)
    assert joined.scenarios["scenario"].tolist() == [TWO.name, THREE.name]
    with pytest.raises(SettingError, match="two of the studies hold 'guess' in 'independent-two'"):
        join_studies([one, one])
    with pytest.raises(SettingError, match="no studies to join"):
        join_studies([])


def test_results_that_are_not_there_are_refused_by_name() -> None:
    with pytest.raises(SettingError, match="the study has no 'chao' in 'independent-two'"):
        run().outcomes("independent-two", "chao")


def test_a_study_says_what_it_is() -> None:
    assert repr(run()) == "<Study: 2 estimators in 2 scenarios, 28 fits>"
    assert dataclasses.is_dataclass(run())
