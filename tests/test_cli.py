"""What holds for every command: help, streams, one JSON object, colours, pipes, the shell's Tab key."""

from __future__ import annotations

import inspect
import os
import pty
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest

from command_line import SMALL, done, fitted, hyotan, sketch
from hyotan.cli import COMMANDS, cli
from hyotan.cli.failures import plainly_warned
from hyotan.data.request import MISSING
from hyotan.parameters.domains import Choice
from hyotan.parameters.table import PARAMETERS

LINES_OF_A_SCREEN = 45
START = "from hyotan.cli import main; main()"
HEAVY = ("torch", "sklearn", "matplotlib", "numpy", "pyarrow", "scipy")


def command(name: str) -> click.Command:
    return cli.get_command(click.Context(cli), name)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return fitted("digits", "--limit", 60, "--model", "vae", cwd=tmp_path_factory.mktemp("cli"))


@pytest.fixture(autouse=True)
def without_pixels(monkeypatch):
    sketch(monkeypatch)


class TestHelp:
    @pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
    def test_lists_exactly_the_commands(self, words):
        said = done(*words)
        listing = said.out.partition("Start here:")[2].splitlines()
        assert [line.split()[0] for line in listing if line.startswith("  ") and line.split()[0] in COMMANDS] == list(
            COMMANDS
        )
        assert sum(line.startswith("  ") for line in listing) == len(COMMANDS) + 1  # and the word on examples
        assert said.err == ""

    def test_of_each_command_is_that_of_its_module(self):
        assert cli.list_commands(click.Context(cli)) == list(COMMANDS)
        for name in COMMANDS:
            assert command(name).name == name

    @pytest.mark.parametrize("name", ["", *COMMANDS])
    def test_fits_a_screen_and_shows_examples_before_flags(self, name):
        text = done(*name.split(), "-h").out
        assert text.startswith(f"Usage: hyotan {name}".strip())
        assert len(text.splitlines()) <= LINES_OF_A_SCREEN
        assert max(map(len, text.splitlines())) <= 80
        assert text.index("Examples:") < text.index("Every command:" if name else "Options:")
        assert "\b" not in text and "\\b" not in text

    @pytest.mark.parametrize("name", COMMANDS)
    def test_names_the_flags_of_every_command(self, name):
        last = done(name, "--help").out.splitlines()[-1]
        assert all(flag in last for flag in ("--json", "--quiet", "--debug", "--help"))

    @pytest.mark.parametrize("name", COMMANDS)
    def test_gives_examples_that_parse(self, name):
        examples = command(name).examples
        assert 1 <= len(examples) <= 3
        for example in examples:
            program, verb, *words = shlex.split(example.removeprefix('eval "$(').split(')"')[0].split(" | ")[0])
            assert program == "hyotan"
            assert command(verb).make_context(verb, words).params

    def test_gives_the_first_examples_for_commands_that_exist(self):
        assert all(example.split()[:1] == ["hyotan"] and example.split()[1] in COMMANDS for example in cli.examples)

    def test_all_shows_every_parameter_and_every_name_and_leaves_the_short_one_short(self):
        short = done("fit", "--help").out
        everything = " ".join(done("fit", "--help-all").out.split())
        assert done("fit", "--help").out == short
        for parameter in PARAMETERS.values():
            if parameter.on_command_line and parameter.name != "verbose":
                assert parameter.flag in everything
                names = parameter.domain.options if isinstance(parameter.domain, Choice) else ()
                assert all(name in everything.replace("- ", "-") for name in names)
        assert "--grad-clip" not in short and "--latent-dim" in short

    def test_states_the_defaults_that_hold(self):
        text = " ".join(done("fit", "--help").out.split())
        assert "Size of the code. [16; dae: 512]" in text and "Seed. [0]" in text

    def test_knows_the_words_for_missing_values_that_the_reader_knows(self):
        option = next(p for p in command("fit").params if p.name == "missing")
        assert option.type.domain.options == MISSING

    @pytest.mark.parametrize("name", COMMANDS)
    def test_documents_every_command(self, name):
        assert inspect.cleandoc(command(name).help).endswith((".", ")."))

    def test_answers_without_torch_and_its_like(self, source_folder, tmp_path):
        calls = [["--help"], ["--version"], [], *([name, "--help"] for name in COMMANDS), ["fit", "--help-all"]]
        calls += [["fti"], ["fit", "--latent-dm"], ["fit", "x", "--latent-dim", "0"], ["completion", "zsh"]]
        script = f"""
import sys
from hyotan.cli import main
for words in {calls!r}:
    try:
        main(words)
    except SystemExit:
        pass
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, (words, loaded)
"""
        environment = {**os.environ, "PYTHONPATH": str(source_folder)}
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-2000:]

    def test_version_names_what_matters_for_a_report(self):
        out = done("--version").out
        assert out.startswith("hyotan ") and "torch " in out and "python " in out


