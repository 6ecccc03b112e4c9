"""`read_plan`: everything that is wrong with a plan, at once and before anything slow."""

import shutil
from pathlib import Path

import pytest
from tests.runs.conftest import COUNTS, PLAN, PRIVATE

import hiddenpop.extras
from hiddenpop.errors import SettingError
from hiddenpop.runs import read_plan
from hiddenpop.runs.plan import plan_of_text


def faults_of(text: str, folder: Path, out: Path | None = None) -> list[str]:
    (folder / "counts.csv").write_text(COUNTS)
    with pytest.raises(SettingError, match=r"fault(s)? in .*analysis\.toml:") as caught:
        plan_of_text(text, folder / "analysis.toml", folder, out)
    head, *faults = str(caught.value).split("\n  - ")
    assert head.startswith(f"{len(faults)} fault")
    return faults


def test_a_plan_is_read_with_everything_it_needs(tmp_path: Path) -> None:
    (tmp_path / "analysis.toml").write_text(PRIVATE)
    (tmp_path / "counts.csv").write_text(COUNTS)
    plan = read_plan(tmp_path / "analysis.toml", out=tmp_path / "new" / "folder")
    assert (plan.seed, plan.chosen, plan.parts_of) == (3, "covariates", "covariates")
    assert (plan.table.population, plan.table.public, plan.table.n_observed) == (
        "Everybody in 2015",
        False,
        510,
    )
    assert plan.estimators["covariates"].n_boot == 200
    assert [check.name for check in plan.checks] == ["list_influence"]
    assert plan.inputs[0].digest.startswith("hmac-sha256:")
    assert not (tmp_path / "new").exists()
    assert "covariates" in repr(plan)


def test_many_faults_are_told_at_once(tmp_path: Path) -> None:
    faults = faults_of(
        """
        [analysis]
        titel = "x"
        title = "  "
        seed = 1.5
        [data]
        table = "kosovo"
        drop_lists = ["EHX"]
        [[estimator]]
        name = "selekted"
        [[estimator]]
        name = "loglinear"
        modell = "x"
        [[estimator]]
        name = "loglinear"
        level = 2
        [choice]
        estimator = "logliner"
        [sensitivity]
        claim = "a lot"
        checks = ["trajectry", { name = "trajectory", n_resample = 3 }, 7]
        [monitor]
        trend = 3
        [report]
        formats = ["docx"]
        languages = ["en", "en"]
        [extra]
        """,
        tmp_path,
    )
    expected = [
        "there is no section [extra]; there is analysis, ",
        "[analysis] has no key 'titel'; did you mean 'title'?",
        "[analysis] title must be text, and not blank; got ",
        "[analysis] has no question: ",
        "[analysis] has no population: say who is counted",
        "[analysis] seed must be a whole number of at least 0; got 1.5",
        "[data] no list 'EHX': ",
        "[[estimator]] 1 ('selekted'): there is no estimator 'selekted'; did you mean 'selected'?",
        "[[estimator]] 2 ('loglinear'): loglinear has no setting 'modell'; did you mean 'model'?",
        "[[estimator]] 3: the label 'loglinear' is taken; give each a label of its own",
        "[[estimator]] 3 ('number 3'): level=2 must lie between 0 and 1",
        "[choice] has no why: say why that one",
        "[choice] there is no estimator labelled 'logliner'; did you mean 'loglinear'?",
        "[sensitivity] claim='a lot' cannot be read",
        "[sensitivity] no check 'trajectry': ",
        "[sensitivity] trajectory has no setting 'n_resample'; did you mean 'n_resamples'?",
        "[sensitivity] a check must have a name; got 7",
        "[monitor] trend-1 year must be text, and not blank; got 3",
        "[report] formats must be a list of some of 'html', 'pdf', 'json', each once; got ['docx']",
        "[report] languages must be a list of some of ",
    ]
    missing = [text for text in expected if not any(text in fault for fault in faults)]
    assert not missing, (missing, faults)
    assert len(faults) == len(expected), faults
    assert all("\n" not in fault for fault in faults)


