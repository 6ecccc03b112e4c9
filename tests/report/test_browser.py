"""The pages in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.report.cases import CASES
from tests.support.browser import chromium, open_page

WIDTHS = (360, 768, 1440)
LANGUAGE = {
    "public": "nl",
    "private": "en",
    "few": "nl",
    "strata": "en",
    "without number": "nl",
    "hostile": "en",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("pages")
    return {
        name: make().write(folder / f"{place}.html", language=LANGUAGE[name]).as_uri()
        for place, (name, make) in enumerate(CASES.items())
    }


@pytest.mark.parametrize("name", CASES)
def test_a_page_renders_quietly_and_never_overflows(browser: Any, pages: dict[str, str], name: str) -> None:
    with open_page(browser, pages[name]) as opened:
        page = opened.page
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        broken = "[...document.images].filter(i => !i.complete || i.naturalWidth === 0).length"
        assert page.evaluate(broken) == 0
        assert page.title() == page.locator("h1").inner_text() or name == "hostile"
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
        assert (opened.messages, opened.requests) == ([], [])


def test_a_planted_script_is_stopped_by_the_policy(
    browser: Any, pages: dict[str, str], tmp_path: Path
) -> None:
    source = Path(pages["public"].removeprefix("file://")).read_text(encoding="utf-8")
    planted = source.replace(
        "</main>", "<script>document.title = 'run'</script><img src='http://127.0.0.1:9/x'></main>"
    )
    path = tmp_path / "planted.html"
    path.write_text(planted, encoding="utf-8")
    with open_page(browser, path.as_uri()) as opened:
        assert opened.page.title() != "run"
        assert len(opened.messages) == 2
        assert all("Content Security Policy" in message for message in opened.messages)


@pytest.mark.parametrize("name", ["public", "strata"])
def test_a_page_reads_without_javascript(browser: Any, pages: dict[str, str], name: str) -> None:
    with open_page(browser, pages[name], java_script_enabled=False) as opened:
        assert opened.page.locator("section h2").count() == 11
        assert opened.page.locator("main").inner_text().count("\n") > 50


def test_the_keyboard_reaches_what_scrolls(browser: Any, pages: dict[str, str]) -> None:
    with open_page(browser, pages["public"], viewport={"width": 360, "height": 800}) as opened:
        page = opened.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "report"
        reached = 0
        regions = page.locator("[role=region]").count()
        for _ in range(regions):
            page.keyboard.press("Tab")
            reached += page.evaluate("document.activeElement.getAttribute('role') === 'region'")
        assert reached == regions > 3
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"


LIGHT_AND_DARK = [("public", "light"), ("private", "light"), ("strata", "light"), ("without number", "dark")]
MORE = [("few", "light"), ("hostile", "light"), ("private", "dark"), ("hostile", "dark")]


@pytest.mark.parametrize(
    ("name", "scheme"), [*LIGHT_AND_DARK, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_axe_finds_nothing(browser: Any, pages: dict[str, str], name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    with open_page(browser, pages[name], bypass_csp=True, color_scheme=scheme) as opened:
        found = axe.Axe().run(opened.page).response
    assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found["violations"]] == []
    assert len(found["passes"]) > 20
