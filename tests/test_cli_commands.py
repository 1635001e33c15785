"""What each command does: its numbers against the library's, its files, its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import hyotan as library
from command_line import SMALL, done, fitted, hyotan, sketch
from hyotan.cli import cli
from hyotan.cli.evaluate import parse_check
from hyotan.cli.flags import resolve
from hyotan.cli.output import table
from hyotan.cli.written import write_rows
from hyotan.errors import DataError, SettingsError
from hyotan.files.container import read, write
from hyotan.files.folders import plain_json
from hyotan.recipes import names
from hyotan.runs.run_folder import RunFolder

LIMIT = ("--limit", 80)


@pytest.fixture(scope="module")
def vae(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        return fitted("digits", *LIMIT, "--model", "vae", cwd=tmp_path_factory.mktemp("commands"))


@pytest.fixture
def rows(vae) -> np.ndarray:
    """The rows that the run was tested on."""
    return RunFolder(vae).split_data()[1].X


@pytest.fixture(autouse=True)
def without_pixels(request, monkeypatch):
    if "drawn" not in request.fixturenames:
        sketch(monkeypatch)


@pytest.fixture
def drawn() -> None:
    """For tests that look at pictures."""


class TestFit:
    def test_out_is_the_run_folder(self, tmp_path):
        said = done("fit", "digits", *SMALL, *LIMIT, "--out", "here/mine", cwd=tmp_path)
        assert said.out.splitlines()[-1] == "here/mine"
        assert (tmp_path / "here/mine/model.hyotan").is_file() and not (tmp_path / "runs").exists()

    def test_overwrite_replaces_a_run(self, vae, tmp_path):
        run = fitted("digits", *LIMIT, "--out", "mine", cwd=tmp_path)
        before = (run / "model.hyotan").read_bytes()
        done("fit", "digits", *SMALL, *LIMIT, "--random-state", 5, "--out", "mine", "--overwrite", cwd=tmp_path)
        assert (run / "model.hyotan").read_bytes() != before

    def test_the_same_command_gives_the_same_model(self, tmp_path):
        first, second = (fitted("digits", *LIMIT, cwd=tmp_path) for _ in range(2))
        weights = [read(run / "model.hyotan", kinds=["autoencoder"]).tensors for run in (first, second)]
        assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0] if "model/" in name)

    def test_a_run_s_settings_can_be_fed_back(self, vae, tmp_path):
        again = tmp_path / done("fit", "--config", vae / "config.toml", cwd=tmp_path).out.splitlines()[-1]
        assert RunFolder(again).config == RunFolder(vae).config
        same = [json.loads((run / "metrics.json").read_text())["test"] for run in (vae, again)]
        assert same[0] == pytest.approx(same[1])

    def test_flags_go_over_the_environment_and_that_over_files(self, tmp_path):
        (tmp_path / "hyotan.toml").write_text("[parameters]\nlatent_dim = 3\nhidden_dims = [5]\nbatch_size = 7\n")
        words = ("fit", "digits", *LIMIT, "--max-epochs", 1, "--batch-size", 9)
        run = done(*words, cwd=tmp_path, HYOTAN_LATENT_DIM="4").out.splitlines()[-1]
        parameters = RunFolder(tmp_path / run).config.parameters
        assert (parameters["latent_dim"], parameters["batch_size"]) == (4, 9)
        assert list(parameters["hidden_dims"]) == [5]

    def test_says_what_it_guessed_before_it_trains(self, tmp_path):
        (tmp_path / "t.csv").write_text("id;a\n" + "".join(f"{n};{n / 2}\n".replace(".", ",") for n in range(30)))
        said = done("fit", "t.csv", *SMALL, cwd=tmp_path).err
        guessed = said[: said.index("run folder:")]
        for note in ("30 rows, 2 columns", "semicolons", "decimal comma", "--ignore id"):
            assert note in guessed


class TestSummary:
    def test_of_a_recipe_has_the_article_s_numbers_and_needs_no_data(self, tmp_path):
        out = done("fit", "--recipe", "article-ae-200", "--summary", cwd=tmp_path, HYOTAN_DATA=str(tmp_path)).out
        for number in ("157,000", "157,584", "Total params: 314,584", "Params size (MB): 1.20"):
            assert number in out
        assert list(tmp_path.iterdir()) == []

    def test_of_a_named_set_knows_its_shape(self, tmp_path):
        said = done("fit", "digits", "--hidden-dims", 32, "--latent-dim", 4, "--summary", "--json", cwd=tmp_path)
        counts = [layer["parameters"] for layer in said.record["rows"]]
        assert sum(counts) == 64 * 32 + 32 + 32 * 4 + 4 + 4 * 32 + 32 + 32 * 64 + 64
        assert not (tmp_path / "runs").exists()

    def test_of_a_file_reads_its_shape(self, tmp_path):
        np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(10, 5)))
        assert "[-1, 1, 5]" in done("fit", "x.npy", "--hidden-dims", 8, "--summary", cwd=tmp_path).out


class TestResume:
    def test_longer_says_what_the_learning_rate_does_and_goes_on(self, tmp_path):
        run = fitted("digits", *LIMIT, cwd=tmp_path)
        said = done("resume", run, "--max-epochs", 3)
        assert "epochs 3 to 3" in said.err and "epoch 3/3" in said.err and "epoch 2/3" not in said.err
        assert said.out.splitlines()[-1] == str(run)
        assert "finished, 3 epochs" in done("info", run).out

    def test_a_refused_one_promises_nothing(self, vae):
        said = hyotan("resume", vae, "--max-epochs", 2)
        assert said.code == 2 and "learning rate" not in said.err


class TestEvaluate:
    def test_writes_metrics_that_the_library_gives(self, vae, rows):
        record = done("evaluate", vae, "--nll-samples", 7, "--json").record["metrics"]
        estimator = library.load(vae / "model.hyotan")
        scaled, reconstructed = estimator.reconstruct_in_range(rows)
        assert record["test"]["mse"] == pytest.approx(np.square(scaled - reconstructed).mean(), rel=1e-5)
        assert record["likelihood"]["samples"] == 7
        assert json.loads((vae / "metrics.json").read_text()) == record

    def test_says_what_is_how_large_with_units(self, vae):
        out = done("evaluate", vae).out
        for words in (
            "on 8 rows not seen in training (lower is better)",
            "MSE a feature",
            "nats a row",
            "units active",
        ):
            assert words in out

    @pytest.mark.parametrize(
        ("check", "code"),
        [("mse > 0", 1), ("mse<0", 0), ("mse >= 1e9", 0), ("loss > -1e9", 1), ("nll<=1e9", 1), ("n_rows > 8", 0)],
    )
    def test_fails_where_it_is_told_to(self, vae, check, code):
        said = hyotan("evaluate", vae, "--nll-samples", 2, "--fail-if", check)
        assert said.code == code
        assert (f"The check holds: {check}" in said.err) == bool(code)
        assert "on 8 rows" in said.out
        assert hyotan("evaluate", vae, "--nll-samples", 2, "--fail-if", check, "--json").record["failed"] is bool(code)

    def test_can_leave_the_likelihood_out(self, vae):
        assert done("evaluate", vae, "--nll-rows", 0, "--json").record["metrics"]["likelihood"] is None

    def test_a_number_that_is_none_fails_every_check(self):
        assert parse_check("mse > 5")({"mse": float("nan")}) and parse_check("mse < 5")({"mse": float("nan")})

    @pytest.mark.parametrize(
        "text", ["", "mse", "mse >", "mse = 1", "mse > x", "mse > 1.2.3", "> 1", "mse > 1 2", "a.b>1"]
    )
    def test_a_check_that_is_none_is_refused(self, text):
        with pytest.raises(SettingsError, match=r"--fail-if cannot be '.*'\. Write it as: --fail-if 'mse > 0\.01'"):
            parse_check(text)

    @pytest.mark.parametrize("number", ["1", "-1", "+1.5", ".5", "5.", "1e-3", "-2.5E+4"])
    def test_a_check_takes_every_spelling_of_a_number(self, number):
        assert parse_check(f" x > {number} ")({"x": 1e9}) and not parse_check(f"x>{number}")({"x": -1e9})


class TestUse:
    def test_each_command_gives_what_the_library_gives(self, vae, rows):
        estimator = library.load(vae / "model.hyotan")
        for words in ("encode", "score", "reconstruct", "interpolate --from 2 --to 5 --steps 4", "sample -n 3"):
            verb, *flags = words.split()
            done(verb, vae, *flags)
        done("decode", vae, vae / "codes.npy")
        expected = {
            "codes": estimator.transform(rows),
            "decoded": estimator.reconstruct(rows),
            "reconstructed": estimator.reconstruct(rows),
            "interpolation": estimator.interpolate(rows[2], rows[5], 4),
            "samples": estimator.sample(3, random_state=0),
        }
        for name, array in expected.items():
            np.testing.assert_array_equal(np.load(vae / f"{name}.npy"), array, err_msg=name)
        written = np.loadtxt(vae / "scores.csv", delimiter=",", skiprows=1, usecols=1)
        np.testing.assert_allclose(written, estimator.score_samples(rows), rtol=1e-5)

    def test_score_names_the_oddest_rows_first(self, vae, rows):
        scores = library.load(vae / "model.hyotan").score_samples(rows)
        said = done("score", vae)
        shown = [line.split() for line in said.err.splitlines()[2:]]
        names = RunFolder(vae).split_data()[1].named_rows()[1]
        assert [row for row, *_ in shown] == [str(names[at]) for at in np.argsort(scores)[:5]]
        assert [float(score) for _, score, *_ in shown] == pytest.approx(np.sort(scores)[:5], abs=0.01)
        assert done("score", vae, "--json").record["oddest"] == np.argsort(scores)[:5].tolist()

    def test_sample_draws_others_from_another_seed(self, vae):
        drawn = []
        for seed in (0, 0, 1):
            done("sample", vae, "-n", 5, "--random-state", seed)
            drawn.append(np.load(vae / "samples.npy"))
        assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])

    def test_sample_takes_codes_from_where_it_is_told(self, vae):
        estimator = library.load(vae / "model.hyotan")
        for flags, how in (
            ((), {"sampler": "density"}),
            (("--sampler", "prior"), {"sampler": "prior"}),
            (("--drawn",), {"drawn": True}),
        ):
            done("sample", vae, "-n", 5, *flags)
            assert np.array_equal(np.load(vae / "samples.npy"), estimator.sample(5, 0, **how))

    def test_results_go_where_out_says(self, vae, tmp_path):
        said = done("reconstruct", vae, "-o", "mine.npy", cwd=tmp_path)
        assert said.out.splitlines() == ["mine.npy", "mine.png"]
        assert (tmp_path / "mine.npy").is_file() and (tmp_path / "mine.png").is_file()

    def test_limit_takes_fewer_rows(self, vae, tmp_path):
        done("encode", vae, "digits", "--limit", 7, "-o", "few.npy", cwd=tmp_path)
        assert np.load(tmp_path / "few.npy").shape == (7, 2)

    def test_a_model_file_is_as_good_as_its_run_where_data_are_named(self, vae, tmp_path):
        (tmp_path / "m.hyotan").write_bytes((vae / "model.hyotan").read_bytes())
        for model in (vae, "m.hyotan"):
            done("encode", model, "digits", *LIMIT, "-o", f"{Path(model).stem}.npy", cwd=tmp_path)
        one, other = (np.load(tmp_path / f"{name}.npy") for name in (vae.stem, "m"))
        np.testing.assert_array_equal(one, other)

    def test_interpolate_makes_a_strip_and_a_film_of_pictures(self, vae, drawn):
        said = done("interpolate", vae, "--steps", 5)
        array, strip, film = said.out.splitlines()
        assert np.load(array).shape == (5, 8, 8)
        with Image.open(strip) as picture:
            assert picture.format == "PNG" and picture.width > 5 * 8
        with Image.open(film) as moving:
            assert moving.format == "GIF" and moving.is_animated

    def test_a_table_has_no_film(self, tmp_path):
        (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n % 5},{n}\n" for n in range(30)))
        run = fitted("t.csv", cwd=tmp_path)
        assert [Path(line).name for line in done("interpolate", run).out.splitlines()] == ["interpolation.npy"]


class TestInfo:
    def test_of_a_run_says_where_it_stands(self, vae):
        out = done("info", vae).out
        for words in ("vae", "digits", "finished, 2 epochs", "nats a row", "latent_dim"):
            assert words in out

    def test_of_a_stopped_a_new_and_a_diverged_run(self, vae, tmp_path):
        for state, files in (("stopped, 2 epochs", ["checkpoint.hyotan"]), ("not started, 0 epochs", [])):
            folder = tmp_path / state[:3]
            folder.mkdir()
            for name in ("config.toml", *files):
                (folder / name).write_bytes((vae / name).read_bytes())
            assert state in done("info", folder).out
        (folder / "metrics.json").write_text(
            '{"diagnosis": [{"code": "DIVERGED", "level": "warning", "text": "NaN."}]}'
        )
        out = done("info", folder).out
        assert "diverged" in out and "warning: NaN." in out

    def test_of_a_run_that_went_on_and_was_stopped_tells_of_its_epoch(self, vae, tmp_path):
        contents = read(vae / "checkpoint.hyotan", kinds=["checkpoint"])
        for name in ("config.toml", "metrics.json"):
            (tmp_path / name).write_bytes((vae / name).read_bytes())
        settings = {**contents.settings, "epoch": 5}
        write(tmp_path / "checkpoint.hyotan", kind="checkpoint", settings=settings, tensors=contents.tensors)
        assert "stopped, 5 epochs" in done("info", tmp_path).out

    def test_of_a_model_file_counts_its_weights(self, vae):
        record = done("info", vae / "model.hyotan", "--json").record
        model = library.load(vae / "model.hyotan").model_
        assert record["kind"] == "vae" and record["weights"] == sum(p.numel() for p in model.parameters())
        assert "shape (8, 8)" in done("info", vae / "model.hyotan").out

    def test_of_a_source_says_what_was_guessed(self, tmp_path):
        (tmp_path / "t.csv").write_text("a;b\n1;2\n3;4\n")
        out = done("info", "t.csv", cwd=tmp_path).out
        assert "2 rows, 2 columns, 1..4, no labels" in out and "a, b" in out and "semicolons" in out
        assert "1,797 images, 8×8 grey, 0..1, 10 labels" in done("info", "digits").out
        assert done("info", "t.csv", "--label", "b", "--json", cwd=tmp_path).record["classes"] == 2


class TestRecipes:
    def test_lists_every_one_with_its_title(self):
        lines = done("recipes").out.splitlines()
        assert [line.split()[0] for line in lines] == names()
        assert all(len(line.split()) > 3 for line in lines)

    @pytest.mark.parametrize("name", names())
    def test_shows_settings_and_figures(self, name):
        out = done("recipes", name).out
        record = done("recipes", name, "--json").record
        assert record["name"] == name and record["article"] in out
        assert all(key in out for key in record["parameters"])
        assert all(f"  {key} *" in out for key in record["left_open"] if key in record["parameters"])
        assert all(figure["article"] in out and figure["ours"] in out for figure in record["figures"])


class TestDoctor:
    def test_names_versions_device_and_folders(self, tmp_path):
        said = done("doctor", cwd=tmp_path, HYOTAN_DATA="/some/where", HYOTAN_CACHE="/else/where")
        for words in (
            "hyotan ",
            "torch ",
            "threads",
            "free disk",
            str(tmp_path / "runs"),
            "/some/where",
            "/else/where",
        ):
            assert words in said.out
        record = done("doctor", "--json", cwd=tmp_path).record
        assert record["packages"]["hyotan"] == library.__version__ and record["free_disk_gb"] > 0


class TestDemo:
    def test_shows_its_commands_and_where_to_look(self, tmp_path):
        said = done("demo", "--out", "first", cwd=tmp_path, HYOTAN_HIDDEN_DIMS="4", HYOTAN_BATCH_SIZE="2000")
        commands = [line for line in said.err.splitlines() if line.startswith("$ hyotan")]
        assert len(commands) == 2
        for line in commands:
            verb, *words = line.removeprefix("$ hyotan ").split()
            assert cli.get_command(click.Context(cli), verb).make_context(verb, words).params["model"] in ("ae", "vae")
        looked_at = [line.split()[0] for line in said.err.splitlines() if line.startswith("  first/")]
        assert len(looked_at) == 3 and all((tmp_path / path).is_file() for path in looked_at)
        assert [line for line in said.out.splitlines() if (tmp_path / line).is_dir()] == [
            "first/digits-ae",
            "first/digits-vae",
        ]


class TestPieces:
    def test_columns_of_a_table_stand_under_each_other(self):
        assert table([["row", "score"], ["7", "-1.5"]], right=(0, 1)) == ["row  score", "  7   -1.5"]
        assert table([["a", "b"], ["long", ""]]) == ["a     b", "long"]

    def test_columns_of_japanese_stand_under_each_other_too(self):
        assert table([["店", "n"], ["abcd", "7"], ["渋谷区", "12"]], right=(1,)) == [
            "店       n",
            "abcd     7",
            "渋谷区  12",
        ]

    def test_json_holds_plain_values(self):
        strange = {"p": Path("x"), 1: np.float32(2), "n": float("nan"), "a": np.array([1.0, np.inf]), "t": (1, None)}
        assert plain_json(strange) == {"p": "x", "1": 2.0, "n": None, "a": [1.0, None], "t": [1, None]}

    def test_the_first_layer_wins(self):
        assert resolve({"a": 1}, [{"a": 2, "b": 2}, {"b": 3, "c": 3}]) == {"a": 1, "b": 2, "c": 3}

    def test_rows_are_written_flat_where_a_table_is_asked_for(self, tmp_path):
        images = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
        path = write_rows(tmp_path / "x.csv", images, [])
        assert path.read_text().splitlines() == ['"x0","x1","x2","x3"', "0,1,2,3", "4,5,6,7"]
        np.testing.assert_array_equal(np.load(write_rows(tmp_path / "x.npy", images, [])), images)

    def test_rows_that_cannot_be_written_are_refused(self, tmp_path):
        with pytest.raises(SettingsError, match=r"x\.png cannot be written: .*Choose from: \.npy, \.csv"):
            write_rows(tmp_path / "x.png", np.zeros((1, 1)), [])
        with pytest.raises(DataError, match=r"The folder .*no does not exist\. Type: mkdir -p"):
            write_rows(tmp_path / "no" / "x.npy", np.zeros((1, 1)), [])

    def test_commands_work_under_click_s_own_runner(self):
        result = CliRunner().invoke(cli, ["recipes", "--json"])
        assert result.exit_code == 0 and json.loads(result.output)["ok"]
