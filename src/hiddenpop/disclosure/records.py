"""Records that can be released: an estimate, a frame, a message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from hiddenpop.disclosure.rules import OTHER_MARK
from hiddenpop.disclosure.tables import Base, OutputTable
from hiddenpop.errors import SettingError, TableError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Answers", "EstimateRecord", "FrameRecord", "Message", "Persons", "Shares"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EstimateRecord:
    """The floor: what may leave of an estimate first, and often is enough.

    Status, method and number of lists; the estimate and its limits to two digits, never finer than base 10; the number
    observed and the sizes of lists of 10 or more to base 5. No cell, no criterion, no diagnostic.

    Parameters
    ----------
    name : str
        Of the estimate, unlike any other in the release.
    base : Base
        With a column of 0 and 1 (or truths) for each list.
    lists : sequence of str
        Columns of the base.
    method : str
        What it is called; no number that comes from the table may be in it.
    status : str
    n_hat, low, high : float
    level : float
        Of the interval; a setting.
    interval : str
        How the interval was made; a text without numbers that come from the table.
    recompute : mapping
        Registered name and settings. The function that `resolve` makes of it gives, for base counts, the list
        ``[status, n_hat, low, high]``.
    margins : csr_array, optional
        Of a given hierarchical model, the sums that all four depend on, and on nothing else.
    n_parameters : int, optional
        Of a given model.

    Examples
    --------
    >>> frame = pd.DataFrame({"police": [1, 0, 1], "shelter": [0, 1, 1]})
    >>> base = Base(name="city", frame=frame, counts=np.array([212, 153, 47]))
    >>> def chapman(plain):
    ...     def answer(counts):
    ...         n_hat = (counts[0] + counts[2] + 1) * (counts[1] + counts[2] + 1) / (counts[2] + 1) - 1
    ...         return ["ok", n_hat, 0.8 * n_hat, 1.3 * n_hat]
    ...     return answer
    >>> status, n_hat, low, high = chapman({})(base.counts)
    >>> estimate = EstimateRecord(
    ...     name="chapman", base=base, lists=["police", "shelter"], method="chapman", status=status, n_hat=n_hat,
    ...     low=low, high=high, level=0.95, recompute={"method": "chapman"},
    ... )
    >>> from hiddenpop.disclosure import release
    >>> found = release([estimate], resolve=chapman).view(estimate).to_dict()
    >>> found["n_hat"], found["low"], found["high"], found["n_observed"], found["lists"]
    (1100.0, 870.0, 1400.0, 410, {'police': 260, 'shelter': 200})
    """

    name: str
    base: Base | None
    lists: Sequence[str]
    method: str
    status: str
    n_hat: float | str
    low: float | str
    high: float | str
    level: float
    interval: str = ""
    recompute: Mapping[str, Any] = field(default_factory=dict)
    margins: "csr_array[Any] | None" = None
    n_parameters: int | None = None
    counts: Mapping[str, int | str] = field(default_factory=dict)

    def output_tables(self) -> tuple[OutputTable, ...]:
        """Give the number observed and the sizes of lists, and the answers."""
        if self.base is None:
            raise SettingError(
                f"estimate {self.name!r} has been released already; release the record it was made of"
            )
        frame = pd.DataFrame({"number": ["n_observed", *self.lists]}, dtype=object)
        matrix = self.base.sums([{}, *({name: [1, True]} for name in self.lists)])
        answers = pd.DataFrame(
            {
                "number": ["status", "n_hat", "low", "high"],
                "value": pd.Series([self.status, self.n_hat, self.low, self.high], dtype=object),
            }
        )
        return (
            OutputTable.of_sums(f"{self.name}: counts", self.base, frame, matrix, rounded=True),
            OutputTable.of_answers(
                f"{self.name}: answers",
                self.base,
                answers,
                margins=self.margins,
                recompute=self.recompute,
                n_parameters=self.n_parameters,
                exact=False,
            ),
        )

    def released(self, frames: Mapping[str, pd.DataFrame]) -> Self:
        """Give the estimate as it may be shown; no number is shown below the number observed as it is shown."""
        counts = dict(zip(["n_observed", *self.lists], frames[f"{self.name}: counts"]["count"], strict=True))
        status, *numbers = frames[f"{self.name}: answers"]["value"]
        least = counts["n_observed"]
        n_hat, low, high = (_at_least(one, least) for one in numbers)
        return replace(
            self,
            base=None,
            margins=None,
            recompute={},
            n_parameters=None,
            status=status,
            n_hat=n_hat,
            low=low,
            high=high,
            counts=counts,
        )

    def to_dict(self) -> dict[str, Any]:
        """Give a released estimate as plain data: numbers, marks, and None beside a status without a number.

        Raises
        ------
        SettingError
            If it has not been released.
        """
        if self.base is not None:
            raise SettingError(f"estimate {self.name!r} has not been released; use release(...).view(record)")
        counts = dict(self.counts)
        return {
            "name": self.name,
            "method": self.method,
            "status": self.status,
            "n_hat": _plain(self.n_hat),
            "interval": {
                "low": _plain(self.low),
                "high": _plain(self.high),
                "level": self.level,
                "method": self.interval,
            },
            "low": _plain(self.low),
            "high": _plain(self.high),
            "n_lists": len(self.lists),
            "n_observed": _plain(counts.pop("n_observed")),
            "lists": {name: _plain(value) for name, value in counts.items()},
        }


def _at_least(shown: Any, least: Any) -> Any:
    """Keep a rounded number from falling below the rounded number observed: both are shown, so this tells nothing."""
    if isinstance(shown, str) or isinstance(least, str) or not np.isfinite(shown):
        return shown
    return max(float(shown), float(least))


def _plain(value: Any) -> Any:
    found = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(found, float) and not np.isfinite(found) else found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Columns of a frame that an estimator or a check made.

    Attributes
    ----------
    columns : sequence of str
    recompute : mapping
        The function that `resolve` makes of it gives, for base counts, the values row by row, in order of `columns`.
    margins : csr_array or None
        The sums that all of them depend on, and on nothing else.
    finest : float or None
        No number is given finer than this; the setting of the rules, which is about persons, by default.
    exact : bool
        Whether numbers may leave with all digits where these tell nothing.
    """

    columns: Sequence[str]
    recompute: Mapping[str, Any] = field(default_factory=dict)
    margins: "csr_array[Any] | None" = None
    finest: float | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """A column of shares: persons of one column of counts for each of another.

    Attributes
    ----------
    of, among : str
        Columns of counts.
    factor : float
        100 for percentages.
    """

    of: str
    among: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameRecord:
    """A frame of which nothing leaves but what is named, each column as what it is.

    Parameters
    ----------
    name : str
    frame : DataFrame
    base : Base or None
    dimensions : sequence of str
        Columns that say what a row is about: strata, histories, names of lists and checks.
    settings : sequence of str
        Columns of settings, which say nothing of how many: a level, a name of a rule.
    counts : mapping of str to csr_array
        For a column of counts, the sums of base cells that they are.
    shares : mapping of str to Shares
        For a column of shares, the two columns of counts that it is of. A share is made again of what may be shown of
        these, so the counts are taken as shown even where the frame has no such column.
    answers : sequence of Answers
    rounded : bool
        Whether counts that may be shown are rounded to the base of the rules.
    telling : mapping, optional
        For a column of counts, rows and the rows of totals that they should not nearly fill; see `OutputTable.tells`.

    Notes
    -----
    Every other column is left out of what is released: a column that nobody has named tells nobody knows what.

    Examples
    --------
    >>> base = Base(name="city", frame=pd.DataFrame({"town": ["a", "b", "c", "d"]}), counts=np.array([3, 40, 25, 60]))
    >>> frame = pd.DataFrame({"town": ["a", "b", "c", "d"], "count": [3, 40, 25, 60], "secret": [1.5, 2.5, 3.5, 4.5]})
    >>> record = FrameRecord(
    ...     name="towns", frame=frame, base=base, dimensions=["town"],
    ...     counts={"count": base.sums([{"town": town} for town in "abcd"])},
    ... )
    >>> from hiddenpop.disclosure import release
    >>> release([record]).view(record).frame.to_dict("list")
    {'town': ['a', 'b', 'c', 'd'], 'count': ['<10', 40, 25, 60]}
    """

    name: str
    frame: pd.DataFrame
    base: Base | None = None
    dimensions: Sequence[str] = ()
    settings: Sequence[str] = ()
    counts: "Mapping[str, csr_array[Any]]" = field(default_factory=dict)
    shares: Mapping[str, Shares] = field(default_factory=dict)
    answers: Sequence[Answers] = ()
    rounded: bool = False
    telling: Mapping[str, Mapping[int, tuple[int, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = [
            *self.dimensions,
            *self.settings,
            *self.shares,
            *(column for one in self.answers for column in one.columns),
        ]
        missing = [column for column in named if column not in self.frame.columns]
        if missing:
            raise TableError(
                f"frame {self.name!r} has no column {missing[0]!r}; it has {', '.join(map(str, self.frame))}"
            )
        for column, one in self.shares.items():
            strange = [part for part in (one.of, one.among) if part not in self.counts]
            if strange:
                raise TableError(
                    f"frame {self.name!r}: column {column!r} "
                    f"is a share of {strange[0]!r}, which is not a column of counts"
                )
        if self.base is None and (self.counts or self.answers):
            raise TableError(f"frame {self.name!r} has numbers of persons and no base; say which persons")

    def output_tables(self) -> tuple[OutputTable, ...]:
        """Give each column as what it is."""
        labels = self.frame[list(self.dimensions)]
        found = [
            OutputTable.of_words(
                f"{self.name}: labels",
                self.frame[[*self.dimensions, *self.settings]],
                numbers=[*self.dimensions, *self.settings],
            )
        ]
        if self.base is None:
            return tuple(found)
        for column, matrix in self.counts.items():
            frame = labels.assign(**{column: self.frame[column]}) if column in self.frame else labels
            table = OutputTable.of_sums(
                f"{self.name}: {column}",
                self.base,
                frame,
                matrix,
                value=column,
                dimensions=self.dimensions,
                rounded=self.rounded,
            )
            found.append(replace(table, tells=self.telling.get(column, {})))
        for column, one in self.shares.items():
            found.append(self._complement(column, one))
        for k, answer in enumerate(self.answers):
            values = self.frame[list(answer.columns)].to_numpy(dtype=object).ravel()
            long = pd.DataFrame(
                {
                    "row": np.repeat(np.arange(len(self.frame)), len(answer.columns)).astype(str),
                    "column": list(answer.columns) * len(self.frame),
                    "value": pd.Series(values, dtype=object),
                }
            )
            found.append(
                OutputTable.of_answers(
                    f"{self.name}: answers {k + 1}",
                    self.base,
                    long,
                    margins=answer.margins,
                    recompute=answer.recompute,
                    finest=answer.finest,
                    exact=answer.exact,
                )
            )
        return tuple(found)

    def _complement(self, column: str, share: Shares) -> OutputTable:
        """Give those who are not in the share: who knows both parts of it knows them, too."""
        assert self.base is not None
        matrix = self.counts[share.among] - self.counts[share.of]
        matrix.eliminate_zeros()
        labels = self.frame[list(self.dimensions)]
        return OutputTable.of_sums(
            f"{self.name}: {column}, others",
            self.base,
            labels,
            matrix,
            value="others",
            dimensions=self.dimensions,
            rounded=self.rounded,
        )

    def released(self, frames: Mapping[str, pd.DataFrame]) -> Self:
        """Give the frame as it may be shown, without the columns that nobody has named."""
        found = frames[f"{self.name}: labels"].copy()
        shown = {column: frames[f"{self.name}: {column}"][column].tolist() for column in self.counts}
        for column, values in shown.items():
            if column in self.frame:
                found[column] = values
        for column, one in self.shares.items():
            others = frames[f"{self.name}: {column}, others"]["others"].tolist()
            parts = zip(shown[one.of], shown[one.among], others, strict=True)
            found[column] = [_share(*part, one.factor) for part in parts]
        for k, answer in enumerate(self.answers):
            flat = frames[f"{self.name}: answers {k + 1}"]["value"].tolist()
            for j, column in enumerate(answer.columns):
                found[column] = flat[j :: len(answer.columns)]
        order = [column for column in self.frame.columns if column in found.columns]
        return replace(self, frame=found[order], base=None, counts={}, shares={}, answers=(), telling={})


def _share(part: Any, whole: Any, others: Any, factor: float) -> Any:
    """Work a share out of what is shown; where one of the two is a mark, so is the share."""
    if isinstance(part, str) or isinstance(whole, str) or isinstance(others, str):
        return OTHER_MARK
    return factor * part / whole if whole else OTHER_MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """A number of persons in a message.

    Attributes
    ----------
    value : int
    of : mapping or None
        Which persons: values of columns of the base, as for `Base.sums`; an empty one for all. None where that is not
        known: then the number does not leave.
    """

    value: int
    of: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Message:
    """A sentence with typed values: values are protected, the sentence stays as it is.

    Parameters
    ----------
    name : str
    template : str
        With a name in braces for each value.
    settings : mapping
        Values that say nothing of how many persons: numbers of models and resamples, names of lists.
    persons : mapping of str to Persons
    base : Base or None

    Notes
    -----
    Whatever is neither a setting nor a number of persons with its base is not part of a message: an estimate stands in
    an `EstimateRecord` beside it.

    Examples
    --------
    >>> base = Base(name="city", frame=pd.DataFrame({"town": ["a", "b", "c"]}), counts=np.array([3, 40, 25]))
    >>> message = Message(
    ...     name="remark", template="{n} models were tried; list {list} holds {few} persons", base=base,
    ...     settings={"n": 12, "list": "Politie 2021"}, persons={"few": Persons(value=3, of={"town": "a"})},
    ... )
    >>> from hiddenpop.disclosure import release
    >>> release([message]).view(message).text
    '12 models were tried; list Politie 2021 holds <10 persons'
    """

    name: str
    template: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    persons: Mapping[str, Persons] = field(default_factory=dict)
    base: Base | None = None
    shown: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        both = set(self.settings) & set(self.persons)
        if both:
            raise SettingError(
                f"message {self.name!r}: {sorted(both)[0]!r} is a setting and a number of persons"
            )
        try:
            self.template.format_map({**self.settings, **dict.fromkeys(self.persons, "")})
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            names = ", ".join(self._names()) or "no values"
            raise SettingError(
                f"message {self.name!r}: the template asks for {error}, and has {names}"
            ) from error
        if self.base is None and any(one.of is not None for one in self.persons.values()):
            raise SettingError(f"message {self.name!r} has numbers of persons and no base; say which persons")

    def _names(self) -> list[str]:
        return sorted([*self.settings, *self.persons])

    def _counted(self) -> list[str]:
        return [name for name, one in self.persons.items() if one.of is not None]

    def output_tables(self) -> tuple[OutputTable, ...]:
        """Give the numbers of persons whose base is known."""
        counted = self._counted()
        if not counted or self.base is None:
            return (OutputTable.of_words(f"{self.name}: words", pd.DataFrame({"value": self._names()})),)
        frame = pd.DataFrame({"value": counted, "count": [self.persons[name].value for name in counted]})
        matrix = self.base.sums([self.persons[name].of or {} for name in counted])
        return (OutputTable.of_sums(f"{self.name}: persons", self.base, frame, matrix),)

    def released(self, frames: Mapping[str, pd.DataFrame]) -> Self:
        """Give the message with what may be shown of its numbers."""
        shown = dict.fromkeys(self.persons, OTHER_MARK)
        frame = frames.get(f"{self.name}: persons")
        if frame is not None:
            shown |= dict(zip(frame["value"], frame["count"], strict=True))
        return replace(self, persons={}, base=None, settings={**self.settings, **shown}, shown=shown)

    @property
    def text(self) -> str:
        """The sentence; only of a message that has been released."""
        if self.shown is None:
            raise SettingError(f"message {self.name!r} has not been released; use release(...).view(message)")
        return self.template.format_map(self.settings)
