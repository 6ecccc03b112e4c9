"""Settings of the world: read from a file, and refused with key and value before anything is drawn."""

import pytest
from tests.synthetic.altered import SHIPPED, TEXT, altered

from hiddenpop.errors import HiddenpopError, SettingError, UnknownNameError
from hiddenpop.synthetic.cards import toml_text
from hiddenpop.synthetic.world import draw_world, read_settings
from hiddenpop.synthetic.world.plan import make_plan
from hiddenpop.synthetic.world.settings import Ages

FORMS = ["domestic_sexual", "cross_border_sexual", "labour", "criminal", "other"]


def test_the_shipped_settings_survive_a_file(tmp_path):
    target = tmp_path / "settings.toml"
    target.write_text(toml_text(SHIPPED), encoding="utf-8")
    assert read_settings(target) == read_settings()


def values_without_a_source(text):
    """Name the keys that say neither themselves nor at the head of their section where a value comes from."""
    heads, section, above, without = {}, "", "", []
    for line in text.splitlines():
        if line.startswith("["):
            section = line.split("]")[0]
            heads[section] = heads.get(section, "") + above + line
        elif line and not line.startswith("#"):
            said = heads.get(section, "") + above + line
            without += [line.split(" = ")[0]] * ("published" not in said and "unverified" not in said)
        above = above + line if line.startswith("#") else ""
    return without


