"""The page of a run on a table with several kinds of columns: columns and rows as they are in the data."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from command_line import done, sketch
from hyotan import load
from hyotan.report.run_page import run_page
from hyotan.runs.run_folder import RunFolder
from hyotan.words import languages, say, shown


def write(path: Path) -> Path:
    random = np.random.default_rng(0)
    lines = ["店,品,金額,回数,初回,定数"]
    for i in range(200):
        here = random.random() < 0.5
        item = random.choice(["本", "紙"] if here else ["茶", "<菓子>"])
        spent, often = random.normal(20, 4) if here else random.normal(150, 10), random.poisson(1 if here else 12)
        day = f"20{20 if here else 24}-0{random.integers(1, 9)}-{random.integers(10, 28)}"
        lines.append(f"{'渋谷' if here else '梅田'},{item if i % 9 else ''},{spent:.1f},{often},{day},同")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        words = ("--latent-dim", 1, "--hidden-dims", "16", "--max-epochs", 30, "--out", "run", "--quiet")
        done("fit", write(folder / "客.csv"), *words, cwd=folder)
    return RunFolder(folder / "run")


@pytest.fixture(scope="module")
def pages(run: RunFolder) -> dict[str, str]:
    return {lang: run_page(run, lang) for lang in languages()}


def cells(page: str, title: str) -> list[list[list[str]]]:
    """The text of each cell of the first table after a title, split where its markup is."""
    part = page[page.index(f">{title}<") :]
    body = part[part.index("<tbody") : part.index("</tbody>")]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("</tr>") if row]
    return [[[unescape(text) for text in re.split(r"<[^>]+>", cell) if text] for cell in row] for row in rows if row]


def test_columns_are_named_and_not_their_categories(run: RunFolder, pages: dict[str, str]) -> None:
    for lang, page in pages.items():
        rows = cells(page, say("columns.table", lang))
        assert sorted(row[0][0] for row in rows) == sorted(["店", "品", "金額", "回数", "初回"])
        part = page[page.index('id="columns"') : page.index(say("samples.rows", lang, n=8))]
        assert "店=渋谷" not in part and "品=本" not in part


def test_ranges_and_errors_are_in_the_units_of_the_column(run: RunFolder, pages: dict[str, str]) -> None:
    model, test = load(run.path), run.split_data()[1].X
    made, own = model.reconstruct(test).table, test.table
    found = {row[0][0]: [" ".join(cell) for cell in row[1:]] for row in cells(pages["en"], say("columns.table"))}
    spent = own["金額"].to_numpy()
    error = np.sqrt(np.mean((made["金額"].to_numpy() - spent) ** 2))
    assert found["金額"] == [f"{shown(float(spent.min()))} … {shown(float(spent.max()))}", shown(float(error))]
    days = [np.array(table["初回"].to_numpy(), dtype="datetime64[s]").astype(float) / 86400 for table in (made, own)]
    off = np.sqrt(np.mean((days[0] - days[1]) ** 2))
    low, high = (f"{day}" for day in (min(own["初回"].to_pylist()), max(own["初回"].to_pylist())))
    assert found["初回"] == [f"{low} … {high}", f"{shown(float(off))} days"]
    items = [(a, b) for a, b in zip(own["品"].to_pylist(), made["品"].to_pylist(), strict=True) if a is not None]
    wrong = 100 * np.mean([a != b for a, b in items])
    assert found["品"] == ["4 values: <菓子>, 本, 紙, 茶", f"{wrong:.1f} % wrong"]


def test_the_worst_rows_stand_there_with_their_own_values(run: RunFolder, pages: dict[str, str]) -> None:
    model, test = load(run.path), run.split_data()[1]
    worst = np.argsort(model.score_samples(test.X))[:5]
    rows = cells(pages["en"], say("columns.worst"))
    assert [row[0][0] for row in rows] == [str(test.named_rows()[1][at]) for at in worst]
    for at, row in zip(worst, rows, strict=True):
        own = [("–" if value is None else shown(value)) for value in test.X[int(at)].table.to_pylist()[0].values()]
        assert {cell[0] for cell in row[2:]} <= {*own, test.X[int(at)].table["初回"][0].as_py().isoformat()}
        assert all(cell[1].startswith("model: ") for cell in row[2:] if len(cell) > 1)
    assert any(len(cell) > 1 for row in rows for cell in row[2:])
