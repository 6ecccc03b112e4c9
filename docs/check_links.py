"""Check the built site without a network: `python docs/check_links.py docs/_build/html`.

Every link inside the site must lead to a file, and to an anchor in it. Links that leave it are only read: https, DOIs
in the form of a DOI, no package registry. Nothing may be loaded from elsewhere: no script, style, image or font.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["Page", "faults_of_site", "main", "read_page"]

DOI = re.compile(r"/10\.\d{4,9}/\S+")
REGISTRIES = ("pypi.", "pythonhosted.", "anaconda.", "cran.", "npmjs.", "crates.io")
LINKS = {"a": "href", "area": "href", "form": "action"}
LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
NOT_LOADED = {"canonical", "next", "prev", "search", "author", "license", "alternate"}
"""Kinds of ``<link>`` that no browser follows by itself: they are links like others."""
IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)['\"]?\s*\)|@import\s+['\"]([^'\"]+)['\"]")
COMMENT = re.compile(r"/\*.*?\*/", re.S)


@dataclass(slots=True)
class Page:
    """What one HTML page links to, loads, and can be linked at."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value.strip() for name, value in attrs if value is not None}
        self.page.anchors.update(values[name] for name in ("id", "name") if name in values)
        self.page.loaded += _in_style(values.get("style", ""))
        self.in_style = tag == "style"
        if tag in LINKS and LINKS[tag] in values:
            self.page.links.append(values[LINKS[tag]])
        for name in LOADED.get(tag, ()):
            if name in values:
                self._load(tag, name, values)

    def _load(self, tag: str, name: str, values: dict[str, str]) -> None:
        value = values[name]
        passive = tag == "link" and set(values.get("rel", "").split()) <= NOT_LOADED
        target = self.page.links if passive else self.page.loaded
        several = name == "srcset"
        target += [part.split()[0] for part in value.split(",") if part.strip()] if several else [value]

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.page.loaded += _in_style(data)

    def handle_endtag(self, tag: str) -> None:
        self.in_style = self.in_style and tag != "style"


def _in_style(text: str) -> list[str]:
    """Give what a style loads."""
    return [first or second for first, second in IN_STYLE.findall(COMMENT.sub("", text))]


def read_page(text: str) -> Page:
    """Read one page.

    Examples
    --------
    >>> read_page('<h1 id="a">A</h1><a href="#b">b</a><script src="https://x.org/y.js"></script>')
    Page(links=['#b'], loaded=['https://x.org/y.js'], anchors={'a'})
    """
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.page


def faults_of_site(root: Path) -> list[str]:
    """Give every fault of a built site, one line each."""
    pages = {path.resolve(): read_page(path.read_text(encoding="utf-8")) for path in _pages(root)}
    if not pages:
        return [f"{root}: there is no page"]
    faults = [
        fault for path, page in pages.items() for fault in _faults_of_page(path, page, pages, root.resolve())
    ]
    return [*faults, *_faults_of_styles(root)]


def _pages(root: Path) -> list[Path]:
    """Give the pages in their order; what lies in ``_static`` are templates of the theme."""
    return [path for path in sorted(root.rglob("*.html")) if path.relative_to(root).parts[0] != "_static"]


def _faults_of_page(path: Path, page: Page, pages: dict[Path, Page], root: Path) -> Iterator[str]:
    where = path.relative_to(root)
    for link in page.links:
        if fault := _outside(link) if _leaves(link) else _inside(link, path, pages, root):
            yield f"{where}: {fault}"
    for link in page.loaded:
        if _leaves(link):
            if not link.startswith("data:"):
                yield f"{where}: {link} is loaded from elsewhere"
        elif fault := _inside(link, path, pages, root):
            yield f"{where}: {fault}"


def _leaves(link: str) -> bool:
    parts = urlsplit(link)
    return bool(parts.scheme or parts.netloc)


def _outside(link: str) -> str:
    """Say what is wrong with the form of a link that leaves the site."""
    parts = urlsplit(link)
    host = parts.hostname or ""
    if parts.scheme != "https" or not host:
        return f"{link} does not begin with https://"
    if any(name in host for name in REGISTRIES):
        return f"{link} leads to a package registry"
    if host == "doi.org" and not DOI.fullmatch(unquote(parts.path)):
        return f"{link} does not have the form of a DOI"
    return ""


def _inside(link: str, path: Path, pages: dict[Path, Page], root: Path) -> str:
    """Say what is wrong with a link inside the site."""
    parts = urlsplit(link)
    if parts.path.startswith("/"):
        return f"{link} is absolute, and the site may lie in any folder"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_relative_to(root):
        return f"{link} leads out of the site"
    if target.is_dir():
        return f"{link} leads to a folder, which only a server can show"
    if not target.exists():
        return f"{link} leads nowhere"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return f"{link}: there is no such anchor"
    return ""


def _faults_of_styles(root: Path) -> Iterator[str]:
    """Ask that style sheets load only what is there."""
    for path in sorted(root.rglob("*.css")):
        for link in _in_style(path.read_text(encoding="utf-8", errors="replace")):
            if link.startswith(("data:", "#")):
                continue
            if _leaves(link):
                yield f"{path.relative_to(root)}: {link} is loaded from elsewhere"
            elif not (path.parent / unquote(urlsplit(link).path)).exists():
                yield f"{path.relative_to(root)}: {link} leads nowhere"


def main(arguments: list[str]) -> int:
    """Print the faults of a site; 0 where there are none, 1 where there are, 2 for a wrong call."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python docs/check_links.py FOLDER\n")
        return 2
    root = Path(arguments[0])
    faults = faults_of_site(root)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    n_pages = len(_pages(root))
    sys.stdout.write(f"{n_pages} pages, {len(faults) or 'no'} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
