"""Cross references of docstrings: to public names wherever they live, and DOIs as links."""

import re
from importlib import import_module
from typing import Any

from docutils import nodes
from rooms import documented
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

__all__ = ["linked_references", "setup"]

logger = logging.getLogger(__name__)

DOI = re.compile(r"\bdoi:(10\.\d{4,9}/\S*[^\s.,;)])")
ARXIV = re.compile(r"\barXiv:(\d{4}\.\d{4,5})\b")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect both."""
    app.connect("missing-reference", _to_public_name)
    app.connect("autodoc-process-docstring", _link_references, priority=900)
    return {"parallel_read_safe": True}


def linked_references(text: str) -> str:
    """Write DOIs and arXiv numbers as links of reStructuredText.

    Examples
    --------
    >>> linked_references("Biometrics 48(2). doi:10.2307/2532310")
    'Biometrics 48(2). `doi:10.2307/2532310 <https://doi.org/10.2307/2532310>`__'
    """
    text = DOI.sub(r"`doi:\1 <https://doi.org/\1>`__", text)
    return ARXIV.sub(r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", text)


def _link_references(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    lines[:] = [linked_references(line) for line in lines]


def _to_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Node | None:
    """Link a name in backticks where it has a page; else it is a setting, a column or an inner name, shown as code.

    A dotted name of the package that does not exist is a mistake, and is reported.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    full = _PUBLIC.get(target) or _PUBLIC.get(target.rpartition(".")[2] if _exists(target) else "")
    domain = env.domains.python_domain
    if full and full in domain.objects:
        entry = domain.objects[full]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, full)
    if target.startswith("hiddenpop.") and not _exists(target):
        logger.warning("there is no %s", target, location=node)
    return content if node["reftype"] in ("obj", "class", "exc") else None


def _exists(target: str) -> bool:
    """Tell whether a dotted name of the package can be imported."""
    parts = target.split(".")
    if parts[0] != "hiddenpop":
        return False
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return part in getattr(found, "__dataclass_fields__", {})
            found = getattr(found, part)
        return True
    return False


_PUBLIC = {name.rpartition(".")[2]: name for name in reversed(documented())}
