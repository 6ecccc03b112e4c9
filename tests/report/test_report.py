import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from tests.report.cases import CASES, few, hostile, public, report_of, strata, without_number
from tests.report.pages import Page

import hiddenpop as hp
from hiddenpop.errors import MissingExtraError, SettingError, TableError, UnknownNameError
from hiddenpop.report import LANGUAGES, Report
from hiddenpop.report.answers import checks_section, chosen_section, estimates_section
from hiddenpop.report.catalogue import words_in
from hiddenpop.report.context import Context
from hiddenpop.report.document import Aside, Para, Section, plain
from hiddenpop.report.opening import in_short

SECTIONS = [
    "question",
    "registers",
    "overlap",
    "estimates",
    "chosen",
    "uncertainty",
    "checks",
    "parts",
    "account",
    "limits",
    "redo",
]


def pdf_text(content: bytes, tmp_path: Path) -> str:
    path = tmp_path / "report.pdf"
    path.write_bytes(content)
    try:
        return subprocess.run(["pdftotext", path, "-"], check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        pytest.skip("needs pdftotext: apt-get install poppler-utils")


@pytest.mark.parametrize("name", ["title", "question", "population", "why"])
def test_what_a_report_must_state_cannot_be_blank(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name}=' ' is blank"):
        replace(public(), **{name: " "})


def test_the_chosen_estimate_must_be_there() -> None:
    with pytest.raises(UnknownNameError, match=r"no estimate 'one modle'.*did you mean 'one model'"):
        replace(public(), chosen="one modle")
    with pytest.raises(SettingError, match="at least one estimate"):
        replace(public(), estimates={})
    with pytest.raises(SettingError, match=r"authors='A. Author' is one text"):
        replace(public(), authors="A. Author")


def test_another_language_or_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no language 'eng'.*did you mean 'en'"):
        public().write(tmp_path / "report.html", language="eng")
    with pytest.raises(UnknownNameError, match="no language 'fr'"):
        public().write(tmp_path / "report.json", language="fr")
    with pytest.raises(SettingError, match=r"suffix is '.docx'; choose .html, .pdf, .json"):
        public().write(tmp_path / "report.docx")
    with pytest.raises(
        TableError, match=r"cannot write .*absent/report\.html: No such file or directory; choose a folder"
    ):
        public().write(tmp_path / "absent" / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_the_same_report_has_the_same_bytes(tmp_path: Path) -> None:
    table = hp.datasets.load("korea")
    first, second = (report_of(table, {"a": hp.LogLinear().fit(table)}) for _ in range(2))
    for suffix in (".html", ".pdf", ".json"):
        paths = (first.write(tmp_path / f"first{suffix}"), second.write(tmp_path / f"second{suffix}"))
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CASES)
def test_a_page_is_whole_and_has_its_parts_in_order(name: str, language: str) -> None:
    page = Page(CASES[name]().html(language=language))
    assert [value for tag, own, value in page.attributes if tag == "section" and own == "id"] == SECTIONS
    assert page.values("lang")[0] == language
    assert page.tags.count("h1") == 1
    assert page.tags.count("title") == 1
    levels = [int(tag[1]) for tag in page.tags if tag in ("h1", "h2", "h3")]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.tags.count("caption") == page.tags.count("table")
    assert page.tags.count("figcaption") == page.tags.count("figure") == page.tags.count("img")
    assert all(len(text) > 40 for text in page.values("alt"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {f"#{name}" for name in ids} >= {link for link in page.values("href") if link.startswith("#")}


@pytest.mark.parametrize("name", CASES)
def test_a_page_asks_nothing_of_the_network_and_runs_nothing(name: str) -> None:
    page = Page(CASES[name]().html())
    assert not {"script", "iframe", "object", "embed", "form", "base", "svg"} & set(page.tags)
    assert all(value.startswith(("#", "data:")) for value in [*page.values("href"), *page.values("src")])
    assert not [own for _, own, _ in page.attributes if own.startswith("on")]
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
    assert policy in page.values("content")
    style = "".join(data for tag, data in page.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style


def test_a_page_says_what_was_asked_found_and_done() -> None:
    text = Page(public().html()).text
    estimate = public().answer
    number, limits = estimate.in_words()
    assert f"About {number} persons belong to this population (95% confidence interval: {limits})" in text
    assert f"{estimate.n_observed} of them were on at least one register" in text
    for told in (
        "It was named beforehand.",
        "A. Author",
        "hiddenpop run analysis.toml",
        "sha256:0",
        "26 November 2026",
    ):
        assert told in text
    assert public().checks[0].text in text
    assert public().table.fingerprint in text


def test_a_dutch_page_writes_numbers_the_dutch_way_and_marks_the_english() -> None:
    table = hp.datasets.load("kosovo")
    report = report_of(table, {"one": hp.LogLinear(model="[123,14,34]").fit(table)}, checks=public().checks)
    source = report.html(language="nl")
    text = Page(source).text
    assert "Ongeveer 10.360 personen" in text
    assert "4.400 van hen" in text
    assert "betrouwbaarheidsinterval" in text
    assert "de eigen taal van de software" in text
    assert f'<span lang="en">{report.checks[1].text}</span>' in source
    assert 'lang="en">' not in source.replace('<span lang="en">', "")


def test_an_answer_without_a_number_says_why() -> None:
    report = without_number()
    text = Page(report.html()).text
    assert report.answer.reason in text
    headline = {"unbounded": "set no upper limit", "not_identified": "do not determine"}[report.answer.status]
    assert f"These data {headline}" in text
    assert "inf" not in text.replace("info", "").replace("inference", "").split()
    assert "nan" not in text.split()


def test_a_lower_bound_is_called_one() -> None:
    heads = {}
    for label in public().estimates:
        section = chosen_section(Context(replace(public(), chosen=label), words_in("en")))
        heads[label] = "".join(
            plain(block.runs) for block in section.blocks if isinstance(block, Para | Aside)
        )
    # Independence does not fit this table, which is said before the number.
    assert heads["lower bound"].startswith("Read the number below with this in mind: the model is rejected")
    assert heads["lower bound"].index("At least about") < heads["lower bound"].index("meant as a lower bound")
    assert heads["one model"].startswith("About")


def words_of(report: Report, make: Callable[[Context], Section]) -> str:
    blocks = make(Context(report, words_in("en"))).blocks
    return " ".join(plain(block.runs) for block in blocks if isinstance(block, Para | Aside))


def test_estimates_of_other_counts_and_checks_of_other_estimators_are_said_to_be() -> None:
    assert "was not made from the counts of this report" not in words_of(public(), estimates_section)
    mixed = replace(public(), table=without_number().table, checks=())
    assert "called one model was not made from the counts of this report but from table korea" in words_of(
        mixed, estimates_section
    )
    assert "not about the chosen estimator" not in words_of(public(), checks_section)
    other = replace(public(), chosen="lower bound")
    assert "not about the chosen estimator but about loglinear (model=[12,3])" in words_of(
        other, checks_section
    )


def test_parts_of_a_population_have_their_tables_and_figures() -> None:
    page = Page(strata().html())
    trend = strata().parts[2].frame.iloc[0]
    assert f"{trend['n_observed']}" in page.text
    assert page.tags.count("img") == 9
    assert "By year , for each sex" in page.text
    assert "Probability of a rise" in page.text


def test_nothing_that_was_not_asked_for_is_passed_over_in_silence() -> None:
    text = Page(without_number().html()).text
    assert "No sensitivity checks were run." in text
    assert "No subgroups and no years were asked for" in text
    assert "How this report was made was not recorded in it." in text


def test_json_holds_the_report_and_reads_back(tmp_path: Path) -> None:
    told = json.loads(public().write(tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["estimates"]["one model"]["n_hat"] == public().answer.n_hat
    assert told["chosen"] == "one model"
    assert told["redo"]["seed"] == 1
    assert [check["name"] for check in told["checks"]] == ["list_influence", "prior"]
    assert (
        told["registers"]["lists"][0] == {"list": "A", "persons": 71, "only": 41}
        or told["registers"]["lists"]
    )
    parts = strata().to_dict()["parts"]
    assert [part["kind"] for part in parts] == [
        "Subgroups",
        "Subgroups",
        "Trend",
        "Trend",
        "Rates",
        "Ranks",
        "UNIndicator",
        "TrendByList",
    ]
    json.dumps(parts, allow_nan=False)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_pdf_holds_the_same_words(language: str, tmp_path: Path) -> None:
    text = " ".join(pdf_text(public().pdf(language=language), tmp_path).split())
    for section in Page(public().html(language=language)).texts:
        if section[0] == "h2":
            assert section[1].strip() in text
    assert public().answer.in_words()[0] in text
    assert "hiddenpop run analysis.toml" in text


def test_a_pdf_has_title_language_and_tags() -> None:
    content = public().pdf(language="nl")
    assert content.startswith(b"%PDF-1.7")
    assert b"/MarkInfo" in content
    assert b"/Lang(nl)" in content
    assert b"/CreationDate" not in content


@pytest.mark.parametrize("name", ["few", "strata", "without number"])
def test_every_case_can_be_set_as_pdf(name: str) -> None:
    assert CASES[name]().pdf().startswith(b"%PDF")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> None:
        raise ModuleNotFoundError(name=package)

    monkeypatch.setattr("hiddenpop.extras.import_module", absent)
    with pytest.raises(MissingExtraError, match=r"a report in HTML needs jinja2.*hiddenpop\[report\]"):
        few().html()
    with pytest.raises(MissingExtraError, match=r"a report in PDF needs typst.*hiddenpop\[report\]"):
        few().pdf()


def test_a_report_is_not_told_in_its_repr_by_its_figures() -> None:
    hostile().html()
    assert "PNG" not in repr(hostile())
    assert isinstance(hostile(), Report)


def test_a_choice_inside_strata_inside_resamples_is_a_choice() -> None:
    table = hp.datasets.load("spina_bifida")
    method = hp.Bootstrapped(base=hp.Stratified(base=hp.SelectedLogLinear()), n_boot=200)
    content = report_of(table, {"by group": method.fit(table, rng=1)}).html()
    assert "selection redone" in content
    assert "given beforehand" not in content


# --- the first page in short ---


def short(report: Report, language: str = "en") -> dict[str, str]:
    table = in_short(Context(report, words_in(language)))
    return {plain(name): plain(found) for name, found in table.rows}


def test_the_first_page_says_what_a_reviewer_asks_first() -> None:
    found, answer = short(public()), public().answer
    model, description = answer.fitted_model, hp.describe(public().table)
    assert model is not None
    number, limits = answer.in_words()
    assert found["The answer"] == f"{number} persons, limits {limits.partition(' at')[0]} at level 95%"
    assert "if this model is true" in found["What the interval takes as known"]
    grounds = description.sentence.split("of 5): ")[1].replace("dark", "Dark", 1)
    assert found["What these counts can carry"] == (
        f"Grade {description.grade} of 5: the counts barely carry an estimate. {grounds}"
    )
    assert found["The model"] == "[12,3], that is b*c + d"
    assert found["The model in words"] == "b and c depend on each other"
    assert found["Parameters, residual degrees of freedom"] == "5 parameters, 2 degrees of freedom"
    assert found["Goodness of fit"].startswith(
        f"deviance {model.criteria['deviance']:.1f} on 2 degrees of freedom"
    )
    assert found["Criteria"] == f"AIC {model.criteria['aic']:.1f}, BIC {model.criteria['bic']:.1f}"
    assert hp.datasets.info("korea").citation in found["Source of the counts"]


def test_the_first_page_in_dutch_has_dutch_words_and_numbers() -> None:
    found = short(public(), "nl")
    number, limits = (text.replace(",", ".") for text in public().answer.in_words())
    dutch = limits.partition(" at")[0].replace(" to ", " tot ")
    assert found["Het antwoord"] == f"{number} personen, grenzen {dutch} bij niveau 95%"
    assert found["Het model in woorden"] == "b en c hangen van elkaar af"
    assert "dragen een schatting ternauwernood" in found["Wat deze aantallen kunnen dragen"]


def test_of_private_counts_the_first_page_tells_no_fit_and_nothing_behind_the_verdict() -> None:
    found = short(CASES["private"]())
    assert not {"Goodness of fit", "Criteria", "Source of the counts"} & set(found)
    assert found["What these counts can carry"].endswith(" an estimate.")
    assert "coverage" not in found["What these counts can carry"]
    assert {"The answer", "The model", "The model in words"} <= set(found)


def test_counts_that_cannot_be_described_are_said_to_be_so() -> None:
    table = hp.datasets.load("scottish_pwid")
    report = replace(public(), table=table)
    assert short(report)["What these counts can carry"].startswith(("Not judged: ", "Grade "))
    assert "Source of the counts" in short(report)


def test_an_answer_without_a_number_is_said_to_have_none() -> None:
    found = short(without_number())
    assert found["The answer"].startswith("No number: ")
    assert "persons" not in found["The answer"]
