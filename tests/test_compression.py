"""Rows in few bytes and back: what a step costs, what the bytes hold, what is noticed, and how PCA does beside it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits

from command_line import done, fitted, hyotan, sketch
from hyotan import CVAE, VAE, Autoencoder, DenoisingAutoencoder, compress, decompress, load
from hyotan.compression import quantisation
from hyotan.compression.codec import Compressor, Description, describe
from hyotan.compression.quantisation import Basis, Packed, pack, unpack
from hyotan.compression.rate_distortion import Rate, bits_at, lossless_bits, mse_at, pca_rates
from hyotan.data.arrays import digest
from hyotan.errors import DataError, ModelFileError, SettingsError
from hyotan.figures import RatesDisplay
from hyotan.files import container

DIGITS = (load_digits().images * 255 / 16).astype(np.uint8)
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def estimator() -> Autoencoder:
    return Autoencoder(6, hidden_dims=(32,), max_epochs=15, random_state=0).fit(DIGITS)


@pytest.fixture(scope="module")
def compressor(estimator) -> Compressor:
    return Compressor(estimator, DIGITS)


def in_units(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.float64) / 255


class TestGrid:
    def test_a_linear_decoder_s_metric_is_its_matrix_squared(self):
        matrix = RANDOM.normal(size=(3, 7))
        codes = RANDOM.normal(size=(50, 3)) * [1, 10, 0.1]
        found = quantisation.metric_of(lambda z: z @ matrix, codes)
        np.testing.assert_allclose(found, matrix @ matrix.T, rtol=1e-3)

    def test_a_direction_that_never_varies_costs_nothing_and_breaks_nothing(self):
        codes = RANDOM.normal(size=(50, 3)) * [1, 0, 1]
        metric = quantisation.metric_of(lambda z: z**2, codes)
        basis = Basis.of(codes.mean(axis=0), np.cov(codes.T), metric)
        assert not metric[1].any() and np.isfinite(basis.synthesis).all()
        back = basis.centre + basis.coordinates(codes) @ basis.synthesis
        np.testing.assert_allclose(back[:, [0, 2]], codes[:, [0, 2]], atol=1e-9)

    def test_a_step_costs_a_twelfth_of_its_square_in_every_direction(self):
        matrix = RANDOM.normal(size=(4, 9)) * [[5], [1], [0.2], [3]]
        codes = RANDOM.normal(size=(20_000, 4)) @ RANDOM.normal(size=(4, 4))
        metric = quantisation.metric_of(lambda z: z @ matrix, codes[:200])
        basis = Basis.of(codes.mean(axis=0), np.cov(codes.T), metric)
        coordinates, step = basis.coordinates(codes), 0.05
        left = quantisation.on_grid(coordinates, step) * step - coordinates
        lost = (left @ basis.synthesis) @ matrix
        assert np.square(lost).sum(axis=1).mean() == pytest.approx(4 * step**2 / 12, rel=0.02)
        cross = np.corrcoef(coordinates.T) - np.eye(4)
        assert np.abs(cross).max() < 0.02

    def test_the_step_for_a_rate_has_that_entropy(self):
        coordinates = RANDOM.normal(size=(5000, 3)) * [8, 2, 0.1]
        numbers = quantisation.on_grid(coordinates, quantisation.step_for_rate(coordinates, 9.0))
        counts = [np.unique(column, return_counts=True)[1] for column in numbers.T]
        assert sum(stats.entropy(column, base=2) for column in counts) == pytest.approx(9.0, abs=0.02)
        np.testing.assert_allclose(quantisation.entropies(numbers), [stats.entropy(c, base=2) for c in counts])

    def test_one_step_for_all_spends_more_bits_where_codes_vary_more(self):
        coordinates = RANDOM.normal(size=(5000, 3)) * [8, 2, 0.1]
        step = quantisation.step_for_rate(coordinates, 9.0)
        bits = quantisation.entropies(quantisation.on_grid(coordinates, step))
        assert bits[0] - bits[1] == pytest.approx(math.log2(8 / 2), abs=0.05) and bits[2] < 0.01


class TestBytes:
    @given(
        st.integers(1, 30).flatmap(
            lambda rows: st.lists(
                st.lists(st.integers(-(2**35), 2**35), min_size=rows, max_size=rows)
                | st.lists(st.integers(-3, 3), min_size=rows, max_size=rows),
                min_size=1,
                max_size=4,
            )
        )
    )
    def test_any_whole_numbers_come_back(self, columns):
        numbers = np.array(columns, dtype=np.int64).T
        np.testing.assert_array_equal(unpack(pack(numbers), len(numbers)), numbers)

    @pytest.mark.parametrize("levels", [1, 2, 3, 15, 16, 17, 255, 256, 257, 65536, 65537])
    def test_at_every_edge_of_a_byte(self, levels):
        column = np.concatenate([RANDOM.integers(0, levels, 100), [0, levels - 1]]) - 7
        packed = pack(column[:, None])
        assert packed.levels == [levels] and packed.lows == [-7]
        np.testing.assert_array_equal(unpack(packed, 102)[:, 0], column)

    @pytest.mark.parametrize("spread", [0.4, 1, 3, 10])
    def test_take_little_more_than_their_entropy(self, spread):
        numbers = np.rint(RANDOM.normal(size=(10_000, 8)) * spread).astype(np.int64)
        entropy = sum(stats.entropy(np.unique(c, return_counts=True)[1], base=2) for c in numbers.T)
        assert entropy * 0.999 < 8 * len(pack(numbers).payload) / 10_000 < entropy * 1.05 + 0.1

    def test_of_other_rows_are_refused(self):
        packed = pack(RANDOM.integers(0, 9, (50, 2)))
        for rows in (40, 60):
            with pytest.raises(DataError, match="The entropy-coded part is not as long as its rows need"):
                unpack(packed, rows)
        with pytest.raises(DataError, match="cannot be read"):
            unpack(Packed(b"nothing that Brotli wrote", packed.lows, packed.levels), 50)


class TestRoundTrip:
    def test_more_bits_come_nearer_to_the_model_s_own_error(self, estimator, compressor):
        own = np.square(in_units(estimator.reconstruct(DIGITS)) - in_units(DIGITS)).mean()
        assert compressor.own_error == pytest.approx(own, rel=0.01)  # pixels come out as whole numbers
        errors = [compressor.at_rate(bits).description.mse for bits in (1, 2, 4, 8)]
        assert errors == sorted(errors, reverse=True) and errors[-1] == pytest.approx(own, rel=0.01)

    @pytest.mark.parametrize("bits", [1, 3.5, 6])
    def test_the_file_says_what_comes_out_of_it(self, estimator, bits):
        blob = compress(estimator, DIGITS, bits=bits)
        rows, said = decompress(estimator, blob), describe(blob)
        assert rows.dtype == np.uint8 and rows.shape == DIGITS.shape and said.rows == len(DIGITS)
        assert np.square(in_units(rows) - in_units(DIGITS)).mean() == pytest.approx(said.mse, rel=1e-4)

    def test_takes_the_bits_that_were_asked_for(self, compressor):
        assert compressor.at_rate(4).bits == pytest.approx(4 * 6, rel=0.06)

    def test_an_error_that_was_asked_for_is_kept_and_no_finer_than_needed(self, estimator, compressor):
        wanted = 1.2 * compressor.own_error
        blob = compress(estimator, DIGITS, mse=wanted)
        assert 0.97 * wanted < describe(blob).mse <= wanted
        assert len(blob) < len(compress(estimator, DIGITS, bits=8))

    def test_a_single_row_and_a_few(self, estimator):
        for n in (1, 2, 7):
            rows = decompress(estimator, compress(estimator, DIGITS[:n], bits=8))
            assert np.abs(in_units(rows) - in_units(estimator.reconstruct(DIGITS[:n]))).max() < 0.1

    def test_a_row_s_numbers_do_not_depend_on_the_order(self, estimator):
        one, other = (decompress(estimator, compress(estimator, rows, bits=5)) for rows in (DIGITS, DIGITS[::-1]))
        assert np.abs(in_units(one) - in_units(other[::-1])).mean() < 0.02

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
    def test_rows_keep_their_dtype_and_units(self, dtype):
        table = (RANDOM.normal(size=(300, 3)) @ RANDOM.normal(size=(3, 6)) * 20 + 100).clip(0, 250).astype(dtype)
        model = Autoencoder(3, hidden_dims=(16,), max_epochs=20, random_state=0).fit(table)
        rows = decompress(model, compress(model, table, bits=8))
        assert rows.dtype == table.dtype and rows.shape == table.shape
        whole = np.rint(model.reconstruct(table)) if np.dtype(dtype).kind in "iu" else model.reconstruct(table)
        assert np.abs(rows.astype(float) - whole).max() < 3

    @pytest.mark.parametrize("family", [DenoisingAutoencoder, VAE, CVAE])
    def test_codes_of_every_family(self, family):
        model = family(4, hidden_dims=(16,), max_epochs=3, random_state=0).fit(DIGITS, load_digits().target)
        rows = decompress(model, compress(model, DIGITS, bits=10))
        own = model.inverse_transform(model.transform(DIGITS))
        assert np.abs(rows - own).max() < 6 and np.abs(rows - own).mean() < 1

    def test_from_a_file_and_after_a_save(self, estimator, tmp_path):
        (tmp_path / "x.hyc").write_bytes(compress(estimator, DIGITS[:50], bits=4))
        estimator.save(tmp_path / "m.hyotan")
        again = load(tmp_path / "m.hyotan")
        np.testing.assert_array_equal(decompress(again, tmp_path / "x.hyc"), decompress(estimator, tmp_path / "x.hyc"))

    def test_the_same_rows_give_the_same_bytes(self, estimator):
        assert compress(estimator, DIGITS[:100]) == compress(estimator, DIGITS[:100])

    def test_a_dimension_that_the_decoder_does_not_heed_gets_no_bits(self):
        plane = RANDOM.normal(size=(1500, 2)) @ RANDOM.normal(size=(2, 10))
        model = Autoencoder(6, hidden_dims=(), likelihood="gaussian", max_epochs=60, random_state=0).fit(plane)
        described = Compressor(model, plane).at_rate(1.5).description
        assert sum(levels > 2 for levels in described.levels) <= 2


class TestRefuses:
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"bits": 3, "mse": 0.1}, "bits=3 and mse=0.1 were both given: one follows from the other. Give one"),
            ({"bits": 0}, "bits cannot be 0. Expected a number above 0, up to 20"),
            ({"bits": 21}, "bits cannot be 21"),
            ({"bits": float("nan")}, "bits cannot be nan"),
            ({"mse": 0}, "mse cannot be 0. Expected a number above 0"),
            ({"mse": 1e-9}, "mse=1e-09 cannot be reached: the model's own error on these rows is 0.0"),
        ],
    )
    def test_a_rate_that_cannot_be(self, estimator, wrong, message):
        with pytest.raises(SettingsError, match=message):
            compress(estimator, DIGITS[:50], **wrong)

    def test_another_model(self, estimator):
        blob = compress(estimator, DIGITS[:20], run="../runs/digits-ae-1")
        other = Autoencoder(6, hidden_dims=(32,), max_epochs=1, random_state=1).fit(DIGITS)
        with pytest.raises(ModelFileError, match=r"compressed with another model, \w{12}…; this one is \w{12}…\. Take"):
            decompress(other, blob)
        with pytest.raises(ModelFileError, match="it lay in ../runs/digits-ae-1"):
            decompress(other, blob)

    def test_a_model_file(self, estimator, tmp_path):
        estimator.save(tmp_path / "m.hyotan")
        with pytest.raises(ModelFileError, match="holds 'autoencoder'; expected 'compressed'"):
            decompress(estimator, tmp_path / "m.hyotan")
        with pytest.raises(FileNotFoundError, match="There is no file"):
            decompress(estimator, tmp_path / "none.hyc")


@pytest.fixture(scope="module")
def blob(estimator) -> bytes:
    return compress(estimator, DIGITS[:200], bits=4)


class TestNoticesDamage:
    def unnoticed(self, estimator, blob: bytes) -> bool:
        try:
            decompress(estimator, blob)
        except ModelFileError as error:
            assert error.fix
            return False
        return True

    def test_of_every_byte(self, estimator, blob):
        noise = random.Random(3)
        flipped = (
            blob[:at] + bytes([blob[at] ^ (1 << noise.randrange(8))]) + blob[at + 1 :] for at in range(len(blob))
        )
        assert [at for at, bad in enumerate(flipped) if self.unnoticed(estimator, bad)] == []

    def test_of_every_cut_and_of_tails(self, estimator, blob):
        assert [n for n in range(0, len(blob), 7) if self.unnoticed(estimator, blob[:n])] == []
        assert not self.unnoticed(estimator, blob + b"\0") and self.unnoticed(estimator, blob)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"rows": 0}, "it claims 0 rows"),
            ({"rows": 10**12}, "which is more than is unpacked"),
            ({"rows": 10**30}, "not those of compressed rows|more than is unpacked"),
            ({"rows": 150}, "is not as long as its rows need"),
            ({"shape": []}, r"it claims 200 rows of shape \(\)"),
            ({"dtype": "object"}, "rows of dtype 'object'"),
            ({"levels": [2**50] * 6}, "its columns cannot be"),
            ({"lows": []}, "its columns cannot be"),
            ({"levels": [], "lows": []}, "tensors are of another shape"),
            ({"step": "wide"}, "the settings are not those of compressed rows"),
            ({"more": 1, "rows": "many"}, "the settings are not those of compressed rows"),
        ],
    )
    def test_what_a_well_made_file_claims_is_compared_before_it_is_believed(self, estimator, blob, change, message):
        contents = container.parse(blob)
        forged = container.serialise(
            kind="compressed", settings={**contents.settings, **change}, tensors=contents.tensors
        )
        with pytest.raises(ModelFileError, match=message):
            decompress(estimator, forged)

    @pytest.mark.parametrize(
        ("tensors", "message"),
        [
            ({}, "it lacks a tensor"),
            ({"payload": np.zeros(3, np.uint8)}, "it lacks a tensor"),
            (
                {"payload": np.zeros(3), "synthesis": np.zeros((6, 6), np.float32)},
                "its payload is no row of as many bytes",
            ),
            (
                {"payload": np.zeros(3, np.uint8), "synthesis": np.zeros((6, 6), np.float32)},
                "as many bytes as it claims",
            ),
            ({"payload": np.zeros(3, np.uint8), "synthesis": np.zeros((6, 6))}, "another shape"),
        ],
    )
    def test_tensors_of_another_kind(self, estimator, blob, tensors, message):
        forged = container.serialise(kind="compressed", settings=container.parse(blob).settings, tensors=tensors)
        with pytest.raises(ModelFileError, match=message):
            decompress(estimator, forged)

    @pytest.mark.parametrize(
        ("name", "change", "message"),
        [
            ("synthesis", lambda tensor: tensor[:, :5], "another shape than the model's code"),
            ("payload", lambda tensor: tensor ^ 255, "The entropy-coded part cannot be read"),
        ],
    )
    def test_tensors_that_fit_the_file_but_nothing_else(self, estimator, blob, name, change, message):
        contents = container.parse(blob)
        tensors = {**contents.tensors, name: change(contents.tensors[name])}
        forged = container.serialise(kind="compressed", settings=contents.settings, tensors=tensors)
        with pytest.raises(ModelFileError, match=message):
            decompress(estimator, forged)


class TestBeside:
    def test_pca_s_error_follows_the_reverse_water_filling_of_a_gaussian(self):
        deviations = np.array([8.0, 4.0, 2.0, 1.0])
        rows = RANDOM.normal(size=(8000, 4)) * deviations
        rates = pca_rates(rows, rows)
        for bits in (14.0, 18.0):
            # At high rates all directions lose the same, and a uniform grid pays 0.2546 bits a value over the bound.
            bound = np.prod(deviations**2) ** 0.25 * 2 ** (-2 * bits / 4)
            assert mse_at(rates, bits) == pytest.approx(bound * 2 ** (2 * 0.2546), rel=0.06)

    def test_a_linear_autoencoder_pays_what_pca_pays(self):
        plane = RANDOM.normal(size=(3000, 3)) @ RANDOM.normal(size=(3, 12)) + 0.01 * RANDOM.normal(size=(3000, 12))
        model = Autoencoder(3, hidden_dims=(), likelihood="gaussian", max_epochs=150, random_state=0).fit(plane)
        compressor, scaled = Compressor(model, plane), model.in_range(plane)
        found = compressor.at_rate(4)
        assert found.description.mse == pytest.approx(mse_at(pca_rates(scaled, scaled), found.bits), rel=0.15)

    def test_rates_are_read_off_between_their_points(self):
        rates = [Rate(10, 0.5, 1), Rate(20, 0.1, 2)]
        assert mse_at(rates, 15) == pytest.approx(0.3) and bits_at(rates, 0.3) == pytest.approx(15)
        assert mse_at(rates, 9) is None and bits_at(rates, 0.05) is None
        assert mse_at(rates, 30) == 0.1 and bits_at([], 1) is None

    def test_lossless_files_are_those_that_others_write(self, tmp_path):
        from PIL import Image

        found = lossless_bits(DIGITS[:20])
        for number, image in enumerate(DIGITS[:20]):
            Image.fromarray(image).save(tmp_path / f"{number}.png", optimize=True)
        assert found["PNG"] == 8 * sum(file.stat().st_size for file in tmp_path.iterdir()) / 20
        np.savez_compressed(tmp_path / "all.npz", X=DIGITS[:20])
        assert found[".npz"] == pytest.approx(8 * (tmp_path / "all.npz").stat().st_size / 20, abs=1)
        assert set(lossless_bits(in_units(DIGITS[:5]))) == {"Parquet (zstd)", ".npz"}
        with pytest.raises(DataError, match="There are no rows to write"):
            lossless_bits(DIGITS[:0])


class TestFigure:
    def test_holds_and_draws_its_numbers(self):
        display = RatesDisplay.from_rates({"pca": [(30, 0.01), (9, 0.1)], "AE": [(8, 0.02)]}, {"PNG": 2000})
        assert display.to_dict() == {
            "curves": {"pca": [{"bits": 9, "mse": 0.1}, {"bits": 30, "mse": 0.01}], "AE": [{"bits": 8, "mse": 0.02}]},
            "lossless": {"PNG": 2000},
        }
        ax = display.plot()
        drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
        assert drawn["PCA"] == [[9, 0.1], [30, 0.01]] and [text.get_text() for text in ax.texts] == ["PNG, no error"]
        assert ax.get_xscale() == ax.get_yscale() == "log"

    def test_what_has_no_place_on_its_axes_is_refused(self):
        with pytest.raises(DataError, match="There is no rate to draw"):
            RatesDisplay.from_rates({})
        for pairs in ([], [(0, 1)], [(5, 0.0)]):
            with pytest.raises(DataError, match="The rates of 'AE' must be pairs above 0; got"):
                RatesDisplay.from_rates({"AE": pairs})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        return fitted("digits", "--limit", 300, cwd=tmp_path_factory.mktemp("compression"))


class TestCommands:
    def test_there_and_back_by_the_recorded_run(self, run, tmp_path):
        said = done("compress", run, "digits", "--bits", 5, "-o", "x.hyc", cwd=tmp_path)
        assert said.out.splitlines() == ["x.hyc"]
        for words in ("bits a row", "this file", "PCA, as many bits", ".npz", "not counted: the model, "):
            assert words in said.err
        back = done("decompress", "x.hyc", "-o", "rows.npy", cwd=tmp_path)
        assert back.out.splitlines() == ["rows.npy"]
        rows = np.load(tmp_path / "rows.npy")
        np.testing.assert_array_equal(rows, decompress(load(run), tmp_path / "x.hyc"))

    def test_the_record_adds_up(self, run, tmp_path):
        record = done("compress", run, "-o", "y.hyc", "--json", cwd=tmp_path).record
        size = (tmp_path / "y.hyc").stat().st_size
        assert record["bytes"] == size and record["bits_per_row"] == pytest.approx(8 * size / record["rows"])
        assert record["model_bytes"] == (run / "model.hyotan").stat().st_size
        assert record["mse"] == describe(tmp_path / "y.hyc").mse

    def test_an_error_instead_of_bits(self, run, tmp_path):
        own = done("compress", run, "-o", "y.hyc", "--json", cwd=tmp_path).record["mse_of_model"]
        record = done("compress", run, "--mse", 1.3 * own, "-o", "z.hyc", "--json", cwd=tmp_path).record
        assert record["mse"] <= 1.3 * own
        assert record["bytes"] < (tmp_path / "y.hyc").stat().st_size

    def test_file_and_run_can_be_moved_together_or_the_run_be_named(self, run, tmp_path):
        (tmp_path / "a" / "run").mkdir(parents=True)
        for name in ("config.toml", "model.hyotan"):
            (tmp_path / "a" / "run" / name).write_bytes((run / name).read_bytes())
        done("compress", tmp_path / "a" / "run", "digits", "--limit", 50, "-o", tmp_path / "a" / "x.hyc")
        (tmp_path / "a").rename(tmp_path / "b")
        done("decompress", "b/x.hyc", cwd=tmp_path)
        assert np.load(tmp_path / "b" / "decompressed.npy").shape == (50, 8, 8)
        (tmp_path / "b" / "run").rename(tmp_path / "c")
        said = hyotan("decompress", "b/x.hyc", cwd=tmp_path)
        assert said.code == 2 and "is no longer in" in said.err
        assert said.begins("fix:") == ["Name the model: hyotan decompress b/x.hyc --run RUN"]
        done("decompress", "b/x.hyc", "--run", "c", "-o", "again.csv", cwd=tmp_path)
        assert len((tmp_path / "again.csv").read_text().splitlines()) == 51

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (("--bits", 3, "--mse", 0.1), "bits=3.0 and mse=0.1 were both given"),
            (("--bits", 0), "--bits cannot be '0': expected a number above 0 and at most 20."),
            (("--mse", "small"), "--mse cannot be 'small': expected a number above 0."),
        ],
    )
    def test_mistakes_are_answered_in_a_line(self, run, tmp_path, words, error):
        said = hyotan("compress", run, *words, "-o", "x.hyc", cwd=tmp_path)
        assert said.code == 2 and error in said.begins("error:")[0]
        assert not (tmp_path / "x.hyc").exists()

    def test_what_is_no_such_file_is_refused(self, run, tmp_path):
        (tmp_path / "x.hyc").write_bytes(b"PK\3\4")
        for name, error in (("x.hyc", "a zip archive"), ("none.hyc", "There is no file none.hyc")):
            said = hyotan("decompress", name, "--json", cwd=tmp_path)
            assert said.code == 2 and error in json.loads(said.out)["message"]


def test_the_digest_of_a_model_is_of_what_decodes(estimator):
    assert isinstance(describe(compress(estimator, DIGITS[:3])), Description)
    assert len(describe(compress(estimator, DIGITS[:3])).model) == len(digest({})) == 64
