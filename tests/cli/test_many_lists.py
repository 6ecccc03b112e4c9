"""A file of 34 lists on the command line: what is said of it, and that what a refusal says to type works."""

import re

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Write persons on 34 independent lists, one row per person."""
    rng = np.random.default_rng(20261130)
    on = rng.random((8_000, 34)) < rng.uniform(0.01, 0.04, 34)
    path = tmp_path_factory.mktemp("many") / "sources.csv"
    frame = pd.DataFrame(on[on.any(axis=1)].astype(int), columns=[f"source_{i + 1}" for i in range(34)])
    frame.to_csv(path, index=False)
    return path, frame


def squeezed(text):
    """Take out the line breaks of the screen."""
    return " ".join(text.split())


def test_a_file_of_many_lists_is_described(run, sources):
    path, frame = sources
    answer = run("describe", str(path))
    assert answer.code == 0
    said = squeezed(answer.out)
    assert f"Read {len(frame):,} rows, one row per person: lists source_1, source_2" in said
    assert f"{len(frame):,} persons observed on 34 lists" in said
    assert f"34 source_34 {frame['source_34'].sum():,}" in said
    assert "its models are not judged: 562 of 2^561 looked at" in said


def test_a_file_of_many_lists_is_estimated(run, sources):
    path, frame = sources
    answer = run("estimate", str(path), "--seed", "1")
    assert answer.code == 0
    table = hp.CaptureTable.from_indicators(frame, lists=list(frame))
    n_hat = hp.LogLinear().fit(table).n_hat
    shown = re.search(r"independence +([\d,]+) ", answer.out)
    assert float(shown[1].replace(",", "")) == pytest.approx(n_hat, rel=0.01)
    assert "selected works on at most 16 lists and sources has 34, 18 too many" in squeezed(answer.out)


def test_the_merger_that_a_refusal_names_can_be_typed(run, sources):
    path, _ = sources
    refused = run("estimate", str(path), "--estimator", "selected")
    assert refused.code != 0
    merger = re.search(r'--merge "(.*?)"', squeezed(refused.err))[1]
    again = run("estimate", str(path), "--estimator", "selected", "--merge", merger)
    assert "sources has 33, 17 too many" in squeezed(again.err)
    four = ",".join(
        f"kind_{kind}=" + "+".join(f"source_{i}" for i in range(1, 35) if i % 4 == kind) for kind in range(4)
    )
    answer = run("estimate", str(path), "--estimator", "selected", "--merge", four)
    assert answer.code == 0
    assert "persons observed on 4 lists" in squeezed(run("describe", str(path), "--merge", four).out)


def test_a_model_of_many_lists_is_refused_with_the_merger_and_without_the_term_works(run, sources):
    path, frame = sources
    chain = " + ".join(f"{a}*{b}" for a, b in zip(frame, list(frame)[1:], strict=False))
    refused = run("estimate", str(path), "--estimator", "loglinear", "--set", f"model={chain}")
    said = squeezed(refused.err)
    assert (
        "at most 16 lists that depend on each other, directly or through others, and in sources 34 do" in said
    )
    assert "leave an interaction out of the model, such as source_1*source_2" in said
    cut = chain.replace("source_16*source_17 + ", "").replace("source_32*source_33 + ", "")
    answer = run("estimate", str(path), "--estimator", "loglinear", "--set", f"model={cut}")
    assert answer.code == 0


@pytest.mark.parametrize("typed", ["source_1", "new=source_1", "=source_1+source_2"])
def test_a_merger_of_another_form_is_refused(run, sources, typed):
    answer = run("describe", str(sources[0]), "--merge", typed)
    assert answer.code != 0
    assert f"--merge '{typed}' is not of the form new=a+b" in answer.err


def test_mergers_of_one_name_or_of_lists_that_are_not_there_are_refused(run, sources):
    twice = run("describe", str(sources[0]), "--merge", "a=source_1+source_2,a=source_3+source_4")
    assert "--merge has the new list a twice" in twice.err
    unknown = run("describe", str(sources[0]), "--merge", "a=source_1+source_99")
    assert "source_99" in unknown.err
    assert twice.code == unknown.code == 2
