"""``hyotan recipes``: the articles' settings."""

from __future__ import annotations

from dataclasses import asdict

import click

from hyotan.cli.command import command
from hyotan.cli.output import Printer, table


@command()
@click.argument("name", required=False)
def recipes(printer: Printer, name: str | None) -> None:
    """List the recipes, or show one: its settings, and the article's figures beside ours.

    Examples
    --------
    hyotan recipes
    hyotan recipes article-tied-20
    hyotan fit --recipe article-tied-20
    """
    from hyotan.recipes import names, read

    if name is None:
        every = [read(recipe) for recipe in names()]
        lines = table([[recipe.name, recipe.title] for recipe in every])
        printer.result({"recipes": [asdict(recipe) for recipe in every]}, lines)
        return
    recipe = read(name)
    left_open = [f"{key} *" if key in recipe.left_open else key for key in recipe.parameters]
    lines = [
        recipe.title,
        f"from {recipe.article}; data: {recipe.source}; model: {recipe.model}",
        "",
        *table([[f"  {key}", str(value)] for key, value in zip(left_open, recipe.parameters.values(), strict=True)]),
        "  (* not stated by the article: the value is ours; what is not listed has our default)",
        "",
        " ".join(recipe.translation.split()),
    ]
    if recipe.figures:
        rows = [["what", "article", "ours"], *([f.what, f.article, f.ours] for f in recipe.figures)]
        lines += ["", *table(rows)]
    printer.result(asdict(recipe), lines)
