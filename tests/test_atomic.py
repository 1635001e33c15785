"""Replacing a file: the old one or the new one, whatever the disk, a signal or another process does."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hyotan.errors import ResourceError
from hyotan.files import atomic
from hyotan.files.atomic import write_bytes_atomically, write_text_atomically
from hyotan.files.container import read, write

OLD, NEW = {"version": "old"}, {"version": "new"}
TENSORS = {"t": np.arange(1000.0)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.hyotan"
    write(path, kind="k", settings=OLD, tensors=TENSORS)
    return path


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic.time, "sleep", lambda seconds: None)


class FaultyDisk:
    """Counts the calls that touch the disk and fails some of them; takes no more than 512 bytes at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool], code: int) -> None:
        self.calls, self.done, self.failed, self.fails, self.code = 0, [], [], fails, code
        write = os.write
        monkeypatch.setattr(os, "write", self.wrapped("write", lambda handle, data: write(handle, data[:512])))
        for name in ("fsync", "replace"):
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object) -> object:
            self.calls += 1
            if self.fails(self.calls):
                self.failed.append(name)
                raise OSError(self.code, os.strerror(self.code))
            self.done.append(name)
            return call(*arguments)

        return wrapper


def faults(model: Path, code: int, fails: Callable[[int, int], bool]) -> Iterator[tuple[FaultyDisk, Exception | None]]:
    """Save with the n-th call failing, for n = 1, 2, … until nothing fails any more."""
    for n in range(1, 200):
        write(model, kind="k", settings=OLD, tensors=TENSORS)
        with pytest.MonkeyPatch.context() as patch:
            disk = FaultyDisk(patch, lambda call, n=n: fails(call, n), code)
            caught = None
            try:
                write(model, kind="k", settings=NEW, tensors=TENSORS)
            except ResourceError as error:
                caught = error
        yield disk, caught
        if not disk.failed:
            return
    pytest.fail("the save never completed untouched")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_disk_that_fails_from_the_nth_call_on_loses_nothing(model: Path, code: int) -> None:
    outcomes = []
    for disk, error in faults(model, code, lambda call, n: call >= n):
        renamed = "replace" in disk.done  # then only the folder's sync failed, and the new file is whole
        assert read(model).settings == (NEW if renamed else OLD)
        assert (error is None) == (not disk.failed)
        assert [path.name for path in model.parent.iterdir()] == ["model.hyotan"]
        outcomes.append(renamed)
    assert outcomes.count(False) > 15
    assert outcomes[-3:] == [False, True, True]


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_an_error_that_passes_is_tried_again(model: Path, code: int) -> None:
    for _, error in faults(model, code, lambda call, n: call == n):
        assert error is None
        assert read(model).settings == NEW


def test_a_passing_error_is_tried_three_times_more(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FaultyDisk(monkeypatch, lambda call: call <= 3, errno.EIO)
    write_bytes_atomically(model, b"x")
    assert (disk.failed, model.read_bytes()) == (["write"] * 3, b"x")
    disk = FaultyDisk(monkeypatch, lambda call: call <= 4, errno.EIO)
    with pytest.raises(ResourceError, match="Input/output error"):
        write_bytes_atomically(model, b"y")


def test_a_full_disk_is_told_with_path_needed_and_free_bytes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FaultyDisk(monkeypatch, lambda call: True, errno.ENOSPC)
    message = r"model\.hyotan could not be written: No space left on device \(12,345 bytes needed, [\d,]+ free\)\. Free"
    with pytest.raises(ResourceError, match=message) as caught:
        write_bytes_atomically(model, bytes(12_345))
    assert caught.value.exit_code == 4


def test_a_disk_that_tells_nothing_any_more_is_still_told(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(folder: Path) -> None:
        raise OSError(errno.ESTALE, "stale")

    FaultyDisk(monkeypatch, lambda call: True, errno.EIO)
    monkeypatch.setattr(atomic.shutil, "disk_usage", gone)
    with pytest.raises(ResourceError, match=r"\(1 bytes needed, an unknown number free\)"):
        write_bytes_atomically(model, b"x")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/model.hyotan", "No such file or directory. Make the folder first: mkdir -p .*missing"),
        ("folder", "Is a directory. Choose a file name and a folder that you may write to"),
        ("file/model.hyotan", "Not a directory. Choose a file name"),
        ("x" * 300, "File name too long. Choose a file name"),
    ],
)
def test_a_path_that_cannot_be_a_file(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match=f"could not be written: {message}"):
        write_bytes_atomically(tmp_path / name, b"x")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_is_0666_less_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "a", kind="k", settings={}, tensors={})
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_what_a_killed_process_left_is_taken_over(model: Path) -> None:
    left = model.with_name(".model.hyotan.tmp")
    left.write_bytes(b"half a file")
    left.chmod(0o777)
    write_bytes_atomically(model, b"x")
    assert [path.name for path in model.parent.iterdir()] == ["model.hyotan"]
    assert model.stat().st_mode & 0o111 == 0


