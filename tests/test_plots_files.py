"""Files that figures become: formats, whole or not at all, films, and fonts that can draw the text."""

from __future__ import annotations

import json
import re
import warnings
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hyotan.errors import DataError, ResourceError, SettingsError
from hyotan.figures import (
    InterpolationDisplay,
    KLPerDimensionDisplay,
    ReconstructionsDisplay,
    SamplesDisplay,
    TrainingAnimation,
    fonts,
)
from hyotan.figures.canvas import tidy
from hyotan.figures.chosen import thinned
from hyotan.figures.film import sheet_shape

NOBODY_DRAWS = "\U0010fffd"
"""A private character at the very end of Unicode."""
KL = KLPerDimensionDisplay.from_kl([1.0, 0.5])


def film(epochs: int = 4, **options: object) -> TrainingAnimation:
    """Two samples of 4 x 6 pixels; every pixel of epoch k has the value k / epochs."""
    frames = [np.full((2, 4, 6), (epoch + 1) / epochs) for epoch in range(epochs)]
    return TrainingAnimation.from_frames(np.zeros((2, 4, 6)), frames, **options)  # type: ignore[arg-type]


class TestSave:
    @pytest.mark.parametrize(
        ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")]
    )
    def test_the_suffix_names_the_format(self, tmp_path: Path, suffix: str, start: bytes) -> None:
        path = KL.save(tmp_path / f"kl.{suffix}")
        assert path.read_bytes().startswith(start)
        assert [entry.name for entry in tmp_path.iterdir()] == [f"kl.{suffix}"]

    def test_a_full_figure_has_the_reports_width(self, tmp_path: Path) -> None:
        picture = Image.open(KL.save(tmp_path / "kl.png"))
        assert picture.width == 8 * 144
        assert picture.getpixel((0, 0))[:3] == (255, 255, 255)

    @pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
    def test_the_same_numbers_give_the_same_bytes(self, tmp_path: Path, suffix: str) -> None:
        first, second = KL.save(tmp_path / f"a.{suffix}"), KL.save(tmp_path / f"b.{suffix}")
        assert first.read_bytes() == second.read_bytes()

    def test_missing_folders_are_made(self, tmp_path: Path) -> None:
        assert KL.save(tmp_path / "figures" / "kl.png").is_file()

    def test_an_unknown_suffix_is_answered_with_the_near_one(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"\.png, \.svg, \.pdf; got 'kl\.pgn'\. Did you mean 'png'\?"):
            KL.save(tmp_path / "kl.pgn")

    def test_a_failed_drawing_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = KL.save(tmp_path / "kl.png")
        before = path.read_bytes()

        def fail(*_: object, **__: object) -> None:
            raise MemoryError("no room")

        monkeypatch.setattr(Figure, "savefig", fail)
        with pytest.raises(MemoryError, match="no room"):
            KL.save(path)
        assert path.read_bytes() == before
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_failed_write_leaves_nothing_behind(self, tmp_path: Path) -> None:
        (tmp_path / "kl.png").mkdir()
        with pytest.raises(ResourceError, match=r"kl\.png could not be written: .*Choose a file name"):
            KL.save(tmp_path / "kl.png")
        assert [entry.name for entry in tmp_path.iterdir()] == ["kl.png"]

    def test_a_folder_that_cannot_be_made_is_an_error_of_ours(self, tmp_path: Path) -> None:
        (tmp_path / "figures").write_text("a file")
        with pytest.raises(ResourceError, match="Could not write"):
            KL.save(tmp_path / "figures" / "kl.png")

    def test_a_notebook_shows_the_picture(self) -> None:
        assert KL._repr_png_().startswith(b"\x89PNG")


class TestInterpolationGif:
    def test_goes_there_and_back(self, tmp_path: Path) -> None:
        steps = np.linspace(0, 1, 5)[:, None, None] * np.ones((5, 4, 4))
        path = InterpolationDisplay.from_arrays(steps).save_gif(tmp_path / "walk.gif", seconds=1)
        with Image.open(path) as picture:
            shades = []
            for index in range(picture.n_frames):
                picture.seek(index)
                shades.append(picture.convert("L").getpixel((0, 0)))
            assert picture.info["loop"] == 0
        assert shades == [0, 64, 128, 191, 255, 191, 128, 64]

    def test_small_images_are_enlarged_by_whole_pixels(self, tmp_path: Path) -> None:
        steps = np.stack([np.eye(4), 1 - np.eye(4)])
        with Image.open(InterpolationDisplay.from_arrays(steps).save(tmp_path / "walk.gif")) as picture:
            assert picture.size == (224, 224)
            pixels = np.asarray(picture.convert("L"))
        assert (pixels == np.kron(np.eye(4), np.ones((56, 56))) * 255).all()

    def test_time_must_pass(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="seconds must be above 0; got 0"):
            InterpolationDisplay.from_arrays(np.zeros((2, 4, 4))).save_gif(tmp_path / "walk.gif", seconds=0)

    def test_a_table_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"drawn from images; got a table of shape \(5, 3\)"):
            InterpolationDisplay.from_arrays(np.zeros((5, 3)))


