"""Every estimator, check and figure has its place in the docs, and every place says what it should."""

import dataclasses
import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, WRITTEN, blocks, headings, name_of, table_rows

from hiddenpop import plotting
from hiddenpop.estimators.registry import ESTIMATORS, estimator_class
from hiddenpop.sensitivity import CHECKS, build_check

ESTIMATOR_SECTIONS = [
    "When to use it",
    "What it assumes",
    "When it fails",
    "Example",
    "In worlds of known size",
    "Settings",
    "References",
]
CHECK_SECTIONS = ["What it asks", "How to read it", "What it cannot show", "Example", "Settings"]
FAMILIES = [path for path in sorted((DOCS / "checks").glob("*.md")) if path.stem != "index"]
WITHOUT_DOI = {"lincoln_petersen"}
"""Its sources are older than DOIs, and have none."""


def section(text: str, title: str, level: int = 2) -> str:
    mark = "#" * level
    return re.split(rf"^#{{1,{level}}} ", text.split(f"\n{mark} {title}\n", 1)[1], maxsplit=1, flags=re.M)[
        0
    ].strip()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_has_a_page_with_its_sections(name: str) -> None:
    path = DOCS / "estimators" / f"{name}.md"
    assert headings(path) == ESTIMATOR_SECTIONS
    text = path.read_text(encoding="utf-8")
    assert f"`{name}`" in text
    assert estimator_class(name).__name__ in text
    assert all(len(section(text, title)) > 100 for title in ESTIMATOR_SECTIONS[:3])


def test_no_page_of_an_estimator_repeats_another() -> None:
    seen: dict[str, str] = {}
    for name in ESTIMATORS:
        text = (DOCS / "estimators" / f"{name}.md").read_text(encoding="utf-8")
        for title in ESTIMATOR_SECTIONS[:3]:
            said = section(text, title)
            assert said not in seen, f"{name} and {seen.get(said)} say the same under {title}"
            seen[said] = name


def test_no_page_is_about_an_estimator_that_is_not_there() -> None:
    assert {path.stem for path in (DOCS / "estimators").glob("*.md")} == {*ESTIMATORS, "index"}


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_has_its_sections_on_the_page_of_its_family(name: str) -> None:
    (path,) = [path for path in FAMILIES if name in headings(path)]
    part = section(path.read_text(encoding="utf-8"), name)
    assert re.findall(r"^### (.+)$", part, re.M)[:5] == CHECK_SECTIONS
    assert type(build_check(name)).__name__ in part
    assert f"```{{settings}} {name}\n" in part


def test_the_pages_of_checks_are_about_checks_that_are_there() -> None:
    assert sorted(name for path in FAMILIES for name in headings(path)) == sorted(CHECKS)


@pytest.mark.parametrize("name", [*ESTIMATORS, *CHECKS])
def test_the_settings_on_a_page_are_those_of_the_class(name: str) -> None:
    from facts import kind_of, settings

    written = settings(name)
    terms = [line for line in written.splitlines() if line.startswith("`")]
    named = [word for line in terms for word in re.findall(r"`(\w+)`(?: =|,|$)", line)]
    assert {field.name for field in dataclasses.fields(kind_of(name))} <= set(named)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_page_of_an_estimator_names_its_sources(name: str) -> None:
    from facts import references

    text = section((DOCS / "estimators" / f"{name}.md").read_text(encoding="utf-8"), "References")
    found = references(name) if "{references}" in text else [text]
    assert found
    assert all(re.search(r"\(\d{4}\)", item) for item in found)
    if name not in WITHOUT_DOI:
        assert any("10." in item or "arXiv:" in item for item in found)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_worlds_on_a_page_are_rows_of_the_validation(name: str) -> None:
    from facts import worlds

    text = (DOCS / "estimators" / f"{name}.md").read_text(encoding="utf-8")
    (labels,) = re.findall(r"```\{worlds\}\n(.*?)\n```", text, re.S)
    page = (DOCS / "validation.md").read_text(encoding="utf-8")
    assert worlds(labels.splitlines(), page).count("\n") == 1 + len(labels.splitlines())
    with pytest.raises(KeyError, match="no estimator of this name"):
        worlds(["of this name"], page)


