"""The list of files in ARCHITECTURE.md against the tree, and the imports against the one-way order it states."""

import ast
import contextlib
import graphlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tools.architecture import listed, written

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "hiddenpop"

# Rooms from the ground up. A room may import rooms of its own floor (without a circle) and of the floors below.
FLOORS = (
    {
        "errors",
        "extras",
        "histories",
        "disclosure",
        "model",
        "kernels",
        "parallel",
        "keys",
        "store",
        "_files",
        "_screen",
        "_text",
        "_front_door",
        "_moved",
        "_typing",
    },
    {
        "_cells",
        "_details",
        "_frames",
        "_verbs",
        "_views",
        "_words",
        "fitted_model",
        "reading",
        "serial",
        "provenance",
        "table",
        "datasets",
        "registers",
        "sources",
    },
    {"result"},
    {"estimators", "bayes"},
    {"sensitivity", "synthetic", "validation", "description"},
    {"monitor", "report", "plotting"},
    {"runs"},
    {"cli", "__main__"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
LONGEST = 1100
"""Lines of a module: about a thousand."""

HEAVY = ("numba", "scipy.optimize", "matplotlib", "pymc", "arviz", "statsmodels", "typer")


class Import(NamedTuple):
    """One import of a room by a module, and the function around it (empty at module level)."""

    module: str
    line: int
    function: str
    room: str


def modules() -> list[Path]:
    """List the modules that belong to a room; the package's own ``__init__`` belongs to none."""
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def dotted(path: Path) -> str:
    """Name a module without the package in front."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def is_room(name: str) -> bool:
    """Tell a room, there or planned, from a name in the public face of the package."""
    return name in FLOOR_OF or (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


def imported_rooms(node: ast.AST) -> Iterator[str]:
    """Name the rooms an import statement reaches; the public face of the package counts as ``hiddenpop``."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return
    for name in names:
        package, *path = name.split(".")
        if package == "hiddenpop" and path != ["__version__"]:
            yield path[0] if path and is_room(path[0]) else "hiddenpop"


def imports_in(node: ast.AST, module: str, function: str = "") -> Iterator[Import]:
    """Walk a syntax tree and name every import of a room with the innermost function around it."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        for room in imported_rooms(child):
            yield Import(module, getattr(child, "lineno", 0), inside, room)
        yield from imports_in(child, module, inside)


def imports_of(source: str, module: str) -> list[Import]:
    return list(imports_in(ast.parse(source), module))


def may(entry: Import) -> bool:
    """Tell whether an import obeys the order, or is one of the three exceptions."""
    room = room_of(entry.module)
    if room == entry.room:
        return True
    if entry.function and (
        entry.function == "plot"
        or entry.module == "estimators.registry"
        or (entry.module, entry.function) == ("result", "build")
        or (entry.module, entry.function) == ("result", "label")
    ):
        return True
    # A room without a floor counts as the topmost: it may import all and nobody may import it.
    return entry.room in FLOOR_OF and FLOOR_OF[entry.room] <= FLOOR_OF.get(room, len(FLOORS))


ALL_IMPORTS = [entry for path in modules() for entry in imports_of(path.read_text("utf-8"), dotted(path))]


def test_the_list_of_files_is_made_from_the_files() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert page == written(page), "write it again with `python -m tools.architecture`"


def test_a_new_file_is_missed_in_the_list(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text('"""The names."""\n')
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "__init__.py").write_text('"""A room."""\n')
    before = listed(tmp_path)
    (tmp_path / "room" / "new.py").write_text('"""What is new: `it`.\n\nMore of it.\n"""\n')
    assert listed(tmp_path).replace("    new.py               What is new: `it`\n", "") == before
    assert before.splitlines() == ["  __init__.py            The names", "  room/                  A room"]


def test_the_longest_file_is_read_in_one_go() -> None:
    """One estimator, one file: what is longer than this holds more than one idea."""
    long = {str(path): n for path in modules() if (n := len(path.read_text("utf-8").splitlines())) > LONGEST}
    assert not long


def private_imports(source: str) -> list[str]:
    """Name what a module takes of another that keeps it to itself; a module with an underscore is none of that."""
    return [
        f"{node.module}.{entry.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hiddenpop")
        for entry in node.names
        if entry.name.startswith("_")
        and entry.name != "__version__"
        and not Path(ROOT, "src", *(node.module or "").split("."), f"{entry.name}.py").exists()
    ]


def test_no_module_takes_what_another_keeps_to_itself() -> None:
    found = {str(path): names for path in modules() if (names := private_imports(path.read_text("utf-8")))}
    assert not found
    assert private_imports("from hiddenpop.result import Estimate, _spec_from") == [
        "hiddenpop.result._spec_from"
    ]


def test_every_room_has_its_floor() -> None:
    unknown = {room_of(dotted(path)) for path in modules()} - set(FLOOR_OF)
    assert not unknown, f"rooms without a place in the order of imports: {sorted(unknown)}"


def test_imports_point_one_way() -> None:
    wrong = [entry for entry in ALL_IMPORTS if not may(entry)]
    assert not wrong, "\n".join(
        f"{entry.module}:{entry.line} imports {entry.room}, which is above it or has no floor"
        for entry in wrong
    )


def test_rooms_import_each_other_in_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for entry in ALL_IMPORTS:
        if not entry.function and entry.room != room_of(entry.module):
            graph.setdefault(room_of(entry.module), set()).add(entry.room)
    order = tuple(graphlib.TopologicalSorter(graph).static_order())
    assert set(graph) <= set(order)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("table", "from hiddenpop.result import Estimate"),
        ("table", "from hiddenpop import estimators"),
        ("table", "import hiddenpop"),
        ("table", "def fit():\n    from hiddenpop.estimators import LogLinear"),
        ("datasets.tables", "import hiddenpop.estimators.loglinear"),
        ("kernels.poisson.lattice", "if True:\n    from hiddenpop.table import CaptureTable"),
        ("estimators.registry", "from hiddenpop.cli import main"),
        ("result", "class Estimate:\n    def summary(self):\n        from hiddenpop.plotting import forest"),
    ],
)
def test_an_import_against_the_order_is_seen(module: str, source: str) -> None:
    assert [may(entry) for entry in imports_of(source, module)] == [False]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("table", "from hiddenpop import errors"),
        ("cli", "from hiddenpop.estimators.registry import REGISTRY"),
        ("result", "from hiddenpop import __version__\nfrom hiddenpop.table import CaptureTable"),
        ("table", "def plot(self):\n    from hiddenpop.plotting import overlaps"),
        ("estimators.registry", "def resolve(name):\n    from hiddenpop.bayes import thresholded"),
    ],
)
def test_an_import_in_order_passes(module: str, source: str) -> None:
    entries = imports_of(source, module)
    assert entries
    assert all(may(entry) for entry in entries)


BESIDE = sorted(
    path for room in ("benchmarks", "paper", "tools", "tests") for path in (ROOT / room).rglob("*.py")
)


def missing_names(path: Path) -> list[str]:
    """List what a file takes from the package that is not there, inside functions too."""
    wanted = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "hiddenpop"
        for alias in node.names
    ]
    return [f"{module}.{name}" for module, name in wanted if not is_there(module, name)]


def is_there(module: str, name: str) -> bool:
    """Tell whether a module has a name, a module within it among them."""
    with contextlib.suppress(ModuleNotFoundError):
        return hasattr(importlib.import_module(module), name) or bool(
            importlib.util.find_spec(f"{module}.{name}")
        )
    return False


def test_what_is_run_by_hand_takes_only_names_that_are_there() -> None:
    assert {str(path): missing for path in BESIDE if (missing := missing_names(path))} == {}


def test_a_name_that_is_gone_is_seen(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(
        "def f():\n    from hiddenpop.kernels.poisson.lattice import gone, fit_batch\n"
    )
    assert missing_names(tmp_path / "old.py") == ["hiddenpop.kernels.poisson.lattice.gone"]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, hiddenpop; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
