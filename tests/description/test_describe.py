import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop import CaptureTable, SelectedLogLinear
from hiddenpop.description import TableDescription, describe, tally
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning
from hiddenpop.estimators.outcome import terms_of
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.kernels.poisson.faces import faces_of_batch
from hiddenpop.kernels.poisson.model_fit import fit_model
from hiddenpop.model import HierarchicalModel, enumerate_models


def table_of(counts: dict[str, int], lists: str, **options: object) -> CaptureTable:
    """Make a table from counts by the letters of the lists a person is on."""
    rows = [{**{name: int(name in on) for name in lists}, "count": n} for on, n in counts.items()]
    return CaptureTable.from_counts(pd.DataFrame(rows), **options)


@pytest.fixture(scope="module")
def uk_5() -> TableDescription:
    return describe(hp.datasets.load("uk_5"))


def test_what_the_lists_share(uk_5: TableDescription) -> None:
    assert uk_5.n_observed == 2744
    assert uk_5.lists["list"].tolist() == ["LA", "NG", "PFNCA", "GO", "GP"]
    assert uk_5.lists["persons"].tolist() == [94, 567, 1169, 807, 336]
    assert uk_5.lists["only"].tolist() == [54, 463, 995, 695, 316]
    assert uk_5.overlaps.equals(hp.datasets.load("uk_5").overlaps)
    assert uk_5.capture_frequencies == (2523, 214, 6, 1, 0)
    assert (uk_5.empty_overlaps, uk_5.n_overlaps) == ((("LA", "GP"),), 10)
    assert uk_5.n_twice == 221
    assert uk_5.share_seen_once == pytest.approx(2523 / 2744)


def test_sample_coverage_is_the_mean_share_that_another_list_knows(uk_5: TableDescription) -> None:
    shares = [40 / 94, 104 / 567, 174 / 1169, 112 / 807, 20 / 336]
    assert uk_5.sample_coverage == pytest.approx(np.mean(shares))


def test_sample_coverage_of_the_hepatitis_table_is_the_published_one() -> None:
    assert describe(hp.datasets.load("hepatitis_a_taiwan")).sample_coverage == pytest.approx(0.5127, abs=5e-5)


def test_models_of_five_lists_are_all_judged(uk_5: TableDescription) -> None:
    assert uk_5.model_space == "every hierarchical model"
    assert uk_5.models["order"].tolist() == [1, 2, 3, 4]
    assert uk_5.models["n_models"].tolist() == [1, 1023, 5188, 681]
    totals = uk_5.models.drop(columns=["order", "n_models"]).sum().to_dict()
    assert totals == {"ok": 6570, "unbounded": 2, "boundary": 285, "not_identified": 36, "not_converged": 0}


@pytest.mark.parametrize(
    "name", [pytest.param("western_us", marks=pytest.mark.slow), "new_orleans_5_185", "korea", "simdat"]
)
def test_models_are_judged_as_by_their_faces(name: str) -> None:
    table = hp.datasets.load(name).collapse()
    counts = table.to_dense().astype(float)
    term_sets = np.concatenate(list(enumerate_models(table.n_lists)))
    judged, how_many = np.unique(faces_of_batch(counts, term_sets, table.n_lists).status, return_counts=True)
    models = describe(table).models
    assert models[judged.tolist()].sum().tolist() == how_many.tolist()
    assert models["n_models"].sum() == len(term_sets)


def test_two_answers_lie_within_two_units_of_bic(uk_5: TableDescription) -> None:
    bic, aic = uk_5.spreads
    assert (bic.criterion, bic.best_model, bic.n_models) == ("bic", "[123,25,34]", 4)
    assert round(bic.best) == 25311
    assert (bic.low_model, round(bic.low)) == ("[12,13,25,35,45]", 12262)
    assert bic.ratio == pytest.approx((bic.high - 2744) / (bic.low - 2744))
    assert (aic.criterion, round(aic.best)) == ("aic", 5552)


@pytest.mark.parametrize(
    ("name", "verdict", "rules"),
    [
        ("uk_5", "hardly carries", {"low_coverage", "rival_models", "rival_criteria"}),
        ("netherlands_5", "barely carries", {"low_coverage"}),
        ("korea", "barely carries", {"rival_models"}),
        ("hares", "barely carries", {"few_twice", "rival_models", "rival_criteria"}),
        ("spina_bifida_626", "carries", set()),
        (
            "artificial_3",
            "does not carry",
            {
                "hardly_anybody_twice",
                "empty_overlaps",
                "low_coverage",
                "rival_models",
                "rival_criteria",
                "better_without_answer",
            },
        ),
    ],
)
def test_verdicts_on_published_tables(name: str, verdict: str, rules: set[str]) -> None:
    description = describe(hp.datasets.load(name))
    assert description.verdict == verdict
    assert {finding.rule for finding in description.findings} == rules
    assert description.sentence.startswith(f"{name} {verdict} an estimate (grade ")
    assert all(finding.text in description.sentence for finding in description.findings)


def test_six_lists_are_tried_up_to_pairs() -> None:
    description = describe(hp.datasets.load("hares"))
    assert description.model_space == "every model of two-list terms"
    assert description.models["n_models"].tolist() == [1, 32767]


