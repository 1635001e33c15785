"""Rows that stay in their file: which are read, in which order, and that nothing hangs on where a training stood."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hyotan import CVAE, VAE, Autoencoder
from hyotan.analysis.evaluation import evaluate
from hyotan.data import Dataset, arrays, stored
from hyotan.data.stored import RowRanges, StoredRows, evenly, spread
from hyotan.errors import DataError
from hyotan.training import streams
from hyotan.training.callbacks import Callback, Fitting
from hyotan.training.checkpoint import Snapshot
from hyotan.training.resident import Steps
from hyotan.training.streams import StreamedRows

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(3000, 6)).astype(np.float32) * np.arange(1, 7, dtype=np.float32) + 3
PIXELS = RNG.integers(0, 256, (700, 5, 4), dtype=np.uint8)
SMALL = {"latent_dim": 2, "hidden_dims": (8,), "max_epochs": 2, "batch_size": 50, "random_state": 0}


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, blocks and buffers so small that a few thousand rows fill many of them."""
    monkeypatch.setattr(stored, "STREAMED_BYTES", 100)
    monkeypatch.setattr(stored, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(streams, "BLOCK_BYTES", 300)
    monkeypatch.setattr(streams, "BUFFER_BYTES", 4000)


def mapped(folder: Path, X: np.ndarray) -> np.memmap:
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


def stored_rows(folder: Path, X: np.ndarray) -> StoredRows:
    return StoredRows(mapped(folder, X))


class TestRuns:
    @pytest.mark.parametrize(("n", "held"), [(2, 1), (10, 9), (59, 5), (640, 64), (1001, 300), (12_345, 1234)])
    @pytest.mark.parametrize("start", [0, 0.4, 0.999])
    def test_part_all_rows_in_two(self, n: int, held: int, start: float) -> None:
        runs = spread(n, held, start)
        assert 0 < len(runs) <= held
        assert sorted([*runs[:], *runs.others[:]]) == list(range(n))

    def test_hold_out_nearly_as_many_as_asked_for_and_everywhere(self) -> None:
        runs = spread(1_000_000, 50_000, 0.5)
        assert len(runs) > 49_900
        counts, _ = np.histogram(runs[:], bins=20, range=(0, 1_000_000))
        assert counts.min() > 0.9 * counts.max()

    @pytest.mark.parametrize(
        "runs", [spread(500, 60, 0.3), spread(500, 60, 0.3).others, RowRanges(500, 1, 40, 460).others]
    )
    def test_pieces_are_the_numbers(self, runs: RowRanges) -> None:
        for start, stop in ((0, len(runs)), (7, 31), (len(runs) - 3, len(runs)), (5, 5)):
            numbers = [row for first, end in runs.pieces(start, stop) for row in range(first, end)]
            assert numbers == runs[start:stop].tolist()


class TestStoredRows:
    @pytest.mark.parametrize("cut", [slice(None), slice(100, 2000), slice(None, None, -1)], ids=["all", "part", "back"])
    def test_read_as_the_array_does(self, tmp_path: Path, cut: slice) -> None:
        true, rows = TABLE[cut], stored.stored(mapped(tmp_path, TABLE)[cut])
        assert rows is not None
        for index in (slice(3, 40), slice(None, None, 7), np.array([5, 700, 5, -1]), 11, true[:, 0] > 4):
            np.testing.assert_array_equal(rows[index], true[index])
        np.testing.assert_array_equal(np.asarray(rows), true)

    def test_read_files_that_were_written_by_column(self, tmp_path: Path) -> None:
        rows = stored_rows(tmp_path, np.asfortranarray(TABLE))
        rows.expect(0, 100)
        np.testing.assert_array_equal(rows[5:90], TABLE[5:90])

    def test_parts_of_parts(self, tmp_path: Path) -> None:
        rows, outer = stored_rows(tmp_path, TABLE), spread(len(TABLE), 300, 0.4)
        inner = spread(len(TABLE) - len(outer), 200, 0.9)
        part = rows[outer.others][inner.others]
        true = np.delete(np.delete(TABLE, outer[:], axis=0), inner[:], axis=0)
        np.testing.assert_array_equal(np.asarray(part), true)
        np.testing.assert_array_equal(part[100:900], true[100:900])
        np.testing.assert_array_equal(part.sample(50), true[evenly(len(true), 50)])

    def test_tell_the_ends_and_moments_of_all_rows(self, tmp_path: Path) -> None:
        X = TABLE + np.float32(1e4)
        rows = stored_rows(tmp_path, X)
        assert rows.min() == X.min() and rows.max() == X.max()
        np.testing.assert_array_equal(rows.max(axis=0), X.max(axis=0))
        mean, deviation = rows.moments
        np.testing.assert_allclose(mean, X.mean(axis=0, dtype=np.float64), rtol=1e-12)
        np.testing.assert_allclose(deviation, X.std(axis=0, dtype=np.float64), rtol=1e-9)

    def test_a_map_that_keeps_its_changes_to_itself_keeps_them(self, tmp_path: Path) -> None:
        np.save(tmp_path / "X.npy", TABLE)
        private = np.load(tmp_path / "X.npy", mmap_mode="c")
        private[7] = 5
        rows = stored.stored(private)
        assert rows is not None
        assert (rows[5:9][2] == 5).all() and (rows[np.array([7])] == 5).all() and (private[7] == 5).all()

    def test_what_numpy_took_from_a_map_is_an_array(self, tmp_path: Path) -> None:
        X = mapped(tmp_path, TABLE)
        assert stored.stored(X[[3, 1]]) is None and stored.stored(X + 1) is None and stored.stored(TABLE) is None

    @pytest.mark.parametrize("dtype", [">f4", "?", "f2"])
    def test_other_types_become_what_arrays_become(self, tmp_path: Path, dtype: str) -> None:
        X = (TABLE > 3).astype(dtype)
        there, here = Dataset.from_arrays(mapped(tmp_path, X)).X, Dataset.from_arrays(X).X
        assert there.dtype == here.dtype
        np.testing.assert_array_equal(np.asarray(there), here)


class TestOrder:
    @staticmethod
    def epoch(rows: StoredRows, size: int = 50, **steps: int | bool) -> list[list[float]]:
        """The first value of each row, batch by batch."""
        source = StreamedRows(rows, torch.device("cpu"), lambda block, number: block, rows.dtype)
        return [x[:, 0].tolist() for x, _ in source.batches(Steps(size, **{"seed": 3, **steps}))]

    @pytest.mark.parametrize("n", [1, 49, 50, 51, 101, 999, 3000])
    @pytest.mark.parametrize("size", [1, 50, 400])
    def test_an_epoch_has_every_row_once(self, tmp_path: Path, n: int, size: int) -> None:
        rows = stored_rows(tmp_path, np.arange(4 * n, dtype=np.float32).reshape(n, 4) + np.float32(1e3))
        batches = self.epoch(rows, size)
        assert sorted(value for batch in batches for value in batch) == rows[:][:, 0].tolist()
        assert {len(batch) for batch in batches[:-1]} <= {size}
        assert len(batches[-1]) > 1 or size == 1 or n == 1

    def test_is_new_in_each_epoch_and_for_each_seed_and_the_same_again(self, tmp_path: Path) -> None:
        rows = stored_rows(tmp_path, TABLE)
        assert self.epoch(rows) == self.epoch(rows)
        assert self.epoch(rows) != self.epoch(rows, epoch=1) != self.epoch(rows, seed=4)

    def test_goes_on_from_every_step(self, tmp_path: Path) -> None:
        rows = stored_rows(tmp_path, TABLE[:1010])
        whole = self.epoch(rows)
        for first in range(len(whole) + 1):
            assert self.epoch(rows, first=first) == whole[first:]

    def test_is_that_of_the_file_without_shuffling(self, tmp_path: Path) -> None:
        batches = self.epoch(stored_rows(tmp_path, TABLE), shuffle=False)
        assert np.concatenate(batches).tolist() == TABLE[:, 0].tolist()

    def test_a_batch_meets_rows_from_all_over_the_file(self, tmp_path: Path) -> None:
        rows = stored_rows(tmp_path, np.arange(30_000, dtype=np.float32).reshape(-1, 1) + np.float32(1))
        means = [np.mean(batch) for batch in self.epoch(rows, 500)]
        # Batches of one place have means that differ as places do: 8,660 of 30,000 rows, root mean square.
        assert np.std(means) < 3000


class Stop(Callback):
    """Keeps the state of one step."""

    def __init__(self, step: int) -> None:
        self.at, self.snapshot = step, Snapshot({}, {})

    def on_step_end(self, fitting: Fitting) -> None:
        if fitting.step == self.at:
            self.snapshot = fitting.snapshot()  # pyrefly: ignore[missing-attribute]


class TestTraining:
    @pytest.mark.parametrize("binarise", [None, "static", "dynamic"])
    @pytest.mark.parametrize("X", [TABLE, PIXELS], ids=["table", "pixels"])
    def test_goes_on_within_an_epoch_to_the_same_bits(
        self, tmp_path: Path, X: np.ndarray, binarise: str | None
    ) -> None:
        how = SMALL if binarise is None else SMALL | {"binarise": binarise, "scaling": "unit"}
        rows, stop = mapped(tmp_path, X), Stop(17)
        whole = VAE(**how, callbacks=[stop]).fit(rows)
        resumed = VAE(**how)
        with resumed.training(rows, snapshot=stop.snapshot) as trainer:
            trainer.fit()
        for name, tensor in whole.model_.state_dict().items():
            assert torch.equal(tensor, resumed.model_.state_dict()[name]), name
        without = [{k: v for k, v in row.items() if k != "seconds"} for row in resumed.history_]
        assert without == [{k: v for k, v in row.items() if k != "seconds"} for row in whole.history_]

    @pytest.mark.parametrize("scaling", ["auto", "unit", "symmetric", "standard", "none"])
    @pytest.mark.parametrize("X", [TABLE, PIXELS], ids=["table", "pixels"])
    def test_is_that_of_an_array_but_for_the_order(self, tmp_path: Path, X: np.ndarray, scaling: str) -> None:
        """Without held-out rows, one batch an epoch: the same rows, so the same gradients up to rounding."""
        how = SMALL | {"batch_size": len(X), "validation_fraction": 0, "scaling": scaling, "likelihood": "gaussian"}
        values = X[0].size
        how["encoder"] = nn.Sequential(nn.Flatten(), nn.Linear(values, 2))  # else each would draw its own weights
        how["decoder"] = nn.Sequential(nn.Linear(2, values), nn.Unflatten(1, X.shape[1:]))
        there, here = Autoencoder(**how).fit(mapped(tmp_path, X)), Autoencoder(**how).fit(X)
        assert there.range_ == pytest.approx(here.range_)
        np.testing.assert_allclose(there.preprocessor_.scaling.offset, here.preprocessor_.scaling.offset, rtol=1e-9)
        np.testing.assert_allclose(there.preprocessor_.scaling.factor, here.preprocessor_.scaling.factor, rtol=1e-9)
        assert there.history_[-1]["loss"] == pytest.approx(here.history_[-1]["loss"], rel=1e-4)

    @pytest.mark.parametrize("rows", ["random", "first", "last"])
    def test_holds_rows_out(self, tmp_path: Path, rows: str) -> None:
        seen: list[float] = []

        class Watching(Callback):
            def on_fit_start(self, fitting: Fitting) -> None:
                trainer: object = fitting
                for x, _ in trainer.train.batches(Steps(50, 0)):  # pyrefly: ignore[missing-attribute]
                    seen.extend(x[:, 0].tolist())
                self.held = trainer.validation.values[:, 0].tolist()  # pyrefly: ignore[missing-attribute]

        X, watching = TABLE.copy(), Watching()
        X[:, 0] = np.arange(len(X))
        Autoencoder(**SMALL, scaling="none", validation_rows=rows, callbacks=[watching]).fit(mapped(tmp_path, X))
        assert sorted([*seen, *watching.held]) == list(range(3000))
        place = {"first": range(300), "last": range(2700, 3000)}
        assert watching.held == list(place.get(rows, watching.held))
        assert 280 <= len(watching.held) <= 300

    def test_holds_no_more_out_than_memory_can_keep(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stored, "HELD_OUT_ROWS", 40)
        _, test = Dataset.from_arrays(mapped(tmp_path, TABLE)).split()
        assert len(test.X) == 40
        monkeypatch.setattr(stored, "HELD_OUT_BYTES", 24 * 20)
        _, test = Dataset.from_arrays(mapped(tmp_path, TABLE)).split()
        assert len(test.X) == 20

    def test_labels_are_split_as_rows_are(self, tmp_path: Path) -> None:
        train, test = Dataset.from_arrays(mapped(tmp_path, TABLE), np.arange(3000)).split(seed=5)
        for part in (train, test):
            assert part.y is not None
            np.testing.assert_array_equal(np.asarray(part.X), TABLE[part.y])

    def test_what_uses_a_model_reads_files_too(self, tmp_path: Path) -> None:
        vae = VAE(**SMALL).fit(TABLE)
        rows = mapped(tmp_path, TABLE)
        for method in ("transform", "reconstruct", "score_samples", "in_range"):
            np.testing.assert_array_equal(getattr(vae, method)(rows), getattr(vae, method)(TABLE))
        there, here = vae.loss_samples(rows), vae.loss_samples(TABLE)
        assert all(np.array_equal(there[name], here[name]) for name in here)

    def test_an_evaluation_takes_a_sample(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        vae = VAE(**SMALL).fit(TABLE)
        rows = Dataset.from_arrays(mapped(tmp_path, TABLE)).X
        assert evaluate(vae, rows).n_rows == 3000
        monkeypatch.setattr("hyotan.analysis.evaluation.HELD_OUT_ROWS", 100)
        found = evaluate(vae, rows, rows)
        assert found.n_rows == 100
        assert found.mse == pytest.approx(evaluate(vae, TABLE[::30], TABLE).mse)


class TestRefusals:
    def test_values_that_are_not_finite_are_counted_and_placed(self, tmp_path: Path) -> None:
        X = TABLE.copy()
        X[1234, 5] = np.nan
        X[2000, 0] = np.inf
        with pytest.raises(
            DataError, match=r"X holds 2 values that are NaN or infinity.*first is NaN in row 1234, column 5"
        ):
            Autoencoder(**SMALL).fit(mapped(tmp_path, X))
        with pytest.raises(DataError, match=r"X holds 1 NaN and 1 infinite value, the first in row 1234, column 5"):
            Dataset.from_arrays(mapped(tmp_path, X))

    def test_another_shape_and_channels_last(self, tmp_path: Path) -> None:
        fitted = Autoencoder(**SMALL).fit(TABLE)
        with pytest.raises(
            DataError, match=r"X has samples of shape \(5,\); Autoencoder was fitted on samples of shape \(6,\)"
        ):
            fitted.transform(mapped(tmp_path, TABLE[:, :5]))
        with pytest.raises(DataError, match="channels last"):
            fitted.fit(mapped(tmp_path, np.zeros((9, 8, 8, 3), np.uint8)))

    def test_labels_need_rows_in_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        y = (TABLE[:, 0] > 3).astype(int)
        assert CVAE(**SMALL).fit(mapped(tmp_path, TABLE), y).predict(TABLE[:3]).shape == (3,)
        monkeypatch.setattr(arrays, "LARGEST_BYTES", 1000)
        with pytest.raises(
            DataError, match=r"A CVAE keeps its rows in memory: 3,000 rows take 72,000 bytes.*X\[:100_000\]"
        ):
            CVAE(**SMALL).fit(mapped(tmp_path, TABLE), y)


def test_encoded_rows_of_a_file_are_converted_once_where_they_are_held(tmp_path: Path) -> None:
    rows = Autoencoder(**SMALL).fit(TABLE).encode_rows(mapped(tmp_path, TABLE)).held()
    assert rows.is_lazy
    assert rows.numbers is rows.numbers
    places = np.array([5, 3])
    assert np.array_equal(rows.take(places).numbers, rows.numbers[places])
