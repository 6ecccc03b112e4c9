"""What is printed elsewhere, and the verdicts on ours."""

import dataclasses

import numpy as np
import pytest
from paper.chance import Pool, deviations, quantile_deviation
from paper.printed import PRINTED, PrintedError, Row, half_unit, read_printed
from paper.verdicts import AGREES, BY_CHANCE, DIFFERS, NOT_COMPUTED, check_reasons, record_of

from hiddenpop import datasets

SOURCE = '[groups]\ng = "G"\n[sources.s]\nlabel = "S"\nkind = "paper"\n'
ROW = '[[row]]\nkey = "g.a"\ntable = "kosovo"\nwords = "w"\nsource = "s"\nfit = { name = "loglinear" }\n'


def reading(tmp_path, text):
    path = tmp_path / "printed.toml"
    path.write_text(text)
    return read_printed(path)


def test_all_rows_are_of_counts_that_come_with_the_package():
    names = set(datasets.catalogue()["key"])
    rows = read_printed().rows
    assert len(rows) >= 170
    assert {row.table for row in rows} - names == {"diabetes", "five tables"}
    assert [row.key for row in rows if row.table == "diabetes" and row.route != "none"] == []


def test_published_tables_are_all_there():
    tables = {row.table for row in read_printed().rows}
    for name in (
        "uk",
        "uk_5",
        "netherlands",
        "new_orleans_185",
        "new_orleans_186",
        "western_us",
        "kosovo",
        "korea",
        "rome_hiv",
        "spina_bifida_626",
        "australia",
        "allegheny",
        "hares",
        "congenital_anomalies",
        "hepatitis_a_taiwan",
        "artificial_3",
    ):
        assert name in tables


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ROW + "printed = { n_hat = 12.5 }", "write n_hat = 12.5 as text"),
        (ROW + 'printed = { n_hat = "1" }\ncolour = "red"', "unknown entries colour"),
        (ROW, "needs `fit` and `printed`"),
        (ROW + 'printed = { n_hat = "1" }\nroute = "fits"', "no route 'fits'"),
        (ROW + 'route = "none"', "needs `why`"),
        (2 * (ROW + 'printed = { n_hat = "1" }\n'), "g.a are there twice"),
        (ROW.replace("g.a", "h.a") + 'printed = { n_hat = "1" }', "unknown source 's' or group 'h'"),
        (ROW.replace('"s"', '"t"') + 'printed = { n_hat = "1" }', "unknown source 't'"),
    ],
)
def test_faults_of_the_file(tmp_path, text, fault):
    with pytest.raises(PrintedError, match=fault):
        reading(tmp_path, SOURCE + text)


def test_digits_say_how_near():
    assert (half_unit("11417.99"), half_unit("1184"), half_unit("9500", 100)) == (0.005, 0.5, 50.0)


# --- verdicts ---


def verdict(printed, ours, off=None, **entries):
    row = Row(
        key="uk.a",
        group="uk",
        table="uk",
        words="",
        source="csv2021",
        fit={"name": "x"},
        printed={"n_hat": printed},
        **entries,
    )
    answer = {"n_hat": ours, "our_status": "ok", **({} if off is None else {"off": {"n_hat": off}})}
    return record_of(row, read_printed(), answer)


@pytest.mark.parametrize(
    ("printed", "ours", "off", "status"),
    [
        ("1184", 1183.69, None, AGREES),
        ("1184", 1184.51, None, DIFFERS),
        ("1183.69", 1183.6923, None, AGREES),
        ("1183.70", 1183.6923, None, DIFFERS),
        ("1184", 1110.5, 2.9, BY_CHANCE),
        ("1184", 1110.5, 3.1, DIFFERS),
        ("1184", 1184.2, 0.0, AGREES),
        ("1184", float("inf"), None, DIFFERS),
        ("[12,3]", "[12,3]", None, AGREES),
        ("[12,3]", "[13,2]", None, DIFFERS),
    ],
)
def test_verdicts(printed, ours, off, status):
    assert verdict(printed, ours, off)["status"] == status


def test_no_number_is_written_as_none():
    assert verdict("1184", float("inf"))["quantities"][0]["ours"] is None


def test_a_difference_needs_a_reason_and_a_reason_a_difference():
    check_reasons([verdict("1184", 1184.0), verdict("1184", 1190.0, why="because")])
    with pytest.raises(PrintedError, match="differs and gives no reason: n_hat 1184 printed, 1190 ours"):
        check_reasons([verdict("1184", 1190.0)])
    with pytest.raises(PrintedError, match="gives a reason to differ and does not"):
        check_reasons([verdict("1184", 1184.0, why="because")])


def test_what_is_not_computed_says_so():
    row = next(row for row in read_printed().rows if row.route == "none")
    assert record_of(row, read_printed(), {"our_status": "not computed"})["status"] == NOT_COMPUTED


# --- chance ---


def pool(draws):
    weights = datasets.load("korea").counts
    return Pool(
        draws=draws,
        jackknife=np.linspace(150, 160, len(weights)),
        weights=weights,
        n_hat=160.0,
        n_observed=123,
    )


def test_another_bootstrap_of_the_same_law_is_near_and_one_of_another_law_is_not():
    rng = np.random.default_rng(1)
    draws = 123 + rng.lognormal(3.6, 0.5, 4000)
    ours = pool(draws)
    far = []
    for seed in range(8):
        other = pool(123 + np.random.default_rng(seed).lognormal(3.6, 0.5, 1000)).limits(0.95)
        far += deviations(ours, (other.low, other.high), (0.0, 0.0), level=0.95, size=1000, seed=1)
    assert max(far) < 4.0
    assert np.sqrt(np.mean(np.square(far))) == pytest.approx(1.0, abs=0.5)
    limits = ours.limits(0.95)
    shifted = (123 + 0.55 * (limits.low - 123), 123 + 1.7 * (limits.high - 123))
    assert min(deviations(ours, shifted, (0.0, 0.0), level=0.95, size=1000, seed=1)) > 3.0


def test_within_its_rounding_a_limit_is_not_off():
    ours = pool(123 + np.random.default_rng(1).lognormal(3.6, 0.5, 8000))
    limits = ours.limits(0.95)
    near = (limits.low + 1, limits.high - 1)
    assert deviations(ours, near, (50.0, 50.0), level=0.95, size=1000, seed=1) == [0.0, 0.0]


def test_a_posterior_quantile_is_judged_by_the_draws_behind_it():
    draws = np.random.default_rng(2).normal(1000, 100, 20_000)
    assert quantile_deviation(draws, 1000.0, 0.5, (400, 20_000)) < 0.5
    assert quantile_deviation(draws, 1010.0, 0.5, (400, 20_000)) < 3.0
    assert quantile_deviation(draws, 1030.0, 0.5, (400, 20_000)) > 3.0


def test_the_file_is_where_the_reader_looks():
    assert dataclasses.is_dataclass(read_printed(PRINTED).rows[0])
