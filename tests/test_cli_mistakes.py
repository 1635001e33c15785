"""What a newcomer does wrong: each mistake is answered by one line that says what happened, and one that mends it."""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from command_line import done, fitted, hyotan
from hyotan.cli.options import Checked
from hyotan.parameters.domains import Integer

NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Mistake:
    """What was typed, words that the answer needs, and the exit code."""

    typed: str
    error: tuple[str, ...]
    fix: tuple[str, ...]
    code: int = 2

    def __str__(self) -> str:
        return self.typed

    @property
    def words(self) -> list[str]:
        """As a shell would cut it; no word here holds a blank but behind the one sign that stands for it."""
        return [word.replace("_", " ") if word.startswith("mse_") else word for word in self.typed.split()]


def mistake(typed: str, error: str | tuple[str, ...], fix: str | tuple[str, ...], code: int = 2) -> Mistake:
    as_tuple = [(part,) if isinstance(part, str) else part for part in (error, fix)]
    return Mistake(typed, *as_tuple, code=code)


MISTAKES = [
    # names
    mistake("fit nope/photos", "'nope/photos'", "Check the path"),
    mistake("fit tabel.csv", ("No file", "'tabel.csv'"), "Did you mean 'table.csv'?"),
    mistake("fit mnits", "'mnits'", "Did you mean 'mnist'?"),
    mistake("fit zzz", "'zzz'", "Choose from: digits, fashion-mnist, kmnist, mnist."),
    mistake("fti digits", "no command 'fti'", "Did you mean 'fit'?"),
    mistake("train digits", "no command 'train'", "Choose from: classify, cluster"),
    mistake("fit digits --latent-dm 3", "no flag --latent-dm", "Did you mean '--latent-dim'?"),
    mistake("fit digits --zzzzzz 3", "no flag --zzzzzz", "hyotan fit --help-all"),
    mistake("score run --zzzzzz 3", "no flag --zzzzzz", "hyotan score --help"),
    mistake("fit --recipe article-tied", "no recipe 'article-tied'", "Did you mean 'article-tied-20'?"),
    mistake("recipes article-tide-20", "no recipe 'article-tide-20'", "Did you mean 'article-tied-20'?"),
    mistake("completion ksh", ("'ksh'", "'bash', 'zsh', 'fish'"), "zsh"),
    # what is given, and how much of it
    mistake("fit", "No SOURCE", "hyotan fit digits"),
    mistake("fit digits more", ("hyotan fit", "more"), "For example: hyotan fit mnist"),
    mistake("evaluate", "RUN is missing", "For example: hyotan evaluate runs/"),
    mistake("decode run", "CODES is missing", "For example: hyotan decode runs/"),
    mistake("fit digits --latent-dim", "'--latent-dim' requires an argument", "For example: hyotan fit"),
    mistake("fit digits --tied=yes", "'--tied' does not take a value", "For example: hyotan fit"),
    # values
    mistake("fit digits --latent-dim 0", ("--latent-dim cannot be 0", "at least 1"), "default is 16"),
    mistake("fit digits --latent-dim -3", ("--latent-dim cannot be -3", "at least 1"), "default is 16"),
    mistake("fit digits --latent-dim abc", ("--latent-dim cannot be 'abc'", "an integer"), "default is 16"),
    mistake("fit digits --latent-dim 2.5", ("--latent-dim cannot be '2.5'", "an integer"), "default is 16"),
    mistake("fit digits --hidden-dims 8,x", ("--hidden-dims cannot be '8,x'", "512,256"), "default is 'auto'"),
    mistake("fit digits --learning-rate nan", ("--learning-rate cannot be nan", "above 0"), "default is"),
    mistake("fit digits --max-epochs 0", ("--max-epochs cannot be 0", "at least 1"), "default is 'auto'"),
    mistake("fit digits --model vea", ("--model cannot be 'vea'", "'ae', 'dae', 'vae'"), "Did you mean 'vae'?"),
    mistake("fit digits --likelihood bernouli", "'bernouli'", "Did you mean 'bernoulli'?"),
    mistake("fit digits --beta 2", "--beta is not a setting of --model ae", ("--model vae", "leave --beta out")),
    mistake("fit digits --model vae --tied", "--tied is not a setting of --model vae", "--model ae or dae"),
    mistake("fit digits --validation-fraction 1", ("--validation-fraction cannot be 1", "below 1"), "default is 0.1"),
    mistake("fit digits --limit 0", ("--limit cannot be '0'", "at least 1"), "Leave it out"),
    mistake("fit mixed --size 64", ("--size cannot be '64'", "HEIGHTxWIDTH"), "--size 64x64"),
    mistake("fit holes.csv --missing skip", ("--missing cannot be 'skip'", "'drop'"), "error"),
    mistake("fit digits --label kind", ("label", "digits"), "Leave it out"),
    mistake("fit table.csv --label d", "No column is named 'd'", "Choose from: a, b, c."),
    mistake("fit table.csv --ignore a,b,c", "No column is left", "'a', 'b', 'c'"),
    # data
    mistake(
        "fit pixels.npy --likelihood bernoulli --max-epochs 1",
        ("bernoulli", "[0, 1]", "[0, 255]"),
        ("Divide by 255", "--likelihood gaussian"),
    ),
    mistake("fit words.csv", ("words.csv", "'kind'", "'13O'"), ("Mend the values", "--ignore kind")),
    mistake(
        "fit holes.csv --missing error",
        ("1 value missing", "1 of 3 rows", "'b' (1)"),
        ("--missing drop", "--missing mean"),
    ),
    mistake("fit ragged.csv", ("ragged.csv", "Line 3 has 1 field", "has 2"), "Mend that line"),
    mistake("fit empty.csv", "empty.csv: The file is empty", "column names"),
    mistake("fit header.csv", "header.csv: The table has column names but no rows", "one row"),
    mistake("fit empty", "empty: The folder is empty", "PNG, JPEG or WebP"),
    mistake("fit mixed", ("a.png is 8×8", "b.png is 9×8"), "--size 64x64"),
    mistake("fit corrupt", "corrupt/b.png is damaged", "move it away"),
    mistake("fit mixed/a.png", "'.png'", "the folder that holds it"),
    mistake("fit cut.idx.gz", ("cut.idx.gz", "announces", "were found"), "the file again"),
    mistake("fit labels.npz", ("X has 10 rows", "y has 9 labels"), "one label for each row"),
    mistake("fit objects.npy", ("objects.npy", "Python objects"), "Save plain numbers"),
    mistake("fit notes.docx", ("notes.docx", "'.docx'"), (".csv", ".parquet")),
    mistake("fit last.npy", "channels last", "transpose(0, 3, 1, 2)"),
    mistake("fit infinite.npy", "infinite", "X[1, 2]"),
    # runs
    mistake("evaluate runs/digits-ae-2", "The run runs/digits-ae-2 does not exist", "'runs/digits-ae-1'"),
    mistake("score runs/digits-ae-2", "The run runs/digits-ae-2 does not exist", "'runs/digits-ae-1'"),
    mistake("evaluate digits", "digits is a SOURCE", "hyotan fit digits"),
    mistake("resume table.csv", "table.csv is a SOURCE", "hyotan fit table.csv"),
    mistake("encode table.csv", "table.csv is a SOURCE", "RUN table.csv"),
    mistake("evaluate mixed", ("mixed is not a run folder", "config.toml"), "runs/digits-ae-1"),
    mistake("evaluate runs/digits-ae-1/model.hyotan", "needs the whole run", "hyotan evaluate runs/digits-ae-1"),
    mistake("score damaged.hyotan digits", "damaged.hyotan is damaged", "another copy"),
    mistake("score foreign.hyotan digits", "foreign.hyotan", "that hyotan saved"),
    mistake("score alone.hyotan", "A model file alone has no rows", "alone.hyotan SOURCE"),
    mistake("info runs/nope", "'runs/nope'", "Check the path"),
    mistake("resume runs/digits-ae-1", "finished (epoch 2 of 2)", "--max-epochs 4"),
    mistake("resume runs/digits-ae-1 --max-epochs 1", "not later than the run's end, epoch 2", "3 or more"),
    mistake("fit digits --out runs/digits-ae-1", "runs/digits-ae-1 exists already", ("resume", "--overwrite"), 5),
    mistake("fit digits --out table.csv", "table.csv is a file", "another name", 5),
    mistake("fit digits --out mixed --overwrite", "mixed holds other files", "another --out", 5),
    # what is done with a run
    mistake("encode runs/digits-ae-1 table.csv", ("shape (3,)", "shape (8, 8)"), "hyotan info runs/digits-ae-1"),
    mistake("encode runs/digits-ae-1 mixed --size 9x9", ("shape (9, 9)", "shape (8, 8)"), "--size 8x8"),
    mistake("encode runs/digits-ae-1 digits -o codes.xyz", "codes.xyz", ".npy, .csv, .tsv, .parquet"),
    mistake("encode runs/digits-ae-1 digits -o no/c.csv", "The folder no does not exist", "mkdir -p no"),
    mistake("encode runs/digits-ae-1 images.npy -o images.npy", "is the file that is read", "another name"),
    mistake("decode runs/digits-ae-1 table.csv", ("shape (3,)", "size 2"), "hyotan encode runs/digits-ae-1"),
    mistake("decode runs/digits-ae-1 nocodes.npy", "'nocodes.npy'", ""),
    mistake("sample runs/digits-ae-1 -n 0", ("-n cannot be '0'", "at least 1"), "default, 64"),
    mistake("sample runs/digits-ae-1 -n many", "-n cannot be 'many'", "default, 64"),
    mistake("sample runs/digits-ae-1 --sampler priors", "--sampler cannot be 'priors'", "Did you mean 'prior'?"),
    mistake("interpolate runs/digits-ae-1 --from 99", ("--from 99", "6 rows"), "0 to 5"),
    mistake("interpolate runs/digits-ae-1 --to -1", "--to cannot be '-1'", "default, 1"),
    mistake("interpolate runs/digits-ae-1 --steps 1", ("--steps cannot be '1'", "at least 2"), "default, 11"),
    mistake("evaluate runs/digits-ae-1 --fail-if nonsense", "--fail-if cannot be 'nonsense'", "'mse > 0.01'"),
    mistake("evaluate runs/digits-ae-1 --fail-if mse_>_1e", "--fail-if cannot be 'mse > 1e'", "'mse > 0.01'"),
    mistake("evaluate runs/digits-ae-1 --fail-if msee>1", "--fail-if names 'msee'", "Did you mean 'mse'?"),
    mistake("evaluate runs/digits-ae-1 --fail-if kl>1", "--fail-if names 'kl'", "Choose from"),
    # settings files
    mistake("fit digits --config nope.toml", "no settings file nope.toml", "--config"),
    mistake("fit digits --config broken.toml", "broken.toml is not TOML", "config.toml"),
    mistake("fit digits --config strange.toml", "strange.toml: 'latent_dmi'", "Did you mean 'latent_dim'?"),
    # the machine
    mistake("fit digits --device gpu", ("--device cannot be 'gpu'", "'cuda'"), "cpu"),
    mistake("fit digits --hidden-dims 4000000000000", "Memory ran out", "--batch-size", 4),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with everything that can be wrong, and one run."""
    folder = tmp_path_factory.mktemp("mistakes")
    fitted("digits", "--limit", 60, cwd=folder)
    write_tables(folder)
    write_arrays(folder)
    write_pictures(folder)
    write_models(folder)
    (folder / "broken.toml").write_text("latent_dim = = 3")
    (folder / "strange.toml").write_text("[parameters]\nlatent_dmi = 3")
    (folder / "notes.docx").write_bytes(b"text")
    return folder


def write_tables(folder: Path) -> None:
    tables = {
        "table.csv": "a,b,c\n" + "".join(f"{n},{n * n % 7},{n % 3}\n" for n in range(30)),
        "words.csv": "a,kind\n" + "".join(f"{n},{n}\n" for n in range(30)) + "31,13O\n",
        "holes.csv": "a,b\n1,2\n3,\n4,5\n",
        "ragged.csv": "a,b\n1,2\n3\n4,5,6\n",
        "empty.csv": "",
        "header.csv": "a,b\n",
    }
    for name, text in tables.items():
        (folder / name).write_text(text)


def write_arrays(folder: Path) -> None:
    np.save(folder / "pixels.npy", np.linspace(0, 255, 40 * 64, dtype=np.float32).reshape(40, 8, 8))
    np.save(folder / "images.npy", np.zeros((5, 8, 8)))
    np.save(folder / "last.npy", np.zeros((5, 8, 9, 3), dtype=np.uint8))
    np.save(folder / "objects.npy", np.array([{1: 2}, "x"], dtype=object), allow_pickle=True)
    np.save(folder / "infinite.npy", np.array([[0.0, 1, 2], [3, 4, np.inf]]))
    np.savez(folder / "labels.npz", X=np.zeros((10, 3)), y=np.zeros(9))
    whole = gzip.compress(struct.pack(">HBBIII", 0, 8, 3, 10, 8, 8) + bytes(range(256)) * 2 + bytes(128))
    (folder / "cut.idx.gz").write_bytes(whole[: len(whole) // 2])


def write_pictures(folder: Path) -> None:
    for name, height in (("mixed/a.png", 8), ("mixed/b.png", 9), ("corrupt/a.png", 8), ("corrupt/b.png", 8)):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((height, 8), dtype=np.uint8)).save(folder / name)
    (folder / "corrupt/b.png").write_bytes((folder / "corrupt/a.png").read_bytes()[:40])
    (folder / "empty").mkdir()


def write_models(folder: Path) -> None:
    whole = (folder / "runs/digits-ae-1/model.hyotan").read_bytes()
    (folder / "alone.hyotan").write_bytes(whole)
    at = len(whole) * 3 // 4
    (folder / "damaged.hyotan").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    (folder / "foreign.hyotan").write_bytes(b"PK\3\4 not one of ours")


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request):
    """A command that was refused makes no run, and leaves the one that there is."""
    if "place" not in request.fixturenames:
        yield
        return
    place = request.getfixturevalue("place")
    before = {path: path.stat().st_size for path in place.rglob("*") if path.is_file() and path.name != ".lock"}
    yield
    after = {path: path.stat().st_size for path in place.rglob("*") if path.is_file() and path.name != ".lock"}
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {place / "runs/digits-ae-1/metrics.json"}  # a check that fails has evaluated


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
class TestEveryMistake:
    def test_is_answered_in_two_lines(self, mistake, place):
        said = hyotan(*mistake.words, cwd=place)
        (error,), (fix,) = said.begins("error:"), said.begins("fix:")
        assert all(word in error for word in mistake.error)
        assert all(word in fix for word in mistake.fix) and fix
        assert said.code == mistake.code
        assert said.out == ""
        assert "Traceback" not in said.err and "\x1b" not in said.err
        assert said.err.splitlines()[-2:] == [f"error: {error}", f"fix: {fix}"]

    def test_is_one_object_for_a_program(self, mistake, place):
        verb, *words = mistake.words
        said = hyotan(verb, "--json", *words, cwd=place)
        assert said.record.keys() == {"schema", "ok", "code", "message", "fix"}
        assert (said.record["schema"], said.record["ok"]) == (1, False)
        assert said.record["code"].isupper() and said.record["code"] != "INTERNAL"
        assert all(word in said.record["message"] for word in mistake.error)
        assert all(word in said.record["fix"] for word in mistake.fix)
        assert said.code == mistake.code
        assert said.err == ""

    def test_says_nothing_empty(self, mistake, place):
        error, fix = (hyotan(*mistake.words, cwd=place).begins(word)[0] for word in ("error:", "fix:"))
        for text in (error, fix):
            assert "None" not in text.split() and "  " not in text and not text.endswith((": .", " ."))
        assert error not in fix and "Invalid value for" not in error


def test_there_are_more_than_thirty_of_them():
    assert len({mistake.typed for mistake in MISTAKES}) == len(MISTAKES) > 30


class TestTheMachine:
    def test_a_set_that_cannot_be_fetched_says_which_files_to_put_where(self, tmp_path):
        said = hyotan("fit", "kmnist", cwd=tmp_path, HYOTAN_DATA=str(tmp_path), **NO_NETWORK)
        assert said.code == 2 and said.out == ""
        assert "'kmnist' is not complete" in said.begins("error:")[0]
        fix = said.begins("fix:")[0]
        assert "train-images-idx3-ubyte.gz" in fix and str(tmp_path / "kmnist") in fix

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_device_that_is_not_there_is_refused_before_a_folder_is_made(self, tmp_path):
        said = hyotan("fit", "digits", "--device", "cuda", cwd=tmp_path)
        assert said.code == 2
        assert "'cuda' is not available" in said.begins("error:")[0]
        assert "--device cpu" in said.begins("fix:")[0]
        assert not (tmp_path / "runs").exists()

    def test_a_folder_that_cannot_be_read_is_named(self, tmp_path, monkeypatch):
        (tmp_path / "t.csv").write_text("a\n1\n")

        def refuse(self: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "read_bytes", refuse)
        said = hyotan("fit", "t.csv", cwd=tmp_path)
        assert said.code == 2 and "Permission denied" in said.begins("error:")[0]
        assert "permissions" in said.begins("fix:")[0]

    @pytest.mark.parametrize(
        ("error", "code", "words"),
        [
            (MemoryError(), 4, "Memory ran out"),
            (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), 4, "Memory ran out"),
            (OSError(28, "No space left on device", "x.npy"), 4, "The disk is full: x.npy"),
            (OSError(13, "Permission denied", "x.npy"), 2, "Permission denied: x.npy"),
            (OSError("only a text"), 70, "our mistake: OSError: only a text"),
            (ZeroDivisionError("by\nzero"), 70, "our mistake: ZeroDivisionError: by zero"),
        ],
    )
    def test_what_happens_inside_has_its_own_exit_code(self, error, code, words, monkeypatch):
        def broken(name: str) -> None:
            raise error

        monkeypatch.setattr("hyotan.recipes.read", broken)
        said = hyotan("recipes", "article-vae-20")
        assert said.code == code and words in said.begins("error:")[0]
        assert len(said.begins("fix:")) == 1
        assert ("report" in said.begins("fix:")[0]) == (code == 70)


class TestDebug:
    @pytest.mark.parametrize("words", ["fit tabel.csv", "fit digits --latent-dim 0", "fti", "evaluate runs/nope"])
    def test_shows_the_traceback_before_the_two_lines(self, words, tmp_path):
        said = hyotan(*words.split(), "--debug", cwd=tmp_path)
        assert said.err.startswith("Traceback")
        assert len(said.begins("error:")) == len(said.begins("fix:")) == 1

    def test_goes_with_json(self, tmp_path):
        said = hyotan("fit", "tabel.csv", "--debug", "--json", cwd=tmp_path)
        assert said.record["ok"] is False and said.err.startswith("Traceback") and "error:" not in said.err


class TestSettingsOfThePerson:
    def test_a_mistake_in_their_own_file_names_the_file(self, tmp_path, monkeypatch):
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "hyotan.toml").write_text("[parametres]\n")
        monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / "own")
        said = hyotan("fit", "digits", cwd=tmp_path)
        assert "hyotan.toml: 'parametres'" in said.begins("error:")[0]
        assert "'parameters'" in said.begins("fix:")[0]

    def test_a_mistake_in_the_environment_is_named_too(self, tmp_path):
        said = hyotan("fit", "digits", cwd=tmp_path, HYOTAN_LATENT_DIM="many")
        assert "'many'" in said.begins("error:")[0] and said.code == 2


def test_a_value_is_refused_in_the_words_of_a_setting():
    assert Checked(Integer(2)).convert("5", None, None) == 5
    assert Checked(Integer(2)).convert(7, None, None) == 7


def test_the_json_of_a_mistake_keeps_the_letters_of_a_name(tmp_path):
    said = hyotan("fit", "猫.csv", "--json", cwd=tmp_path)
    assert "猫.csv" in said.out and json.loads(said.out)["code"] == "SOURCE_NOT_FOUND"


def test_a_refused_overwrite_keeps_the_old_run(tmp_path):
    run = fitted("digits", "--limit", 30, cwd=tmp_path)
    before = (run / "model.hyotan").read_bytes()
    np.save(tmp_path / "pixels.npy", np.linspace(0, 255, 640, dtype=np.float32).reshape(10, 8, 8))
    words = ("fit", "pixels.npy", "--likelihood", "bernoulli", "--out", run, "--overwrite")
    assert hyotan(*words, cwd=tmp_path).code == 2
    assert (run / "model.hyotan").read_bytes() == before
    assert done("info", run, cwd=tmp_path).out.startswith("run")
