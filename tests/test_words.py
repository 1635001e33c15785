"""The catalogue: every language says the same, nothing is missing, nothing is left over."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import hyotan
from hyotan.errors import SettingsError
from hyotan.models.families import FAMILIES, short_name
from hyotan.words import aligned, catalogue, has, languages, preferred, say, shown

SOURCE = Path(hyotan.__file__).parent
OTHERS = [lang for lang in languages() if lang != "en"]
CJK = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


def forms(entry) -> dict[str, str]:
    return {"": entry} if isinstance(entry, str) else dict(entry)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def spelled() -> tuple[set[str], list[re.Pattern[str]]]:
    """Every text in the source that could be a key, and every f-string, as a pattern of the keys that it can make."""
    literals, patterns = set(), []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [re.escape(p.value) if isinstance(p, ast.Constant) else r"[\w-]+" for p in node.values]
                if isinstance(node.values[0], ast.Constant) and "." in str(node.values[0].value):
                    patterns.append(re.compile("".join(parts)))
    return literals, patterns


def asked() -> set[str]:
    """The keys that ``say`` is called with as they stand."""
    calls = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and ast.unparse(node.func) in ("say", "has", "words.say") and node.args
            if is_call and isinstance(node.args[0], ast.Constant):
                calls.add(node.args[0].value)
    return calls


def test_english_and_japanese_are_there():
    assert languages() == ("en", "ja")


@pytest.mark.parametrize("lang", OTHERS)
def test_no_key_is_missing_in_a_language_and_none_is_its_own(lang):
    assert set(catalogue(lang)) ^ set(catalogue("en")) == set()


@pytest.mark.parametrize("lang", OTHERS)
def test_the_places_for_values_are_the_same(lang):
    for key, entry in catalogue("en").items():
        ours, theirs = forms(entry), forms(catalogue(lang)[key])
        assert ours.keys() == theirs.keys(), key
        assert {name: fields(text) | {"n"} for name, text in ours.items()} == {
            name: fields(text) | {"n"} for name, text in theirs.items()
        }, key


def test_no_key_is_unused():
    literals, patterns = spelled()
    unused = [key for key in catalogue("en") if key not in literals and not any(p.fullmatch(key) for p in patterns)]
    assert unused == []


def test_every_key_that_is_asked_for_is_there():
    assert sorted(key for key in asked() if not has(key)) == []


def test_japanese_is_japanese():
    names = re.compile(r"^[\W\d_A-Za-z{}/.×…・]*$")
    untranslated = [
        key
        for key, entry in catalogue("ja").items()
        for text in forms(entry).values()
        if names.match(text) and text == forms(catalogue("en")[key]).get("other", catalogue("en")[key])
    ]
    # Names and abbreviations read alike in both languages; a sentence does not.
    assert [key for key in untranslated if len(say_length(key)) > 3] == []


def say_length(key: str) -> list[str]:
    entry = catalogue("ja")[key]
    return str(forms(entry).get("", next(iter(forms(entry).values())))).split()


def test_japanese_punctuation_is_full_width():
    halves = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff][,.;:?!](?:\s|$)")
    assert [key for key, entry in catalogue("ja").items() if any(halves.search(t) for t in forms(entry).values())] == []


def test_english_has_no_japanese():
    assert [key for key, entry in catalogue("en").items() if any(CJK.search(t) for t in forms(entry).values())] == []


@pytest.mark.parametrize("lang", languages())
def test_files_have_no_key_twice(lang):
    tomllib.loads((files("hyotan.words") / f"{lang}.toml").read_text(encoding="utf-8"))  # TOML forbids it


def test_one_and_many_are_told_apart():
    assert say("count.rows", n=1) == "1 row"
    assert say("count.rows", n=70000) == "70,000 rows"
    assert say("count.rows", "ja", n=70000) == "70,000 行"


def test_a_missing_message_or_value_is_our_mistake():
    with pytest.raises(KeyError, match=r"no\.such\.key"):
        say("no.such.key")
    with pytest.raises(KeyError, match="n"):
        say("count.rows")
    with pytest.raises(SettingsError, match=r"There is no language 'fr'\. Choose from: en, ja\."):
        say("count.rows", "fr", n=1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-1234, "−1,234"),
        (0.5, "0.5"),
        (1234.5678, "1,235"),
        (12.345678, "12.35"),
        (1.0, "1"),
        (1e-7, "1×10⁻⁷"),
        (-2.5e12, "−2.5×10¹²"),
        (np.float32(0.25), "0.25"),
        (True, "True"),
        ("as it is", "as it is"),
    ],
)
def test_numbers_read_as_in_a_sentence(value, text):
    assert shown(value) == text


@pytest.mark.parametrize("value", [3.14159, 0.00071234, 271.828, 99999.0])
def test_a_number_is_shown_within_half_of_its_last_figure(value):
    assert float(shown(value).replace(",", "")) == pytest.approx(value, rel=5e-4)


def test_numbers_that_stand_together_have_as_many_decimals():
    assert [aligned(value, 0.0426, 3) for value in (0.0426, 0.04, 0.0456)] == ["0.0426", "0.0400", "0.0456"]
    assert aligned(5.0, 0.0) == "5"


class TestPreferred:
    @pytest.fixture(autouse=True)
    def nothing_said(self, monkeypatch):
        for name in ("HYOTAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
            monkeypatch.delenv(name, raising=False)

    def test_is_english_where_nothing_is_said(self):
        assert preferred() == "en"

    @pytest.mark.parametrize("said", ["ja", "ja_JP.UTF-8", "JA"])
    def test_is_the_environment_s(self, monkeypatch, said):
        monkeypatch.setenv("LANG", said)
        assert preferred() == "ja"

    def test_ours_goes_over_the_system_s_and_a_flag_over_both(self, monkeypatch):
        monkeypatch.setenv("LANG", "ja_JP.UTF-8")
        monkeypatch.setenv("HYOTAN_LANG", "en")
        assert preferred() == "en" and preferred("ja") == "ja"

    def test_passes_over_a_language_that_there_is_not(self, monkeypatch):
        monkeypatch.setenv("LANG", "de_DE.UTF-8")
        assert preferred() == "en"

    def test_refuses_one_that_was_asked_for(self):
        with pytest.raises(SettingsError, match=r"There is no language 'jp'\. Did you mean 'ja'\?|Choose from: en, ja"):
            preferred("jp")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_family_is_described_in_every_language(family):
    assert set(family.names) == set(family.texts) == set(languages())
    assert CJK.search(family.texts["ja"]) and not any(CJK.search(said["en"]) for said in (family.names, family.texts))


def test_families_and_baselines_have_short_names():
    assert [short_name(model, "ja") for model in ("vae", "pca", "mean")] == ["VAE", "PCA", "平均"]
