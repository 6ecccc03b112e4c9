"""A report of what has been released: every number on it is one that was released."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.report.pages import Page
from tests.report.test_report import pdf_text

from hiddenpop.errors import SettingError
from hiddenpop.report import LANGUAGES
from hiddenpop.report.catalogue import words_in
from hiddenpop.report.released import write_released_report


def estimate(label: str, n_hat: Any, low: Any, high: Any, status: str = "ok") -> dict[str, Any]:
    interval = {"low": low, "high": high, "level": 0.95, "method": "profile"}
    lists = {"police": 275, "<b>shelter": "<10"}
    return {
        "label": label, "method": "m", "status": status, "n_hat": n_hat, "interval": interval, "n_lists": 2,
        "n_observed": 515, "lists": lists,
    }  # fmt: skip


CONTENT = {
    "title": "Three registers",
    "question": "How many?",
    "table": {"name": "mine", "lists": ["police", "<b>shelter"], "population": "Everybody"},
    "choice": {"estimator": "best", "why": "It is the one."},
    "notes": ["A remark."],
    "rules": "ours, version 1",
    "legend": "<10 = 1 to 9; . = withheld to protect another number",
    "estimates": [
        estimate("best", 1300.0, 1100.0, 1600.0),
        estimate("grid", "between 1,000 and 2,000", 515.0, "between 2,000 and 5,000"),
        estimate("hidden", ".", ".", ".", "."),
        estimate("endless", None, 700.0, None, "unbounded"),
    ],
}
ENGLISH = {
    "1,300",
    "1,100",
    "1,600",
    "1,000",
    "2,000",
    "5,000",
    "515",
    "700",
    "275",
    "10",
    "1",
    "9",
    "95",
    "2",
}
NUMBERS = {"en": ENGLISH, "nl": {number.replace(",", ".") for number in ENGLISH}}


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d(?:[\d.,]*\d)?", text.replace("0.1.0", "")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_on_the_page_was_released(tmp_path: Path, language: str) -> None:
    path = write_released_report(CONTENT, tmp_path / "report.html", language)
    page = Page(path.read_text())
    headings = {"1", "2", "3", "4"}
    assert NUMBERS[language] <= numbers(page.told) <= NUMBERS[language] | headings
    assert "<b>shelter" in page.told
    withheld = words_in(language).say("number.withheld")
    assert page.text.count(f"hidden {withheld} {withheld} 95% {withheld}") == 1
    between = {"en": "between 1,000 and 2,000", "nl": "tussen 1.000 en 2.000"}[language]
    assert between in page.text


def test_the_same_stands_in_the_pdf(tmp_path: Path) -> None:
    path = write_released_report(CONTENT, tmp_path / "report.pdf")
    text = pdf_text(path.read_bytes(), tmp_path)
    assert {"1,300", "1,100", "275", "515"} <= numbers(text)
    assert not {"1,326", "1326"} & numbers(text)


def test_a_chosen_answer_that_is_withheld_is_said_to_be(tmp_path: Path) -> None:
    content = {**CONTENT, "choice": {"estimator": "hidden", "why": "Because."}}
    page = Page(write_released_report(content, tmp_path / "report.html").read_text())
    assert "The answer of hidden is withheld" in page.text


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"choose \.html or \.pdf"):
        write_released_report(CONTENT, tmp_path / "report.json")
