"""What the pages show runs, and gives what they say it gives."""

import doctest
import shlex
from pathlib import Path

import pytest
from tests.docs.pages import WRITTEN, Block, blocks, name_of

from hiddenpop.cli import main

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MINE = "police,shelter,clinic,count\n1,0,0,61\n0,1,0,84\n0,0,1,39\n1,1,0,18\n1,0,1,7\n0,1,1,14\n1,1,1,3\n"
REGISTRATIONS = "client,source,sex,day\n" + "".join(
    f"K{n % 40:05},{('police', 'shelter')[n % 2]},{'fm'[n // 3 % 2]},2025-03-{1 + n % 28:02}\n"
    for n in range(90)
)

WITH_CODE = [path for path in WRITTEN if blocks(path, "pycon")]
WITH_COMMANDS = [path for path in WRITTEN if any("hiddenpop " in block.text for block in blocks(path, "sh"))]
SLOW_COMMANDS = {"howto/by-year-group-place", "howto/choose", "howto/redo", "howto/sensitivity", "start"}
"""Pages whose command lines take more than a second."""


@pytest.fixture(autouse=True)
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, and leave the user's own key alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("MPLBACKEND", "agg")


def examples(name: str, found: list[Block]) -> doctest.TestResults:
    """Run blocks of a page one after the other, in one namespace."""
    source = "\n".join(block.text for block in found)
    test = doctest.DocTestParser().get_doctest(source, {"__name__": "__main__"}, name, name, 0)
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=report.append)
    assert results.failed == 0, "".join(report)
    return results


@pytest.mark.parametrize("path", WITH_CODE, ids=name_of)
@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
def test_the_code_of_a_page_gives_what_stands_below_it(path: Path) -> None:
    quick = [block for block in blocks(path, "pycon") if not block.slow]
    if not quick:
        pytest.skip("all its code is slow")
    assert examples(name_of(path), quick).attempted > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in WITH_CODE if any(block.slow for block in blocks(path, "pycon"))], ids=name_of
)
@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
def test_the_slow_code_of_a_page_gives_what_stands_below_it(path: Path) -> None:
    assert examples(name_of(path), blocks(path, "pycon")).attempted > 1


def test_a_wrong_answer_on_a_page_is_found() -> None:
    with pytest.raises(AssertionError, match="Expected"):
        examples("a page", [Block("pycon", False, ">>> 1 + 1\n3\n")])


def commands(path: Path) -> list[list[str]]:
    lines = [line for block in blocks(path, "sh") for line in block.text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("hiddenpop ")]


def try_commands(path: Path) -> None:
    Path("mine.csv").write_text(MINE)
    Path("registrations.csv").write_text(REGISTRATIONS)
    for block in blocks(path, "toml")[:1]:
        Path("analysis.toml").write_text(block.text)
    for arguments in commands(path):
        assert main(arguments) == 0, " ".join(arguments)


@pytest.mark.parametrize("path", [p for p in WITH_COMMANDS if name_of(p) not in SLOW_COMMANDS], ids=name_of)
def test_the_command_lines_of_a_page_work(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try_commands(path)
    assert capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in WITH_COMMANDS if name_of(p) in SLOW_COMMANDS], ids=name_of)
def test_the_slow_command_lines_of_a_page_work(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try_commands(path)
    assert capsys.readouterr().out


def test_every_command_shown_is_one_there_is() -> None:
    from hiddenpop.cli.commands import app

    known = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    shown = {arguments[0] for path in WITH_COMMANDS for arguments in commands(path)}
    assert shown <= known
    assert len(shown) > 5


def test_the_page_of_the_command_line_has_every_command_with_its_help() -> None:
    from prepare import command_line

    from hiddenpop.cli.commands import app

    sections = command_line().split("\n## ")[1:]
    assert len(sections) == len(app.registered_commands)
    assert all(f"Usage: hiddenpop {section.splitlines()[0]}" in section for section in sections)
