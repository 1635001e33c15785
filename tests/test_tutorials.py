"""The tutorials are run, and what they show is what they print; what runs them is tested on pages made here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

import pages

TUTORIALS = sorted(pages.TUTORIALS.glob("[0-9]*.md"))
QUICK = ("02", "03")
"""Numbers of the tutorials that run in a few seconds: the others belong to the long tests."""
LARGEST_PICTURE = 60_000
LINK = re.compile(r"\]\(((?!https?:)[^)#]+)\)")

LATER = "```python\nx = 2\n```\n\n```python\nprint(x * 21)\n```\n\n```text\n42\n```\n"


def written(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


def ran(folder: Path, text: str) -> list[str]:
    (empty := folder / "empty").mkdir()
    return pages.run(written(folder, text), empty)


def marked(page: Path) -> object:
    return pytest.param(page, id=page.stem, marks=() if page.name.startswith(QUICK) else pytest.mark.slow)


@pytest.mark.parametrize("page", [marked(page) for page in TUTORIALS])
def test_a_tutorial_prints_and_draws_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.delenv("HYOTAN_DATA", raising=False)
    outputs = pages.run(page, tmp_path)
    steps = pages.steps(page.read_text("utf-8"))
    found = [
        f"line {step.source.line}: {words}"
        for step, printed in zip(steps, outputs, strict=True)
        for words in step.outdated(printed)
    ]
    assert not found, "\n".join([*found, "Look why; if it is right so, run: make docs"])
    drawn = {path.name: Image.open(path).size for path in (tmp_path / "pictures").iterdir()}
    kept = {path.name: Image.open(path).size for path in (page.parent / "pictures").glob(f"{page.name[:2]}-*")}
    assert drawn == kept


def test_the_index_and_the_readme_name_every_tutorial():
    index = (pages.TUTORIALS / "README.md").read_text("utf-8")
    assert re.findall(r"\]\((\d[^)]+)\)", index) == [page.name for page in TUTORIALS]
    assert "docs/tutorials/README.md" in (pages.ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", sorted(pages.TUTORIALS.rglob("*.md")), ids=lambda page: page.stem)
def test_every_link_of_the_tutorials_leads_somewhere(page):
    for link in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_every_picture_is_shown_and_small():
    shown = {link for page in TUTORIALS for link in LINK.findall(page.read_text("utf-8")) if "pictures/" in link}
    kept = {path.relative_to(pages.TUTORIALS).as_posix(): path for path in (pages.TUTORIALS / "pictures").iterdir()}
    assert shown == set(kept)
    assert {name: path.stat().st_size for name, path in kept.items() if path.stat().st_size > LARGEST_PICTURE} == {}


def test_blocks_of_a_page_share_names_and_a_folder(tmp_path):
    text = LATER + "```sh\necho made > file; echo said\n```\n```python\nprint(open('file').read())\n```\n"
    assert ran(tmp_path, text) == ["", "42\n", "said\n", "made\n\n"]


def test_a_page_finds_its_data_and_a_place_for_pictures(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.csv").write_text("1\n")
    assert ran(tmp_path, "```sh\ncat data/numbers.csv; ls\n```\n") == ["1\ndata\npictures\n"]


def test_other_blocks_are_left_alone():
    text = "```toml\na = 1\n```\n\n```text\nno output\n```\n\n```python\n```\n\nprose\n\n```text\nnor this\n```\n"
    (step,) = pages.steps(text)
    assert step.shown is None


def test_an_error_names_the_line_of_the_page(tmp_path):
    with pytest.raises(ZeroDivisionError) as raised:
        ran(tmp_path, "# Title\n\n```python\n\n1 / 0\n```\n")
    last = raised.traceback[-1]
    assert (Path(str(last.path)).name, last.lineno + 1) == ("page.md", 5)


def test_a_command_that_fails_ends_the_page(tmp_path):
    with pytest.raises(RuntimeError, match=r"page\.md, line 2: exit 3\nwhy\n"):
        ran(tmp_path, "```sh\necho why >&2; exit 3\n```\n")


def test_commands_are_those_of_this_tree_without_the_settings_of_who_runs_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HYOTAN_LATENT_DIM", "7")
    (said,) = ran(tmp_path, "```sh\npython -c 'import hyotan, os; print(hyotan.__file__, os.environ)'\n```\n")
    assert said.startswith(str(pages.ROOT / "src" / "hyotan"))
    assert "HYOTAN_LATENT_DIM" not in said


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("error 0.0123", "error  0.0128\n"),  # 5 %
        ("0.02", "0.04"),  # two units of the last digit
        ("-0.01 nats", "0.01 nats"),
        ("1,797 rows", "1,720 rows"),
        ("3% of them", "5% of them"),
        ("2.5e-05", "2.4e-05"),
        ("nan", "nan"),
    ],
)
def test_outputs_are_the_same_where_words_are_and_numbers_are_near(shown, printed):
    assert pages.differences(shown, printed) == []


@pytest.mark.parametrize(
    ("shown", "printed", "words"),
    [
        ("error 0.0123", "error 0.0140", "0.0123 is now 0.0140"),
        ("0.02", "0.05", "0.02 is now 0.05"),
        ("3 of 10", "4 of 10", "3 is now 4"),  # small whole numbers are counts
        ("10 bits", "11 bits", "10 is now 11"),
        ("3%", "6%", "3% is now 6%"),
        ("3%", "3", "other words: '3%' is now '3'"),
        ("12.0 nats", "-12.0 nats", "12.0 is now -12.0"),
        ("passed: True", "passed: False", "other words: 'passed: True' is now 'passed: False'"),
        ("model-a 1", "model-b 1", "other words: 'model-a 1' is now 'model-b 1'"),
        ("1 2", "1 2 3", "other words: '1 2' is now '1 2 3'"),
        ("1.0", "nan", "other words: '1.0' is now 'nan'"),
        ("sha 3f", "sha 4f", "other words: 'sha 3f' is now 'sha 4f'"),
    ],
)
def test_outputs_differ_where_a_word_does_or_a_number_is_far(shown, printed, words):
    assert pages.differences(shown, printed) == [words]


def test_rows_that_are_drawn_are_the_same_where_they_are_as_many():
    text = "```sh\nhead -2 drawn.csv\n```\n\n```text drawn\na 1\nb 2\n```\n"
    (step,) = pages.steps(text)
    assert step.outdated("c 7\nd 8\n") == []
    assert step.outdated("c 7\n") == ["2 lines are now 1"]
    assert pages.rewritten(text, ["c 7\n"]) == text.replace("a 1\nb 2", "c 7")


def test_a_page_is_rewritten_where_it_is_wrong_and_nowhere_else():
    wrong = LATER.replace("42", "41") + "\n```python\nprint(0.123)\n```\n\n```text\n0.124\n```\nend\n"
    assert pages.rewritten(wrong, ["", "50\n", "0.123\n"]) == wrong.replace("41", "50")
    silent = LATER.replace("\n\n```text\n42\n```", "")
    assert pages.rewritten(silent, ["", "42\n"]) == LATER
    assert pages.rewritten(LATER, ["", ""]) == silent
    assert pages.rewritten(LATER, ["", "43\n"]) == LATER
    assert pages.rewritten(LATER, ["", "43\n"], anew=True) == LATER.replace("42", "43")


def test_running_a_page_rewrites_it_and_keeps_its_pictures_unless_it_is_only_checked(tmp_path):
    page = written(tmp_path, "```python\nopen('pictures/a.txt', 'w').write('new')\nprint(1)\n```\n")
    assert [*pages.renew(page, check=True)] == ["line 2: other words: '' is now '1\\n'"]
    assert not (tmp_path / "pictures").exists()
    assert len([*pages.renew(page, check=False)]) == 1
    assert (tmp_path / "pictures" / "a.txt").read_text() == "new"
    assert page.read_text().endswith("```\n\n```text\n1\n```\n")
    assert [*pages.renew(page, check=True)] == []