def test_the_gallery_has_every_public_figure_with_code_that_draws_it() -> None:
    from gallery import ENTRIES, code_of

    assert set(ENTRIES) == set(plotting.__all__)
    for name, entry in ENTRIES.items():
        assert f"plotting.{name}(" in code_of(entry), name
        compile(code_of(entry), name, "exec")


def test_two_processes_draw_every_figure_once() -> None:
    from gallery import ENTRIES, halves

    assert sorted([*halves()[0], *halves()[1]]) == sorted(ENTRIES)


def test_a_figure_of_the_gallery_is_drawn_and_shown(tmp_path: Path) -> None:
    from gallery import draw, overlap_plot, section_of

    draw(overlap_plot, tmp_path / "overlap_plot.png")
    assert (tmp_path / "overlap_plot.png").read_bytes().startswith(b"\x89PNG")
    assert "(_gallery/overlap_plot.png)" in section_of("overlap_plot", overlap_plot)


def test_the_decision_table_names_estimators_that_exist_and_all_of_them() -> None:
    rows = table_rows(DOCS / "choice.md")
    assert all(len(row) == 3 and all(row) for row in rows)
    named = [set(re.findall(r"\]\(estimators/(\w+)\.md\)", row[1])) for row in rows]
    assert all(names and names <= set(ESTIMATORS) for names in named)
    assert set().union(*named) | {"lincoln_petersen"} == set(ESTIMATORS)
    settings = {
        (name, key) for row in rows for name, key in re.findall(r"`(\w+)`\]\([^)]*\) with `(\w+)", row[1])
    }
    for name, key in settings:
        assert key in {field.name for field in dataclasses.fields(estimator_class(name))}


def test_the_glossary_has_both_languages_for_every_term() -> None:
    rows = table_rows(DOCS / "glossary.md")
    assert len(rows) >= 60
    assert all(len(row) == 3 and all(row) for row in rows)
    terms = [row[0].lower() for row in rows]
    assert len(set(terms)) == len(terms)
    assert terms == sorted(terms)


def test_the_page_of_checks_lists_all_of_them() -> None:
    rows = table_rows(DOCS / "checks" / "index.md")
    assert [re.findall(r"`(\w+)`", row[0])[0] for row in rows] == list(dict.fromkeys(_in_order()))
    assert all(re.search(r"\((\w+)\.md#([\w-]+)\)", row[0]) for row in rows)


def _in_order() -> list[str]:
    order = ["dependence", "lists", "choices", "records", "numbers"]
    return [name for family in order for name in headings(DOCS / "checks" / f"{family}.md")]


def test_every_page_is_in_a_list_of_pages() -> None:
    listed = {
        (path.parent / line.rpartition("<")[2].strip(" >")).relative_to(DOCS).as_posix()
        for path in WRITTEN
        for toctree in re.findall(
            r"```\{toctree\}\n:hidden:\n\n(.*?)```", path.read_text(encoding="utf-8"), re.S
        )
        for line in toctree.splitlines()
    }
    assert {name_of(path) for path in WRITTEN} - {"index"} <= listed


def test_prose_keeps_to_the_style_of_the_house() -> None:
    for path in WRITTEN:
        text = path.read_text(encoding="utf-8")
        for block in ("pycon", "sh", "toml", "python"):
            for found in blocks(path, block):
                text = text.replace(found.text, "")
        assert not re.search(r"\b(robust|seamless\w*|leverag\w+|powerful|simply)\b|[\u2013\u2014]", text), (
            path.name
        )
        assert not re.search(r"^\s*TODO|FIXME", text, re.M), path.name
