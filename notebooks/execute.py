"""Execute notebooks in place, from a clean kernel, so that what they show is what the code gives.

Without arguments every notebook of this folder is executed. Nothing that depends on the clock or the machine is kept,
so that a notebook executed twice is the same file.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
sys.path.append(str(FOLDER.parent))

from tools.caches import keep_inside  # noqa: E402

TIMEOUT = 600  # seconds a cell may take; enough for a cold compilation on a slow machine


def run(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Execute the cells in order from a clean kernel that starts in `folder`; the outputs land in the notebook."""
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        record_timing=False,
        coalesce_streams=True,  # what is printed arrives in pieces, cut by chance
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=[
            "--log-level=ERROR"
        ],  # else it warns that it listens on a port, of this machine only
    )
    return client.execute()


def refresh(path: Path) -> None:
    """Run one notebook and write it back with its outputs."""
    notebook = run(nbformat.read(path, as_version=4), path.parent)
    # The kernel notes its own version here.
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    keep_inside()
    os.environ["HIDDENPOP_COMPILE_NOTE"] = (
        "off"  # what compiles first is chance, and a notebook keeps what is said
    )
    named = [Path(argument) for argument in sys.argv[1:]]
    for notebook_path in named or sorted(FOLDER.glob("*.ipynb")):
        refresh(notebook_path.resolve())
        print(f"executed {notebook_path.name}")
