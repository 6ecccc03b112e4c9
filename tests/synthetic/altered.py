"""The shipped settings with one value changed."""

import tomllib
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any

from hiddenpop.synthetic.cards import toml_text

TEXT = files("hiddenpop.synthetic.world").joinpath("settings.toml").read_text("utf-8")
SHIPPED = tomllib.loads(TEXT)


def altered(tmp_path: Path, key: str, value: Any) -> Path:
    """Write the shipped settings with another value at one key; None takes the key away."""
    content = deepcopy(SHIPPED)
    *path, last = key.split(".")
    table: Any = content
    for step in path:
        table = table[int(step)] if isinstance(table, list) else table[step]
    if isinstance(table, list):
        table[int(last)] = value
    elif value is None:
        del table[last]
    else:
        table[last] = value
    target = tmp_path / "settings.toml"
    target.write_text(toml_text(content), encoding="utf-8")
    return target
