"""A stranger's file runs nothing: what may be imported, and by whom."""

import ast
import dataclasses
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.runs.conftest import PLAN

import hiddenpop as hp
from hiddenpop.cli import main
from hiddenpop.errors import HiddenpopError, SettingError, TableError, UnknownNameError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import ESTIMATORS, build, default_settings, estimator_class
from hiddenpop.plotting import forest_plot
from hiddenpop.result import Estimate, EstimatorSpec
from hiddenpop.runs import read_plan, reproduce, run
from hiddenpop.runs.plan import plan_of_text
from hiddenpop.sensitivity import build_check
from hiddenpop.sensitivity.standard_set import standard

PACKAGE = Path(hp.__file__).parent
MODULE = "beside_the_notebook"
EVIL = f"{MODULE}:Evil"
INNER = {"name": EVIL, "settings": {}}
KOREA = hp.datasets.load("korea")

SOURCE = """
from dataclasses import dataclass
from pathlib import Path

Path(__file__).with_name("it-ran").touch()

@dataclass(frozen=True, slots=True, kw_only=True)
class Evil:
    model: str = "[12,3]"

    def fit(self, table, *, rng=None):
        from hiddenpop import LogLinear
        return LogLinear(model=self.model).fit(table, rng=rng)
"""
FOREIGN = PLAN.replace('name = "loglinear"\nmodel = "[12,3]"', f'name = "{EVIL}"', 1)


class Trap:
    """A folder with a module that leaves a mark when it is imported, and which can be imported from here."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, folder / "it-ran"
        (folder / f"{MODULE}.py").write_text(SOURCE)

    @property
    def sprung(self) -> bool:
        return self.mark.exists() or MODULE in sys.modules


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    """Work in a folder with such a module, as a notebook or ``python -m`` does."""
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    yield Trap(tmp_path)
    sys.modules.pop(MODULE, None)


def written(name: Any = EVIL, settings: Any = None) -> dict[str, Any]:
    """Give a stranger's estimate as it stands in a file."""
    content = json.loads(json.dumps(hp.LogLinear(model="[12,3]").fit(KOREA).to_dict()))
    return {**content, "estimator": {"name": name, "settings": {} if settings is None else settings}}


HELD = {
    "itself": (EVIL, {}),
    "inside": ("bootstrapped", {"base": INNER}),
    "inside a foreign one": (EVIL, {"base": INNER}),
    "deep inside": ("stratified", {"base": {"name": "bootstrapped", "settings": {"base": INNER}}}),
    "in a list": ("bootstrapped", {"base": [INNER, [INNER]]}),
    "a nested class": (f"{MODULE}:Evil.fit", {}),
    "a module alone": (MODULE, {}),
    "another separator": (f"{MODULE}.Evil", {}),
}


@pytest.mark.parametrize("held", HELD)
def test_an_estimate_from_a_file_is_shown_and_imports_nothing(trap: Trap, held: str) -> None:
    name, settings = HELD[held]
    found = Estimate.from_dict(written(name, settings))
    said = [
        found.summary(), found._repr_html_(), repr(found), found.to_frame().to_html(), found.estimator.label,
        str(found.in_words()), str(found.to_dict()), hp.Comparison(("a",), (found,)).to_frame().to_html(),
        *(text.get_text() for text in forest_plot([found, found]).get_yticklabels()),
    ]  # fmt: skip
    assert all(said)
    assert name in found.summary()
    assert not trap.sprung


def test_a_report_on_estimates_from_a_file_imports_nothing(trap: Trap) -> None:
    estimates = {held: Estimate.from_dict(written(*spec)) for held, spec in HELD.items()}
    about = {name: name for name in ("title", "question", "population", "why")}
    for chosen in ("itself", "deep inside"):
        report = hp.report.Report(table=KOREA, estimates=estimates, chosen=chosen, **about)
        assert EVIL in report.html()
        assert EVIL in json.dumps(report.to_dict())
    assert not trap.sprung


