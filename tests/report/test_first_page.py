"""What a reviewer asks first stands on the first page: answer, what it rests on, verdict, model, fit, source."""

import re

import pytest

import hiddenpop as hp

ABOUT = {"title": "t", "question": "q", "population": "p", "why": "w"}
MODEL = "[123,14,34]"


def page(table: hp.CaptureTable, language: str = "en", **settings: object) -> str:
    estimate = hp.LogLinear(model=MODEL).fit(table)
    report = hp.report.Report(table=table, estimates={"given": estimate}, chosen="given", **ABOUT, **settings)
    text = re.sub(r"<[^>]+>", " ", report.html(language=language))
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "en",
            [
                "Grade 3 of 5: the counts barely carry an estimate. The lists have little in common",
                f"{MODEL} , that is EXH*ABA*OSCE + EXH*HRW + OSCE*HRW",
                "EXH, ABA and OSCE depend on each other, all together; EXH and HRW depend on each other",
                "11 parameters, 4 degrees of freedom",
                "deviance 9.3 on 4 degrees of freedom, p = 0.054",
                "AIC 132.7, BIC 203.0",
                "Ball, P., Betts, W.",
            ],
        ),
        ("nl", ["Graad 3 van 5: de aantallen dragen een schatting ternauwernood", "AIC 132,7, BIC 203,0"]),
    ],
)
def test_the_first_page_has_answer_verdict_model_fit_and_source(language: str, told: list[str]) -> None:
    text = page(hp.datasets.load("kosovo"), language)
    for words in told:
        assert words in text


def test_of_private_data_the_fit_is_not_told() -> None:
    text = page(hp.datasets.load("kosovo").with_meta(public=False))
    assert MODEL in text
    assert "AIC" not in text
    assert "deviance 9.3" not in text


def test_a_model_of_independence_is_said_in_words() -> None:
    table = hp.datasets.load("kosovo")
    estimate = hp.LogLinear().fit(table)
    report = hp.report.Report(table=table, estimates={"a": estimate}, chosen="a", **ABOUT)
    assert "registers do not depend on each other" in report.html()
