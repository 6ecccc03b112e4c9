"""Figures in files: written whole or not at all, the same bytes for the same figure."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from hiddenpop._files import whole
from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError

__all__ = ["FORMATS", "save_figure"]

FORMATS = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""Formats by suffix, with what has to stay out of the file so that it does not depend on the clock."""

DOTS_PER_INCH = 200


@front_door
def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure to a png, svg or pdf file.

    Parameters
    ----------
    figure : Figure
        For instance ``ax.figure``.
    path : str or Path
        Its suffix says the format.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    SettingError
        If the suffix is none of ``.png``, ``.svg`` and ``.pdf``.
    TableError
        If the file cannot be written.

    Notes
    -----
    The file is written under another name first and then renamed: a reader never sees half of it, and a figure that
    was there stays when writing fails. It holds no date.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(Figure(), Path(folder) / "empty.svg").name
    'empty.svg'
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        raise SettingError(
            f"cannot write a figure to {target}: its suffix is {suffix!r}; choose {', '.join(FORMATS)}"
        )
    with whole(target, what="figure") as draft, mpl.rc_context({"svg.hashsalt": "hiddenpop"}):
        figure.savefig(
            draft, format=suffix[1:], dpi=DOTS_PER_INCH, bbox_inches="tight", metadata=FORMATS[suffix]
        )
    return target
