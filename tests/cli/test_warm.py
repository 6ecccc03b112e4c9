"""`hiddenpop warm`: afterwards nothing has to be compiled, and it says where what it compiled lies."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hiddenpop.estimators import warm
from hiddenpop.estimators.registry import ESTIMATORS, STANDARD_PANEL, build
from hiddenpop.estimators.warm import to_compile, warm_up

Run = Callable[..., Any]

COUNTED = """
import sys
from numba.core.event import RecordingListener, register
listener = RecordingListener()
register("numba:compile", listener)
from hiddenpop.cli import main
code = main(sys.argv[1:])
ours = [event for _, event in listener.buffer if event.is_start
        and event.data["dispatcher"].py_func.__module__.startswith("hiddenpop.")]
print(code, len(ours), file=sys.stderr)
"""


def counted(place: Path, *words: str) -> tuple[list[str], list[str]]:
    """Run a command in a process of its own; give what it printed, and its exit code beside the functions compiled."""
    environment = {**os.environ, "HIDDENPOP_CACHE_DIR": str(place)}
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, *words], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines(), done.stderr.splitlines()[-1].split()


@pytest.mark.slow
def test_after_it_nothing_is_compiled(tmp_path: Path) -> None:
    """Minutes, as everything is compiled."""
    place = tmp_path / "cache"
    (said,), (code, n_compiled) = counted(place, "warm")
    assert code == "0"
    assert int(n_compiled) > 100
    assert said.startswith("ready after ")
    assert said.endswith(f" s; what is compiled lies in {place}")
    for words in (
        "warm",
        "estimate uk_5 --seed 1",
        "estimate uk_5 --estimator bootstrapped --seed 1",
        "estimate netherlands_5 --estimator selected --set search=exhaustive",
        "estimate spina_bifida --estimator covariate_selected --seed 1 --by eth",
        "estimate kosovo --estimator decomposable --seed 1",
        "estimate kosovo --estimator latent_class --set n_draws=100 --seed 1",
        "describe uk",
    ):
        assert counted(place, *words.split())[1] == ["0", "0"], words


def test_everything_registered_is_fitted_and_the_panel_as_it_is() -> None:
    methods = to_compile()
    assert {method.name for method in methods} == set(ESTIMATORS)
    assert {build(name, settings) for name, settings in STANDARD_PANEL.values()} <= set(methods)
    assert len(methods) == len(set(methods))


def test_every_choice_of_a_setting_is_fitted_and_every_base() -> None:
    selected = [method for method in to_compile() if method.name == "selected"]
    assert {method.search for method in selected} >= {"exact", "exhaustive", "mc3", "stepwise_p"}
    bases = {method.base.name for method in to_compile() if method.name == "bootstrapped"}
    assert bases >= {"selected", "loglinear", "averaged", "chao", "covariate_selected"}
    assert not bases & {"bootstrapped", "stratified", "latent_class"}


def test_a_method_that_takes_neither_table_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "to_compile", lambda: (build("chapman", {}), build("chao", {})))
    warm_up()


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_compiled(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HIDDENPOP_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(warm, "warm_up", pytest.fail)
    answer = run("warm")
    assert (answer.code, answer.out) == (2, "")
    assert f"{tmp_path / 'file' / 'cache'} cannot be written" in answer.err


def test_it_says_where_what_is_compiled_lies(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIDDENPOP_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(warm, "to_compile", lambda: (build("loglinear", {}),))
    answer = run("warm")
    assert (answer.code, answer.err) == (0, "")
    assert re.fullmatch(
        rf"ready after \d+ s; what is compiled lies in {re.escape(str(tmp_path))}\n", answer.out
    )
