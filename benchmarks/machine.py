"""The machine in words, and Markdown tables."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path


def machine(threads: int) -> str:
    """The processor, the version of torch, and how many threads it may take."""
    import torch

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), model)
    return f"{model}, {threads} thread{'s' * (threads > 1)}, torch {torch.__version__}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers, to the right."""
    marks = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, marks, *rows))
