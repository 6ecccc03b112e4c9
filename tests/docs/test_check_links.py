"""The checker of links finds every kind of fault that is planted, and nothing on a right site."""

from pathlib import Path

import pytest
from tests.docs.pages import DOCS

assert DOCS.exists()

from check_links import faults_of_site, main, read_page  # noqa: E402

RIGHT = """<html><head><link rel="stylesheet" href="_static/site.css?v=1"><link rel="canonical" href="https://x.org/">
<script src="_static/a.js"></script></head><body><h1 id="top">T</h1>
<a href="b.html#part">b</a><a href="#top">up</a><a href="https://doi.org/10.2307/2532310">paper</a>
<a href="https://doi.org/10.1002/%28SICI%291">old</a><img src="data:image/png;base64,AA==" alt=""></body></html>"""


def site(folder: Path, body: str = "", css: str = "") -> Path:
    (folder / "_static").mkdir()
    (folder / "_static" / "site.css").write_text(f"body {{ color: red }} {css}")
    (folder / "_static" / "a.js").write_text("")
    (folder / "_static" / "macros.html").write_text("<script src='{{ template }}'></script>")
    (folder / "b.html").write_text('<h2 id="part">P</h2>')
    (folder / "index.html").write_text(RIGHT.replace("</body>", f"{body}</body>"))
    return folder


def test_a_right_site_has_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults_of_site(site(tmp_path)) == []
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "2 pages, no faults\n"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="c.html">c</a>', "c.html leads nowhere"),
        ('<a href="b.html#other">b</a>', "b.html#other: there is no such anchor"),
        ('<a href="#other">b</a>', "#other: there is no such anchor"),
        ('<a href="/b.html">b</a>', "/b.html is absolute"),
        ('<a href="../secret.html">b</a>', "leads out of the site"),
        ('<a href="_static">b</a>', "leads to a folder"),
        ('<a href="http://x.org">x</a>', "does not begin with https://"),
        ('<a href="ftp://x.org">x</a>', "does not begin with https://"),
        ('<a href="javascript:alert(1)">x</a>', "does not begin with https://"),
        ('<a href="https://doi.org/2532310">x</a>', "does not have the form of a DOI"),
        ('<a href="https://pypi.org/project/x">x</a>', "leads to a package registry"),
        ('<script src="https://cdn.x.org/a.js"></script>', "is loaded from elsewhere"),
        ('<script src="//cdn.x.org/a.js"></script>', "is loaded from elsewhere"),
        ('<img src="https://x.org/a.png" alt="">', "is loaded from elsewhere"),
        ('<img srcset="https://x.org/a.png 2x" alt="">', "is loaded from elsewhere"),
        ('<img src="a.png" alt="">', "a.png leads nowhere"),
        ('<link rel="stylesheet" href="https://x.org/a.css">', "is loaded from elsewhere"),
        ('<link rel="preconnect" href="https://x.org">', "is loaded from elsewhere"),
        ('<iframe src="https://x.org"></iframe>', "is loaded from elsewhere"),
        ("<style>@font-face { src: url('https://x.org/f.woff') }</style>", "is loaded from elsewhere"),
        ('<p style="background: url(https://x.org/a.png)">a</p>', "is loaded from elsewhere"),
    ],
)
def test_a_fault_of_a_page_is_found(body: str, fault: str, tmp_path: Path) -> None:
    (found,) = faults_of_site(site(tmp_path, body))
    assert found.startswith("index.html: ")
    assert fault in found


@pytest.mark.parametrize(
    ("css", "fault"),
    [
        ("@import 'https://x.org/a.css';", "is loaded from elsewhere"),
        ("a { background: url(https://x.org/a.png) }", "is loaded from elsewhere"),
        ('a { background: url("lost.png") }', "lost.png leads nowhere"),
    ],
)
def test_a_fault_of_a_style_sheet_is_found(css: str, fault: str, tmp_path: Path) -> None:
    (found,) = faults_of_site(site(tmp_path, css=css))
    assert found.startswith("_static/site.css: ")
    assert fault in found


def test_what_stands_in_comments_of_style_sheets_is_not_loaded(tmp_path: Path) -> None:
    assert faults_of_site(site(tmp_path, css="/* url(https://x.org/a.png) */")) == []


def test_faults_are_told_with_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(site(tmp_path, '<a href="c.html">c</a>'))]) == 1
    assert capsys.readouterr().err == "index.html: c.html leads nowhere\n"
    assert main([]) == 2
    assert main([str(tmp_path / "nowhere")]) == 1


def test_anchors_of_any_kind_are_read() -> None:
    assert read_page('<a name="x"></a><p id="y">').anchors == {"x", "y"}