CASES = Path(__file__).parent / "cases"


def case(name: str) -> CaptureTable:
    """Read a table of counts; every column but ``freq`` is a list."""
    frame = pd.read_csv(CASES / f"{name}.csv")
    lists = [column for column in frame.columns if column != "freq"]
    observed = frame[(frame[lists].sum(axis=1) > 0) & (frame["freq"] > 0)].astype(int)
    return CaptureTable.from_counts(observed, lists=lists, count="freq", name=name, public=True)


@pytest.mark.parametrize(
    ("name", "best", "units"), [("seven-sources", 46_098, 3_000.0), ("eight-occasions", 31_450, 440.0)]
)
def test_many_lists_are_judged_on_an_exact_search(name: str, best: float, units: float) -> None:
    table = case(name)
    description = describe(table)
    bic = description.spreads[0]
    assert round(bic.best) == best
    assert bic.best == pytest.approx(SelectedLogLinear(max_order=2).fit(table).n_hat, rel=1e-6)
    assert bic.ratio < 1.1
    assert description.figures.judged
    assert description.figures.n_looked_at < 10_000 < description.figures.n_space
    data, t = list_counts(table, estimator="test"), table.n_lists
    mains = tuple(1 << k for k in range(t))
    pairs = [HierarchicalModel(t, (*mains, 1 << i | 1 << j)) for i, j in itertools.combinations(range(t), 2)]
    found = bic_of(data, HierarchicalModel.parse(bic.best_model, n_lists=t))
    assert min(bic_of(data, model) for model in pairs) - found > units


def bic_of(data: ListCounts, model: HierarchicalModel) -> float:
    """BIC of one model, without the constant of the saturated one."""
    deviance = fit_model(data.counts, terms_of(model), data.n_lists).deviance
    return deviance + math.log(data.n_observed) * model.n_parameters


def test_a_search_that_does_not_close_gives_no_factor_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "CELLS_FITTED", 0)
    monkeypatch.setattr(tally, "FEWEST_FITS", 100)
    description = describe(case("eight-occasions"))
    assert description.spreads == ()
    assert not {"rival_models", "rival_criteria"} & {finding.rule for finding in description.findings}
    assert description.sentence.startswith("Judged by its counts alone, eight-occasions ")
    assert re.search(r"models are not judged: 1\d\d of 268,435,456 looked at\.$", description.sentence)
    assert "factor" not in description.sentence
    assert description.to_dict()["models_judged"] is False


def test_a_list_inside_another_is_told_with_what_it_does_to_coverage() -> None:
    description = describe(case("list-inside-another"))
    finding = next(f for f in description.findings if f.rule == "superfluous_list")
    assert finding.value == pytest.approx(
        describe(case("list-inside-another").drop_list("convicted")).sample_coverage
    )
    assert description.sample_coverage > finding.value + 0.2
    assert "convicted lies inside police" in description.text()


def test_a_rejected_best_model_is_told() -> None:
    description = describe(case("seven-sources"))
    assert "misfit" in {finding.rule for finding in description.findings}
    assert "rejected by its goodness of fit" in description.sentence


def test_models_without_an_answer_are_looked_at_closer_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "CELLS_FITTED", 0)
    table = table_of({**dict.fromkeys("abcdefg", 30), "ab": 15}, "abcdefg")
    status = describe(table).models.set_index("order")
    assert status.loc[1, "ok"] == 1
    assert status.loc[2, ["ok", "unbounded"]].tolist() == [20, tally.WITHOUT_ANSWER]


def test_one_list_says_nothing() -> None:
    description = describe(table_of({"a": 40, "b": 3}, "ab").drop_list("b"))
    assert description.verdict == "does not carry"
    assert description.sentence == (
        "table does not carry an estimate (grade 5 of 5): only 1 list caught anybody, and an estimate needs two."
    )
    assert (len(description.models), description.spreads) == (0, ())
    assert math.isnan(description.to_frame()["bic_best"].item())
    assert "1 list" in description.text()


def test_lists_without_overlap_do_not_carry() -> None:
    description = describe(table_of({"a": 40, "b": 30, "c": 20}, "abc"))
    rules = [finding.rule for finding in description.findings]
    assert rules == [
        "nobody_twice",
        "no_finite_model",
        "independence_not_finite",
        "empty_overlaps",
        "low_coverage",
    ]
    assert description.spreads == ()


def test_a_list_inside_another_pushes_the_dark_figure_to_nothing() -> None:
    description = describe(table_of({"ab": 60, "b": 20, "c": 4}, "abc").drop_list("c"))
    assert description.models["boundary"].tolist() == [1]
    assert description.verdict == "does not carry"
    assert "even the independence model has no finite positive answer" in description.sentence


def test_huge_counts_have_an_answer() -> None:
    many = {
        "a": 10**12,
        "b": 8 * 10**11,
        "c": 7 * 10**11,
        "ab": 9 * 10**10,
        "ac": 6 * 10**10,
        "bc": 5 * 10**10,
    }
    description = describe(table_of({**many, "abc": 4 * 10**9}, "abc"))
    assert description.models["ok"].sum() == 8
    assert description.spreads[0].ratio == 1.0