def test_an_empty_plan_says_what_a_plan_needs(tmp_path: Path) -> None:
    faults = faults_of("", tmp_path)
    for word in ("title", "question", "population", "seed", "[data]", "[choice]"):
        assert any(word in fault for fault in faults), word


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"one model"', '"resampled"', "the label 'resampled' is taken"),
        ('estimator = "resampled"', 'estimator = "resample"', "did you mean 'resampled'?"),
        ("seed = 1", 'seed = "1"', "seed must be a whole number of at least 0; got '1'"),
        ("seed = 1", "seed = true", "got True"),
        ("seed = 1", "seed = -1", "got -1"),
        ("seed = 1", "", "has no seed"),
        ('model = "[12,3]"\n\n', 'model = "[12,4]"\n\n', "[[estimator]] 1 ('one model'): "),
        ('"list_influence"', '{ name = "linkage", lists = ["a", "z"] }', "linkage: there is no list 'z'"),
        ('"list_influence"', '{ name = "dependence_sweep", pairs = [["a", "q"]] }', "there is no list 'q'"),
        ("[choice]", '[[estimator]]\nname = "latent_class"\n[choice]', None),
        ("[choice]", '[[estimator]]\nname = "chapman"\n[choice]', "chapman works on two lists and korea has 3"),
        ("[choice]", '[[estimator]]\nname = "os:system"\n[choice]', "[[estimator]] 3 ('os:system'): "),
        ("[choice]", '[[estimator]]\nlabel = "x"\n[choice]', "has no name: take one of loglinear, "),
        ("[choice]", '[[estimator]]\nname = 3\n[choice]', "name must be text, and not blank; got 3"),
        ("base = {", "base = 3 #", "base"),
        ('base = { name = "loglinear"', 'base = { name = "loglin"', "did you mean 'loglinear'?"),
        ('table = "korea"', 'table = "korea"\nfile = "counts.csv"', "needs either table"),
        ('table = "korea"', "", "[data] needs either table"),
        ('table = "korea"', 'table = "korea"\npublic = false', "public go with a file"),
        ('table = "korea"', 'table = "korean"', "did you mean 'korea'"),
        ('table = "korea"', 'table = "irregular_migrants"', "repeat counts"),
        ('table = "korea"', 'file = "gone.csv"', "there is no file"),
        ('table = "korea"', 'file = "counts.csv"\nlists = ["polise"]', "did you mean 'police'"),
        ('table = "korea"', 'table = "korea"\nmerge_lists = ["a"]', "merge_lists must be a table such as"),
        ('table = "korea"', 'table = "korea"\nmerge_lists = { X = ["b", "z"] }', "no list 'z'"),
        ('table = "korea"', 'table = "korea"\nselect = { year = "2015" }', "no covariate 'year'"),
        ('table = "korea"', 'table = "korea"\ncollapse = ["sex"]', "no covariate 'sex'"),
        ('table = "korea"', 'table = "korea"\nrename = { a = 3 }', "rename a must be text"),
        ('table = "korea"', 'table = "korea"\ncoverage = ["a"]', "coverage must be written as"),
        ("[report]", '[monitor]\ntrend = "year"\n[report]', "no covariate 'year'; the table has no strata"),
        ("[report]", '[monitor]\nestimator = "x"\n[report]', "[monitor] there is no estimator labelled 'x'"),
        ('claim = "more than 100"', "claim = 100", "claim must be text"),
        ('checks = ["list_influence"]', 'checks = "all"', 'checks must be "standard" or a list'),
        ("formats = []", 'formats = "html"', "formats must be a list of some of"),
        ("formats = []", "formats = [[]]", "formats must be a list of some of"),
        ("formats = []", 'formats = []\nlanguages = ["fr"]', "languages must be a list of some of"),
        ("formats = []", "show_small_counts = 1", "show_small_counts must be true or false"),
    ],
)  # fmt: skip
def test_each_fault_is_named(old: str, new: str, fault: str | None, tmp_path: Path) -> None:
    assert old in PLAN
    text = PLAN.replace(old, new)
    if fault is None:
        (tmp_path / "counts.csv").write_text(COUNTS)
        assert plan_of_text(text, tmp_path / "analysis.toml", tmp_path).seed == 1
        return
    assert any(fault in found for found in faults_of(text, tmp_path)), faults_of(text, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('subgroups = "sex"', 'subgroups = "sexe"', "did you mean 'sex'?"),
        ('subgroups = "sex"', "subgroups = []", "subgroups-1 by must name covariates"),
        ('subgroups = "sex"', 'subgroups = [["sex"], []]', "must name covariates"),
        ('subgroups = "sex"', 'rates = { by = "sex", residents = "gone.csv" }', "there is no file"),
        ('subgroups = "sex"', 'rates = { by = "sex" }', "has no residents: name the file of residents"),
        ('subgroups = "sex"', 'ranks = { by = "sex", level = 95 }', "level must lie between 0 and 1"),
        ("clinic + sex", "clinic", "gives no numbers by sex"),
        ("clinic + sex", "clinc + sex", "clinc"),
        ('strata = ["sex"]', 'strata = ["sex"]\nselect = { sex = "x" }', "level of 'sex'"),
        ('["sex"]\n', '["sex"]\ncoverage = { list = "x", covariate = "sex", levels = 1 }\n', "no list 'x'"),
    ],
)  # fmt: skip
def test_faults_about_strata_are_named(old: str, new: str, fault: str, tmp_path: Path) -> None:
    assert old in PRIVATE
    found = faults_of(PRIVATE.replace(old, new), tmp_path)
    assert any(fault in text for text in found), found


