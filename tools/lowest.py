"""The oldest versions that pyproject.toml allows, as constraints: `python -m tools.lowest > FILE`."""

import re
import sys
import tomllib
from pathlib import Path

__all__ = ["lowest"]

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
FLOOR = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?>=([0-9][0-9.]*)")


def lowest(project: Path = PROJECT, extras: tuple[str, ...] = ("files", "report")) -> list[str]:
    """Give ``name==version`` of every direct dependency, of the base and of these extras.

    Raises
    ------
    ValueError
        If a dependency has no lower bound.
    """
    told = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    asked = [
        *told["dependencies"],
        *(line for name in extras for line in told["optional-dependencies"][name]),
    ]
    found = [FLOOR.match(line) for line in asked]
    without = [line for line, floor in zip(asked, found, strict=True) if floor is None]
    if without:
        raise ValueError(f"no lower bound: {', '.join(without)}")
    return [f"{floor[1]}=={floor[2]}" for floor in found if floor]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest()) + "\n")