def test_every_value_has_a_source_or_says_that_it_has_none():
    assert values_without_a_source(TEXT) == ["version", "years"]
    forgotten = TEXT.replace("a protection measure; unverified", "a protection measure")
    assert values_without_a_source(forgotten) == ["version", "years", "share"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("victims.carried_over", 1.2, r"victims\.carried_over=1\.2 must be a number between 0 and 1"),
        ("victims.carried_over", float("nan"), r"victims\.carried_over=nan must be a number between 0 and 1"),
        ("victims.carried_over", True, r"victims\.carried_over=True must be a number between 0 and 1"),
        (
            "victims.size",
            [6250, 6250, 6250, 5000],
            r"victims\.size=.* must be a list of 5 values, one for each year",
        ),
        ("victims.size.2", -1, r"victims\.size\[2\]=-1 must be a number of at least 1"),
        ("victims.forms", 3, r"victims\.forms=3 must be a table"),
        ("victims.forms.labour.1", 0.3, r"the shares of victims\.forms in 2016 add up to 1\.0867"),
        ("victims.women.labour", "most", r"victims\.women\.labour='most' must be a number between 0 and 1"),
        ("victims.women.labour", None, r"victims\.women has no value for labour"),
        (
            "victims.ages.groups.1",
            [16, 22],
            r"victims\.ages\.groups\[1\]=\[16, 22\] must run upwards, start at 18",
        ),
        ("victims.ages.groups.1", 18, r"victims\.ages\.groups\[1\]=18 must be a list of 2 values"),
        ("victims.ages.shares.other.0", 0.3, r"the shares of victims\.ages\.shares\.other add up to 1\.1"),
        (
            "victims.nationality.labour",
            {"Poland": 1.0},
            r"victims\.nationality\.labour has the code 'Poland'",
        ),
        ("victims.visibility.less_visible", 1.0, r"victims\.visibility\.less_visible=1\.0 leaves nobody"),
        ("years", [2015, 2016, 2018, 2019, 2020], r"years=.* must follow on each other"),
        ("years", "2015", r"years='2015' must be a table or a list"),
        ("followed_until", "31-12-2021", r"followed_until='31-12-2021' is not a day; write it as YYYY-MM-DD"),
        ("followed_until", "2018-12-31", r"followed_until='2018-12-31' lies before the last year, 2019"),
        (
            "agency.police.found.4",
            9000,
            r"agency\.police\.found\[4\]=9000 asks for a chance of .* in 2019",
        ),
        (
            "agency.police.reported.4",
            -0.1,
            r"agency\.police\.reported\[4\]=-0\.1 must be a number between 0 and 1",
        ),
        (
            "agency.police.forms.labour",
            -1,
            r"agency\.police\.forms\.labour=-1 must be a number of at least 0",
        ),
        ("agency.police.errors", 40, r"agency\.police\.errors=40 times errors\.initial=0\.05 is above 1"),
        (
            "agency.labour_inspectorate.forms.labour",
            0.0,
            r"agency\.labour_inspectorate\.found\[0\]=125, but .* nobody",
        ),
        ("referral.0.share", 2, r"referral\[0\]\.share=2 must be a number between 0 and 1"),
        ("referral.0.to", "police", r"referral\[0\] goes from 'police' to 'police', which acts earlier"),
        ("referral.0.within_days", 0, r"referral\[0\]\.within_days=0 must be a number of at least 1"),
        ("referral", 7, r"referral=7 must be a list of tables"),
        ("errors.no_sex", 1.01, r"errors\.no_sex=1\.01 must be a number between 0 and 1"),
        ("keys.moves_in", "x", r"keys\.moves_in='x' must be a number between 0 and 1"),
        ("measures.kinds.guardianship", 0.5, r"the shares of measures\.kinds add up to 1\.25"),
        ("measures.kinds", [1.0], r"measures\.kinds=.* must be a table"),
        ("measures.shape", 0, r"measures\.shape=0 must be a number of at least 0\.1"),
        ("suspects.women", 18, r"suspects\.women=18 must be a number between 0 and 1"),
        ("suspects.forms.other", 0.1, r"the shares of suspects\.forms add up to 1\.07"),
        ("cases.dismissed.3", 1.5, r"cases\.dismissed\[3\]=1\.5 must be a number between 0 and 1"),
        ("cases.further_offence", 0.99, r"cases\.further_offence=0\.99 makes cases of endless offences"),
        ("municipality.0.code", "363", r"municipality\[0\]\.code='363' must be text of four digits"),
        ("municipality.0.code", 363, r"municipality\[0\]\.code=363 must be text of four digits"),
        ("municipality.1.code", "0363", r"municipality 0363 stands there twice"),
        ("municipality.0.until", 2016, r"municipality\[0\] \(0363\) needs both until and into"),
        ("cases.convicted", None, r"cases has no convicted; add it"),
    ],
)
def test_an_impossible_value_is_refused_with_its_key(tmp_path, key, value, message):
    with pytest.raises(SettingError, match=message):
        read_settings(altered(tmp_path, key, value))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "victims.carried",
            0.1,
            r"victims names 'carried', which is not there; did you mean 'carried_over'\?",
        ),
        (
            "victims.women.labor",
            0.1,
            r"victims\.women names 'labor', which is not there; did you mean 'labour'\?",
        ),
        ("referral.0.to", "shelter", r"referral\[0\]\.to names 'shelter', .* did you mean 'shelters'\?"),
        (
            "municipality.55.into",
            "0015",
            r"municipality\[55\]\.into names '0015', which is not there; did you mean",
        ),
        ("sections", 1, r"settings\.toml names 'sections', which is not there"),
    ],
)
def test_a_name_that_is_not_there_is_refused(tmp_path, key, value, message):
    with pytest.raises(UnknownNameError, match=message):
        read_settings(altered(tmp_path, key, value))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(SettingError, match=r"cannot read .*none\.toml: No such file"):
        read_settings(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("years = [")
    with pytest.raises(SettingError, match=r"bad\.toml is not TOML file"):
        read_settings(tmp_path / "bad.toml")


@pytest.mark.parametrize("size", [0, -5, 2.5, True, 10_000_001])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(HiddenpopError, match="size="):
        draw_world(size=size, rng=1)


def test_blocks_add_up_to_the_world():
    settings = read_settings()
    whole, cut = make_plan(settings), make_plan(settings, 287_500)
    assert (whole.n_blocks, cut.n_blocks) == (1, 6)
    assert (cut.totals.sum(axis=1) == 10 * whole.totals.sum(axis=1)).all()
    assert abs(cut.totals - 10 * whole.totals).max() < 10
    assert cut.suspects.sum(axis=0).tolist() == [2700, 2850, 2450, 2100, 1700]
    assert cut.victims.sum(axis=(1, 2)).max() <= 50_000


def test_chances_lead_to_the_numbers_found():
    settings = read_settings()
    for name, agency in settings.agency.items():
        for year in range(5):
            chances = settings.found_chances(year, name)
            expected = 0.0
            for form in FORMS:
                minors = settings.victims.ages.minors(form)
                mean = minors * chances[form, True] + (1 - minors) * chances[form, False]
                expected += settings.victims.size[year] * settings.victims.forms[form][year] * mean
            assert expected == pytest.approx(agency.found[year])


def test_an_age_group_across_eighteen_is_divided():
    ages = Ages(groups=((10, 19), (20, 30)), shares={"x": (0.5, 0.5)})
    assert ages.minors("x") == pytest.approx(0.4)