@pytest.mark.parametrize(
    "build_it",
    [
        lambda: build(EVIL, {}),
        lambda: build("bootstrapped", {"base": INNER}),
        lambda: build("stratified", {"base": {"name": "bootstrapped", "settings": {"base": INNER}}}),
        lambda: estimator_class(EVIL),
        lambda: EstimatorSpec(EVIL, {}).build(),
        lambda: EstimatorSpec("bootstrapped", {"base": INNER}).build(),
        lambda: build_check("multiverse", {"choices": [["class", [["own", [["estimator", INNER]]]]]]}),
        lambda: hp.estimate(KOREA, EVIL),
        lambda: hp.estimate(KOREA, "bootstrapped", base=INNER),
        lambda: hp.compare(KOREA, ["chao", EVIL]),
        lambda: standard(KOREA, EVIL),
        lambda: hp.validation.study([EVIL], ["independent-two"], n_rep=1, rng=1),
    ],
)
def test_a_name_that_is_not_registered_is_refused_with_what_to_say(
    trap: Trap, build_it: Callable[[], Any]
) -> None:
    with pytest.raises(UnknownNameError, match=r"is not a registered estimator.* trust=True .*--trust"):
        build_it()
    assert not trap.sprung


def test_only_one_who_trusts_it_gets_it_built(trap: Trap) -> None:
    assert type(build(EVIL, {}, trust=True)).__name__ == "Evil"
    assert trap.sprung
    inside = EstimatorSpec("bootstrapped", {"base": {"name": "stratified", "settings": {"base": INNER}}})
    assert type(inside.build(trust=True).base.base).__name__ == "Evil"
    check = build_check("multiverse", {"choices": [["class", [["own", [["estimator", INNER]]]]]]}, trust=True)
    assert "Evil" in repr(check)
    assert "fit" not in default_settings(EVIL)


# --- text -------------------------------------------------------------------------------------------------------------

CLEAR = "\x1b[2J"
STEERING = ["\x1b]0;owned\x07", CLEAR, "\x9b2J", "\u202eevil", "\u2066", "\r", "\x00", "\ud800"]


@pytest.mark.parametrize("sign", STEERING)
def test_a_label_is_one_line_that_steers_nothing(sign: str) -> None:
    for spec in (
        EstimatorSpec(f"a{sign}:B\n", {}),
        EstimatorSpec("loglinear", {f"a{sign}": 1}),
        EstimatorSpec(
            "bootstrapped", {"base": {"name": f"a{sign}", "settings": {"b": [sign, {sign: sign}]}}}
        ),
    ):
        assert spec.label.isprintable()
        assert "\\" in spec.label


@pytest.mark.parametrize("sign", STEERING)
@pytest.mark.parametrize(
    "place", [("table", "name"), ("interval", "method"), ("estimator", "name"), ("estimator", "settings"),
              ("provenance", "versions"), ("details",), ("reason",)],
)  # fmt: skip
def test_a_file_with_text_that_steers_a_terminal_is_no_estimate(sign: str, place: tuple[str, ...]) -> None:
    content = written("loglinear")
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    text = f"before{sign}after"
    inner[place[-1]] = {"key": [text]} if isinstance(inner[place[-1]], dict) else text
    with pytest.raises(TableError, match="holds control characters") as caught:
        Estimate.from_dict(json.loads(json.dumps(content)))
    assert str(caught.value).isprintable()


def test_lines_and_tabs_of_a_reason_come_back() -> None:
    reason = "first line\n\tsecond line, ça va, 数"
    assert Estimate.from_dict({**written("loglinear"), "reason": reason}).reason == reason


@pytest.mark.parametrize(
    "estimator", [{"name": 1, "settings": {}}, {"name": ["a"], "settings": {}}, {"name": "a", "settings": []},
                  {"name": "a"}, {"name": "a", "settings": {}, "trust": True}],
)  # fmt: skip
def test_an_estimator_in_a_file_is_a_name_with_settings(estimator: dict[str, Any]) -> None:
    with pytest.raises(TableError, match="not an estimate that can be read"):
        Estimate.from_dict({**written(), "estimator": estimator})


# --- plans and what they leave ----------------------------------------------------------------------------------------

PLANS = {
    "itself": FOREIGN,
    "inside": PLAN.replace('base = { name = "loglinear"', f'base = {{ name = "{EVIL}"'),
    "inside, in full": PLAN.replace(
        'base = { name = "loglinear", model = "[12,3]" }', f'base = {{ name = "{EVIL}", settings = {{}} }}'
    ),
    "in a check": PLAN.replace(
        '["list_influence"]',
        '[{name = "multiverse", choices = [["c", [["own", [["estimator", '
        f'{{name = "{EVIL}", settings = {{}}}}]]]]]]}}]',
    ),
}


