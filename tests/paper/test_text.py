"""The paper types no result: every number in it is read, and the page shows what was read."""

import re
import shutil
import subprocess
from functools import cache

import pytest
from paper.document import FOLDER, SOURCE, numbers_in_text, typeset
from paper.figures import FIGURES, draw_figures
from paper.printed import read_printed
from paper.results import RESULTS, read_json
from tests.paper.prose import read, typed_numbers


@pytest.fixture(scope="module", autouse=True)
def figures():
    """Draw the figures where nobody has made the paper yet."""
    if not all((FIGURES / f"{name}.svg").exists() for name in ("two-answers", "intervals", "coverage")):
        draw_figures()


ALLOWED = {
    r"\b2021 and 2024\b": "years of two papers, which name their versions of the counts",
    r"Silverman, Chan and Vincent \(2024\)": "year of a paper in a caption",
    r"Table 6\b": "a table in that paper",
    r"uk_5": "name of a data set in the example",
    r"n_boot=2000": "a setting in the example",
    r"rng=1\b": "a seed in the example",
    r"\[12,3\]": "the notation of models, explained",
}


@cache
def shown():
    return numbers_in_text()


@cache
def records():
    files = [read_json(RESULTS / f"{group}.json") for group in read_printed().groups]
    return {row["key"]: row for file in files for row in file["rows"]}


def test_no_number_is_typed():
    assert typed_numbers(SOURCE.read_text("utf-8"), ALLOWED) == []


def test_every_exception_is_needed():
    source = SOURCE.read_text("utf-8")
    for pattern in ALLOWED:
        others = [other for other in ALLOWED if other != pattern]
        assert typed_numbers(source, others), f"{pattern} is not in the paper"


@pytest.mark.parametrize(
    "planted",
    [
        "There are 12,214 persons.",
        "There are 3.5 of them.",
        '#figure(image("a.svg", width: 100%), caption: [About 12,214.])',
        "#block(inset: 1em)[And 7 more.]",
        "*Bold 8*",
        "A third of the posterior.",
        "Some seventeen models, forty of them.",
        "$N = 12214$",
        "`N = 11`",
        "- 5 lists",
        "Near @tab-one, 44.",
        '#ours("a", "n_hat")9',
    ],
)
def test_a_typed_number_is_found(planted):
    assert typed_numbers(f"Some words.\n\n{planted}\n\nMore words.", ALLOWED)


@pytest.mark.parametrize(
    "harmless",
    [
        '#ours("uk.five.bic", "n_hat") persons',
        "#set text(size: 9.5pt)",
        "// 12,214 in a comment",
        "@fienberg1972 and <sec-2>",
        "#v(0.2em)",
        "$n_10 n_01 \\/ n_11$",
        "two lists, ten of them",
    ],
)
def test_code_and_references_are_no_typed_numbers(harmless):
    assert typed_numbers(f"Some words.\n\n{harmless}\n\nMore words.", ALLOWED) == []


def test_the_reader_sees_the_prose_of_the_paper():
    words = " ".join(text for _, text in read(SOURCE.read_text("utf-8")).prose)
    assert "takes lists that each hold some of these" in words
    assert "resamples of the five lists" in words  # in a caption
    assert len(words) > 8000


# --- what is shown is what the results hold ---


def written(value, digits):
    """Write a number as the paper does, by another route."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def expected(key):
    """Text of a number by its key, from the result files."""
    parts = key.split(":")
    if parts[0] == "summary":
        fact = read_json(RESULTS / "summary.json")[parts[1]]
        return written(fact["value"], fact["digits"])
    if parts[0] == "validation":
        return expected_of_validation(parts[1:])
    if parts[0] == "speed":
        entry = read_json(FOLDER / "measured" / "speed.json")["measurements"][int(parts[1])][parts[2]]
        return written(entry["value"], entry["digits"])
    row, name, side = records()[parts[0]], parts[1], parts[2]
    quantity = next(quantity for quantity in row["quantities"] if quantity["name"] == name)
    if name in ("model", "retained") and side == "ours" and quantity["ours"] == quantity["printed"]:
        return "same"
    digits = quantity.get("digits", 0)
    return written(quantity[side], quantity.get("ours_digits", digits) if side == "ours" else digits)


def expected_of_validation(parts):
    found = read_json(RESULTS / "validation.json")
    if len(parts) == 1:
        return written(found[parts[0]], 0)
    row = next(row for row in found["table"] if row["scenario"] == parts[0])
    value = row["cells"][int(parts[1])][parts[2]]
    return written(value, 2)


def test_every_number_shown_is_that_of_the_results():
    assert len(shown()) > 600
    wrong = {n["key"]: (n["text"], expected(n["key"])) for n in shown() if n["text"] != expected(n["key"])}
    assert wrong == {}


def test_every_result_is_shown():
    keys = {number["key"] for number in shown()}
    rows = {
        f"{key}:{q['name']}:{side}"
        for key, row in records().items()
        for q in row["quantities"]
        for side in ("ours", "printed")
    }
    facts = {f"summary:{name}" for name in read_json(RESULTS / "summary.json")}
    assert rows | facts <= keys


def test_a_number_that_is_not_there_stops_the_paper(tmp_path):
    source = SOURCE.with_name("planted.typ")
    source.write_text('#import "lib.typ": *\n#ours("uk.five.bic", "n_hatt")\n')
    try:
        with pytest.raises(Exception, match=r"uk\.five\.bic has no n_hatt"):
            typeset(tmp_path / "planted.pdf", source)
    finally:
        source.unlink()


def test_every_work_cited_is_in_the_references_and_every_reference_is_cited():
    cited = set(re.findall(r"[@<]([a-z]+\d{4})\b", SOURCE.read_text("utf-8")))
    known = set(re.findall(r"^@\w+\{(\w+),", (FOLDER / "references.bib").read_text("utf-8"), re.MULTILINE))
    assert cited <= known
    sources = {source.cite for source in read_printed().sources.values() if source.cite}
    assert sources <= known
    assert known == cited


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
def test_the_page_shows_every_number(tmp_path):
    page = text_of(typeset(tmp_path / "paper.pdf"))
    missing = [n for n in shown() if squeezed(n["text"]) not in page]
    assert missing == []
    assert squeezed("22,991.34") not in page


def text_of(path):
    found = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True, text=True
    )
    plain = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, check=True, text=True)
    return squeezed(found.stdout) + squeezed(plain.stdout)


def squeezed(text):
    return re.sub(r"\s", "", text)


def test_two_typesettings_are_the_same_bytes(tmp_path):
    first, second = typeset(tmp_path / "a.pdf").read_bytes(), typeset(tmp_path / "b.pdf").read_bytes()
    assert first == second


def test_figures_drawn_again_are_the_same_bytes(tmp_path):
    for path in draw_figures(folder=tmp_path):
        assert path.read_bytes() == (FIGURES / path.name).read_bytes()
