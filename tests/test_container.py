"""The file format: what goes in comes out, whatever happened to the file is noticed, and nothing in it is believed."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from hyotan.errors import ModelFileError, ResourceError, SettingsError, SourceNotFoundError
from hyotan.files import container
from hyotan.files.container import DIGEST_AT, read, read_settings, write

SETTINGS = {"latent_dim": 2, "beta": 0.1, "name": "瓢箪から駒", "hidden_dims": [512, 256], "noise": None, "tied": True}
TENSORS = {
    "encoder.0.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "encoder.0.bias": np.linspace(-1, 1, 3),
    "step": np.array(812, dtype=np.int64),
    "重み": np.array([[0, 255]], dtype=np.uint8),
}
DTYPES = ["bool"] + [f"float{bits}" for bits in (16, 32, 64)]
DTYPES += [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.hyotan"
    write(path, kind="vae", settings=SETTINGS, tensors=TENSORS)
    return path


def forged(header: object, body: bytes = b"") -> bytes:
    """A safetensors file from its header, which need not make sense."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + body


def signed(blob: bytes) -> bytes:
    """The file with the digest that it should have: the format's rule, written once more."""
    zeroed = blob[:DIGEST_AT] + b"0" * 64 + blob[DIGEST_AT + 64 :]
    return blob[:DIGEST_AT] + hashlib.sha256(zeroed).hexdigest().encode() + blob[DIGEST_AT + 64 :]


def described(tables: dict[str, object], description: dict[str, object] | str = "", body: bytes = b"") -> bytes:
    """A signed file with this header table and this description."""
    text = description if isinstance(description, str) else json.dumps(description, separators=(",", ":"))
    text = text or '{"digest":"' + "0" * 64 + '"}'
    return signed(forged({"__metadata__": {"hyotan": text}} | tables, body))


def description(**parts: object) -> dict[str, object]:
    whole = {"digest": "0" * 64, "format": 1, "kind": "vae", "settings": {}, "versions": {}, "tensors": {}}
    return whole | parts


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 5), (2, 3, 4), (1,) * 8])
    def test_keeps_every_dtype_and_shape(self, tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
        write(tmp_path / "a", kind="k", settings={}, tensors={"t": array})
        back = read(tmp_path / "a").tensors["t"]
        assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
        assert back.flags.writeable

    @pytest.mark.parametrize(
        "array",
        [
            np.arange(12.0).reshape(3, 4).T,
            np.arange(12.0)[::-2],
            np.arange(5, dtype=">i4"),
            np.broadcast_to(np.float32(7), (2, 2)),
        ],
        ids=["transposed", "strided", "big-endian", "broadcast"],
    )
    def test_keeps_the_values_of_any_memory_layout(self, tmp_path: Path, array: np.ndarray) -> None:
        write(tmp_path / "a", kind="k", settings={}, tensors={"t": array})
        np.testing.assert_array_equal(read(tmp_path / "a").tensors["t"], array)

    def test_keeps_nan_and_infinity_in_tensors(self, tmp_path: Path) -> None:
        array = np.array([np.nan, np.inf, -np.inf, -0.0])
        write(tmp_path / "a", kind="k", settings={}, tensors={"t": array})
        assert read(tmp_path / "a").tensors["t"].tobytes() == array.tobytes()

    def test_keeps_settings_kind_versions_and_the_order_of_tensors(self, model: Path) -> None:
        contents = read(model)
        assert contents.settings == SETTINGS
        assert (contents.kind, contents.format_version) == ("vae", 1)
        assert list(contents.tensors) == list(TENSORS)
        assert contents.versions["numpy"] == np.__version__
        assert {"hyotan", "python", "torch"} <= set(contents.versions)

    @given(
        st.dictionaries(
            st.text(),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                max_leaves=8,
            ),
            max_size=4,
        )
    )
    def test_any_json_settings_come_back_as_they_were(self, settings: dict[str, object]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder, "a"), kind="k", settings=settings, tensors={})
            assert read_settings(Path(folder, "a")).settings == settings

    def test_no_tensors_and_no_settings_is_a_file_too(self, tmp_path: Path) -> None:
        write(tmp_path / "a", kind="k", settings={}, tensors={})
        assert read(tmp_path / "a").tensors == {}

    def test_the_same_contents_give_the_same_bytes(self, model: Path, tmp_path: Path) -> None:
        write(tmp_path / "again", kind="vae", settings=SETTINGS, tensors=TENSORS)
        assert (tmp_path / "again").read_bytes() == model.read_bytes()

    def test_a_file_of_the_first_release_keeps_opening(self) -> None:
        contents = read(Path(__file__).parent / "frozen" / "format-1.hyotan", kinds={"vae"})
        assert contents.settings == {"latent_dim": 2, "beta": 0.5, "名": "瓢箪", "hidden_dims": [4, 3], "noise": None}
        assert {name: array.tolist() for name, array in contents.tensors.items()} == {
            "weight": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
            "step": 812,
            "mask": [True, False],
        }

    def test_any_safetensors_reader_opens_it(self, model: Path) -> None:
        for name, array in safetensors.numpy.load_file(model).items():
            np.testing.assert_array_equal(array, TENSORS[name])

    def test_read_settings_tells_shapes_without_arrays(self, model: Path) -> None:
        contents = read_settings(model, kinds={"vae"})
        assert contents.tensors == {}
        assert contents.settings == SETTINGS
        assert contents.shapes["encoder.0.weight"] == ("float32", (3, 4))
        assert contents.shapes == read(model).shapes

    def test_a_symbolic_link_is_followed_both_ways(self, model: Path, tmp_path: Path) -> None:
        link = tmp_path / "latest"
        link.symlink_to(model)
        write(link, kind="other", settings={}, tensors={})
        assert link.is_symlink()
        assert read(link).kind == read(model).kind == "other"


