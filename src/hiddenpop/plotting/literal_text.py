"""The names of lists, groups and tables in figures, shown as they were typed."""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter

__all__ = ["literal_text"]

LONGEST_LINE = 120
BOX = "\u25a1"

_Given = ParamSpec("_Given")
_Drawn = TypeVar("_Drawn", bound=Artist)


class _AsTyped(FuncFormatter):
    """Labels of ticks, which are written anew at every drawing; axes that are shared share it."""

    def __init__(self, formatter: FixedFormatter | FuncFormatter) -> None:
        super().__init__(lambda x, place: _drawable(formatter(x, place)).replace("$", r"\$"))


def literal_text(plot: Callable[_Given, _Drawn]) -> Callable[_Given, _Drawn]:
    """Let a plot show names as they are: no formulas between dollar signs, no endless lines, no missing glyphs.

    Matplotlib reads what stands between two dollar signs as mathematics, and fails on most of what people type there.
    """

    @wraps(plot)
    def drawn(*args: _Given.args, **kwargs: _Given.kwargs) -> _Drawn:
        result = plot(*args, **kwargs)
        _show_as_typed(result.get_figure())
        return result

    return drawn


def _show_as_typed(figure: Any) -> None:
    for ax in figure.findobj(Axes):
        for axis in (ax.xaxis, ax.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter | FuncFormatter) and not isinstance(formatter, _AsTyped):
                axis.set_major_formatter(_AsTyped(formatter))
    for text in figure.findobj(Text):
        if _is_unsafe(text.get_text()):
            text.set_parse_math(False)
            text.set_text(_drawable(text.get_text()))


def _is_unsafe(text: str) -> bool:
    return "$" in text or _drawable(text) != text


def _drawable(text: str) -> str:
    """Shorten endless lines in the middle, and put a box in the place of every sign that the font lacks."""
    half = LONGEST_LINE // 2
    lines = [x if len(x) <= LONGEST_LINE else f"{x[:half]}…{x[-half:]}" for x in text.split("\n")]
    return "\n".join("".join(sign if ord(sign) in _known_signs() else BOX for sign in x) for x in lines)


@cache
def _known_signs() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())
