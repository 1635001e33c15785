"""A film as one HTML file: a slider, a play button, one sheet of pictures, nothing from outside."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from math import ceil, sqrt

import numpy as np
from PIL import Image

from hyotan.figures.canvas import Array

_STYLE = """
:root{color-scheme:light dark;--ink:#222;--quiet:#5a5a5a;--paper:#fff;--line:#8c8c8c;--accent:#0067a3}
@media (prefers-color-scheme:dark){:root{--ink:#eee;--quiet:#b5b5b5;--paper:#17191c;--line:#777;--accent:#6cb8ea}}
*{box-sizing:border-box}
body{margin:0;padding:1.5rem;background:var(--paper);color:var(--ink);
font:16px/1.7 system-ui,"Hiragino Sans","Noto Sans JP","Yu Gothic",sans-serif}
main{max-width:60rem;margin:auto}
h1{font-size:1.25rem;line-height:1.4;margin:0 0 1rem;overflow-wrap:anywhere}
h2,.caption{font-size:1rem;font-weight:400;margin:.75rem 0 .25rem;color:var(--quiet)}
.caption{color:var(--ink);font-variant-numeric:tabular-nums}
.strip{width:100%;image-rendering:pixelated;background-repeat:no-repeat;background-color:#fff;border-radius:4px}
.controls{display:flex;gap:.75rem;align-items:center;margin-top:1rem}
button{font:inherit;min-width:6rem;min-height:2.5rem;padding:0 .9rem;color:var(--ink);background:none;
border:1px solid var(--line);border-radius:6px;cursor:pointer}
input[type=range]{flex:1;min-width:0;min-height:2.5rem;margin:0;accent-color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.note{color:var(--quiet);font-size:.875rem}
.originals{background-image:url(data:image/png;base64,ORIGINALS);background-size:100% 100%}
.film{background-image:url(data:image/png;base64,SHEET);background-size:COLUMNS00% ROWS00%}
@media print{.controls{display:none}}
"""

# The stills are there until the script runs, so that they also show where a policy forbids it. The player moves the
# sheet behind a window; the pictures are never decoded again.
_SCRIPT = """
const film = JSON.parse(document.getElementById('film-data').textContent);
const slider = document.getElementById('epoch'), button = document.getElementById('play');
const picture = document.getElementById('picture'), caption = document.getElementById('caption');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
let timer = 0;
const share = (index, count) => count > 1 ? 100 * index / (count - 1) : 0;
function show(index) {
  const column = index % film.columns, row = Math.floor(index / film.columns);
  picture.style.backgroundPosition = share(column, film.columns) + '% ' + share(row, film.rows) + '%';
  picture.setAttribute('aria-label', 'Reconstructions, ' + film.captions[index]);
  slider.value = index;
  slider.setAttribute('aria-valuetext', film.captions[index]);
  caption.textContent = film.captions[index];
}
function stop() {
  clearInterval(timer);
  timer = 0;
  button.textContent = 'Play';
}
function step() {
  const next = Number(slider.value) + 1;
  if (next >= film.captions.length) return stop();
  show(next);
}
function play() {
  if (Number(slider.value) === film.captions.length - 1) show(0);
  button.textContent = 'Pause';
  timer = setInterval(step, calm.matches ? 1500 : 200);
}
slider.addEventListener('input', () => { stop(); show(Number(slider.value)); });
button.addEventListener('click', () => timer ? stop() : play());
document.getElementById('player').hidden = false;
document.getElementById('stills').hidden = true;
show(film.captions.length - 1);
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<h2>Originals</h2>
<div class="strip originals" style="aspect-ratio:{ratio}" role="img" aria-label="Originals"></div>
<div id="player" hidden>
<h2>Reconstructions</h2>
<div class="strip film" id="picture" style="aspect-ratio:{ratio}" role="img" aria-label="Reconstructions"></div>
<p class="caption" id="caption"></p>
<div class="controls">
<button type="button" id="play">Play</button>
<input type="range" id="epoch" min="0" max="{last}" step="1" value="{last}" aria-label="Epoch">
</div>
</div>
<div id="stills">
{stills}
<noscript><p class="note">With JavaScript switched on, a slider shows every epoch.</p></noscript>
</div>
{note}
</main>
<script type="application/json" id="film-data">{data}</script>
<script>{script}</script>
</body>
</html>
"""

_STILL = """<h2>Reconstructions, {caption}</h2>
<div class="strip film" style="aspect-ratio:{ratio};background-position:{x:g}% {y:g}%" role="img"
aria-label="Reconstructions, {caption}"></div>"""


def film_page(originals: Array, strips: Sequence[Array], captions: Sequence[str], title: str, note: str = "") -> str:
    """The page for strips of equal shape (height, width, 3) in bytes, one a caption; every text is escaped."""
    height, width = originals.shape[:2]
    columns, rows = sheet_shape(len(strips), height, width)
    ratio = f"{width}/{height}"
    style = _STYLE.replace("COLUMNS", str(columns)).replace("ROWS", str(rows))
    # From the last mark to the first: base64 text could hold a mark's letters by chance, but only behind that mark.
    style = style.replace("SHEET", _png(_sheet(strips, columns, rows)), 1).replace("ORIGINALS", _png(originals), 1)
    data = {"columns": columns, "rows": rows, "captions": list(captions)}
    return _PAGE.format(
        title=escape(title),
        style=style,
        ratio=ratio,
        last=len(strips) - 1,
        stills="\n".join(
            _still(index, columns, rows, captions[index], ratio) for index in sorted({0, len(strips) - 1})
        ),
        note=f'<p class="note">{escape(note)}</p>' if note else "",
        data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        script=_SCRIPT,
    )


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


def _png(pixels: Array) -> str:
    image = Image.fromarray(pixels)
    if (pixels == pixels[..., :1]).all():
        image = image.convert("L")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