class Page(HTMLParser):
    """Collects a page's tags and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        key = attributes.get("id") or tag
        self.texts[key] = self.texts.get(key, "") + data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


class TestTrainingAnimation:
    def test_captions_give_epoch_and_loss(self) -> None:
        assert film(2, losses=[0.0394, None]).captions == ("epoch 1 of 2 · validation loss 0.0394", "epoch 2 of 2")

    def test_a_long_film_is_thinned_and_says_so(self) -> None:
        long = film(1000)
        assert len(long.frames) == 200
        assert long.epochs[[0, -1]].tolist() == [1, 1000]
        assert long.note == "200 of 1,000 epochs shown, evenly spaced"
        assert film(3).note == ""

    def test_thinning_is_even(self) -> None:
        assert thinned(9, 3) == [0, 4, 8]
        assert thinned(2, 3) == [0, 1]

    def test_the_gif_has_a_frame_for_every_epoch_with_originals_above(self, tmp_path: Path) -> None:
        with Image.open(film(4).save_gif(tmp_path / "film.gif")) as picture:
            assert picture.n_frames == 4
            assert picture.width >= 560
            picture.seek(1)
            pixels = np.asarray(picture.convert("L"))
        scale = picture.width // 15  # two images of 6 pixels, three lines of 1
        assert pixels[2 * scale, 2 * scale] == 0
        assert pixels[int(7.5 * scale), 2 * scale] == 128

    def test_the_still_picture_names_first_and_last_epoch(self) -> None:
        rows = [tick.get_text() for tick in film(30).figure().axes[0].get_yticklabels()]
        assert rows[:2] == ["original", "epoch 1"]
        assert rows[-1] == "epoch 30"

    @pytest.mark.parametrize("suffix", ["gif", "html", "png"])
    def test_save_knows_its_formats(self, tmp_path: Path, suffix: str) -> None:
        assert film().save(tmp_path / f"film.{suffix}").stat().st_size > 100

    def test_the_page_needs_nothing_from_outside(self) -> None:
        text = film().to_html()
        page = Page(text)
        assert not [tag for tag, attrs in page.tags if {"src", "href", "srcset"} & set(attrs)]
        assert not re.search(r"https?:|//[a-z]|@import|fetch\(|XMLHttp", text)
        assert all(address.startswith("data:image/png;base64,") for address in re.findall(r"url\(([^)]*)\)", text))

    def test_the_page_has_a_slider_and_a_button_with_names(self) -> None:
        page = Page(film(5).to_html())
        (slider,) = page.all("input")
        assert (slider["type"], slider["min"], slider["max"], slider["aria-label"]) == ("range", "0", "4", "Epoch")
        assert page.texts["play"].strip() == "Play"
        assert page.all("html") == [{"lang": "en"}]

    def test_the_page_follows_the_readers_settings(self) -> None:
        text = film().to_html()
        assert "prefers-color-scheme:dark" in text
        assert "prefers-reduced-motion" in text

    def test_without_a_script_the_first_and_the_last_epoch_are_there(self) -> None:
        page = Page(film(5, losses=[5, 4, 3, 2, 1]).to_html())
        shown = [
            str(tag["aria-label"]) for tag in page.all("div") if "film" in str(tag.get("class")) and "id" not in tag
        ]
        assert shown == [
            "Reconstructions, epoch 1 of 5 · validation loss 5",
            "Reconstructions, epoch 5 of 5 · validation loss 1",
        ]
        assert [tag for tag in page.all("div") if tag.get("id") == "player"] == [{"id": "player", "hidden": None}]

    def test_every_frame_is_on_the_sheet_where_the_script_looks(self) -> None:
        text = film(5).to_html()
        data = json.loads(Page(text).texts["film-data"])
        sheet = np.asarray(Image.open(BytesIO(b64decode(re.findall(r"base64,([^)]*)\)", text)[1]))).convert("L"))
        height, width = sheet.shape[0] // data["rows"], sheet.shape[1] // data["columns"]
        found = [
            int(sheet[(k // data["columns"]) * height + height // 2, (k % data["columns"]) * width + 2])
            for k in range(5)
        ]
        assert found == [51, 102, 153, 204, 255]
        assert data["captions"][0] == "epoch 1 of 5"

    def test_a_sheet_is_about_square(self) -> None:
        columns, rows = sheet_shape(200, height=30, width=300)
        assert columns * rows >= 200
        assert 0.5 < (columns * 300) / (rows * 30) < 2

    def test_the_title_cannot_become_markup(self) -> None:
        text = film(title='</title><script>alert("x")</script> 手書き').to_html()
        assert "<script>alert" not in text
        assert "手書き" in text
        assert len(Page(text).all("script")) == 2

    def test_fifty_epochs_of_ten_digits_stay_small(self) -> None:
        random = np.random.default_rng(0)
        smooth = random.random((50, 10, 7, 7)).repeat(4, axis=2).repeat(4, axis=3)
        assert len(TrainingAnimation.from_frames(smooth[0], smooth).to_html()) < 300_000

    @pytest.mark.parametrize(
        ("frames", "options", "message"),
        [
            ([], {}, "no epoch to show"),
            ([np.zeros((3, 4, 4))], {}, r"Frame 1 has shape \(3, 4, 4\), the originals \(2, 4, 4\)"),
            ([np.zeros((2, 4, 4))], {"epochs": [1, 2]}, "1 frames, 2 epochs and 1 losses"),
            ([np.full((2, 4, 4), np.nan)], {}, "Frame 1 must be finite; 2 of 2 rows"),
        ],
    )
    def test_frames_that_do_not_fit_are_named(self, frames: list, options: dict, message: str) -> None:
        with pytest.raises(DataError, match=message):
            TrainingAnimation.from_frames(np.zeros((2, 4, 4)), frames, **options)

    def test_a_table_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"film is made of images; got a table of shape \(2, 9\)"):
            TrainingAnimation.from_frames(np.zeros((2, 9)), [np.zeros((2, 9))])

    def test_time_must_pass(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="seconds_per_frame must be above 0; got -1"):
            film().save_gif(tmp_path / "film.gif", seconds_per_frame=-1)


class TestFonts:
    def test_latin_text_needs_no_other_font(self) -> None:
        assert fonts.undrawable("Reconstruction −0.5 · ≥ β") == ""
        assert fonts.font_families()[0] == "DejaVu Sans"

    def test_a_character_that_no_font_has_is_found(self) -> None:
        assert fonts.undrawable(f"a{NOBODY_DRAWS}b\n{NOBODY_DRAWS}") == NOBODY_DRAWS

    def test_boxes_are_announced_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fonts, "_warned", set())
        table = np.random.default_rng(0).random((3, 2))
        display = SamplesDisplay.from_arrays(table, columns=["ok", NOBODY_DRAWS])
        with pytest.warns(UserWarning, match="No installed font can draw 1 character") as seen:
            display.save(tmp_path / "first.png")
        assert len(seen) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            display.save(tmp_path / "second.png")

    def test_missing_japanese_names_the_package_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fonts, "_warned", set())
        monkeypatch.setattr(fonts, "undrawable", lambda text: "身長")
        with pytest.warns(
            UserWarning, match=r"2 character\(s\) of this figure \(身長\).*apt-get install fonts-noto-cjk"
        ):
            fonts.warn_if_undrawable("身長")

    def test_japanese_is_drawn_by_a_japanese_font(self, tmp_path: Path) -> None:
        if fonts.undrawable("身長ひらカナ"):
            pytest.skip("no Japanese font is installed here")
        display = ReconstructionsDisplay.from_arrays(np.eye(3), np.eye(3), columns=["身長", "ひら", "カナ"])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            display.save(tmp_path / "table.png")
            display.figure().draw_without_rendering()  # Matplotlib's own warning of a missing glyph would be raised

    def test_a_dollar_sign_is_no_mathematics(self, tmp_path: Path) -> None:
        display = SamplesDisplay.from_arrays(np.eye(2), columns=["price $", "$\\frac{"])
        assert display.save(tmp_path / "table.png").is_file()

    def test_text_is_tidied_to_one_short_line(self) -> None:
        assert tidy("a\nb\x00 c") == "a b c"
        assert tidy("x" * 40, 10) == "x" * 9 + "…"