@pytest.mark.parametrize("where", PLANS)
def test_a_plan_with_a_foreign_name_is_refused_and_imports_nothing(trap: Trap, where: str) -> None:
    path = trap.folder / "plan.toml"
    path.write_text(PLANS[where])
    assert PLANS[where] != PLAN
    for read in (read_plan, run):
        with pytest.raises(SettingError, match=rf"'{EVIL}' is not a registered estimator.*--trust"):
            read(path)
    assert not trap.sprung


@pytest.mark.parametrize(
    "asked",
    [
        FOREIGN + "\n[trust]\ntrust = true\n",
        FOREIGN.replace(f'name = "{EVIL}"', f'name = "{EVIL}"\ntrust = true'),
        FOREIGN.replace("[report]", "[report]\ntrust = true"),
        "trust = true\n" + FOREIGN,
    ],
)
def test_a_plan_cannot_ask_to_be_trusted(trap: Trap, asked: str) -> None:
    with pytest.raises(SettingError, match="is not a registered estimator"):
        plan_of_text(asked, trap.folder / "plan.toml", trap.folder)
    with pytest.raises(SettingError, match=r"no section|no key|no setting 'trust'"):
        plan_of_text(asked, trap.folder / "plan.toml", trap.folder, trust=True)


def test_a_trusted_plan_runs_and_its_folder_is_read_only_with_trust(
    trap: Trap, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("hiddenpop.runs.write"), "_write_figures", lambda *args: [])
    path = trap.folder / "plan.toml"
    path.write_text(FOREIGN)
    done = run(path, trust=True)
    assert trap.sprung
    assert done.found.estimates["one model"].n_hat == hp.LogLinear(model="[12,3]").fit(KOREA).n_hat
    assert reproduce(done.folder, trust=True).agrees
    sys.modules.pop(MODULE)
    trap.mark.unlink()
    with pytest.raises(
        SettingError, match=r"(?s)the plan cannot be carried out again: .* is not a registered"
    ):
        reproduce(done.folder)
    assert main(["reproduce", str(done.folder)]) == 2
    assert "--trust" in capsys.readouterr().err
    assert not trap.sprung
    assert main(["reproduce", str(done.folder), "--trust", "--workers", "1"]) == 0
    assert trap.sprung


# --- the command line -------------------------------------------------------------------------------------------------

