"""What watches a training: when it is called, what it keeps, what it shows."""

from __future__ import annotations

import doctest
import io
import json
import re
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyotan.errors import DivergenceError, MissingExtraError
from hyotan.estimators import VAE, Autoencoder
from hyotan.training import callbacks
from hyotan.training.callbacks import (
    Callback,
    Fitting,
    ProgressReporter,
    ReconstructionTracker,
    TensorBoardLogger,
    epoch_line,
)
from hyotan.words import terminal
from hyotan.words.terminal import in_notebook
from run_children import nursery

RANDOM = np.random.default_rng(0)
X = RANDOM.random((40, 6), dtype=np.float32)
SETTINGS: dict[str, Any] = {"latent_dim": 2, "hidden_dims": (4,), "batch_size": 12, "random_state": 0, "device": "cpu"}
"""36 rows to train on in 3 steps an epoch, 4 held out."""


@dataclass
class Training:
    """A training that a test moves on by hand."""

    max_epochs: int = 10
    steps_per_epoch: int = 10
    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    row: dict[str, Any] = field(default_factory=dict)

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        return np.full(x.shape, self.epoch, dtype=np.float32)

    def run(self, callback: Callback, epochs: int) -> None:
        """Take so many epochs, the callback watching."""
        callback.on_fit_start(self)
        for _ in range(epochs):
            for _ in range(self.steps_per_epoch):
                self.step += 1
                callback.on_step_end(self)
            self.epoch += 1
            row = {"epoch": self.epoch, "loss": 9.5, "val_loss": 10.25, "val_mse": 0.0125, "seconds": 1.5}
            self.history.append({**row, **self.row})
            callback.on_epoch_end(self)
        callback.on_fit_end(self)


class Diary(Callback):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def on_fit_start(self, fitting: Fitting) -> None:
        self.events.append(("start", fitting.step))

    def on_step_end(self, fitting: Fitting) -> None:
        self.events.append(("step", fitting.step))

    def on_epoch_end(self, fitting: Fitting) -> None:
        assert fitting.history[-1]["epoch"] == fitting.epoch
        self.events.append(("epoch", fitting.epoch))

    def on_fit_end(self, fitting: Fitting) -> None:
        self.events.append(("end", fitting.step))


class TestACallback:
    """Called in order, whatever happens."""

    def test_is_told_of_the_start_each_step_each_epoch_and_the_end(self) -> None:
        diary = Diary()
        Autoencoder(**SETTINGS, max_epochs=2, callbacks=[diary]).fit(X)
        steps = [("step", number) for number in range(1, 7)]
        assert diary.events == [("start", 0), *steps[:3], ("epoch", 1), *steps[3:], ("epoch", 2), ("end", 6)]

    def test_is_told_of_the_end_where_training_fails(self) -> None:
        diary = Diary()
        model = Autoencoder(
            **SETTINGS, likelihood="gaussian", learning_rate=1e30, optimizer="sgd", max_epochs=2, callbacks=[diary]
        )
        with pytest.raises(DivergenceError, match="Training diverged"):
            model.fit(X)
        assert diary.events[0] == ("start", 0)
        assert diary.events[-1][0] == "end"

    @pytest.mark.parametrize("family", [Autoencoder, VAE])
    def test_that_watches_changes_nothing(self, family: type[Autoencoder] | type[VAE]) -> None:
        watchers = [ReconstructionTracker(X[:3]), ProgressReporter(io.StringIO()), Diary()]
        watched = family(**SETTINGS, max_epochs=3, callbacks=watchers).fit(X)
        alone = family(**SETTINGS, max_epochs=3).fit(X)
        np.testing.assert_array_equal(watched.transform(X), alone.transform(X))


