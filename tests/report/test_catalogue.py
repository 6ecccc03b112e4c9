import dataclasses
import re
import string
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from tests.report.cases import public

from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.registry import ESTIMATORS, build, estimator_class
from hiddenpop.report.answers import FOR_ALL, setting_sentence
from hiddenpop.report.catalogue import LANGUAGES, words_in
from hiddenpop.report.context import Context
from hiddenpop.report.document import plain
from hiddenpop.sensitivity.registry import CHECKS, build_check

ROOM = Path(__import__("hiddenpop.report", fromlist=["report"]).__file__).parent
SOURCE = "".join(
    path.read_text(encoding="utf-8") for path in [*ROOM.glob("*.py"), *ROOM.glob("*.j2"), *ROOM.glob("*.typ")]
)


def kinds() -> dict[str, type[Any]]:
    checks = {name: path.partition(":") for name, path in CHECKS.items()}
    return {name: estimator_class(name) for name in ESTIMATORS} | {
        name: getattr(import_module(module), kind) for name, (module, _, kind) in checks.items()
    }


def settings() -> list[tuple[str, "dataclasses.Field[Any]"]]:
    return [(name, entry) for name, kind in kinds().items() for entry in dataclasses.fields(kind)]


def choices_of(kind: Any) -> Iterator[str]:
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    for inner in get_args(kind):
        yield from choices_of(inner)


def placeholders(phrase: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(phrase) if name is not None}


def test_all_languages_have_the_same_keys_and_placeholders() -> None:
    first, *others = (words_in(language).phrases for language in LANGUAGES)
    for other in others:
        assert set(other) == set(first)
        for key, phrase in first.items():
            assert placeholders(other[key]) == placeholders(phrase), key


def test_no_phrase_is_blank_and_dutch_is_not_english() -> None:
    english, dutch = words_in("en").phrases, words_in("nl").phrases
    assert all(phrase.strip() for phrase in [*english.values(), *dutch.values()])
    sentences = [key for key, phrase in english.items() if len(phrase) > 40]
    assert not [key for key in sentences if english[key] == dutch[key]]


def test_every_phrase_named_in_the_code_is_in_the_catalogue() -> None:
    phrases = words_in("en").phrases
    roots = {key.partition(".")[0] for key in phrases}
    named = set(re.findall(r'(?:say|runs|para|aside)\(\s*"([a-z_]+\.[A-Za-z_.]+)"', SOURCE))
    assert len(named) > 60
    assert {name for name in named if name.partition(".")[0] in roots} <= set(phrases)


def test_every_phrase_is_used() -> None:
    families = set(re.findall(r'f"([a-z_.]+)\.\{', SOURCE))
    words = set(re.findall(r'"([A-Za-z_.]+)"', SOURCE)) | {"ok", "boundary", "unbounded", "not_identified"}
    words |= {"not_converged", "holds", "fails", "no_verdict", "no_answer", "yes", "no", "ok_bound", "Trend"}
    words |= {"info", "warning", "error", "unknown", "own", "increase_posterior", "increase_bootstrap"}
    kinds = ("given", "chosen", "averaged", "repeated", "unknown", "bound", "posterior")
    words |= {*kinds, *(f"model_{kind}" for kind in kinds)}
    words |= {"Subgroups", "Rates", "Ranks", "UNIndicator", "TrendByList"}
    for key in words_in("en").phrases:
        if key.partition(".")[0] in ("setting", "estimator", "check", "assumption"):
            continue
        family, _, last = key.rpartition(".")
        assert f'"{key}"' in SOURCE or f"words.{last}" in SOURCE or (family in families and last in words), (
            key
        )


def test_every_estimator_and_check_is_described_and_no_other() -> None:
    phrases = words_in("en").phrases
    assert {key.removeprefix("estimator.") for key in phrases if key.startswith("estimator.")} == set(
        ESTIMATORS
    )
    told = {f"check.{name}.{part}" for name in CHECKS for part in ("label", "what")}
    assert {key for key in phrases if key.startswith("check.")} == told


def test_every_assumption_is_written_out_and_no_other() -> None:
    told = [estimator_class(name)().facts.assumes for name in ESTIMATORS]
    assert not [names for names in told if not names or "unknown" in names]
    named = {*FOR_ALL, "unknown", *(name for names in told for name in names)}
    phrases = words_in("en").phrases
    assert {key.removeprefix("assumption.") for key in phrases if key.startswith("assumption.")} == named


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_of_every_estimator_and_check_has_a_sentence(language: str) -> None:
    context = Context(public(), words_in(language))
    unknown = plain(context.runs("account.other_setting", name="", value=""))[:-1].strip()
    for owner, entry in settings():
        values: list[Any] = list(choices_of(entry.type))
        if entry.default is not dataclasses.MISSING:
            values.append(entry.default)
        for value in values:
            told = plain(setting_sentence(context, owner, entry.name, value))
            assert unknown not in told, (owner, entry.name)
            assert "None" not in told.replace("= None", ""), (owner, entry.name, value)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_choice_of_every_setting_has_words(language: str) -> None:
    words = words_in(language)
    for owner, entry in settings():
        key = next(
            k for k in (f"setting.{owner}-{entry.name}", f"setting.{entry.name}") if words.has(f"{k}.is")
        )
        chosen = list(choices_of(entry.type)) + (["yes", "no"] if entry.type is bool else [])
        for choice in chosen:
            assert words.has(f"{key}.choices.{choice}"), (owner, entry.name, choice)
        if entry.default is None or entry.default == ():
            assert words.has(f"{key}.none"), (owner, entry.name)


def test_every_sentence_of_a_setting_is_about_one_that_exists() -> None:
    fields = {(owner, entry.name): entry for owner, entry in settings()}
    names = {name for _, name in fields}
    for key in words_in("en").phrases:
        if not key.startswith("setting."):
            continue
        name, part, *choice = key.removeprefix("setting.").split(".")
        owner, _, field = name.rpartition("-")
        assert (owner, field) in fields if owner else field in names, key
        owners = [own for own, known in fields if known == field and owner in ("", own)]
        if part == "choices" and choice[0] not in ("yes", "no"):
            assert any(can_be(own, field, choice[0]) for own in owners), key


def can_be(owner: str, field: str, value: str) -> bool:
    if value in choices_of(next(e.type for own, e in settings() if own == owner and e.name == field)):
        return True
    try:
        (build_check if owner in CHECKS else build)(owner, {field: value})
    except HiddenpopError:
        return False
    return True


def test_numbers_follow_the_language() -> None:
    english, dutch = (words_in(language) for language in ("en", "nl"))
    assert [w.persons(12349.587, 5800.0) for w in (english, dutch)] == ["12,350", "12.350"]
    assert [w.general(0.125) for w in (english, dutch)] == ["0.125", "0,125"]
    assert [w.percent(0.9996) for w in (english, dutch)] == ["99.9%", "99,9%"]
    assert english.percent(1.0) == "100%"
    assert dutch.persons(float("inf"), 1.0) == "geen grens"
    assert dutch.series(["a", "b", "c"]) == "a, b en c"


def test_a_value_with_braces_is_not_read_as_a_placeholder() -> None:
    assert words_in("en").say("parts.line", name="{shown} {0}", shown="{x}") == "{shown} {0}: {x}"


def test_a_level_keeps_its_digits_in_the_words_of_the_language() -> None:
    assert words_in("en").level(0.999) == "99.9%"
    assert words_in("nl").level(0.975) == "97,5%"
    assert words_in("nl").level(0.95) == "95%"
