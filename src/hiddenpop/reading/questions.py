"""What a file leaves open: one question, with the options that answer it ready to be typed."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hiddenpop.errors import HiddenpopError, TableError
from hiddenpop.reading.record import Options

__all__ = ["Answer", "Choices", "OpenQuestionError", "as_typed", "ask", "unclear_sign"]

Answer = Mapping[str, Any]
"""Options by name that would answer a question."""

Choices = list[list[Answer]]
"""Ways out, each with the shortest way to say it first."""

OTHERWISE = "say which column is what with --lists, --count, --strata, --person and --list"

MOST_TOLD = 6
"""Answers in one message: more of them are no help."""


class OpenQuestionError(TableError):
    """A file can be read in more than one way.

    Parameters
    ----------
    what : str
        What is open, without a value of the file.
    answers : sequence of sequences of mappings
        The choices; of each choice the shortest way to say it first.
    otherwise : str, optional
        What to do where no answer works.
    instead : str, optional
        What is told in place of the question where no answer works, such as the faults behind it.
    """

    def __init__(
        self,
        what: str,
        answers: Sequence[Sequence[Answer]],
        otherwise: str = OTHERWISE,
        instead: str = "",
    ) -> None:
        super().__init__(what)
        self.what, self.answers, self.otherwise, self.instead = what, answers, otherwise, instead


def unclear_sign(name: str, sign: str) -> OpenQuestionError:
    """Ask for the decimal sign of a column."""
    return OpenQuestionError(
        f"in column {name!r} the sign {sign!r} can be decimal or stand between thousands",
        [[{"decimal": ","}], [{"decimal": "."}]],
    )


def ask(question: OpenQuestionError, options: Options, attempt: Callable[[Options], object]) -> TableError:
    """Write a question with those answers that work.

    Parameters
    ----------
    question : OpenQuestionError
    options : Options
        Those that were given.
    attempt : callable
        Reads the table with other options.

    Returns
    -------
    TableError
    """
    direct = [_first_working(way, options, attempt) for way in question.answers]
    working = [answer for answer in direct if answer is not None]
    if not working:
        working = [full for way in question.answers for full in _completed(way[0], options, attempt)]
    told = list(dict.fromkeys(map(as_typed, working)))[:MOST_TOLD]
    if told:
        return TableError(f"{question.what}: say {' or '.join(told)}")
    return TableError(question.instead or f"{question.what}; {question.otherwise}")


def _first_working(
    way: Sequence[Answer], options: Options, attempt: Callable[[Options], object]
) -> Answer | None:
    """Take the first answer of a way that works, by itself or with what its next question leaves no choice in."""
    alone = next((answer for answer in way if _works(answer, options, attempt)), None)
    if alone is not None:
        return alone
    joined = (full for answer in way for full in _completed(answer, options, attempt, most=1))
    return next(joined, None)


def _works(answer: Answer, options: Options, attempt: Callable[[Options], object]) -> bool:
    if not _can_be_typed(answer):
        return False
    try:
        attempt(replace(options, **answer))
    except HiddenpopError:
        return False
    return True


def _can_be_typed(answer: Answer) -> bool:
    """Tell whether no name holds a comma: commas stand between the names on a command line."""
    several = (
        [value] if isinstance(value, str) else value
        for option, value in answer.items()
        if option == "list" or not isinstance(value, str)
    )
    return not any("," in name for names in several for name in names)


def _completed(
    answer: Answer, options: Options, attempt: Callable[[Options], object], most: int | None = None
) -> list[Answer]:
    """Join an answer that leaves a question open with the answers to that question, unless it has more ways."""
    try:
        attempt(replace(options, **answer))
    except OpenQuestionError as further:
        if most is not None and len(further.answers) > most:
            return []
        joined = [[{**answer, **more} for more in way] for way in further.answers]
        found = (next((full for full in way if _works(full, options, attempt)), None) for way in joined)
        return [full for full in found if full is not None]
    except HiddenpopError:
        pass
    return []


def as_typed(answer: Answer) -> str:
    """Write options as they are typed.

    Examples
    --------
    >>> as_typed({"person": "client nr", "lists": ["a", "b"]})
    "--person 'client nr' --lists a,b"
    """
    texts = {name: value if isinstance(value, str) else ",".join(value) for name, value in answer.items()}
    return " ".join(f"--{name} {shlex.quote(text)}" for name, text in texts.items())
