"""What people give in the place of a table: made one, or refused with what to do."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import hiddenpop as hp
from hiddenpop.errors import SettingError, TableError, UnknownNameError
from hiddenpop.estimators.registry import ESTIMATORS, estimator_class
from hiddenpop.sources import as_table, check_table

COUNTS = {"10": 40, "01": 25, "11": 12}
FRAME = pd.DataFrame({"police": [1, 0, 1], "shelter": [0, 1, 1], "count": [40, 25, 12]})
NO_TABLES = {
    "array": (
        FRAME.to_numpy(),
        r"of type ndarray .*; give its columns their names first, pandas\.DataFrame\(data",
    ),
    "list": ([["a"], ["b"]], r"of type list .*give CaptureTable\.from_memberships\(data\)"),
    "nothing": (None, "None is no.*; give a CaptureTable, the name of a data set"),
    "number": (3, "of type int .*; give a CaptureTable, the name of a data set"),
    "class": (hp.CaptureTable, "the class CaptureTable .*; give what is made with it"),
    "class of frames": (pd.DataFrame, "the class DataFrame .*; give what is made with it"),
}


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "counts.csv"
    FRAME.to_csv(place, index=False)
    return place


@pytest.mark.parametrize(
    "source", [hp.CaptureTable.read(COUNTS), COUNTS, FRAME, pl.DataFrame(FRAME.to_dict("list"))], ids=type
)
def test_tables_counts_and_dataframes_are_one_table(source):
    assert as_table(source).counts.tolist() == [40, 25, 12]
    assert hp.estimate(source, "loglinear").n_hat == pytest.approx(52 * 37 / 12)
    assert hp.compare(source, ["chapman"]).estimates[0].n_hat == pytest.approx(53 * 38 / 13 - 1)
    assert hp.describe(source).n_observed == 77


def test_paths_are_read_as_text_and_as_path(path):
    assert as_table(path) == as_table(str(path)) == hp.CaptureTable.read(path)
    assert hp.estimate(str(path), rng=1).estimates[1].n_hat == pytest.approx(52 * 37 / 12)


def test_a_table_is_not_copied_and_a_name_is_that_of_a_data_set():
    table = hp.datasets.load("kosovo")
    assert as_table(table) is table
    assert hp.estimate("kosovo", "loglinear").n_hat == hp.estimate(table, "loglinear").n_hat


def test_a_name_of_nothing_is_refused_with_what_is_near():
    with pytest.raises(
        UnknownNameError, match="'kosvo' is neither a file nor a published data set; did you mean 'kos"
    ):
        hp.estimate("kosvo", "loglinear")
    with pytest.raises(UnknownNameError, match="data set 'new_orleans' is ambiguous"):
        hp.estimate("new_orleans", "loglinear")
    with pytest.raises(TableError, match=re.escape("there is no file nowhere.csv")):
        hp.compare("nowhere.csv", ["loglinear"])


@pytest.mark.parametrize("case", NO_TABLES)
def test_what_is_no_table_is_refused_with_what_to_do(case):
    source, message = NO_TABLES[case]
    for verb in (
        lambda: hp.estimate(source),
        lambda: hp.estimate(source, "loglinear"),
        lambda: hp.compare(source, ["loglinear"]),
        lambda: hp.describe(source),
    ):
        with pytest.raises(TableError, match=message):
            verb()


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(
    "source", [FRAME, "kosovo", COUNTS, *(source for source, _ in NO_TABLES.values())], ids=type
)
def test_every_estimator_is_fitted_to_tables_alone_and_says_so(name, source):
    with pytest.raises(TableError, match=r"an estimator is fitted to a CaptureTable, .*; (give|for) .*"):
        estimator_class(name)().fit(source)


def test_the_way_out_for_a_fit_is_that_of_what_was_given(path):
    with pytest.raises(
        TableError, match=r"give hiddenpop\.datasets\.load\(name\), or call hiddenpop\.estimate"
    ):
        check_table("kosovo")
    for place in (path, str(path)):
        with pytest.raises(TableError, match=r"give CaptureTable\.read\(path\), or call hiddenpop\.estimate"):
            check_table(place)
    with pytest.raises(TableError, match=r"give CaptureTable\.read\(data\), or call hiddenpop\.estimate"):
        check_table(FRAME)
    with pytest.raises(TableError, match="fitted to a CaptureTable"):
        hp.standard_panel(FRAME)


@pytest.mark.parametrize(
    "source", [np.eye(3), [1, 0], None, pd.DataFrame], ids=["array", "list", "none", "class"]
)
def test_what_cannot_be_read_is_refused(source):
    with pytest.raises(
        TableError, match="a table is read from a file, a dataframe or counts by capture history"
    ):
        hp.CaptureTable.read(source)


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda table: table.drop_list(["EXH", "ABA"]), "is not a name of a list; give the names one by one"),
        (lambda table: table.drop_list(1), "1 is not a name of a list; give its name as text"),
        (lambda table: table.collapse(["sex"]), "is not a name of a covariate; give the names one by one"),
        (lambda table: table.split(["sex"]), "is not a name of a covariate; give the names one by one"),
        (lambda table: table.merge_lists(["EXH", "ABA"]), r"give a mapping, \{\"new\": \[\"a\", \"b\"\]\}"),
        (lambda table: table.merge_lists({"new": 1}), "would have the parts 1; give a sequence of names"),
        (lambda table: table.rename(["EXH"]), r"give a mapping, \{\"old\": \"new\"\}"),
        (lambda table: hp.datasets.load(["kosovo"]), "is not a name of a data set; give one name as text"),
    ],
)
def test_a_collection_in_the_place_of_a_name_is_refused(verb, message):
    with pytest.raises(TableError, match=message):
        verb(hp.datasets.load("kosovo"))


@pytest.mark.parametrize("estimator", [["loglinear"], 3, {"loglinear"}], ids=str)
def test_what_is_no_estimator_is_refused(estimator):
    with pytest.raises(SettingError, match="is not an estimator; give a registered name"):
        hp.estimate("kosovo", estimator)
    with pytest.raises(SettingError, match="is not an estimator; give a registered name"):
        hp.compare("kosovo", [estimator])


@pytest.mark.parametrize("estimators", [hp.LogLinear(), 3, "loglinear", [], {}], ids=str)
def test_what_is_no_collection_of_estimators_is_refused(estimators):
    with pytest.raises(SettingError, match="there is nothing to compare in"):
        hp.compare("kosovo", estimators)


def test_a_class_in_the_place_of_an_estimator_is_named():
    with pytest.raises(SettingError, match=r"LogLinear is a class; give an estimator, LogLinear\(\.\.\.\)"):
        hp.compare("kosovo", [hp.LogLinear])


@pytest.mark.parametrize("estimator", ["bootstrapped", hp.LogLinear(), None], ids=str)
def test_a_seed_is_refused_with_where_it_goes(estimator):
    with pytest.raises(SettingError, match="has no setting 'seed'; give rng=7 to estimate, compare or fit"):
        hp.estimate("kosovo", estimator, seed=7)


def test_a_dataframe_gives_no_path_away():
    with pytest.raises(TableError) as refused:
        hp.LogLinear().fit(Path("secret_person.csv"))
    assert "secret_person" not in str(refused.value)
