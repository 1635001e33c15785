"""``hyotan demo``: a first look."""

from __future__ import annotations

import click

from hyotan.cli.command import command
from hyotan.cli.options import place
from hyotan.cli.output import Printer

MODELS = (("ae", 10, 40), ("vae", 2, 100))
"""Model, latent size and epochs of each fit: fewer epochs than digits get by themselves, so that nobody waits long."""


@command()
@place("--out", "Where to put both run folders.  [runs/]", metavar="DIR")
def demo(printer: Printer, out: str | None) -> None:
    """Fit two small models on scikit-learn's digits, evaluate them, and draw what they learned.

    Examples
    --------
    hyotan demo
    hyotan demo --out first-look
    """
    from pathlib import Path

    from hyotan.cli.fit import fit_settings
    from hyotan.cli.training import train_new

    runs = []
    for model, latent_dim, epochs in MODELS:
        command = f"$ hyotan fit digits --model {model} --latent-dim {latent_dim} --max-epochs {epochs}"
        printer.notice(click.style(command, bold=True))
        chosen = fit_settings("digits", model, None, None, {"latent_dim": latent_dim, "max_epochs": epochs})
        folder = None if out is None else str(Path(out) / f"digits-{model}")
        runs.append(train_new(Printer(mute=True) if printer.as_json else printer, chosen, folder, overwrite=False))
    first, second = (run.folder.path for run in runs)
    printer.notice(
        "",
        click.style("Look at", bold=True),
        f"  {first / 'figures' / 'reconstructions.png'}",
        f"  {first / 'figures' / 'training.html'}   (open it in a browser: a slider over the epochs)",
        f"  {second / 'figures' / 'manifold.png'}",
        click.style("What to do next", bold=True),
        "  hyotan fit YOUR.csv                     your own table, array or folder of images",
        f"  hyotan score {first}           the most anomalous rows",
        f"  hyotan sample {second}         new digits",
        "  hyotan fit --help                       all that can be set",
    )
    if printer.as_json:
        printer.result({"runs": [first, second]}, [])