def test_faults_of_the_table_stand_each_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(COUNTS.replace("1,0,0,f,143", "2,0,0,f,-143"))
    with pytest.raises(SettingError, match="2 faults in") as caught:
        plan_of_text(PRIVATE, tmp_path / "analysis.toml", tmp_path)
    assert str(caught.value).count("\n  - [data] column") == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[analysis\n", "line 1"),
        ("[analysis]\ntitle = 'x\n", "line 2"),
        ("[data]\n[data]\n", "line 2"),
        ("[data]\ntable = korea\n", "line 2"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "analysis.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=rf"analysis\.toml is not TOML: .*{told}"):
        read_plan(path)


def test_a_plan_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"cannot read the plan .*No such file"):
        read_plan(tmp_path / "gone.toml")
    with pytest.raises(SettingError, match=r"cannot read the plan .*directory"):
        read_plan(tmp_path)
    (tmp_path / "latin.toml").write_bytes("[analysis]\ntitle = 'é'".encode("latin-1"))
    with pytest.raises(SettingError, match="is not UTF-8 text"):
        read_plan(tmp_path / "latin.toml")


def test_a_mark_of_the_byte_order_and_windows_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "analysis.toml"
    path.write_bytes(b"\xef\xbb\xbf" + PLAN.replace("\n", "\r\n").encode())
    assert read_plan(path).seed == 1


def test_moves_are_made_in_the_order_of_the_plan(tmp_path: Path) -> None:
    moves = 'rename = { b = "first" }\nmerge_lists = { both = ["first", "c"] }\nname = "two lists"'
    text = PLAN.replace('table = "korea"', f'table = "korea"\n{moves}')
    text = text.replace('"[12,3]"', '"independence"')
    plan = plan_of_text(text, tmp_path / "analysis.toml", tmp_path)
    assert (plan.table.lists, plan.table.name) == (("both", "d"), "two lists")
    swapped = text.replace(moves, "\n".join(reversed(moves.splitlines())))
    assert any("no list 'first'" in fault for fault in faults_of(swapped, tmp_path))


def test_a_folder_that_cannot_be_is_a_fault_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text = PLAN.replace("seed = 1", "")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        faults = faults_of(text, tmp_path, out)
        assert len(faults) == 2
        assert "file" in faults[1]


def test_a_missing_extra_is_a_fault_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(hiddenpop.extras, "import_module", absent)
    faults = faults_of(PLAN.replace("formats = []", 'formats = ["html", "pdf"]'), tmp_path)
    assert [fault.split(" needs ")[1].split(",")[0] for fault in faults] == ["jinja2", "typst"]
    assert all("hiddenpop[report]" in fault for fault in faults)


def test_nothing_slow_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hiddenpop.estimators.bootstrapped import Bootstrapped

    def fit(*args: object, **more: object) -> None:
        raise AssertionError("a plan is read without fitting")

    monkeypatch.setattr(Bootstrapped, "fit", fit)
    assert plan_of_text(PLAN, tmp_path / "analysis.toml", tmp_path).seed == 1


def test_the_examples_can_be_read(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[2] / "docs" / "examples", tmp_path / "examples")
    titles = [read_plan(path).title for path in sorted((tmp_path / "examples").glob("*.toml"))]
    assert len(titles) == 2
