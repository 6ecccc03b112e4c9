from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from hiddenpop.cli import main

PRIVATE = """police,shelter,clinic,count
1,0,0,143
0,1,0,88
0,0,1,61
1,1,0,17
1,0,1,6
0,1,1,3
1,1,1,2
"""


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*arguments: str) -> Answer:
        code = main(arguments)
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def private(tmp_path: Path) -> str:
    path = tmp_path / "private.csv"
    path.write_text(PRIVATE)
    return str(path)


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the fingerprints of private tables away from the user's own key."""
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
