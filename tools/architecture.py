"""The list of files in ARCHITECTURE.md, made from the first line of each file.

python -m tools.architecture            writes the list; a test fails where it is not as this makes it
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["listed", "written"]

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "hiddenpop"
PAGE = ROOT / "ARCHITECTURE.md"
BLOCK = re.compile(r"(?<=```text\nsrc/hiddenpop/\n).*?(?=```)", re.DOTALL)
WIDTH = 24
"""Columns of a name, its indent among them; a longer one moves its own line alone."""


def listed(package: Path = PACKAGE) -> str:
    """List every module, and the settings beside them, with their first line."""
    return "".join(f"{line}\n" for line in _folder(package, 1))


def written(page: str) -> str:
    """Put the list into the page."""
    text, count = BLOCK.subn(lambda _: listed(), page)
    if count != 1:
        raise ValueError(f"{PAGE.name} has {count} lists that begin with src/hiddenpop/, and one is needed")
    return text


def _folder(folder: Path, depth: int) -> Iterator[str]:
    for path in sorted(folder.iterdir(), key=_place):
        if path.is_dir() and (path / "__init__.py").exists():
            yield _line(f"{path.name}/", depth, _first_line(path / "__init__.py"))
            yield from _folder(path, depth + 1)
        elif path.suffix == ".toml" or (path.suffix == ".py" and (path.name != "__init__.py" or depth == 1)):
            yield _line(path.name, depth, _first_line(path))


def _place(path: Path) -> tuple[bool, bool, str]:
    """Files before folders, the package's own face first of all."""
    return path.is_dir(), path.name != "__init__.py", path.name


def _line(name: str, depth: int, says: str) -> str:
    return f"{'  ' * depth + name:{WIDTH}} {says}"


def _first_line(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return text.splitlines()[0].removeprefix("# ").rstrip(".")
    says = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0]
    if not says:
        raise ValueError(f"{path.relative_to(ROOT)} does not say in its first line what it is for")
    return " ".join(says.split()).rstrip(".")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
