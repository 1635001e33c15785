"""A film as one HTML file: a slider, a play button, one sheet of pictures, nothing from outside.

The stills are there until the script runs, so that they also show where a policy forbids it. The player moves the sheet
behind a window; the pictures are never decoded again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from math import ceil, sqrt

import numpy as np
from PIL import Image

from hyotan.figures.canvas import Array
from hyotan.figures.images import png_bytes

_STILL = """<h2>Reconstructions, {caption}</h2>
<div class="strip film" style="aspect-ratio:{ratio};background-position:{x:g}% {y:g}%" role="img"
aria-label="Reconstructions, {caption}"></div>"""


def film_page(originals: Array, strips: Sequence[Array], captions: Sequence[str], title: str, note: str = "") -> str:
    """The page for strips of equal shape (height, width, 3) in bytes, one a caption; every text is escaped."""
    height, width = originals.shape[:2]
    columns, rows = sheet_shape(len(strips), height, width)
    ratio = f"{width}/{height}"
    style = _resource("film.css").replace("COLUMNS", str(columns)).replace("ROWS", str(rows))
    # From the last mark to the first: base64 text could hold a mark's letters by chance, but only behind that mark.
    for mark, pixels in (("SHEET", _sheet(strips, columns, rows)), ("ORIGINALS", originals)):
        style = style.replace(mark, base64.b64encode(png_bytes(Image.fromarray(pixels))).decode("ascii"), 1)
    data = {"columns": columns, "rows": rows, "captions": list(captions)}
    return _resource("film.html").format(
        title=escape(title),
        style=style,
        ratio=ratio,
        last=len(strips) - 1,
        stills="\n".join(
            _still(index, columns, rows, captions[index], ratio) for index in sorted({0, len(strips) - 1})
        ),
        note=f'<p class="note">{escape(note)}</p>' if note else "",
        data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        script=_resource("film.js"),
    )


def _resource(name: str) -> str:
    return (files("hyotan.figures") / name).read_text(encoding="utf-8")


def sheet_shape(count: int, height: int, width: int) -> tuple[int, int]:
    """Columns and rows of a sheet of ``count`` strips that is about square: browsers refuse very long pictures."""
    columns = max(1, min(count, round(sqrt(count * height / width))))
    return columns, ceil(count / columns)


def _still(index: int, columns: int, rows: int, caption: str, ratio: str) -> str:
    x = 100 * (index % columns) / (columns - 1) if columns > 1 else 0
    y = 100 * (index // columns) / (rows - 1) if rows > 1 else 0
    return _STILL.format(caption=escape(caption), ratio=ratio, x=x, y=y)


def _sheet(strips: Sequence[Array], columns: int, rows: int) -> Array:
    height, width, _ = strips[0].shape
    sheet = np.full((rows * height, columns * width, 3), 255, dtype=np.uint8)
    for index, strip in enumerate(strips):
        top, left = (index // columns) * height, (index % columns) * width
        sheet[top : top + height, left : left + width] = strip
    return sheet
