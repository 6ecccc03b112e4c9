"""Directives that take facts from the code: settings, references, and how an estimator does in known worlds."""

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from links import ARXIV, DOI
from numpydoc.docscrape import ClassDoc
from rooms import documented
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hiddenpop.estimators.registry import ESTIMATORS, estimator_class
from hiddenpop.sensitivity import CHECKS, build_check

__all__ = ["kind_of", "references", "settings", "setup", "worlds"]

VALIDATION = Path(__file__).parents[1] / "validation.md"
NEW_REFERENCE = re.compile(r"(?:van der |de )?[A-ZÀ-Þ][\w'-]+(?: [A-Z][\w-]+)?, (?:[A-Z]\.[- ]?)+")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("settings", Settings)
    app.add_directive("references", References)
    app.add_directive("worlds", Worlds)
    return {"parallel_read_safe": True}


class _Made(SphinxDirective):
    """A directive that writes markdown and has it read."""

    def markdown(self) -> str:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Read what the directive writes."""
        return self.parse_text_to_nodes(self.markdown())


class Settings(_Made):
    """The settings of a registered estimator or check, from its docstring."""

    required_arguments = 1

    def markdown(self) -> str:
        """Write a definition list."""
        return settings(self.arguments[0])


class References(_Made):
    """The references of a registered estimator or check, from its docstring."""

    required_arguments = 1

    def markdown(self) -> str:
        """Write a list."""
        return "\n".join(f"- {_as_markdown(item)}" for item in references(self.arguments[0]))


class Worlds(_Made):
    """Rows of the table of `validation.md`: in how many worlds of known size an estimator falls short."""

    has_content = True

    def markdown(self) -> str:
        """Write the rows as a table."""
        self.env.note_dependency(str(VALIDATION))
        return worlds(list(self.content), VALIDATION.read_text(encoding="utf-8"))


def kind_of(name: str) -> type[Any]:
    """Give the class of a registered estimator or check."""
    if name in ESTIMATORS:
        return estimator_class(name)
    if name in CHECKS:
        return type(build_check(name))
    raise KeyError(f"there is no estimator or check {name!r}")


def settings(name: str) -> str:
    """Write the settings of an estimator or check as a definition list, with their defaults."""
    kind = kind_of(name)
    defaults = {field.name: field for field in dataclasses.fields(kind)}
    full = next(item for item in documented() if item.endswith(f".{kind.__name__}"))
    items = [
        f"{_names(entry.name, defaults)}\n: {_sentence(entry)}" for entry in ClassDoc(kind)["Parameters"]
    ]
    return "\n\n".join([f"Of {{py:class}}`{kind.__name__} <{full}>`:", *items])


def _names(names: str, defaults: dict[str, Any]) -> str:
    return ", ".join(f"`{name.strip()}`{_default(defaults.get(name.strip()))}" for name in names.split(","))


def _default(field: Any) -> str:
    if field is None:
        return ""
    made = field.default_factory is not dataclasses.MISSING
    value = field.default_factory() if made else field.default
    return f" = `{type(value).__name__}()`" if made else f" = `{value!r}`"


def _sentence(entry: Any) -> str:
    words = " ".join(line.strip() for line in entry.desc)
    kind = re.sub(r",? ?optional", "", entry.type).strip()
    return " ".join(part for part in (f"`{kind}`." if kind else "", words) if part) or "No more to say."


def references(name: str) -> list[str]:
    """Give the references in the docstring of an estimator or check, one by one."""
    found: list[str] = []
    for line in ClassDoc(kind_of(name))["References"]:
        text = line.strip()
        ended = bool(found) and (found[-1].endswith(".") or bool(re.search(r"doi:\S+$", found[-1])))
        if not found or (ended and NEW_REFERENCE.match(text)):
            found.append(text)
        else:
            found[-1] = f"{found[-1]} {text}".strip()
    return [item for item in found if item]


def _as_markdown(text: str) -> str:
    text = DOI.sub(r"[doi:\1](https://doi.org/\1)", text)
    return ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def worlds(labels: list[str], page: str) -> str:
    """Write the rows of some labels out of the table of all estimators on the page of the validation."""
    section = page.partition("## In how many scenarios")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = {line.split("|")[1].strip(): line for line in lines}
    missing = [label for label in labels if label not in rows]
    if missing or len(lines) < 3:
        raise KeyError(f"validation.md has no estimator {', '.join(missing)}; it has {', '.join(rows)}")
    return "\n".join([*lines[:2], *(rows[label] for label in labels)])


def first_sentence(kind: type[Any]) -> str:
    """Give the first sentence of a docstring."""
    return (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
