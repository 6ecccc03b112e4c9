"""A full disk, a folder that cannot be written, an interrupted write: nothing half-written, and one clear line."""

import contextlib
import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.distribution.faults import (
    WRITERS,
    Writer,
    content,
    files_no_larger_than,
    folder_that_cannot_be_written,
    killed,
)

from hiddenpop.disclosure import KEY_VARIABLE, secret_key
from hiddenpop.errors import HiddenpopError, TableError

OLD = b"as it was"
LIMITS = (0, 700, 3000)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What each writer leaves when nothing goes wrong."""
    left = {}
    for name, writer in WRITERS.items():
        folder = tmp_path_factory.mktemp(name)
        assert writer(folder) == 0
        left[name] = content(folder)
        assert set(writer.files) <= set(left[name])
    return left


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path_factory.mktemp("key") / "key"))


def furnished(folder: Path, writer: Writer) -> Path:
    """A folder with an older file in every place that will be written."""
    place = folder / "old"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in writer.files:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(OLD)
    return place


def check_whole_or_old(place: Path, whole: dict[str, bytes]) -> None:
    """Every file is the old one or the new one, and there is no other."""
    for name, found in content(place).items():
        assert name in whole, f"{name} was left behind"
        assert found in (OLD, whole[name]), f"{name} is neither the old file nor the new one"


def failed(writer: Writer, place: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether writing was refused, by an error of the package or by a command in one line."""
    told, code = "", 0
    try:
        code = writer(place)
    except HiddenpopError as error:
        told = str(error)
    if told:
        assert "\n" not in told
        assert "write" in told or "use" in told
    elif code:
        err = capsys.readouterr().err.splitlines()
        assert code == 2
        assert [line for line in err if not line.startswith("hiddenpop: note: ")] == err[-1:]
        assert any(
            word in err[-1] for word in ("write", "use", "Permission denied; check the name and the folder")
        )
    return bool(told or code)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk(name: str, tmp_path: Path, whole: Any, capsys: pytest.CaptureFixture[str]) -> None:
    writer = WRITERS[name]
    largest = max(map(len, whole[name].values()))
    for limit in LIMITS:
        place = furnished(tmp_path, writer)
        with files_no_larger_than(limit):
            refused = failed(writer, place, capsys)
        assert refused is (limit < largest)
        check_whole_or_old(place, whole[name])


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_cannot_be_written(
    name: str, tmp_path: Path, whole: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    place = furnished(tmp_path, WRITERS[name])
    with folder_that_cannot_be_written(place):
        assert failed(WRITERS[name], place, capsys)
    check_whole_or_old(place, whole[name])


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_in_place_of_a_folder(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(OLD)
    for place in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hiddenpop.cli.answers.check_place", lambda *_: None)
            assert failed(WRITERS[name], place, capsys)
    assert content(tmp_path) == {"file": OLD}


@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupted_write(name: str, tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = furnished(tmp_path, WRITERS[name])
    replaced, calls = Path.replace, iter(range(100))

    def interrupt(path: Path, target: Path) -> Path:
        if next(calls) == len(whole[name]) // 2:
            raise KeyboardInterrupt
        return replaced(path, target)

    monkeypatch.setattr(Path, "replace", interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        assert WRITERS[name](place) == 130
    check_whole_or_old(place, whole[name])
    assert OLD in content(place).values() or len(content(place)) < len(whole[name])


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("estimate", "describe")])
def test_a_killed_write(name: str, tmp_path: Path, whole: Any) -> None:
    place = furnished(tmp_path, WRITERS[name])

    def die(path: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGKILL)
        return target

    assert killed(lambda: WRITERS[name](place), lambda: setattr(Path, "replace", die)) == signal.SIGKILL
    named = {path: found for path, found in content(place).items() if not path.endswith(".part")}
    assert all(found == OLD for found in named.values())
    assert WRITERS[name](place) == 0
    again = {path: found for path, found in content(place).items() if not path.endswith(".part")}
    assert again == whole[name]


def test_a_full_disk_leaves_no_short_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))
    with (
        files_no_larger_than(10),
        pytest.raises(TableError, match=r"the key file .* cannot be read or created"),
    ):
        secret_key()
    assert content(tmp_path) == {}
    assert len(secret_key()) == 32


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB, where the rights to mount one are there."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs rights that this process has not")
    yield place
    subprocess.run(["umount", str(place)], capture_output=True, check=True)


@pytest.mark.parametrize("name", ["csv", "png", "world", "blocks", "study"])
def test_a_small_disk_that_is_really_full(
    name: str, small_disk: Path, whole: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    place = furnished(small_disk, WRITERS[name])
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "ballast").write_bytes(bytes(200_000))
    assert failed(WRITERS[name], place, capsys)
    check_whole_or_old(place, whole[name])


def test_an_answer_that_cannot_be_printed_is_a_fault_in_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "hiddenpop", "datasets"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("hiddenpop: error: the answer cannot be written: No space left on device; ")
    assert done.stderr.count("\n") == 1


def test_the_module_ends_with_the_exit_code_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["hiddenpop", "describe", "none-such"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_module("hiddenpop", run_name="__main__")
