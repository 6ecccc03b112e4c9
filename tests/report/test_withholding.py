import base64
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from tests.report.cases import TOLD_BY_IT, few, private, private_table, report_of, strata
from tests.report.pages import Page
from tests.report.test_report import pdf_text

import hiddenpop as hp
from hiddenpop.disclosure import protect_text
from hiddenpop.report import LANGUAGES
from hiddenpop.report.catalogue import words_in
from hiddenpop.report.content import document_of
from hiddenpop.report.context import Context
from hiddenpop.report.document import Figure, Table, plain
from hiddenpop.report.withholding import registers_to_leave

SMALL = re.compile(r"(?<![\w.,/<])[1-9](?![\w.,/%])")


def number_tokens(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.,])\d[\d,.]*(?<![.,])", text))


def tables_of(report: hp.report.Report, section: str) -> list[Table]:  # type: ignore[name-defined]
    (found,) = (part for part in document_of(report, "en").sections if part.name == section)
    return [block for block in found.blocks if isinstance(block, Table)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_tells_small_cells_stands_nowhere_on_the_page(language: str) -> None:
    assert number_tokens(Page(private(lifted=True).html(language=language)).told) >= set(TOLD_BY_IT[:3])
    assert not number_tokens(Page(private().html(language=language)).told) & set(TOLD_BY_IT)


def test_what_tells_small_cells_stands_nowhere_in_pdf_and_json(tmp_path: Path) -> None:
    shown, kept = (pdf_text(private(lifted=lifted).pdf(), tmp_path) for lifted in (True, False))
    assert number_tokens(shown) >= set(TOLD_BY_IT[:3])
    assert not number_tokens(kept) & set(TOLD_BY_IT)
    shown, kept = (json.dumps(private(lifted=lifted).to_dict()) for lifted in (True, False))
    assert number_tokens(shown) >= set(TOLD_BY_IT[:3])
    assert not number_tokens(kept) & set(TOLD_BY_IT)


def test_small_counts_stand_in_no_table_of_registers_and_in_no_alternative() -> None:
    for report, found in ((private(), False), (private(lifted=True), True)):
        cells = [
            plain(cell) for table in tables_of(report, "registers") for row in table.rows for cell in row[1:]
        ]
        assert any(SMALL.search(cell) for cell in cells) is found
        blocks = [block for part in document_of(report, "en").sections for block in part.blocks]
        bars = next(block for block in blocks if isinstance(block, Figure)).alternative
        assert bool(SMALL.search(bars)) is found


def test_figures_of_data_that_are_not_public_are_points_of_ink_without_words() -> None:
    for report in (private(), private(lifted=True), strata(is_public=False)):
        images = Page(report.html()).values("src")
        assert images
        for image in images:
            head, _, body = image.partition(",")
            assert head == "data:image/png;base64"
            content = base64.b64decode(body)
            assert not [word for word in (b"tEXt", b"iTXt", b"zTXt", b"eXIf") if word in content]


def test_public_figures_are_vectors_without_a_date() -> None:
    images = Page(strata().html()).values("src")
    assert images
    assert all(image.startswith("data:image/svg+xml;base64,") for image in images)
    assert not any(b"<dc:date>" in base64.b64decode(image.partition(",")[2]) for image in images)


def test_lifting_is_stated_and_so_is_withholding() -> None:
    assert "The makers of this report chose to show small counts" in Page(private(lifted=True).html()).text
    assert "are withheld and shown as <10" in Page(private().html()).text
    assert private(lifted=True).to_dict()["small_counts_shown"] is True
    assert private().to_dict()["small_counts_shown"] is False


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_fewer_than_ten_persons_nothing_is_told(language: str) -> None:
    report = few()
    page = Page(report.html(language=language))
    assert "img" not in page.tags
    (row,) = tables_of(report, "estimates")[0].rows
    assert [plain(row[place]) for place in (1, 2, 4, 5)] == ["withheld"] * 4
    assert words_in(language).say("chosen.withheld") in page.text


def test_strata_of_few_persons_are_marked_in_tables_figures_and_json() -> None:
    kept, shown = strata(is_public=False), strata()
    words = [Page(report.html()).told for report in (kept, shown)]
    assert "f / 2021: <10" in words[0]
    assert re.search(r"f / 2021: \d", words[1])
    rows = kept.to_dict()["parts"][1]["frame"]
    assert next(row for row in rows if row["sex"] == "f" and row["year"] == "2021")["n_observed"] == "<10"


def test_two_lists_alone_do_not_tell_the_rest() -> None:
    remark = next(d for d in private().estimates["two lists"].diagnostics if "other lists" in d.message)
    assert remark.message.startswith("155 persons")
    assert remark.message not in Page(private().html()).text
    assert remark.message in Page(private(lifted=True).html()).text
    told = json.dumps(private().to_dict()["estimates"]["two lists"]["diagnostics"])
    assert "155" not in told


def test_sizes_that_leave_have_three_digits_and_are_never_below_the_number_observed() -> None:
    table = private_table((12_345, 23_456, 5_432, 34_567, 3_456, 4_567, 1_234))
    report = report_of(table, {"a": hp.LogLinear().fit(table)})
    told = " ".join(Context(report, words_in("en")).estimate_text(report.answer))
    for number in re.findall(r"[\d,]+", told):
        digits = number.replace(",", "").rstrip("0")
        assert len(digits) <= 3 or int(number.replace(",", "")) == table.n_observed


def test_sizes_of_many_lists_are_not_judged_and_so_withheld() -> None:
    names = [f"l{i}" for i in range(12)]
    frame = pd.DataFrame([[int(i == j) for i in range(12)] for j in range(12)], columns=names)
    table = hp.CaptureTable.from_counts(frame.assign(count=50))
    assert set(registers_to_leave(table, protect=True).lists["persons"]) == {"<10"}
    assert set(registers_to_leave(table, protect=False).lists["persons"]) == {50}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("7 persons are on other lists only", "[number withheld] persons are on other lists only"),
        ("R2 and l7 share nobody at 0.05", "R2 and l7 share nobody at 0.05"),
        ("1,234.5 of 12%", "[number withheld] of 12%"),
        ("modes: 5,432 (30%), 9", "modes: [number withheld] (30%), [number withheld]"),
        ("it ends with 8.", "it ends with [number withheld]."),
    ],
)
def test_numbers_that_may_be_counts_are_taken_out_of_sentences(text: str, kept: str) -> None:
    assert protect_text(text) == kept
