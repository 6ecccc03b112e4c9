"""A reviewer's first question: whether a table can carry an estimate at all."""

from hiddenpop.description.record import TableDescription, closing_sentence, describe
from hiddenpop.description.rules import RULES, Finding, Rule
from hiddenpop.description.tally import Spread

__all__ = ["RULES", "Finding", "Rule", "Spread", "TableDescription", "closing_sentence", "describe"]
