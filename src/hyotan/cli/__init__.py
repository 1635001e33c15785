"""The command line: parse, call one library function, print. Sub-commands load what they need when they are called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from hyotan.cli.command import ShowsExamples
from hyotan.cli.failures import answer, colour_wanted, plainly_warned
from hyotan.errors import did_you_mean
from hyotan.files.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("Start here", "Fit two small models on digits and show what they learned."),
    "study": ("Start here", "Compare models and latent sizes on SOURCE, and recommend one."),
    "fit": ("Train", "Train a model on SOURCE and write a run folder."),
    "detect": ("Train", "Train an anomaly detector on SOURCE, and flag its anomalies."),
    "resume": ("Train", "Resume a run that was stopped, or train it longer."),
    "evaluate": ("Look", "Evaluate a run's model on held-out rows."),
    "report": ("Look", "Write a report on a run or a study, to open in a browser."),
    "info": ("Look", "Describe a run, a detector, a model file or a SOURCE."),
    "recipes": ("Look", "List the articles' settings, or show one."),
    "doctor": ("Look", "Show what is installed: versions, device, disk, data."),
    "completion": ("Look", "Print a script that completes commands and flags in a shell."),
    "encode": ("Use", "Encode rows as codes."),
    "decode": ("Use", "Decode codes to rows."),
    "reconstruct": ("Use", "Encode rows and decode them again."),
    "impute": ("Use", "Fill the missing values of rows."),
    "denoise": ("Use", "Remove noise from rows (dae)."),
    "classify": ("Use", "Predict the label of each row (cvae)."),
    "cluster": ("Use", "Cluster rows by their codes."),
    "compress": ("Use", "Compress rows to a small file of quantised codes."),
    "decompress": ("Use", "Restore the rows of such a file."),
    "sample": ("Use", "Sample new rows."),
    "interpolate": ("Use", "Interpolate between two rows in the latent space."),
    "score": ("Use", "Score how likely each row is; low scores are anomalies."),
}
"""Every sub-command: the group that help shows it in, and its line. The module of the same name holds it."""

EXAMPLES = (
    "hyotan demo                         a first look, in half a minute",
    "hyotan fit photos/ --model vae      your own data",
    "hyotan evaluate runs/photos-vae-1   is it any good?",
)


class LazyGroup(ShowsExamples, click.Group):
    """A group whose commands are imported when they are called, so that help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and give a command."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"hyotan.cli.{cmd_name}"), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed; a near miss is named."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"There is no command '{args[0]}'. {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by group, from the table alone."""
        for group in dict.fromkeys(group for group, _ in COMMANDS.values()):
            with formatter.section(group):
                formatter.write_dl([(name, line) for name, (place, line) in COMMANDS.items() if place == group])


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"hyotan {__version__}, torch {version('torch')}, python {sys.version.split()[0]}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND ...",
    options_metavar="",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each command has examples: hyotan COMMAND --help",
    examples=EXAMPLES,
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Versions.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Hyotan trains autoencoders and tells you what they learned."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run the command line; the process ends with the exit code that the outcome has."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # The command takes from these words what only was the value of an option: `--label --json` asks for no JSON.
    words = set(given)
    colour = colour_wanted()

    def run() -> Any:
        return cli.main(given, prog_name="hyotan", standalone_mode=False, obj=words, color=colour)

    with plainly_warned():
        sys.exit(answer(run, words, colour))
