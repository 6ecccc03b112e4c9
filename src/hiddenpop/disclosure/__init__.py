"""What may leave of a table that is not public; the key of its fingerprint.

One verb judges everything that leaves together::

    release(items, rules, earlier=..., resolve=...) -> Release
    Release.view(record)       the same record with what may be shown: whatever is written, plotted or worded
    Release.write(folder)      what may leave, whole or not at all; Release.files() gives the texts
    Release.write_inside(f)    the account for the checker, the witnesses, and what a later release needs to know

An item is a record with two methods, `output_tables` (what it would show) and `released` (the same record with the
frames that may be shown). Four kinds of record are here, and any other that has the two methods will do:

`EstimateRecord`
    The floor of an estimate: status, method, number of lists; N and its limits to two digits, never finer than 10; the
    number observed and lists of 10 or more to base 5. Its view gives plain data with `to_dict`.
`FrameRecord`
    A frame of which each column is named as what it is: dimensions, settings, counts (sums of base cells), shares of
    counts, answers of a model or a check. A column that is not named does not leave.
`Message`
    A sentence with typed values: settings stay, numbers of persons are protected, the sentence is never searched.
`OutputTable`
    Numbers of one kind, from the base cells they are sums of: `of_counts`, `of_sums`, `of_magnitudes`, `of_answers`,
    `of_words`.

All of them speak of a `Base`: the persons of one table in the finest groups, with zeros. Bases of one name are judged
together. A table with a list left out, or with groups put together, keeps the name of the table it was made from.

This room knows no estimator. An answer says as plain data (a registered name and settings) how it follows from base
counts, and `resolve` makes of it a function from base counts to the answers, in their order. An estimate's function
gives ``[status, n_hat, low, high]``. Answers that depend on a few sums alone (of a given hierarchical model: the number
observed, the sizes of lists, the overlaps in its terms) name them as `margins`, and need no function where these may
be known. Whatever names neither does not leave.

A figure draws `plot_data` of a released frame, and nothing else. Marks that come back in a file are read by
`read_marks`. `Ledger` keeps what has left of each table, `prices` says before the choice what one more item would cost,
and `audit_frames` audits frames as they stand, whoever made them.

Examples
--------
Two lists, in two regions; four persons are on both lists in the south.

>>> import itertools
>>> import pandas as pd
>>> cells = pd.DataFrame(
...     [(region, *history) for region in ("north", "south") for history in ((1, 0), (0, 1), (1, 1))],
...     columns=["region", "police", "shelter"],
... )
>>> base = Base(name="city 2025", frame=cells, counts=[252, 173, 47, 61, 38, 4])

How an estimate follows from counts is known to the caller alone:

>>> def chapman(counts):
...     police, shelter, both = (counts[k] + counts[k + 3] for k in range(3))
...     n_hat = (police + both + 1) * (shelter + both + 1) / (both + 1) - 1
...     return ["ok", n_hat, 0.8 * n_hat, 1.3 * n_hat]
>>> def resolve(plain):
...     return {"chapman": chapman}[plain["method"]]
>>> status, n_hat, low, high = chapman(base.counts)
>>> estimate = EstimateRecord(
...     name="estimate", base=base, lists=["police", "shelter"], method="chapman", status=status, n_hat=n_hat, low=low,
...     high=high, level=0.95, recompute={"method": "chapman"},
... )

A table of counts by region, whose column of means nobody has named:

>>> frame = pd.DataFrame(
...     {"region": ["north", "south"], "persons": [472, 103], "on both": [47, 4], "share": [47 / 472, 4 / 103],
...      "mean": [1.1, 1.0]}
... )
>>> by_region = FrameRecord(
...     name="regions", frame=frame, base=base, dimensions=["region"],
...     counts={
...         "persons": base.sums([{"region": region} for region in frame["region"]]),
...         "on both": base.sums([{"region": r, "police": 1, "shelter": 1} for r in frame["region"]]),
...     },
...     shares={"share": Shares(of="on both", among="persons")},
... )
>>> remark = Message(
...     name="remark", template="{few} persons of the south are on both lists; {n} models were tried", base=base,
...     settings={"n": 5}, persons={"few": Persons(value=4, of={"region": "south", "police": 1, "shelter": 1})},
... )

All of it is judged together, with more tables worked out than by default before an answer is withheld:

>>> rules = ReleaseRules(evaluations=4_000)
>>> found = release([estimate, by_region, remark], rules, resolve=resolve)
>>> found.view(remark).text
'<10 persons of the south are on both lists; 5 models were tried'
>>> view = found.view(by_region).frame
>>> list(view.columns), view["persons"].tolist(), view["on both"].tolist(), view["share"].map(str).str[:4].tolist()
(['region', 'persons', 'on both', 'share'], [472, 103], [47, '<10'], ['0.09', '.'])
>>> plain = found.view(estimate).to_dict()
>>> plain["n_hat"], plain["n_observed"], plain["lists"]
('between 1,000 and 2,000', 575, {'police': 365, 'shelter': 260})
>>> plot_data(found.view(by_region).frame, "on both")["height"].tolist()
[47.0, 10.0]
>>> found.passed, found.legend
(True, '<10 = 1 to 9; . = withheld to protect another number')
"""

from hiddenpop.disclosure.answers import print_answers
from hiddenpop.disclosure.earlier import Disclosed, read_knowledge
from hiddenpop.disclosure.ledger import Ledger
from hiddenpop.disclosure.linear import Knowledge
from hiddenpop.disclosure.marks import plot_data, read_marks
from hiddenpop.disclosure.records import Answers, EstimateRecord, FrameRecord, Message, Persons, Shares
from hiddenpop.disclosure.release import Release, audit_frames, prices, release
from hiddenpop.disclosure.rules import ReleaseRules
from hiddenpop.disclosure.small import (
    THRESHOLD,
    is_small,
    protect_cells,
    protect_counts,
    protect_text,
    protect_value,
)
from hiddenpop.disclosure.tables import Base, OutputTable, Releasable
from hiddenpop.keys import KEY_VARIABLE, secret_key

__all__ = [
    "KEY_VARIABLE",
    "THRESHOLD",
    "Answers",
    "Base",
    "Disclosed",
    "EstimateRecord",
    "FrameRecord",
    "Knowledge",
    "Ledger",
    "Message",
    "OutputTable",
    "Persons",
    "Releasable",
    "Release",
    "ReleaseRules",
    "Shares",
    "audit_frames",
    "is_small",
    "plot_data",
    "prices",
    "print_answers",
    "protect_cells",
    "protect_counts",
    "protect_text",
    "protect_value",
    "read_knowledge",
    "read_marks",
    "release",
    "secret_key",
]
