"""Folders of images: order, labels, colours, sizes, and files that are damaged or meant harm."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hyotan.data import decoded, image_folder, load, stored
from hyotan.errors import DataError, ResourceError

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, size=shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return pixels


def flat(path: Path, value: int, size: tuple[int, int] = (4, 6)) -> None:
    save(path, np.full(size, value, np.uint8))


# --- what is read


def test_grey_images_are_read_pixel_by_pixel(tmp_path: Path) -> None:
    pictures = [save(tmp_path / f"{n}.png", noise(4, 6)) for n in range(3)]
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.X, np.stack(pictures))
    assert (dataset.X.dtype, dataset.y, dataset.name, dataset.notes) == (np.uint8, None, tmp_path.name, ())
    assert dataset.describe() == "3 images, 4×6 grey, 0..255 scaled to [0,1], no labels"


def test_colour_images_have_their_channels_first(tmp_path: Path) -> None:
    pixels = save(tmp_path / "a.png", noise(40, 56, 3))
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.X, pixels.transpose(2, 0, 1)[None])
    assert dataset.describe() == "1 image, 40×56 RGB, 0..255 scaled to [0,1], no labels"


@pytest.mark.parametrize(
    ("name", "options"), [("a.jpg", {"quality": 95}), ("A.JPEG", {}), ("a.webp", {"lossless": True})]
)
def test_jpeg_and_webp_are_read(tmp_path: Path, name: str, options: dict) -> None:
    save(tmp_path / name, np.full((8, 8, 3), (200, 100, 50), np.uint8), **options)
    np.testing.assert_allclose(load(tmp_path).X[0, :, 4, 4], [200, 100, 50], atol=3)


def test_order_is_the_one_that_people_count_in(tmp_path: Path) -> None:
    for value, name in enumerate(["1.png", "2.png", "10.png", "a2.png", "a10.png", "b.png"]):
        flat(tmp_path / name, value)
    assert load(tmp_path).X[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_sub_folders_are_labels(tmp_path: Path) -> None:
    for value, name in enumerate(["猫/1.png", "猫/2.png", "犬/1.png"]):
        flat(tmp_path / name, value)
    dataset = load(tmp_path)
    assert dict(zip(dataset.X[:, 0, 0].tolist(), dataset.y.tolist(), strict=True)) == {0: "猫", 1: "猫", 2: "犬"}
    assert dataset.n_classes == 2


def test_hidden_files_do_not_count_and_others_are_noted(tmp_path: Path) -> None:
    flat(tmp_path / "cat" / "1.png", 1)
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "cat" / "._1.png").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "cat" / "readme.txt").touch()
    (tmp_path / "dog").mkdir()
    dataset = load(tmp_path)
    assert dataset.y.tolist() == ["cat"]
    assert dataset.notes == (
        "Ignored, as they are not images: 'readme.txt'.",
        "Without images: the sub-folders 'dog'.",
    )


def test_the_current_folder_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat(tmp_path / "pics" / "1.png", 1)
    monkeypatch.chdir(tmp_path / "pics")
    assert load(".").name == "pics"


def test_a_limit_decodes_only_what_is_drawn(tmp_path: Path) -> None:
    for n in range(30):
        flat(tmp_path / "abc"[n // 10] / f"{n}.png", n)
    dataset = load(tmp_path, limit=12)
    assert len(dataset.X) == 12
    assert dataset.y.tolist() == ["abc"[value // 10] for value in dataset.X[:, 0, 0].tolist()]
    assert dataset.n_classes == 3
    assert dataset.notes == ("12 of 30 images were drawn at random (--limit 12).",)


# --- colours


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.array([[0, 257, 32768, 65535]], np.uint16))
    dataset = load(tmp_path)
    assert dataset.X[0].tolist() == [[0, 1, 128, 255]]
    assert dataset.notes == ("16-bit values of 1 image were scaled to 0..255.",)


def test_a_palette_becomes_rgb(tmp_path: Path) -> None:
    pixels = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    Image.fromarray(pixels).quantize(2).save(tmp_path / "a.png")
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.X[0], pixels.transpose(2, 0, 1))
    assert dataset.notes == ("The palette colours of 1 image were read as RGB.",)


def test_transparency_is_dropped_with_a_note(tmp_path: Path) -> None:
    pixels = save(tmp_path / "a.png", noise(3, 5, 4))
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.X[0], pixels[:, :, :3].transpose(2, 0, 1))
    assert dataset.notes == ("The transparency of 1 image was dropped.",)


def test_a_palette_with_an_alpha_table_is_read_without_a_warning(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)).quantize(2)
    image.save(tmp_path / "a.png", transparency=b"\x00\x80")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load(tmp_path)
    assert dataset.X[0, :, 0, 0].tolist() == [255, 0, 0]
    assert len(dataset.notes) == 2


def test_grey_with_transparency_stays_grey(tmp_path: Path) -> None:
    pixels = noise(3, 5, 2)
    Image.fromarray(pixels, mode="LA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(load(tmp_path).X[0], pixels[:, :, 0])


def test_printing_colours_become_rgb(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", np.full((8, 8, 3), (200, 100, 50), np.uint8), "CMYK", quality=95)
    dataset = load(tmp_path)
    np.testing.assert_allclose(dataset.X[0, :, 4, 4], [200, 100, 50], atol=4)
    assert dataset.notes == ("The printing colours (CMYK) of 1 image were read as RGB.",)


def test_black_and_white_is_grey(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.array([[0, 255]], np.uint8), "1")
    assert load(tmp_path).X.tolist() == [[[0, 255]]]


def test_one_colour_image_makes_all_of_them_rgb(tmp_path: Path) -> None:
    grey = save(tmp_path / "1.png", noise(4, 6))
    save(tmp_path / "2.png", noise(4, 6, 3))
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.X[0], np.stack([grey] * 3))
    assert dataset.notes == ("1 grey image became RGB, as the others are.",)


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 4, 3), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    dataset = load(tmp_path)
    assert dataset.X.max() == 10
    assert dataset.notes == ("Only the first frame of 1 image was read.",)


def test_photos_stand_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: the first stored row is the right edge of the picture.
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:4] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    dataset = load(tmp_path)
    assert dataset.feature_shape == (16, 8)
    assert dataset.X[0, 0].tolist() == [0] * 4 + [255] * 4


# --- sizes


def test_mixed_sizes_name_two_examples_and_the_fix(tmp_path: Path) -> None:
    flat(tmp_path / "a" / "1.png", 1, (4, 6))
    flat(tmp_path / "b" / "2.png", 1, (4, 7))
    with pytest.raises(
        DataError, match=r"a.1\.png is 4×6, b.2\.png is 4×7\. .*--size 64x64 \(in Python: size=\(64, 64\)"
    ):
        load(tmp_path)


def test_a_size_brings_all_to_height_and_width(tmp_path: Path) -> None:
    flat(tmp_path / "1.png", 7, (4, 6))
    flat(tmp_path / "2.png", 9, (16, 8))
    flat(tmp_path / "3.png", 5, (8, 10))
    dataset = load(tmp_path, size=(8, 10))
    assert dataset.feature_shape == (8, 10)
    assert [np.unique(image).tolist() for image in dataset.X] == [[7], [9], [5]]
    assert dataset.notes == ("2 images resized to 8×10 (--size).",)


def test_shrinking_averages_fine_patterns(tmp_path: Path) -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    save(tmp_path / "a.png", checks)
    middle = load(tmp_path, size=(8, 8)).X[0, 2:-2, 2:-2]
    np.testing.assert_allclose(middle, 127.5, atol=3)


# --- what is refused


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"The folder is empty\. Put PNG, JPEG or WebP images into it"):
        load(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=r"The sub-folders are empty"):
        load(tmp_path)


def test_a_folder_of_other_files_says_what_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "faces.npy", np.ones((2, 2)))
    np.save(tmp_path / "more.npy", np.ones((2, 2)))
    (tmp_path / "readme.txt").touch()
    text = r"holds no .*, but 2 \.npy files, such as faces\.npy\. To read that file, give its path: .*faces\.npy"
    with pytest.raises(DataError, match=text):
        load(tmp_path)


def test_images_two_folders_down_are_pointed_at(tmp_path: Path) -> None:
    flat(tmp_path / "train" / "cat" / "1.png", 1)
    with pytest.raises(
        DataError, match=r"two folders down; labels are one folder down\. Give one folder, such as .*train"
    ):
        load(tmp_path)
    assert load(tmp_path / "train").y.tolist() == ["cat"]


def test_loose_images_beside_labelled_ones(tmp_path: Path) -> None:
    flat(tmp_path / "cat" / "1.png", 1)
    flat(tmp_path / "2.png", 1)
    with pytest.raises(DataError, match=r"there are loose ones: '2\.png'\. Sub-folders are labels"):
        load(tmp_path)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    save(tmp_path / "ok.jpg", noise(64, 64, 3))
    whole = (tmp_path / "ok.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.jpg is damaged or no image \(.*truncated"):
        load(tmp_path)


def test_other_formats_do_not_pass_under_an_image_name(tmp_path: Path) -> None:
    """Pillow would read a GIF or an EPS by content; only the three formats are let in."""
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png", format="GIF")
    with pytest.raises(DataError, match=r"a\.png is damaged or no image"):
        load(tmp_path)
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(DataError, match=r"a\.png is damaged or no image"):
        load(tmp_path)


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header announces a size that its few bytes do not hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "text"),
    [
        (4001, 4000, r"a\.png has 4000×4001 pixels, 16 million; the limit is 16 million"),
        (12000, 10000, r"a\.png has 10000×12000 pixels, 120 million"),
        (60000, 60000, r"a\.png is far too large an image"),
    ],
)
def test_huge_images_are_refused_before_they_are_decoded(tmp_path: Path, width: int, height: int, text: str) -> None:
    (tmp_path / "a.png").write_bytes(png_of(width, height))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=text):
            load(tmp_path)


def test_many_images_are_decoded_once_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = tmp_path / "images", tmp_path / "cache"
    for n in range(6):
        (folder / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        save(folder / "ab"[n % 2] / f"{n}.png", noise(10, 9, 3))
    here = load(folder)
    monkeypatch.setenv("HYOTAN_CACHE", str(cache))
    monkeypatch.setattr(decoded, "DECODED_BYTES", 6 * 10 * 9 * 3 - 1)
    monkeypatch.setattr(stored, "STREAMED_BYTES", 100)
    there = load(folder)
    assert isinstance(there.X, stored.StoredRows)
    np.testing.assert_array_equal(np.asarray(there.X), here.X)
    np.testing.assert_array_equal(there.y, here.y)
    assert there.fingerprint() == here.fingerprint()
    assert there.notes[:-1] == here.notes
    assert there.notes[-1].startswith(f"Decoded once, the rows lie in {cache / 'decoded'}")
    monkeypatch.setattr(image_folder, "_shape_of", None)  # nothing is looked at a second time
    np.testing.assert_array_equal(np.asarray(load(folder).X), here.X)
    assert len(list((cache / "decoded").iterdir())) == 1


def test_a_changed_image_is_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYOTAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decoded, "DECODED_BYTES", 10)
    folder = tmp_path / "images"
    folder.mkdir()
    flat(folder / "a.png", 5, (4, 4))
    assert np.all(np.asarray(load(folder).X) == 5)
    flat(folder / "a.png", 77, (4, 4))
    os.utime(folder / "a.png", ns=(1, 1))
    assert np.all(np.asarray(load(folder).X) == 77)


def test_a_full_disk_is_named_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYOTAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decoded, "DECODED_BYTES", 10)
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda folder: SimpleNamespace(free=15))
    (tmp_path / "images").mkdir()
    flat(tmp_path / "images" / "a.png", 5, (4, 4))
    with pytest.raises(ResourceError, match=r"Decoded, the rows take 16 bytes; .* has room for 15\. Set HYOTAN_CACHE"):
        load(tmp_path / "images")
    assert not list((tmp_path / "cache" / "decoded").iterdir())


def test_flipped_bytes_give_an_image_or_a_data_error(tmp_path: Path) -> None:
    save(tmp_path / "a.png", noise(8, 8, 3))
    whole = (tmp_path / "a.png").read_bytes()
    refused = 0
    for place in RNG.integers(0, len(whole), 150):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << RNG.integers(8)
        (tmp_path / "a.png").write_bytes(flipped)
        try:
            load(tmp_path)
        except DataError as error:
            refused += 1
            assert "a.png" in error.message
    assert refused > 50