def test_strata_are_added_up_and_empty_lists_left_out_with_a_word() -> None:
    frame = pd.DataFrame(
        {
            "a": [1, 0, 1, 1],
            "b": [0, 1, 1, 0],
            "c": [0, 0, 0, 0],
            "sex": ["f", "f", "m", "m"],
            "count": [50, 40, 20, 9],
        }
    )
    with pytest.warns(EmptyListWarning, match="list 'c' caught nobody"):
        table = CaptureTable.from_counts(frame, lists=["a", "b", "c"], strata=["sex"])
    with (
        pytest.warns(CollapsedStrataWarning, match="describe does not model strata and added up sex"),
        pytest.warns(EmptyListWarning, match="c caught nobody and is left out"),
    ):
        description = describe(table)
    assert description.lists["persons"].tolist() == [79, 60]
    assert [note.name for note in description.notes] == ["collapsed_strata", "empty_list"]
    assert "Note: c caught nobody and is left out" in description.text()


def test_upper_bounds_are_refused() -> None:
    with pytest.raises(CapabilityError, match="cells whose count is only an upper bound"):
        describe(hp.datasets.load("scottish_pwid"))


def test_relabelling_lists_changes_no_figure() -> None:
    counts = {"a": 90, "b": 70, "c": 40, "d": 30, "ab": 12, "ac": 9, "bd": 7, "cd": 8, "abc": 3}
    table = table_of(counts, "abcd", public=True)
    mirrored = table_of(
        {on.translate(str.maketrans("abcd", "dcba")): n for on, n in counts.items()}, "abcd", public=True
    )
    columns = ["n_twice", "sample_coverage", "n_finite", "bic_low", "bic_high", "aic_ratio"]
    one, other = (describe(t).to_frame()[columns].iloc[0].to_numpy(dtype=float) for t in (table, mirrored))
    assert one == pytest.approx(other, rel=1e-7)


def test_one_tidy_row_stacks(uk_5: TableDescription) -> None:
    rows = pd.concat([uk_5.to_frame(), describe(hp.datasets.load("korea")).to_frame()])
    assert rows["table"].tolist() == ["uk_5", "korea"]
    assert rows["n_empty_overlaps"].tolist() == [1, 0]
    assert rows["verdict"].tolist() == ["hardly carries", "barely carries"]
    assert rows["grade"].tolist() == [4, 3]


def test_json_holds_exactly_these_fields(uk_5: TableDescription) -> None:
    content = uk_5.to_dict()
    assert list(content) == [
        "schema_version",
        "table",
        "population",
        "n_observed",
        "lists",
        "overlaps",
        "empty_overlaps",
        "capture_frequencies",
        "n_twice",
        "share_seen_once",
        "sample_coverage",
        "models",
        "model_space",
        "models_judged",
        "models_looked_at",
        "models_in_space",
        "spreads",
        "grade",
        "verdict",
        "sentence",
        "findings",
        "notes",
        "provenance",
    ]
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["overlaps"][3] == {"lists": ["LA", "GP"], "persons": 0}
    assert content["overlaps"][6] == {"lists": ["NG", "GP"], "persons": 1}
    assert content["sentence"] == uk_5.sentence


@pytest.mark.parametrize("name", ["uk", "uk_5", "western_us", "new_orleans_185", "kosovo", "artificial_3"])
def test_text_fits_eighty_columns_and_ends_with_the_sentence(name: str) -> None:
    description = describe(hp.datasets.load(name))
    lines = description.text().splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(description.text().split()).endswith(description.sentence)


def test_text_of_many_lists_with_long_names_fits_eighty_columns() -> None:
    rng = np.random.default_rng(5)
    members = rng.random((400, 9)) < 0.2
    names = [f"organisation number {i} with a long name" for i in range(9)]
    people = [[names[i] for i in np.flatnonzero(row)] for row in members[members.any(axis=1)]]
    text = describe(CaptureTable.from_memberships(people, names)).text()
    assert max(map(len, text.splitlines())) <= 80
    assert "9 organisation number 8 with a …" in text


def test_overlaps_too_wide_for_the_screen_stand_below_each_other() -> None:
    counts = {
        "a": 10**12,
        "b": 8 * 10**11,
        "c": 7 * 10**11,
        "d": 10**11,
        "e": 10**11,
        "ab": 9 * 10**10,
        "ce": 10**10,
    }
    text = describe(table_of({**counts, "de": 10**10, "ad": 10**9}, "abcde")).text()
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("\n1  1,091,000,000,000") == 1
    assert "& 5" in text


def test_repr_is_one_line_and_html_is_escaped() -> None:
    description = describe(table_of({"a": 40, "b": 30, "ab": 20}, "ab", name="x<y"))
    assert repr(description).startswith("<TableDescription x<y barely carries an estimate (grade 3 of 5): ")
    assert "\n" not in repr(description)
    assert description._repr_html_().startswith("<pre>x&lt;y: 90 persons observed on 2 lists")
