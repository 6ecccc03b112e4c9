"""What an estimate tells of the counts behind it, and how coarsely it must be printed."""

import itertools
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from tests.disclosure.golden import answers

import hiddenpop as hp
from hiddenpop.disclosure import Base, OutputTable, ReleaseRules, release
from hiddenpop.disclosure.answers import enumerate_tables
from hiddenpop.disclosure.linear import Knowledge, Need, infer

GOLDEN = answers("answer_tells_counts")
LISTS = GOLDEN["lists"]
HISTORIES = pd.DataFrame([[int(sign) for sign in history] for history in GOLDEN["counts"]], columns=LISTS)
BASE = Base(name="city", frame=HISTORIES, counts=np.array(list(GOLDEN["counts"].values())))
WITHHELD = [list(GOLDEN["counts"]).index(history) for history in GOLDEN["withheld"]]


@cache
def n_hat(model, counts):
    table = hp.CaptureTable.from_counts(HISTORIES.assign(count=counts), lists=LISTS, public=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hp.errors.HiddenpopWarning)
        return hp.LogLinear(model=model).fit(table).n_hat


def resolve(plain):
    return lambda counts: np.array([n_hat(plain["settings"]["model"], tuple(int(n) for n in counts))])


INDEPENDENT = {"method": "loglinear", "settings": {"model": "independence"}}
N_HAT = resolve(INDEPENDENT)


def estimate(**more):
    frame = pd.DataFrame({"what": ["n_hat"], "value": [GOLDEN["n_hat_printed"]]})
    return OutputTable.of_answers("estimate", BASE, frame, **{"recompute": INDEPENDENT, **more})


def cells():
    matrix = BASE.sums(HISTORIES.to_dict("records"))
    return OutputTable.of_sums("cells", BASE, HISTORIES, matrix)


def candidates():
    """Every table that agrees with the counts shown and the number observed."""
    rows = np.concatenate([np.delete(np.eye(7), WITHHELD, axis=0), np.ones((1, 7))])
    values = rows @ BASE.counts
    known = Knowledge(
        cells=BASE.cells,
        matrix=csr_array(rows),
        lower=values,
        upper=values,
        floor=np.zeros(7),
        ceiling=np.full(7, np.inf),
    )
    return enumerate_tables(known, 100)


def test_every_candidate_gives_the_estimate_that_is_known():
    found = {",".join(f"{n:.0f}" for n in table[WITHHELD]): N_HAT(table)[0] for table in candidates()}
    assert found.keys() == GOLDEN["n_hat_by_candidate"].keys()
    for key, n_hat in GOLDEN["n_hat_by_candidate"].items():
        assert found[key] == pytest.approx(n_hat, abs=1e-6)
    same = [key for key, n_hat in found.items() if abs(n_hat - GOLDEN["n_hat_printed"]) < 1e-6]
    assert same == ["7,3"]


def witnesses(low, high):
    """Values of the withheld counts in tables that agree with the cells and give an estimate printed alike."""
    found = []
    for pair in itertools.product(range(1, 10), repeat=2):
        counts = BASE.counts.copy()
        counts[WITHHELD] = pair
        if low <= N_HAT(counts)[0] <= high:
            found.append(pair)
    return found


def test_an_estimate_beside_its_cells_is_printed_so_that_it_tells_nothing():
    found = release([cells(), estimate()], resolve=resolve)
    shown = found.frames["estimate"]["value"].item()
    assert shown == 500
    assert "one digit" in " ".join(found.log)
    for place in (0, 1):
        values = [pair[place] for pair in witnesses(450, 550)]
        assert len(set(values)) >= 5
        assert max(values) - min(values) >= 5
    finer = [len({pair[place] for pair in witnesses(495, 505)}) for place in (0, 1)]
    assert min(finer) < 5


def test_alone_it_has_two_digits():
    found = release([estimate()], resolve=resolve)
    assert found.frames["estimate"]["value"].item() == 500
    assert any("rounded" in line for line in found.log)


def test_where_nobody_says_how_it_follows_it_is_withheld():
    for items, handed in (([estimate(recompute={})], resolve), ([estimate()], None)):
        found = release(items, resolve=handed)
        assert found.frames["estimate"]["value"].tolist() == ["."]
        assert "is not known" in " ".join(found.log)