class TestRefusesToStore:
    @pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
    def test_a_number_that_json_lacks(self, tmp_path: Path, number: float) -> None:
        settings = {"optimizer": [{"lr": number}]}
        with pytest.raises(
            SettingsError, match=rf"settings\['optimizer'\]\[0\]\['lr'\] is {number}, which JSON cannot"
        ):
            write(tmp_path / "a", kind="k", settings=settings, tensors={})
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.int64(3), r"settings\['x'\] is of type int64; a model file holds text"),
            ({1, 2}, r"settings\['x'\] is of type set"),
            (b"bytes", r"settings\['x'\] is of type bytes"),
            ({3: 4}, r"settings\['x'\] has the key 3 of type int; keys are text"),
            ("\ud800", r"settings\['x'\] is '\\ud800', which is not valid Unicode"),
            ({"\ud800": 1}, r"a key of settings\['x'\] is '\\ud800'"),
        ],
    )
    def test_a_value_that_would_read_back_as_another(self, tmp_path: Path, value: object, message: str) -> None:
        with pytest.raises(SettingsError, match=message):
            write(tmp_path / "a", kind="k", settings={"x": value}, tensors={})

    @pytest.mark.parametrize(
        ("name", "array", "message"),
        [
            ("t", np.array(["a"]), "The tensor 't' has dtype <U1; a model file holds bool, float16"),
            ("t", np.array([None]), "The tensor 't' has dtype object"),
            ("t", np.zeros(2, complex), "The tensor 't' has dtype complex128"),
            ("t", np.zeros((1,) * 9), "The tensor 't' has 9 axes; at most 8"),
            ("__metadata__", np.zeros(1), "cannot be called '__metadata__'"),
            ("\ud800", np.zeros(1), "the name of a tensor is"),
        ],
    )
    def test_a_tensor_that_the_format_lacks(self, tmp_path: Path, name: str, array: np.ndarray, message: str) -> None:
        with pytest.raises(SettingsError, match=message):
            write(tmp_path / "a", kind="k", settings={}, tensors={name: array})

    def test_more_than_its_own_reader_would_accept(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"take 1,\d{3},\d{3} bytes; a model file holds at most 1,048,576"):
            write(tmp_path / "a", kind="k", settings={"labels": ["x" * 10] * 100_000}, tensors={})
        with pytest.raises(SettingsError, match=r"10,001 tensors are too many for one file \(at most 10,000\)"):
            write(tmp_path / "a", kind="k", settings={}, tensors={str(i): np.zeros(0) for i in range(10_001)})

    def test_a_file_whose_digest_it_could_not_find_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(safetensors.numpy, "save", lambda tensors, metadata: forged({"t": 1}))
        with pytest.raises(
            ModelFileError, match=r"safetensors .* arranges a file in a way that hyotan .* does not know"
        ):
            write(tmp_path / "a", kind="k", settings={}, tensors={})


