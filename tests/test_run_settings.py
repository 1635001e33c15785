"""A run's settings: written down whole, fed back to the same bits, and joined from flags, environment and files."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hyotan import load
from hyotan.cli import main
from hyotan.errors import SettingsError
from hyotan.parameters.table import parameters_of
from hyotan.runs.run_folder import RunFolder
from hyotan.runs.settings import DataOptions, RunConfig
from run_children import digests, nursery, weights

TINY = "--limit 120 --hidden-dims 12 --latent-dim 2 --max-epochs 2 --batch-size 32".split()


class TestTheConfiguration:
    """``config.toml`` says everything, and can be fed back."""

    def test_comes_back_from_its_text(self) -> None:
        parameters = {"hidden_dims": (8, 4), "noise": None, "beta_warmup": 2.5, "shuffle": False, "max_epochs": "auto"}
        del parameters["beta_warmup"]
        options = DataOptions(label="kind", ignore=["id"], size=(8, 6), limit=10, missing="mean")
        config = RunConfig("a b/データ.csv", "denoising-autoencoder", parameters, options, "article-ae-200", "00ff")
        assert RunConfig.from_toml(config.to_toml(), "config.toml") == config

    @pytest.mark.parametrize(
        "line",
        [
            ["digits", "--model", "vae", "--beta", "0.5", *TINY, "--random-state", "4"],
            ["digits", "--model", "dae", "--noise", "none", "--channels", "4,8", "--no-shuffle", *TINY],
            ["digits", "--recipe", "article-tied-20", *TINY],
        ],
        ids=["vae", "dae", "recipe"],
    )
    def test_fed_back_gives_the_same_bits(self, line: list[str], tmp_path: Path) -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        assert nursery().run("cli", "fit", *line, "--out", one).code == 0
        outcome = nursery().run("cli", "fit", "--config", one / "config.toml", "--out", two)
        assert outcome.code == 0, outcome.text
        assert digests(one) == digests(two)
        assert (one / "config.toml").read_text() == (two / "config.toml").read_text()

    def test_holds_every_parameter_so_that_later_defaults_do_not_change_it(self, tmp_path: Path) -> None:
        assert nursery().run("cli", "fit", "digits", "--model", "vae", *TINY, "--out", tmp_path / "one").code == 0
        written = tomllib.loads((tmp_path / "one" / "config.toml").read_text(encoding="utf-8"))["parameters"]
        expected = {p.name for p in parameters_of("vae") if p.on_command_line} - {"verbose"}
        assert set(written) == expected
        assert written["beta"] == 1.0

    def test_fed_back_reads_a_table_as_it_was_read(self, tmp_path: Path) -> None:
        rows = [f"{i % 7 / 7},{'' if i == 3 else i % 5 / 5},{i % 3 / 3},{'ab'[i % 2]},{i}" for i in range(60)]
        (tmp_path / "table.csv").write_text("\n".join(["one,two,three,kind,id", *rows]))
        line = [tmp_path / "table.csv", "--missing", "mean", "--label", "kind", "--ignore", "id,one", *TINY]
        outcome = nursery().run("cli", "fit", *line, "--out", tmp_path / "one")
        assert outcome.code == 0, outcome.text
        config = tmp_path / "one" / "config.toml"
        outcome = nursery().run("cli", "fit", "--config", config, "--out", tmp_path / "two")
        assert outcome.code == 0, outcome.text
        assert config.read_text() == (tmp_path / "two" / "config.toml").read_text()
        assert digests(tmp_path / "one") == digests(tmp_path / "two")

    def test_none_on_the_command_line_is_none_in_the_run(self, tmp_path: Path) -> None:
        line = ["digits", "--model", "dae", *TINY, "--quiet", "--out"]
        for name, noise in (("with", []), ("without", ["--noise", "none"])):
            assert nursery().run("cli", "fit", *line, tmp_path / name, *noise).code == 0
        assert (load(tmp_path / "with").noise, load(tmp_path / "without").noise) == ("gaussian", None)
        assert weights(digests(tmp_path / "with")) != weights(digests(tmp_path / "without"))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('source = "digits"\nkind = "vae"\nrecpe = "x"', "'recpe' is not a setting. Did you mean 'recipe'?"),
            ('source = "digits"\nkind = "vae"\n[data]\nlimt = 3', "'limt' is not a setting. Did you mean 'limit'?"),
            (
                'source = "digits"\nkind = "vae"\n[parameters]\nlatent_dims = 3',
                "'latent_dims' in {path} is not a parameter of vae. Did you mean 'latent_dim'?",
            ),
            ('source = "digits"\nkind = "vae"\n[parameters]\nbeta = -1', "beta cannot be -1"),
            ('source = "digits"\nkind = "vee"', "kind 'vee' is not known. Choose from: autoencoder, denoising-auto"),
            ('source = "digits"', "is not a configuration"),
            ("source = ", "is not a configuration"),
        ],
    )
    def test_that_was_edited_wrongly_is_told(self, text: str, message: str, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text(text)
        with pytest.raises(SettingsError, match=re.escape(message.format(path=tmp_path / "config.toml"))):
            RunFolder(tmp_path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('soruce = "digits"', "'soruce' is not a setting.\nfix: Did you mean 'source'?"),
            ("[parameters]\nlatentdim = 3", "'latentdim' is not a setting.\nfix: Did you mean 'latent_dim'?"),
            ('[data]\nlable = "x"', "'lable' is not a setting.\nfix: Did you mean 'label'?"),
            ("a =", "is not TOML"),
        ],
    )
    def test_a_settings_file_with_a_mistake_is_told(
        self, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "mine.toml").write_text(text)
        assert self.run(["fit", "--config", str(tmp_path / "mine.toml"), "--summary"]) == 2
        told = capsys.readouterr().err
        assert str(tmp_path / "mine.toml") in told
        assert message in told

    def run(self, line: list[str]) -> int:
        with pytest.raises(SystemExit) as end:
            main(line)
        return int(end.value.code or 0)


class TestPrecedence:
    """Flags over the environment, over --config, over the folder's own file, over defaults; a recipe over files."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A working folder where every layer that is not asked for is missing."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
        for name in [name for name in os.environ if name.startswith("HYOTAN_") and name != "HYOTAN_CACHE"]:
            monkeypatch.delenv(name)
        return tmp_path

    @pytest.fixture
    def latent(self, capsys: pytest.CaptureFixture[str]) -> Any:
        """The latent size of the network that a command line makes, read off the network."""

        def find(*line: str) -> int:
            with pytest.raises(SystemExit) as end:
                main(["fit", "digits", "--summary", "--json", *line])
            printed = capsys.readouterr()
            assert end.value.code == 0, printed
            return min(abs(math.prod(layer["output_shape"])) for layer in json.loads(printed.out)["rows"])

        return find

    LAYERS = ("default", "folder", "config", "environment", "flag")

    @pytest.mark.parametrize("strongest", range(len(LAYERS)))
    def test_the_strongest_layer_wins(
        self, strongest: int, latent: Any, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = []
        if strongest >= 1:
            (place / "hyotan.toml").write_text("[parameters]\nlatent_dim = 11")
        if strongest >= 2:
            (place / "given.toml").write_text("[parameters]\nlatent_dim = 12")
            line += ["--config", "given.toml"]
        if strongest >= 3:
            monkeypatch.setenv("HYOTAN_LATENT_DIM", "13")
        if strongest >= 4:
            line += ["--latent-dim", "14"]
        assert latent(*line) == [16, 11, 12, 13, 14][strongest]

    def test_pyproject_has_a_table_for_it(self, latent: Any, place: Path) -> None:
        (place / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.hyotan.parameters]\nlatent_dim = 9')
        assert latent() == 9
        (place / "hyotan.toml").write_text("[parameters]\nlatent_dim = 10")
        assert latent() == 10

    def test_layers_that_speak_of_other_things_are_joined(
        self, latent: Any, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (place / "hyotan.toml").write_text('model = "vae"\n[parameters]\nlatent_dim = 5\nbeta = 2.0')
        monkeypatch.setenv("HYOTAN_HIDDEN_DIMS", "40")
        assert latent() == 5
        assert latent("--model", "ae") == 5

    def test_a_recipe_goes_over_files_and_under_flags(self, latent: Any, place: Path) -> None:
        (place / "hyotan.toml").write_text("[parameters]\nlatent_dim = 5")
        assert latent("--recipe", "article-tied-20") == 20
        assert latent("--recipe", "article-tied-20", "--latent-dim", "6") == 6

    def test_a_recipe_that_a_file_names_is_changed_by_that_file(self, latent: Any, place: Path) -> None:
        (place / "given.toml").write_text('recipe = "article-tied-20"\n[parameters]\nlatent_dim = 5')
        assert latent("--config", "given.toml") == 5
        (place / "given.toml").write_text('recipe = "article-tied-20"')
        assert latent("--config", "given.toml") == 20

    def test_a_bad_word_in_the_environment_is_told(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("HYOTAN_LATENT_DIM", "many")
        with pytest.raises(SystemExit) as end:
            main(["fit", "digits", "--summary"])
        assert end.value.code == 2
        assert "--latent-dim cannot be 'many'" in capsys.readouterr().err


def test_a_recipe_run_says_which(tmp_path: Path) -> None:
    outcome = nursery().run("cli", "fit", "digits", "--recipe", "article-vae-10", *TINY, "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.text
    written = tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))
    assert (written["recipe"], written["source"], written["kind"]) == ("article-vae-10", "digits", "vae")