def test_two_estimates_are_judged_together():
    pairs = {"method": "loglinear", "settings": {"model": "[12,3]"}}
    second = pd.DataFrame({"what": ["n_hat"], "value": resolve(pairs)(BASE.counts)})
    both = [estimate(), OutputTable.of_answers("second", BASE, second, recompute=pairs)]
    alone = release([cells(), both[1]], resolve=resolve).log
    together = release([cells(), *both], resolve=resolve).log
    levels = ["as it is", "rounded", "one digit", "between two", "withheld"]

    def level(log):
        (line,) = [line for line in log if line.startswith("second")]
        return next(k for k, words in enumerate(levels) if words in line)

    assert level(together) >= level(alone)
    assert {"one digit" in line for line in together if line.startswith("estimate")} == {True}


def test_too_few_persons_for_the_parameters():
    rules = ReleaseRules(name="many degrees", degrees_of_freedom=223)
    found = release([estimate(n_parameters=4)], rules, resolve=resolve)
    assert found.frames["estimate"]["value"].tolist() == ["."]
    assert "too few degrees of freedom" in " ".join(found.log)
    assert (
        release([estimate(n_parameters=3)], rules, resolve=resolve).frames["estimate"]["value"].item() == 500
    )


def whole(table):
    """All histories of a table, those that nobody has included."""
    lists = len(table.lists)
    masks = np.arange(1, 2**lists)
    frame = pd.DataFrame((masks[:, None] >> np.arange(lists)) & 1, columns=list(table.lists))
    seen = table.to_frame().groupby(list(table.lists), as_index=False)["count"].sum()
    counts = frame.merge(seen, on=list(table.lists), how="left")["count"].fillna(0).to_numpy()
    return Base(name="published", frame=frame, counts=counts)


@pytest.mark.parametrize(("name", "opens"), [("uk_4", True), ("spina_bifida", True), ("korea", False)])
def test_the_best_model_as_given(name, opens):
    """Sufficient sums of the best model by BIC, taken as known exactly, against every small cell."""
    table = hp.datasets.load(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hp.errors.HiddenpopWarning)
        best = hp.SelectedLogLinear(criterion="bic").fit(table)
    base = whole(table)
    model = hp.HierarchicalModel.parse(best.details["model"], n_lists=len(table.lists))
    frame = pd.DataFrame({"value": [best.n_hat]})
    terms = {sub for term in model.generators for sub in range(1, term + 1) if sub & term == sub}
    histories = base.frame.to_numpy() @ (1 << np.arange(len(table.lists)))
    margins = csr_array(
        np.array(
            [np.ones(len(histories)), *[(histories & term) == term for term in sorted(terms)]], dtype=float
        )
    )
    found = release([OutputTable.of_answers("estimate", base, frame, margins=margins)])
    assert (found.frames["estimate"]["value"].item() == best.n_hat) == opens
    known = Knowledge(
        cells=base.cells,
        matrix=margins,
        lower=margins @ base.counts,
        upper=margins @ base.counts,
        floor=np.zeros(base.counts.size),
        ceiling=np.full(base.counts.size, np.inf),
    )
    small = np.flatnonzero((base.counts > 0) & (base.counts < 10))
    ends = infer(
        known,
        csr_array(np.eye(base.counts.size)[small]),
        base.counts,
        Need.of_width(0, small.size),
        exact=True,
    )
    widths = ends.high - ends.low
    assert (widths.min() >= 16) == opens
    if not opens:
        assert {5, 6} <= set(base.counts[small][widths == 0].astype(int))


def test_an_answer_that_is_too_dear_is_withheld_and_another_is_not_worked_out_more_often_than_it_may():
    asked = []

    def counted(plain):
        return lambda counts: asked.append(plain["times"]) or resolve(plain)(counts)

    for times, most, withheld in ((3, 0, True), (9, 10, True), (100, 101, False)):
        asked.clear()
        found = release([estimate(recompute={**INDEPENDENT, "times": times})], resolve=counted)
        assert len(asked) <= most
        assert (found.frames["estimate"]["value"].tolist() == ["."]) == withheld
