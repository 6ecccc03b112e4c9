"""What every section of a report is made from."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hiddenpop.description import TableDescription, describe
from hiddenpop.disclosure import is_small
from hiddenpop.errors import CapabilityError, HiddenpopWarning
from hiddenpop.report.catalogue import Words
from hiddenpop.report.document import Aside, Para, Run, Runs, software
from hiddenpop.report.withholding import rounded, told_of
from hiddenpop.result import Estimate, format_persons, spread_beside

if TYPE_CHECKING:
    from hiddenpop.report.record import Report

__all__ = ["Context"]

Drawn = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class Context:
    """A report and the words to write it in."""

    report: "Report"
    words: Words

    @property
    def hide(self) -> bool:
        """Whether small counts are withheld."""
        return self.report.protects

    def drawn(self, name: str, draw: Callable[[], Drawn]) -> Drawn:
        """Give a figure, drawn the first time that some format or language asks for it."""
        if name not in self.report.drawn:
            self.report.drawn[name] = draw()
        return self.report.drawn[name]

    def description(self) -> TableDescription | str:
        """Describe the table, the first time that some format or language asks; or say why it cannot be described."""
        if not self.report.described:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", HiddenpopWarning)  # the estimates say the same
                try:
                    self.report.described.append(describe(self.report.table))
                except CapabilityError as error:
                    self.report.described.append(str(error))
        return self.report.described[0]

    def say(self, key: str, **values: object) -> str:
        """Write a phrase as plain text."""
        return self.words.say(key, **values)

    def runs(self, key: str, **values: object) -> Runs:
        """Write a phrase as stretches of text."""
        return self.words.runs(key, **values)

    def para(self, key: str, **values: object) -> Para:
        """Write a phrase as a paragraph."""
        return Para(self.runs(key, **values))

    def aside(self, key: str, **values: object) -> Aside:
        """Write a phrase as a paragraph that stands out."""
        return Aside(self.runs(key, **values))

    def cell(self, text: object) -> Runs:
        """Write a cell of a table."""
        return (text,) if isinstance(text, Run) else (Run(str(text)),)

    def is_withheld(self, estimate: Estimate) -> bool:
        """Tell whether so few were observed that no figure of an estimate may be shown."""
        return self.hide and not estimate.table.public and is_small(estimate.n_observed)

    def size(self, n: float, width: float, least: float = 0.0) -> str:
        """Write a size; of counts that are not public with three digits at most, never below the number observed."""
        if not (self.hide and math.isfinite(n)):
            return self.words.persons(n, width, least)
        shown = float(format_persons(n, width, least).replace(",", ""))
        return self.words.count(rounded(shown, least))

    def estimate_text(self, estimate: Estimate) -> tuple[str, str]:
        """Write an estimate and its limits."""
        if self.is_withheld(estimate):
            return self.say("number.withheld"), self.say("number.withheld")
        ends = estimate.interval
        spread = spread_beside(estimate, self.report.estimates.values())
        number = self.size(estimate.n_hat, spread, estimate.n_observed)
        low, high = (self.size(n, estimate.spread, estimate.n_observed) for n in (ends.low, ends.high))
        return number, self.limits(low, high)

    def limits(self, low: str, high: str) -> str:
        """Write two limits."""
        return self.say("number.limits", low=low, high=high)

    def written_by(self, estimate: Estimate, text: str) -> Run:
        """Mark a sentence that a method wrote about an estimate, as it may leave."""
        return software(told_of(estimate, text, protect=self.hide))