def damage_unnoticed(path: Path, blob: bytes, read_one: Callable[[Path], object] = read) -> bool:
    """Whether a reader takes these bytes for a good file."""
    path.write_bytes(blob)
    try:
        read_one(path)
    except ModelFileError as error:
        assert path.name in error.message and error.fix
        return False
    return True


class TestNoticesDamage:
    @pytest.mark.parametrize("flips", [500, pytest.param(5000, marks=pytest.mark.slow)])
    def test_every_random_flip_of_a_bit(self, tmp_path: Path, flips: int) -> None:
        path, rng = tmp_path / "model.hyotan", random.Random(7)
        write(path, kind="vae", settings=SETTINGS, tensors=TENSORS | {"big": np.ones((100, 100), np.float32)})
        good = path.read_bytes()
        silent = 0
        for _ in range(flips):
            bad, at = bytearray(good), rng.randrange(len(good))
            bad[at] ^= 1 << rng.randrange(8)
            silent += damage_unnoticed(path, bytes(bad), rng.choice([read, read_settings]))
        assert silent == 0
        assert not damage_unnoticed(path, good[:-1]) and damage_unnoticed(path, good)

    def test_flips_that_safetensors_alone_would_load(self, model: Path) -> None:
        good, rng, loaded = safetensors.numpy.save({"t": np.ones(10_000, np.float32)}), random.Random(7), 0
        for _ in range(100):
            bad = bytearray(good)
            bad[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
            loaded += not np.array_equal(safetensors.numpy.load(bytes(bad))["t"], np.ones(10_000))
        assert loaded > 90  # the control: it is the digest that notices

    @pytest.mark.parametrize("mask", [0x01, 0x20, 0xFF])
    def test_every_byte_of_the_header(self, model: Path, mask: int) -> None:
        good = model.read_bytes()
        header = 8 + int.from_bytes(good[:8], "little")
        flipped = (good[:at] + bytes([good[at] ^ mask]) + good[at + 1 :] for at in range(header))
        assert [at for at, bad in enumerate(flipped) if damage_unnoticed(model, bad)] == []

    def test_every_truncation_and_appended_tails(self, model: Path) -> None:
        good, rng = model.read_bytes(), random.Random(3)
        assert [n for n in range(len(good)) if damage_unnoticed(model, good[:n])] == []
        tails = [rng.randbytes(rng.randrange(1, 50)) for _ in range(100)] + [b"\0", b"\n", good]
        assert [tail for tail in tails if damage_unnoticed(model, good + tail)] == []

    @pytest.mark.parametrize("name", TENSORS)
    def test_names_the_tensor_that_changed(self, model: Path, name: str) -> None:
        blob = model.read_bytes()
        at = blob.index(TENSORS[name].tobytes())
        model.write_bytes(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])
        with pytest.raises(ModelFileError, match=rf"model\.hyotan is damaged: the bytes of '{name}' changed"):
            read_settings(model)

    def test_names_three_of_many_tensors(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        write(path, kind="k", settings={}, tensors={f"t{i}": np.zeros(8) for i in range(5)})
        path.write_bytes(path.read_bytes()[: -5 * 64] + b"\1" * (5 * 64))
        with pytest.raises(ModelFileError, match="the bytes of 't0', 't1', 't2' and 2 more changed"):
            read(path)

    def test_says_when_only_the_header_changed(self, model: Path) -> None:
        model.write_bytes(model.read_bytes().replace(b"latent_dim", b"latent_din"))
        with pytest.raises(ModelFileError, match="bytes of its header changed"):
            read(model)

    def test_says_what_happened_to_the_length(self, model: Path) -> None:
        good = model.read_bytes()
        model.write_bytes(good[:-3])
        with pytest.raises(ModelFileError, match="bytes where its header promises .* the end is missing"):
            read(model)
        model.write_bytes(good + b"tail")
        with pytest.raises(ModelFileError, match="something was appended"):
            read(model)

    def test_a_file_that_grows_while_it_is_read(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        layout = container._layout

        def grow(path: Path, header: bytes, size: int) -> object:
            with path.open("ab") as file:
                file.write(b"more")
            return layout(path, header, size)

        monkeypatch.setattr(container, "_layout", grow)
        with pytest.raises(ModelFileError, match="it changed while it was read"):
            read(model)


class TestRefusesToRead:
    def test_a_missing_file_with_the_nearest_name(self, model: Path) -> None:
        with pytest.raises(
            SourceNotFoundError, match=r"There is no file .*modle\.hyotan\. Did you mean 'model\.hyotan'"
        ):
            read(model.with_name("modle.hyotan"))
        with pytest.raises(FileNotFoundError, match=r"There is no file .*x\.hyotan\. Check the path"):
            read(model.parent / "nowhere" / "x.hyotan")
        with pytest.raises(SourceNotFoundError, match="There is no file"):
            read(model / "x.hyotan")

    def test_a_folder_and_a_device(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError, match="is a folder, not a model file. Name a file in it"):
            read(tmp_path)
        with pytest.raises(ModelFileError, match="/dev/zero is a device or a pipe, not a model file"):
            read("/dev/zero")

    def test_a_file_that_the_system_refuses(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: object, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(ModelFileError, match=r"cannot be read: Permission denied\. Check the file's permissions"):
            read(model)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (pickle.dumps({"weights": [1.0]}), "is a pickle, not a hyotan model file; it was not opened"),
            (b"\x93NUMPY\x01\x00", r"is a \.npy array"),
            (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
            (b"\x1f\x8b\x08", "is a gzip archive"),
            (safetensors.numpy.save({"t": np.zeros(3)}), "is a safetensors file that hyotan did not write"),
            (b"latent_dim: 2\n!!python/object/apply:os.system ['true']\n", "is not a hyotan model file"),
            (b"{", "is not a hyotan model file"),
        ],
    )
    def test_a_foreign_file(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "model.hyotan"
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=rf"model\.hyotan {message}"):
            read(path)

    def test_a_zip_as_torch_writes(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(print))
        with pytest.raises(ModelFileError, match=r"model\.pt is a zip archive, as torch\.save .* it was not opened"):
            read(tmp_path / "model.pt")

    def test_another_kind(self, model: Path) -> None:
        with pytest.raises(ModelFileError, match=r"model\.hyotan holds 'vae'; expected 'autoencoder' or 'cvae'"):
            read(model, kinds=("cvae", "autoencoder"))
        with pytest.raises(ModelFileError, match="holds 'vae'; expected 'checkpoint'"):
            read_settings(model, kinds={"checkpoint"})

    def test_a_newer_format_with_the_version_that_made_it(self, tmp_path: Path) -> None:
        path, newer = tmp_path / "model.hyotan", description(format=2, versions={"hyotan": "9.1"}, future=True)
        path.write_bytes(described({}, newer))
        with pytest.raises(ModelFileError, match=r"made by hyotan 9\.1 in format 2; this hyotan .* reads 1\. Upgrade"):
            read(path)

    @pytest.mark.parametrize("cut", ["digest", "format", "kind", "settings", "versions", "tensors"])
    def test_a_description_without_one_of_its_parts(self, tmp_path: Path, cut: str) -> None:
        whole = {name: part for name, part in description().items() if name != cut or name == "digest"}
        path = tmp_path / "a"
        path.write_bytes(described({}, whole | {"extra": 1} if cut == "digest" else whole))
        with pytest.raises(ModelFileError, match=r"description (lacks a part|names no format version)"):
            read(path)


SLOT = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
ENTRY = {"dtype": "float64", "shape": [1], "sha256": hashlib.sha256(bytes(8)).hexdigest()}
BOMBS: dict[str, tuple[bytes, str]] = {
    "header of 2 MiB": (described({"x" * 2**21: SLOT}, body=bytes(8)), "claims 2,.* more than the limit of 1,048,576"),
    "header of 2^63": (
        (2**63).to_bytes(8, "little") + described({})[8:],
        "its header claims 9,223,372,036,854,775,808",
    ),
    "header longer than the file": (
        (5000).to_bytes(8, "little") + described({})[8:],
        "claims 5,000 bytes in a file of",
    ),
    "header shorter than its start": ((9).to_bytes(8, "little") + described({})[8:], "claims 9 bytes in a file of"),
    "20,000 tensors": (
        described({str(i): {} for i in range(20_000)}),
        "lists 20,000 tensors, more than the limit of 10,0",
    ),
    "huge product": (described({"t": SLOT | {"shape": [2**31] * 8}}), "'t' claims an impossible shape"),
    "huge empty": (described({"t": SLOT | {"shape": [0, 2**62]}}), "'t' claims an impossible shape"),
    "rank 1000": (described({"t": SLOT | {"shape": [1] * 1000}}, body=bytes(8)), "'t' claims an impossible shape"),
    "negative axis": (described({"t": SLOT | {"shape": [-1]}}), "does not describe the tensor 't'"),
    "boolean axis": (described({"t": SLOT | {"shape": [True]}}, body=bytes(8)), "does not describe the tensor 't'"),
    "fractional axis": (described({"t": SLOT | {"shape": [1.0]}}, body=bytes(8)), "does not describe the tensor 't'"),
    "no such dtype": (described({"t": SLOT | {"dtype": "os.system"}}), "does not describe the tensor 't'"),
    "dtype of a list": (described({"t": SLOT | {"dtype": ["F64"]}}), "does not describe the tensor 't'"),
    "no entry": (described({"t": None}), "does not describe the tensor 't'"),
    "three offsets": (described({"t": SLOT | {"data_offsets": [0, 8, 16]}}), "does not describe the tensor 't'"),
    "backward offsets": (described({"t": SLOT | {"data_offsets": [8, 0]}}), "claims -8 bytes, which is not what"),
    "more than there is": (
        described({"t": SLOT | {"shape": [2**36], "data_offsets": [0, 2**39]}}),
        "the end is missing",
    ),
    "gap": (
        described({"t": SLOT | {"data_offsets": [8, 16]}}, description(tensors={"t": ENTRY}), bytes(16)),
        "its tensors overlap or leave gaps",
    ),
    "overlap": (
        described({"a": SLOT, "b": SLOT}, description(tensors={"a": ENTRY, "b": ENTRY}), bytes(8)),
        "its tensors overlap or leave gaps",
    ),
    "tensors not described": (described({"t": SLOT}, description(), bytes(8)), "name different tensors"),
    "described otherwise": (
        described({"t": SLOT}, description(tensors={"t": ENTRY | {"dtype": "int64"}}), bytes(8)),
        "name different tensors",
    ),
    "described badly": (described({"t": SLOT}, description(tensors={"t": 3}), bytes(8)), "lacks a part"),
    "deep nesting": (
        signed(forged(described({})[8:].replace(b'"}}', b'"},"t":' + b"[" * 9**5))),
        "its header is not JSON",
    ),
    "deep settings": (described({}, '{"digest":"' + "0" * 64 + '","x":' + "[" * 9**5), "its description is not JSON"),
    "NaN": (described({}, description(settings={"x": float("nan")})), "its description is not JSON"),
    "number of 5,000 digits": (
        described({}, '{"digest":"' + "0" * 64 + '","x":' + "9" * 5000 + "}"),
        "its description is not JSON",
    ),
    "repeated key": (described({}, '{"digest":"' + "0" * 64 + '","a":1,"a":2}'), "its description is not JSON"),
    "not text": (described({}, '{"digest":"' + "0" * 64 + '"} trailing'), "its description is not JSON"),
    "second metadata key": (
        signed(forged({"__metadata__": {"hyotan": '{"digest":"' + "0" * 64 + '"}', "more": "x"}})),
        "lacks our description",
    ),
    "code as a class": (described({}, description(kind="os.system", format="1")), "names no format version"),
}


def test_what_safetensors_refuses_is_refused_in_our_words(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(blob: bytes) -> None:
        raise safetensors.SafetensorError("a reason")

    monkeypatch.setattr(safetensors.numpy, "load", refuse)
    with pytest.raises(ModelFileError, match=r"model\.hyotan is damaged: safetensors refuses it \(a reason\)"):
        read(model)


class TestBombs:
    @pytest.mark.parametrize("name", BOMBS)
    def test_each_is_refused_with_its_reason(self, tmp_path: Path, name: str) -> None:
        path, (content, message) = tmp_path / "bomb.hyotan", BOMBS[name]
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=message):
            read(path)

    def test_none_eats_memory(self, tmp_path: Path, source_folder: Path) -> None:
        for index, (content, _) in enumerate(BOMBS.values()):
            (tmp_path / f"{index}.hyotan").write_bytes(content)
        grown_kib = int(started(MEASURE_MEMORY, tmp_path, source_folder))
        assert grown_kib < 50 * 1024


MEASURE_MEMORY = """
import resource, sys
from pathlib import Path
from hyotan.files.container import read
from hyotan.errors import ModelFileError
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = used()
for path in Path(sys.argv[1]).iterdir():
    try:
        read(path)
    except ModelFileError:
        continue
    raise SystemExit(f"{path} was read")
print(used() - before)
"""

WATCH_READING = """
import sys
from pathlib import Path
from hyotan.files.container import read, read_settings
from hyotan.errors import HyotanError
paths = sorted(Path(sys.argv[1]).iterdir())
seen = []
FORBIDDEN = "exec compile import marshal pickle ctypes subprocess os socket".split()
def watch(event, arguments):
    if event.split(".")[0] in FORBIDDEN:
        seen.append(f"{event} {arguments}")
    if event == "open" and (Path(str(arguments[0])) not in paths or arguments[1] not in ("r", "rb")):
        seen.append(f"{event} {arguments}")
sys.addaudithook(watch)
good = 0
for path in paths:
    for read_one in (read, read_settings):
        try:
            read_one(path)
            good += 1
        except HyotanError:
            pass
failures, seen[:] = list(seen), []
exec("1")  # the hook itself works
print(good, len(seen) > 0, failures)
"""


def started(script: str, folder: Path, source_folder: Path) -> str:
    """What a fresh Python prints for this script."""
    command = [sys.executable, "-X", "utf8", "-c", script, str(folder)]
    environment = {"PYTHONPATH": str(source_folder), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_reading_runs_nothing_and_opens_nothing_else(model: Path, source_folder: Path) -> None:
    for index, (content, _) in enumerate(BOMBS.values()):
        model.with_name(f"{index}.hyotan").write_bytes(content)
    model.with_name("renamed.hyotan").write_bytes(pickle.dumps(print))
    model.with_name("class.hyotan").write_bytes(described({}, description(settings={"class": "os.system"})))
    assert started(WATCH_READING, model.parent, source_folder) == "4 True []"


@pytest.mark.parametrize("rounds", [1000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_a_mutated_header_is_refused_in_words_even_when_signed_anew(model: Path, rounds: int) -> None:
    good, rng = model.read_bytes(), random.Random(11)
    header = 8 + int.from_bytes(good[:8], "little")
    pieces = [b"", b"0", b"9" * 20, b'"', b"[", b"}", b"null", b"\\"]
    refused = 0
    for _ in range(rounds):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(DIGEST_AT + 64, header)
            bad[at : at + rng.randrange(3)] = rng.choice(pieces)
        assert bytes(bad) == good or not damage_unnoticed(model, bytes(bad))
        refused += not damage_unnoticed(model, signed(bytes(bad)))  # may be legal, but raises nothing of Python's own
    assert refused > 0.9 * rounds


def test_writing_into_a_missing_folder_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"could not be written: No such file .* Make the folder first: mkdir -p"):
        write(tmp_path / "no" / "model.hyotan", kind="k", settings={}, tensors={})