def test_a_link_planted_under_the_temporary_name_is_not_followed(model: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    model.with_name(".model.hyotan.tmp").symlink_to(victim)
    with pytest.raises(ResourceError, match="symbolic links"):
        write_bytes_atomically(model, b"x")
    assert victim.read_text() == "precious"


def test_writers_at_the_same_path_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def save(letter: int) -> list[set[int]]:
        seen = []
        for _ in range(20):
            write_bytes_atomically(path, bytes([letter]) * 100_000)
            seen.append(path.read_bytes())
        return [set(content) | {len(content)} for content in seen]

    with ThreadPoolExecutor(4) as pool:
        seen = [content for contents in pool.map(save, range(4)) for content in contents]
    assert [content for content in seen if len(content) != 2 or 100_000 not in content] == []
    assert [left.name for left in tmp_path.iterdir()] == ["a"]


def test_the_folder_is_synced_after_the_rename_and_the_file_before(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    fsync, replace = os.fsync, os.replace

    def note_sync(handle: int) -> None:
        order.append("sync folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "sync file")  # noqa: PTH112
        fsync(handle)

    def note_rename(source: Path, target: Path) -> None:
        order.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    write_bytes_atomically(model, b"x")
    assert order == ["sync file", "rename", "sync folder"]


def test_a_disk_that_cannot_sync_folders_is_let_be(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FaultyDisk(monkeypatch, lambda call: call == 4, errno.EINVAL)  # write, fsync, replace, then the folder
    write_bytes_atomically(model, b"x")
    assert model.read_bytes() == b"x"


def test_text_is_utf_8(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a", "瓢箪\n")
    assert (tmp_path / "a").read_bytes() == "瓢箪\n".encode()


KILL_SAVES = """
import json, os, random, signal, sys, time
from pathlib import Path
import numpy as np
from hyotan.files import container
from hyotan.errors import ModelFileError

trials, in_place, folder = int(sys.argv[1]), sys.argv[2] == "in place", Path(sys.argv[3])
rng, path, tensors = random.Random(5), folder / "model.hyotan", {"t": np.zeros(500_000)}
plain_write = os.write

def slow_write(handle, data):  # so that most of a save's time is spent in the middle of the file
    time.sleep(0.0005)
    return plain_write(handle, data[:65_536])

def write_in_place(path, data):  # the control: what saving would be without the care
    handle, rest = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest):]
    os.close(handle)

os.write = slow_write
if in_place:
    container.write_bytes_atomically = write_in_place

def save_for_ever():
    step = 0
    while True:
        container.write(path, kind="k", settings={"step": step}, tensors=tensors)
        step += 1

unreadable, most_left, interrupted = 0, 0, 0
for _ in range(trials):
    container.write(path, kind="k", settings={"step": -1}, tensors=tensors)
    child = os.fork()
    if not child:
        save_for_ever()
    time.sleep(rng.uniform(0.01, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    others = [left for left in folder.iterdir() if left != path]
    interrupted += bool(others)
    most_left = max(most_left, len(others))
    try:
        container.read(path)
    except ModelFileError:
        unreadable += 1
container.write(path, kind="k", settings={}, tensors={})
print(json.dumps([unreadable, most_left, interrupted, len(list(folder.iterdir()))]))
"""


def killed_saves(folder: Path, source_folder: Path, trials: int, how: str) -> list[int]:
    command = [sys.executable, "-c", KILL_SAVES, str(trials), how, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(source_folder)}
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("trials", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_while_saving_leaves_a_good_file(tmp_path: Path, source_folder: Path, trials: int) -> None:
    unreadable, most_left, interrupted, files_after_next_save = killed_saves(tmp_path, source_folder, trials, "safely")
    assert unreadable == 0
    assert most_left <= 1
    assert interrupted > 0  # some kills did strike in the middle of a save
    assert files_after_next_save == 1


def test_the_same_kills_ruin_a_file_that_is_written_in_place(tmp_path: Path, source_folder: Path) -> None:
    assert killed_saves(tmp_path, source_folder, 20, "in place")[0] > 0


LIMITED = """
import resource, sys
from hyotan.files.atomic import write_bytes_atomically
from hyotan.errors import ResourceError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes_atomically(sys.argv[1], bytes(5000))
except ResourceError as error:
    print(error.exit_code, error)
"""


def test_a_real_limit_on_the_file_size_keeps_the_old_file(model: Path, source_folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(source_folder)}
    command = [sys.executable, "-c", LIMITED, str(model)]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert said.startswith("4 ") and "File too large (5,000 bytes needed" in said
    assert read(model).settings == OLD
    assert [path.name for path in model.parent.iterdir()] == ["model.hyotan"]
