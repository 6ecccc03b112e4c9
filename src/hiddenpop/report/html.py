"""A document as one HTML page: no network, no scripts, everything given as text escaped."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from hiddenpop.extras import need
from hiddenpop.report.document import (
    Aside,
    Block,
    Code,
    Document,
    Figure,
    Items,
    Para,
    Subhead,
    Table,
    clean,
    plain,
)

__all__ = ["POLICY", "html_of"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may do with the page: show its own style and its own images, nothing else."""

SOME_WORDS, LONG_WORDS = 14, 60
"""Letters in the longest cell of a column from which it gets room for a few words, or for sentences."""

MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}
NAMES: dict[type, str] = {
    Para: "para",
    Aside: "aside",
    Items: "items",
    Subhead: "subhead",
    Table: "table",
    Figure: "figure",
    Code: "code",
}


def html_of(document: Document) -> str:
    """Write the page."""
    environment = _environment()
    here = Path(__file__).parent
    template = environment.get_template("page.html.j2")
    style = (here / "page.css").read_text(encoding="utf-8")
    foreign = "" if document.language == "en" else "en"
    values: dict[str, Any] = {"document": document, "style": style, "policy": POLICY, "foreign": foreign}
    return str(template.render(values, version=_version()))


def _environment() -> Any:
    """Set Jinja2 up: everything is escaped, and a name that the template does not know is an error."""
    jinja2 = need("jinja2", "a report in HTML")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"clean": clean, "image": _image, "name": _name, "room": _room}
    return environment


def _name(block: Block) -> str:
    return NAMES[type(block)]


def _room(table: Table, column: int) -> str:
    """Say how much room a column needs: a number its own width, long words a line that can be read."""
    if column in table.numeric:
        return "n"
    longest = max((len(plain(row[column])) for row in table.rows), default=0)
    return "wide" if longest > LONG_WORDS else "middle" if longest > SOME_WORDS else "narrow"


def _image(figure: Figure) -> str:
    return f"data:{MEDIA[figure.suffix]};base64,{b64encode(figure.image).decode('ascii')}"


def _version() -> str:
    from hiddenpop import __version__

    return __version__
