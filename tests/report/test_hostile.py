import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.cases import EVIL, JUNK, hostile
from tests.report.pages import Page
from tests.report.test_report import pdf_text

from hiddenpop.report.document import (
    Aside,
    Code,
    Document,
    Items,
    Para,
    Run,
    Section,
    Subhead,
    Table,
    clean,
    code,
    software,
    strong,
    user,
)
from hiddenpop.report.figures import short
from hiddenpop.report.html import html_of
from hiddenpop.report.pdf import pdf_of

WORDS = {"contents": "Contents", "skip": "Skip", "kind": "Kind"}
texts = st.text(max_size=60) | st.sampled_from(
    [*EVIL, JUNK, "", " ", "\n", "]", "#", "{{", "</style>", "-->"]
)


def document(text: str, language: str = "nl") -> Document:
    """Put one text wherever a text can stand."""
    every = (user(text), software(text), code(text), strong(text))
    blocks = (
        Para(every),
        Para((user(text),), role="headline"),
        Aside(every),
        Items((every, (user(text),))),
        Subhead((user(text),)),
        Table((user(text),), ((user(text),), (Run("n"),)), (((user(text),), every),), frozenset({1})),
        Code(text, "Label"),
    )
    section = Section("one", "Heading", blocks)
    return Document(
        title=text,
        language=language,
        subtitle=(user(text),),
        lead=(user(text),),
        sections=(section,),
        words=WORDS,
    )


@settings(max_examples=30, deadline=None)
@given(text=texts)
def test_text_is_shown_as_text_and_changes_no_tag(text: str) -> None:
    page, plain = Page(html_of(document(text))), Page(html_of(document("word")))
    assert page.tags == plain.tags
    names = [(tag, name) for tag, name, _ in page.attributes]
    assert names == [(tag, name) for tag, name, _ in plain.attributes]
    shown = "".join(data for tag, data in page.texts if tag == "h1")
    assert shown == clean(text)


@settings(max_examples=8, deadline=None)
@given(text=texts)
def test_text_never_breaks_a_pdf(text: str) -> None:
    assert pdf_of(document(text, "en")).startswith(b"%PDF")


def test_hostile_names_are_words_on_the_page_and_in_the_pdf(tmp_path: Path) -> None:
    report = hostile()
    page = Page(report.html())
    for name in report.table.lists:
        assert name in page.text
    assert "script" not in page.tags
    text = re.sub(r"[\s\u200b]", "", pdf_text(report.pdf(), tmp_path))
    assert "<script>alert(1)</script>" in text
    assert "$\\frac$#pagebreak()@ref" in text
    assert "{{x}}{%y%}" in text


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\ud800b", "a\u0085b"])
def test_signs_that_no_page_can_show_are_replaced(text: str) -> None:
    assert clean(text) == "a\ufffdb"


def test_marks_of_direction_are_taken_out() -> None:
    assert clean("abc\u202edef\u2066x\u200f") == "abcdefx"


def test_long_names_are_shortened_in_figures_and_stay_different() -> None:
    names = ["x" * 300 + end for end in "ab"]
    assert len({short(name) for name in names}) == 2
    assert all(len(short(name)) <= 40 for name in names)
