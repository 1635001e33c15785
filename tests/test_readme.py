"""The README is tested against the code: its example runs, its tree is the tree, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pages
from hyotan.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "hyotan"


def block(language: str) -> str:
    return next(block.text for block in pages.blocks(README) if block.language == language)


def test_the_example_runs_and_leaves_a_model_that_loads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    # One epoch shows that the lines work; what they learn is tested elsewhere.
    exec(block("python").replace("latent_dim=2,", "latent_dim=2, max_epochs=1,"), names)
    assert names["codes"].shape == (1797, 2)
    assert names["pictures"].shape == (8, 8, 8)
    assert (names["again"].transform(names["X"]) == names["codes"]).all()


def test_the_example_is_about_eight_lines():
    assert len(block("python").strip().splitlines()) <= 9


def tree_entries() -> list[str]:
    tree = next(block.text for block in pages.blocks(README) if block.text.startswith("src/hyotan/\n"))
    return re.findall(r"^  (\S+)", tree, flags=re.MULTILINE)


def test_the_tree_names_every_module_and_no_other():
    here = {p.name + "/" * p.is_dir() for p in PACKAGE.iterdir() if not p.name.startswith("_")}
    assert set(tree_entries()) == here


def test_every_command_that_the_readme_lists_exists():
    listed = re.search(r"Commands: `([^`]+)`", README).group(1).split()
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake (\w+)`", README))))
def test_every_make_target_that_the_readme_names_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_every_picture_and_page_that_the_readme_links_exists():
    for link in re.findall(r"\]\(((?!https?:)[^)]+)\)", README):
        assert (ROOT / link).exists(), link
