"""Nothing is sent and nothing is fetched."""

import subprocess
import sys
from pathlib import Path

import pytest

WATCHED = """\
import sys
opened = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        opened.append((event, arguments[1:]))
sys.addaudithook(watch)
PLANTED
if sys.argv[1:]:
    from hiddenpop.cli import main
codes = [main(words.split()) for words in sys.argv[1:]]
sys.exit(f"opened {opened}, codes {codes}" if opened or any(codes) else 0)
"""
COMMANDS = [
    "estimate kosovo --estimator decomposable --seed 1 --plot estimate.png --draws draws.parquet",
    "simulate like-kosovo --out worlds --seed 1",
]


def watched(folder: Path, *commands: str, planted: str = "") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", WATCHED.replace("PLANTED", planted), *commands]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_no_command_opens_a_connection(tmp_path: Path) -> None:
    done = watched(tmp_path, *COMMANDS)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize(
    "call",
    [
        "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('localhost', 9)",
    ],
)
def test_a_connection_would_be_seen(tmp_path: Path, call: str) -> None:
    assert "opened [('socket." in watched(tmp_path, planted=call).stderr