class TestStreams:
    def test_the_run_folder_is_the_last_line_of_standard_output(self, tmp_path):
        said = done("fit", "digits", *SMALL, "--limit", 40, cwd=tmp_path)
        *figures, last = said.out.splitlines()
        assert last == "runs/digits-ae-1" and (tmp_path / last / "config.toml").is_file()
        assert all((tmp_path / figure).is_file() and figure.startswith(last) for figure in figures)

    def test_notices_go_to_standard_error(self, tmp_path):
        said = done("fit", "digits", *SMALL, "--limit", 40, cwd=tmp_path)
        for notice in ("40 images, 8×8 grey", "run folder: runs/digits-ae-1", "epoch 2/2", "not seen in training"):
            assert notice in said.err and notice not in said.out

    def test_quiet_leaves_the_results_alone(self, tmp_path):
        said = done("fit", "digits", *SMALL, "--limit", 40, "--quiet", cwd=tmp_path)
        assert said.err == ""
        assert said.out.splitlines()[-1] == "runs/digits-ae-1"

    def test_without_a_terminal_there_are_no_escapes_and_no_rewritten_lines(self, run):
        said = done("evaluate", run)
        assert "\x1b" not in said.out + said.err
        assert "\r" not in said.out + said.err

    def test_a_second_run_has_the_next_number(self, tmp_path):
        first, second = (fitted("digits", "--limit", 20, cwd=tmp_path) for _ in range(2))
        assert (first.name, second.name) == ("digits-ae-1", "digits-ae-2")

    def test_a_reader_that_leaves_does_no_harm(self, source_folder, tmp_path):
        told = subprocess.run(
            ["bash", "-c", f'set -o pipefail; "{sys.executable}" -c "{START}" recipes --json | head -c 1'],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(source_folder)},
            capture_output=True,
            text=True,
        )
        assert told.stdout == "{" and told.stderr == "" and told.returncode == 0

    def test_a_warning_is_one_line_for_a_person(self):
        usual = warnings.formatwarning
        with plainly_warned():
            text = warnings.formatwarning(UserWarning("No font\nfor 猫."), UserWarning, "fonts.py", 92)
        assert text == "note: No font for 猫.\n" and warnings.formatwarning is usual