COMMANDS = [
    ["estimate", "korea", "--estimator", EVIL],
    ["estimate", "korea", "--estimator", "bootstrapped", "--set", f"base={json.dumps(INNER)}"],
    ["compare", "korea", "chao", EVIL],
    ["sensitivity", "korea", "--estimator", EVIL, "--workers", "1"],
    ["run", "plan.toml", "--workers", "1"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: f"{words[0]}-{len(words)}")
def test_a_command_imports_a_foreign_name_only_with_trust(
    trap: Trap, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (trap.folder / "plan.toml").write_text(FOREIGN)
    assert main(command) == 2
    answer = capsys.readouterr()
    assert (answer.out, answer.err.count("\n")) == ("", 1)
    assert "is not a registered estimator" in answer.err
    assert "--trust" in answer.err
    assert not trap.sprung

    def enough(*arguments: Any, **more: Any) -> None:
        raise TableError("far enough")

    for place in (
        "cli.answers.answer_one",
        "cli.answers.answer_several",
        "sensitivity.standard_set.standard",
    ):
        monkeypatch.setattr(f"hiddenpop.{place}", enough)
    monkeypatch.setattr(importlib.import_module("hiddenpop.runs.run"), "open_folder", enough)
    assert main([*command, "--trust"]) == 2
    assert "far enough" in capsys.readouterr().err
    assert trap.sprung


def test_a_command_in_the_folder_of_a_stranger(trap: Trap) -> None:
    """``python -m`` puts the working folder first of all places."""
    command = [sys.executable, "-m", "hiddenpop", "estimate", "korea", "--estimator", EVIL]
    done = subprocess.run(command, cwd=trap.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--trust" in done.stderr
    assert not trap.sprung


def test_compiled_code_in_the_working_folder_is_left_alone(trap: Trap) -> None:
    """A file ``.numba_config.yaml`` names folders of compiled code, and modules that look for it."""
    Path(".numba_config.yaml").write_text(
        f"cache_locator_classes: {EVIL.replace(':', '.')}\ncache_dir: here\n"
    )
    outside = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    code = """
from hiddenpop.kernels.poisson.lattice import solve_factored
import numba, pathlib
print(repr(numba.config.CACHE_DIR), pathlib.Path(solve_factored.stats.cache_path).is_relative_to(pathlib.Path.cwd()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=outside, check=True, capture_output=True, text=True
    )
    assert done.stdout == "'' False\n"
    assert not trap.sprung


# --- an estimator of one's own, given as an object --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Doubled:
    """Twice the persons observed."""

    times: float = 2.0
    lists: tuple[str, ...] = ()

    def fit(self, table: hp.CaptureTable, *, rng: Any = None) -> Estimate:
        whole = hp.LogLinear(model="[1,2]" if table.n_lists == 2 else "[1,2,3]").fit(table, rng=rng)
        return dataclasses.replace(
            whole, n_hat=self.times * table.n_observed, estimator=spec_of(self),
            interval=hp.Interval(table.n_observed, 9999.0, 0.95, "none of its own"), details={}, protected=(),
        )  # fmt: skip


def test_an_estimator_of_ones_own_needs_no_trust(trap: Trap) -> None:
    mine = Doubled(times=3.0)
    name = f"{__name__}:Doubled"
    whole = mine.fit(KOREA)
    assert whole.estimator.label == f"{name} (times=3.0, lists=[])"
    resampled = hp.Bootstrapped(base=mine, n_boot=200, interval="percentile").fit(KOREA, rng=1)
    assert resampled.n_hat == 3 * KOREA.n_observed
    assert build_check("list_influence", {}).run(mine, KOREA).estimator.name == name
    study = hp.validation.study([mine], ["independent-two"], n_rep=2, rng=1)
    assert study.replicates["estimator"].unique().tolist() == [whole.estimator.label]
    assert hp.compare(KOREA, [mine]).labels == (whole.estimator.label,)
    about = {word: word for word in ("title", "question", "population", "why")}
    report = hp.report.Report(table=KOREA, estimates={"mine": resampled}, chosen="mine", **about)
    assert name in report.html()
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, __name__)
        for found in (whole, resampled):
            back = Estimate.from_dict(json.loads(json.dumps(found.to_dict())))
            assert back.estimator.label == found.estimator.label
            with pytest.raises(UnknownNameError, match="not a registered"):
                back.estimator.build()
        assert __name__ not in sys.modules


def test_what_one_registers_oneself_goes_by_its_name(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ESTIMATORS, "mine", EVIL)
    assert type(build("bootstrapped", {"base": {"name": "mine", "settings": {}}}).base).__name__ == "Evil"
    assert EstimatorSpec("mine", {"model": "[1,2]"}).label == "mine (model=[1,2])"
    assert trap.sprung


@pytest.mark.parametrize(
    "formula",
    [f"__import__('{MODULE}')", f"I(__import__('{MODULE}'))", f"{{__import__('{MODULE}')}}", f"`{MODULE}`",
     f"a + C(__import__('{MODULE}'))", f"eval(\"__import__('{MODULE}')\")"],
)  # fmt: skip
def test_a_formula_or_a_claim_is_never_evaluated(trap: Trap, formula: str) -> None:
    for given in (
        ("covariate_loglinear", {"model": formula}), ("covariate_selected", {"maximal": formula}),
        ("loglinear", {"model": formula}),
    ):  # fmt: skip
        with pytest.raises(HiddenpopError):
            build(*given).fit(hp.datasets.load("spina_bifida"))
    with pytest.raises(HiddenpopError):
        build_check("trajectory", {"claim": formula})
    assert not trap.sprung


# --- what could run anything at all -----------------------------------------------------------------------------------

BUILT_IN = {"__import__", "exec", "eval", "compile"}
RUNS = {
    "importlib.import_module", "importlib.util", "importlib.machinery", "pkgutil", "runpy", "subprocess",
    "multiprocessing", "pty", "code", "codeop", "ctypes", "marshal", "shelve", "dill", "cloudpickle", "yaml", "torch",
    "os.system", "os.popen", "os.startfile", "os.execv", "os.execve", "os.spawnv", "os.posix_spawn",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "numpy.load", "numpy.loads", "joblib.load",
    "pandas.read_pickle", "pandas.read_hdf", "pandas.eval",
}  # fmt: skip
"""Functions that import, evaluate, unpickle or start what they are given, and modules full of them."""
METHODS = {"query", "eval", "load_module", "exec_module"}
"""The same as methods, whatever they belong to."""
ALLOWED = {
    ("__init__.py", "importlib.import_module"): "names of the package, from its own dict",
    (
        "estimators/registry.py",
        "importlib.import_module",
    ): "a registered name, or a path that somebody trusts",
    ("_moved.py", "importlib.import_module"): "the place in the package where an old path has moved to",
    (
        "disclosure/linear.py",
        "ctypes",
    ): "fflush of the C library of this process, so that no line is printed late",
    ("sensitivity/registry.py", "importlib.import_module"): "registered checks",
    ("extras.py", "importlib.import_module"): "packages that an extra brings, named where they are used",
    ("_screen.py", "multiprocessing"): "asks whether this process is a worker, and starts none",
    ("store.py", "numpy.load"): "of a block, with allow_pickle=False",
    ("store.py", "importlib.import_module"): "modules of this package, for one's own unfinished run",
}
"""Where such a thing stands, and why it may."""


def runners_in(source: str) -> Iterator[str]:
    """Name what in a module could run something, under whatever name it was imported, called or handed on."""
    tree = ast.parse(source)
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known.update(
                {
                    a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0]
                    for a in node.names
                }
            )
            yield from (a.name for a in node.names if a.name in RUNS)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            known.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
            yield from (str(node.module) for _ in node.names[:1] if node.module in RUNS)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if known.get(node.id) in RUNS or (node.id in BUILT_IN and node.id not in known):
                yield known.get(node.id, node.id)
        elif isinstance(node, ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            said = ".".join([known.get(first, first), *rest])
            if said in RUNS or node.attr in METHODS:
                yield said


def test_what_runs_something_stands_where_it_may() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), what)
        for path in PACKAGE.rglob("*.py")
        for what in runners_in(path.read_text("utf-8"))
    }
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    "source",
    [
        "from importlib import import_module as f\nf('a')",
        "import importlib\nimportlib.import_module('a')",
        "__import__('a')",
        "eval('1')",
        "f = exec",
        "import pickle as p\np.loads(b'')",
        "from pickle import loads\nloads(b'')",
        "import numpy\nnumpy.load('a')",
        "frame.query('a')",
        "import subprocess",
        "import importlib.util as u\nu.spec_from_file_location('a', 'b')",
        "def f():\n    from subprocess import run",
        "import os\nos.system('a')",
        "import pandas as pd\npd.read_pickle('a')",
    ],
)
def test_what_runs_something_is_seen(source: str) -> None:
    assert list(runners_in(source))


def test_arrays_are_read_without_pickles() -> None:
    source = (PACKAGE / "store.py").read_text("utf-8")
    [call] = [
        n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and ast.unparse(n.func) == "np.load"
    ]
    assert "allow_pickle=False" in ast.unparse(call)


# --- what reaches a terminal ---

STEERING = "\u202eevil\u2066 \u200f"
"""Marks that turn the direction of text; a level or a title may hold them, since Arabic and Hebrew do."""
ESCAPED = r"\u202eevil\u2066 \u200f"
COMMAND = f"""
[analysis]
title = "T"
question = "How many?"
population = "p"
seed = 1
[data]
file = "counts.csv"
lists = ["a", "b", "c"]
strata = ["place"]
[[estimator]]
name = "loglinear"
label = "chosen"
[choice]
estimator = "chosen"
why = "It was {ESCAPED}."
[report]
formats = []
"""


def raw(text: str) -> list[str]:
    return [sign for sign in text if sign not in "\n\t" and (ord(sign) < 32 or 127 <= ord(sign) < 160)] + [
        sign for sign in text if sign in STEERING.replace("evil", "").replace(" ", "")
    ]


@pytest.fixture
def steering_counts(tmp_path: Path) -> Path:
    rows = [
        f"{h & 1},{h >> 1 & 1},{h >> 2},{level},{20 + 3 * h}"
        for level in ("n", STEERING)
        for h in range(1, 8)
    ]
    path = tmp_path / "counts.csv"
    path.write_text("a,b,c,place,count\n" + "\n".join(rows) + "\n", encoding="utf-8")
    path.with_name(f"{STEERING}.csv").write_bytes(path.read_bytes())
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["describe", "counts.csv", "--strata", "place"],
        [
            "estimate",
            "counts.csv",
            "--strata",
            "place",
            "--estimator",
            "stratified",
            "--set",
            "base=loglinear",
        ],
        [
            "estimate",
            "counts.csv",
            "--strata",
            "place",
            "--estimator",
            "covariate_loglinear",
            "--set",
            "n_boot=20",
        ],
        ["estimate", "nothing" + STEERING],
        ["describe", f"{STEERING}.csv", "--strata", "place"],
        [
            "sensitivity",
            "counts.csv",
            "--strata",
            "place",
            "--estimator",
            "loglinear",
            "--claim",
            "more than 100",
        ],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_no_level_or_name_steers_a_terminal(
    words: list[str],
    more: list[str],
    steering_counts: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(steering_counts.parent)
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(steering_counts.parent / "key"))
    main([*words, *more])
    out, err = capsys.readouterr()
    assert raw(out + err) == []
    if more and out:
        assert json.loads(out)


def test_what_a_command_prints_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from hiddenpop.cli.screen import print_json, print_note, print_text

    text = f"two\n\tlines{STEERING}\x1b[2J\x9b"
    print_text(text)
    print_note(text)
    out, err = capsys.readouterr()
    assert out == f"two\n\tlines{ESCAPED}\\x1b[2J\\x9b\n"
    assert raw(err) == []
    print_json({text: [text]})
    out, _ = capsys.readouterr()
    assert raw(out) == []
    assert json.loads(out) == {text: [text]}


def test_nothing_that_is_shown_steers_a_terminal(steering_counts: Path) -> None:
    table = hp.CaptureTable.read(steering_counts, strata=["place"], name=STEERING)
    estimate = hp.LogLinear().fit(table.collapse())
    shown = [
        repr(table),
        repr(estimate),
        estimate.summary(),
        hp.describe(table.collapse()).text(),
        repr(hp.describe(table.collapse())),
        hp.compare(table.collapse(), ["loglinear", "chao"]).text(),
    ]
    assert all(ESCAPED in text for text in shown if "evil" in text)
    assert sum("evil" in text for text in shown) >= 4
    assert [text for text in shown if raw(text)] == []


def test_commands_print_in_one_place() -> None:
    """Whoever calls ``typer.echo`` or ``print`` past it could write what a stranger's file says."""
    root = Path(hp.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in ("echo", "secho"))
            or (isinstance(node.func, ast.Name) and node.func.id == "print")
        )
    }
    assert found == {"cli/screen.py", "cli/entry.py"}


def test_a_plan_with_text_that_turns_around_is_refused(steering_counts: Path) -> None:
    (steering_counts.parent / "plan.toml").write_text(COMMAND)
    with pytest.raises(
        SettingError, match=r"\[choice\] why must hold no control characters; got .*u202eevil"
    ):
        hp.runs.read_plan(steering_counts.parent / "plan.toml")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Utrecht", "Utrecht\u200b"),
        ("Den Haag", "Den\u00a0Haag"),
        ("Den Haag", "Den  Haag"),
        ("café", "cafe\u0301"),
        ("a", "\ufeffa"),
        ("a\u00adb", "ab"),
        ("x\ufe0f", "x"),
    ],
)
def test_levels_and_lists_that_look_the_same_are_named(first: str, second: str, tmp_path: Path) -> None:
    told = f"{first!a} and {second!a} differ only by characters that cannot be seen"
    other = f"{second!a} and {first!a} differ only by characters that cannot be seen"
    match = f"({re.escape(told)}|{re.escape(other)})"
    frame = pd.DataFrame({"a": [1, 0, 1, 1], "b": [0, 1, 1, 0], "place": [first, first, second, second]})
    with pytest.raises(TableError, match=f"column 'place': the levels {match}; write them in one way"):
        hp.CaptureTable.from_counts(frame.assign(count=[30, 20, 14, 17]), strata=["place"])
    (tmp_path / "t.csv").write_text(
        frame.assign(count=[30, 20, 14, 17]).to_csv(index=False), encoding="utf-8"
    )
    with pytest.raises(TableError, match=match):
        hp.CaptureTable.read(tmp_path / "t.csv", lists=["a", "b"], count="count", strata=["place"])
    with pytest.raises(TableError, match=f"the names {match}; rename a list"):
        hp.CaptureTable.from_indicators(pd.DataFrame({first: [1, 0, 1], second: [0, 1, 1]}))