class TestTheReconstructionTracker:
    """The same rows after every epoch, within a bound of memory."""

    def test_has_a_frame_an_epoch(self) -> None:
        tracker = ReconstructionTracker(X[:3])
        Training().run(tracker, 10)
        assert tracker.epochs == list(range(1, 11))
        np.testing.assert_array_equal(np.stack(tracker.frames)[:, 0, 0], tracker.epochs)

    @pytest.mark.parametrize(
        ("rows", "settings"),
        [
            (X, {}),
            (X.astype(np.float64), {}),
            (100 + 30 * X, {}),
            (100 + 30 * X, {"scaling": "unit"}),
            (RANDOM.integers(0, 256, (40, 4, 4), dtype=np.uint8), {}),
            (RANDOM.integers(0, 256, (40, 4, 4), dtype=np.uint8), {"scaling": "standard"}),
            (RANDOM.integers(0, 9, (40, 5), dtype=np.uint8), {}),
        ],
        ids=["unit", "float64", "standardised", "to unit", "pixels", "standardised pixels", "small integers"],
    )
    def test_sees_what_the_model_makes_of_the_rows_whatever_their_range(
        self, rows: np.ndarray, settings: dict[str, Any]
    ) -> None:
        tracker = ReconstructionTracker(rows[:5])
        options = {**SETTINGS, "validation_fraction": 0.0, "callbacks": [tracker], **settings}
        model = Autoencoder(**options, max_epochs=2).fit(rows)
        _, expected = model.reconstruct_in_range(rows[:5])
        np.testing.assert_allclose(tracker.frames[-1], expected, atol=1e-5)
        assert tracker.frames[0].shape == rows[:5].shape
        assert not np.allclose(tracker.frames[0], tracker.frames[1], atol=1e-5)

    @pytest.mark.parametrize("epochs", [1, 2, 5, 16, 17, 33, 100])
    @pytest.mark.parametrize("room", [3, 4, 8])
    def test_drops_every_second_frame_where_memory_ends_but_never_the_last(self, epochs: int, room: int) -> None:
        size = X[:3].nbytes
        tracker = ReconstructionTracker(X[:3], max_bytes=room * size)
        Training(max_epochs=epochs).run(tracker, epochs)
        assert len(tracker.frames) == len(tracker.epochs) <= room
        assert len(tracker.frames) >= min(epochs, room // 2)
        assert (tracker.epochs[0], tracker.epochs[-1]) == (1, epochs)
        strides = np.diff(tracker.epochs[:-1])
        assert len(set(strides)) <= 1
        np.testing.assert_array_equal(np.stack(tracker.frames)[:, 0, 0], tracker.epochs)

    @pytest.mark.parametrize("stop", [1, 2, 7, 19])
    def test_goes_on_from_its_state_as_if_never_stopped(self, stop: int) -> None:
        whole, first, second = (ReconstructionTracker(X[:3], max_bytes=5 * X[:3].nbytes) for _ in range(3))
        Training(max_epochs=20).run(whole, 20)
        training = Training(max_epochs=20)
        training.run(first, stop)
        second.restore(first.state())
        training.run(second, 20 - stop)
        assert second.epochs == whole.epochs
        np.testing.assert_array_equal(np.stack(second.frames), np.stack(whole.frames))

    def test_has_an_empty_state_before_the_first_epoch(self) -> None:
        tracker = ReconstructionTracker(X[:3])
        assert tracker.state() == {}
        tracker.restore({})
        assert (tracker.epochs, tracker.frames) == ([], [])


class Terminal(io.StringIO):
    """A stream that says that it is a terminal, and how a person sees it."""

    def __init__(self, columns: int = 80) -> None:
        super().__init__()
        self.columns = columns

    def isatty(self) -> bool:
        return True

    @property
    def updates(self) -> list[str]:
        """Every text that the changing line ever held."""
        return [text.rstrip("\n") for text in self.getvalue().split("\r")[1:]]

    def screen(self) -> list[str]:
        """What stands there in the end: ``\\r`` goes back, later letters replace earlier ones, long lines wrap."""
        lines = []
        for line in self.getvalue().split("\n"):
            cells: list[str] = []
            for text in line.split("\r"):
                # A text that has wrapped can no longer be reached by going back to the start of its line.
                start = len(cells) // self.columns * self.columns
                cells[start : start + len(text)] = text
            lines.append("".join(cells).rstrip())
        return lines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by so many seconds whenever it is asked."""
    pace = [0.0]
    now = [1000.0]

    def monotonic() -> float:
        now[0] += pace[0]
        return now[0]

    monkeypatch.setattr(callbacks.time, "monotonic", monotonic)
    return pace


class TestTheProgressReporter:
    """One changing line for a person, a line an epoch for a file."""

    def test_writes_a_line_an_epoch_into_a_pipe(self) -> None:
        stream = io.StringIO()
        Training(max_epochs=12).run(ProgressReporter(stream), 2)
        assert stream.getvalue() == (
            "epoch  1/12  loss 9.50  held-out 10.25  MSE 0.01250  1.5 s\n"
            "epoch  2/12  loss 9.50  held-out 10.25  MSE 0.01250  1.5 s\n"
        )

    def test_says_the_kl_where_there_is_one_and_leaves_out_what_there_is_not(self) -> None:
        row = {"epoch": 3, "loss": 1.0, "seconds": 0.25}
        assert epoch_line(row, 9) == "epoch 3/9  loss 1.00  0.2 s"
        assert (
            epoch_line({**row, "val_loss": 2.0, "val_kl": 3.0}, 9)
            == "epoch 3/9  loss 1.00  held-out 2.00  KL 3.00  0.2 s"
        )

    def test_changes_one_line_on_a_terminal_and_leaves_the_last_epoch_standing(self, clock: list[float]) -> None:
        clock[0] = 0.2
        terminal = Terminal()
        Training().run(ProgressReporter(terminal), 10)
        assert terminal.getvalue().count("\n") == 1
        assert terminal.screen() == ["epoch 10/10  loss 9.50  held-out 10.25  MSE 0.01250  1.5 s", ""]

    def test_shows_how_much_is_done_and_left(self, clock: list[float]) -> None:
        clock[0] = 0.5
        terminal = Terminal()
        Training().run(ProgressReporter(terminal), 10)
        assert terminal.updates[0] == "····················   1%   50 s left  epoch 1"
        assert terminal.updates[49].startswith("██████████··········  50%   25 s left  epoch  4/10")
        assert terminal.updates[99].startswith("████████████████████ 100%    0 s left  epoch  9/10")

    def test_tells_the_time_left_of_a_resumed_run_by_its_own_pace(self, clock: list[float]) -> None:
        clock[0] = 0.5
        terminal = Terminal()
        Training(epoch=9, step=90).run(ProgressReporter(terminal), 1)
        assert "91%    4 s left" in terminal.updates[0]

    def test_refreshes_at_most_ten_times_a_second(self, clock: list[float]) -> None:
        clock[0] = 0.003
        terminal = Terminal()
        Training(steps_per_epoch=1000).run(ProgressReporter(terminal), 10)
        seconds = 10_000 * clock[0]
        assert 8 * seconds < len(terminal.updates) <= 10 * seconds + 2

    @pytest.mark.parametrize("columns", [20, 40, 79, 80, 200])
    def test_never_wraps(self, columns: int, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
        clock[0] = 0.2
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal = Terminal(columns)
        Training(max_epochs=1000, row={"val_kl": 1234.5}).run(ProgressReporter(terminal), 10)
        assert max(map(len, terminal.updates)) < columns
        (line, _) = terminal.screen()
        assert "epoch   10/1000  loss 9.50  held-out 10.25  KL 1234.50  MSE 0.01250  1.5 s".startswith(line)
        assert len(line) > min(columns - 3, 70)

    def test_ends_its_line_where_training_is_stopped_before_the_first_epoch_ends(self, clock: list[float]) -> None:
        clock[0] = 0.2
        terminal, training = Terminal(), Training()
        reporter = ProgressReporter(terminal)
        reporter.on_fit_start(training)
        training.step = 5
        reporter.on_step_end(training)
        reporter.on_fit_end(training)
        assert terminal.getvalue().endswith("\n")
        assert terminal.screen()[0].startswith("█···················   5%")

    def test_is_what_verbose_shows_on_standard_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        Autoencoder(**SETTINGS, max_epochs=2, verbose=1).fit(X)
        printed = capsys.readouterr()
        assert printed.out == ""
        assert re.fullmatch(
            r"(epoch [12]/2  loss -?\d+\.\d\d  held-out -?\d+\.\d\d  MSE \d+\.\d{5}  \d+\.\d s\n){2}", printed.err
        )

    def test_is_silent_without_verbose(self, capsys: pytest.CaptureFixture[str]) -> None:
        Autoencoder(**SETTINGS, max_epochs=1).fit(X)
        assert capsys.readouterr() == ("", "")

    def test_is_silent_on_the_command_line_where_asked(self, tmp_path: Path) -> None:
        line = "fit digits --limit 100 --hidden-dims 8 --max-epochs 1 --out".split()
        loud = nursery().run("cli", *line, tmp_path / "loud")
        quiet = nursery().run("cli", *line, tmp_path / "quiet", "--quiet")
        as_json = nursery().run("cli", *line, tmp_path / "json", "--json")
        assert "epoch 1/1" in loud.text
        assert quiet.text == f"{tmp_path / 'quiet'}\n"
        assert json.loads(as_json.text)["run"] == str(tmp_path / "json")


class TestALineThatChanges:
    """In a terminal, by what a person sees."""

    def test_has_examples_that_run(self) -> None:
        assert doctest.testmod(terminal).failed == 0

    def test_is_cut_by_columns_and_leaves_nothing_of_a_longer_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "10")
        stream = Terminal(10)
        line = terminal.TerminalLine(stream)
        line.update("渋谷の店の表")
        line.update("猫")
        line.update("ab", keep=True)
        assert stream.updates == ["渋谷の店", "猫      ", "ab"]


class Handle:
    """A place below a notebook's cell."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, data: dict[str, str], raw: bool) -> None:
        assert raw
        self.texts.append(data["text/plain"])


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """A process that looks like a notebook's kernel."""
    handle = Handle()
    shell = type("ZMQInteractiveShell", (), {})()

    def display(data: dict[str, str], raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        handle.texts.append(data["text/plain"])
        return handle

    package, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    vars(package)["get_ipython"] = lambda: shell
    vars(module)["display"] = display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return handle


class TestANotebook:
    """One line below the cell."""

    def test_is_recognised(self, notebook: Handle) -> None:
        assert in_notebook()

    def test_is_not_a_terminal_with_ipython(self, monkeypatch: pytest.MonkeyPatch) -> None:
        package = types.ModuleType("IPython")
        vars(package)["get_ipython"] = lambda: type("TerminalInteractiveShell", (), {})()
        monkeypatch.setitem(sys.modules, "IPython", package)
        assert not in_notebook()
        monkeypatch.delitem(sys.modules, "IPython")
        assert not in_notebook()

    def test_shows_one_line_that_changes(
        self, notebook: Handle, clock: list[float], capsys: pytest.CaptureFixture[str]
    ) -> None:
        clock[0] = 0.2
        Training().run(ProgressReporter(), 10)
        assert notebook.texts[0] == ""
        assert len(notebook.texts) == 1 + 100 + 1
        assert notebook.texts[50].startswith("██████████··········  50%")
        assert notebook.texts[-1] == "epoch 10/10  loss 9.50  held-out 10.25  MSE 0.01250  1.5 s"
        assert capsys.readouterr() == ("", "")

    def test_leaves_a_stream_that_was_given_alone(self, notebook: Handle) -> None:
        stream = io.StringIO()
        Training().run(ProgressReporter(stream), 1)
        assert (notebook.texts, stream.getvalue().count("\n")) == ([], 1)


class TestTensorBoard:
    """Event files that TensorBoard reads; an extra."""

    def test_reads_the_numbers_of_every_epoch(self, tmp_path: Path) -> None:
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        model = VAE(**SETTINGS, max_epochs=3, callbacks=[TensorBoardLogger(str(tmp_path))]).fit(X)
        events = accumulator.EventAccumulator(str(tmp_path)).Reload()
        tags = set(events.Tags()["scalars"])
        assert {"loss", "val_loss", "val_kl", "val_mse", "learning_rate", "active_units"} <= tags
        assert not {"epoch", "step"} & tags
        for tag in tags:
            scalars = events.Scalars(tag)
            assert [scalar.step for scalar in scalars] == [1, 2, 3]
            expected = [row[tag] for row in model.history_]
            np.testing.assert_allclose([scalar.value for scalar in scalars], expected, rtol=1e-6)

    def test_can_watch_a_second_training(self, tmp_path: Path) -> None:
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        model = Autoencoder(**SETTINGS, max_epochs=1, callbacks=[TensorBoardLogger(str(tmp_path))])
        model.fit(X).fit(X)
        events = accumulator.EventAccumulator(str(tmp_path)).Reload()
        assert [scalar.step for scalar in events.Scalars("loss")] == [1, 1]

    def test_is_written_by_the_command_line(self, tmp_path: Path) -> None:
        pytest.importorskip("tensorboard")
        line = "fit digits --limit 100 --hidden-dims 8 --max-epochs 1 --quiet --tensorboard".split()
        outcome = nursery().run("cli", *line, tmp_path / "logs", "--out", tmp_path / "run")
        assert outcome.code == 0, outcome.text
        assert [path.name.startswith("events.out.tfevents") for path in (tmp_path / "logs").iterdir()] == [True]

    def test_missing_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        message = r"needs the package 'tensorboard', which is not installed\. Type: pip install 'hyotan\[tensorboard\]'"
        with pytest.raises(MissingExtraError, match=message):
            TensorBoardLogger("logs")