class TestColours:
    """A person at a terminal sees colours, unless they asked for none."""

    def at_a_terminal(self, tmp_path, source_folder, **environment) -> str:
        near, far = pty.openpty()
        inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        subprocess.run(
            [sys.executable, "-c", START, "fit", "--recipe", "nothing"],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(source_folder), "TERM": "xterm", **environment},
            stdout=far,
            stderr=far,
        )
        os.close(far)
        text = os.read(near, 10_000).decode()
        os.close(near)
        return text

    def test_an_error_is_coloured_at_a_terminal(self, tmp_path, source_folder):
        assert "\x1b[" in self.at_a_terminal(tmp_path, source_folder)

    @pytest.mark.parametrize("asked", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_but_not_where_none_are_wanted(self, tmp_path, source_folder, asked):
        text = self.at_a_terminal(tmp_path, source_folder, **asked)
        assert "\x1b" not in text and text.startswith("error: ")

    def test_and_in_a_pipe_where_they_are_forced(self):
        assert "\x1b[" in hyotan("fit", "--recipe", "nothing", FORCE_COLOR="1").err
        assert "\x1b" not in hyotan("fit", "--recipe", "nothing").err
        assert "\x1b" not in hyotan("fit", "--recipe", "nothing", FORCE_COLOR="1", NO_COLOR="1").err


class TestJSON:
    """One object on standard output, with the keys that scripts rely on."""

    @pytest.mark.parametrize(
        ("words", "keys"),
        [
            ("info RUN", {"run", "state", "epochs", "config", "metrics"}),
            ("info RUN/model.hyotan", {"file", "kind", "settings", "weights"}),
            ("info digits", {"source", "description", "rows", "feature_shape", "dtype", "classes", "notes"}),
            ("recipes", {"recipes"}),
            ("recipes article-ae-200", {"name", "title", "parameters", "figures"}),
            ("doctor", {"python", "packages", "torch_build", "device", "threads", "cache", "runs"}),
            ("evaluate RUN", {"run", "metrics", "failed"}),
            ("encode RUN", {"file", "rows", "latent_dim"}),
            ("decode RUN RUN/codes.npy", {"file", "rows", "shape"}),
            ("reconstruct RUN", {"file", "picture", "rows"}),
            ("sample RUN -n 4", {"file", "picture", "rows"}),
            ("interpolate RUN", {"files", "steps"}),
            ("score RUN", {"file", "rows", "mean", "oddest", "odd_values"}),
            ("fit digits --summary", {"rows", "total_mb"}),
            ("completion bash", {"shell", "script"}),
        ],
    )
    def test_of_each_command_is_one_object(self, run, words, keys):
        said = done(*words.replace("RUN", str(run)).split(), "--json")
        assert said.record["schema"] == 1 and said.record["ok"] is True
        assert keys <= said.record.keys()
        assert said.err == ""

    def test_of_fit_and_resume_too(self, tmp_path):
        (tmp_path / "t.csv").write_text("a,b,c\n" + "".join(f"{i % 7},{i},{i * i % 5}\n" for i in range(40)))
        first = done("fit", "t.csv", *SMALL, "--json", cwd=tmp_path)
        assert {"run", "figures", "metrics"} <= first.record.keys() and first.err == ""
        again = done("resume", first.record["run"], "--max-epochs", 3, "--json", cwd=tmp_path)
        assert again.record["run"] == first.record["run"] and again.err == ""
        assert again.record["metrics"]["epochs"] == 3

    def test_of_demo_is_one_object_although_it_fits_twice(self, tmp_path):
        said = done("demo", "--json", cwd=tmp_path, HYOTAN_HIDDEN_DIMS="4", HYOTAN_BATCH_SIZE="2000")
        assert said.record["runs"] == ["runs/digits-ae-1", "runs/digits-vae-1"] and said.err == ""

    def test_holds_null_for_what_is_no_number(self, tmp_path):
        (tmp_path / "same.csv").write_text("a,b\n" + "1,2\n" * 20)
        record = done("fit", "same.csv", *SMALL, "--json", cwd=tmp_path).record
        assert record["metrics"]["test"]["mse"] is not None

    def test_knows_a_flag_from_the_value_of_another(self, tmp_path):
        for words in (("--label", "--json"), ("--label", "--debug"), ("--out", "--json", "--recipe", "--debug")):
            said = hyotan("fit", "nothing-here.csv", *words, cwd=tmp_path)
            assert said.out == "" and len(said.begins("error:")) == 1 and "Traceback" not in said.err

    def test_is_asked_for_before_two_dashes_only(self, tmp_path):
        said = hyotan("info", "--", "--json", cwd=tmp_path)
        assert said.out == "" and "'--json'" in said.begins("error:")[0]
        assert hyotan("info", "--json", "--", "--debug", cwd=tmp_path).record["ok"] is False


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_is_a_script_for_the_shell(self, shell):
        script = done("completion", shell).out
        assert "_HYOTAN_COMPLETE" in script and f"{shell}_complete" in script

    @pytest.mark.parametrize(
        ("line", "offered"),
        [
            ("hyotan ev", ["evaluate"]),
            ("hyotan fit --latent-", ["--latent-dim"]),
            ("hyotan completion --js", ["--json"]),
        ],
    )
    def test_offers_commands_and_flags_without_torch(self, line, offered, source_folder, tmp_path):
        words = {"_HYOTAN_COMPLETE": "zsh_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        script = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); " + START
        told = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(source_folder), **words},
            capture_output=True,
            text=True,
        )
        assert set(offered) <= set(told.stdout.split()), told
        assert told.stderr.strip() == "False"
