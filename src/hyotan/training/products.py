"""Which library computes the matrix products of training on the CPU, and whether bfloat16 makes them faster.

torch takes MKL's products in float32. On AMD's processors MKL keeps to narrower instructions than they have, and needs
about twice the time of oneDNN, which comes with torch too. oneDNN is asked for by allowing it to round inputs to
bfloat16 inside a product; without a matrix unit that gains by it, it does not, and computes in float32 throughout.
Whether that is so is looked at, not assumed.
"""

from __future__ import annotations

import functools
import platform
import re
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

ALLOWED = "bf16"
"""What has to be allowed for oneDNN to be taken."""

AS_EXACT = 4.0
"""Rounding errors that are so many times as large still count as those of float32; bfloat16's are a thousand times."""


def fast_products(device: torch.device) -> AbstractContextManager[None]:
    """Take the faster library for float32 products on the CPU while entered; elsewhere, change nothing.

    The choice hangs on the machine alone, never on a time that was measured: the same training gives the same bits.
    """
    return _allowed(ALLOWED) if device.type == "cpu" and prefers_onednn() else nullcontext()


@functools.cache
def prefers_onednn() -> bool:
    """Whether oneDNN's float32 products are faster than MKL's here, and as exact."""
    return (
        torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and _is_amd()
        and onednn_is_exact()
    )


def _setting() -> Any:
    """Where torch keeps what products in float32 are allowed; None in versions that do not know it."""
    found = getattr(torch.backends.mkldnn, "matmul", None)
    return found if hasattr(found, "fp32_precision") else None


@contextmanager
def _allowed(precision: str) -> Iterator[None]:
    setting = _setting()
    before, setting.fp32_precision = setting.fp32_precision, precision
    try:
        yield
    finally:
        setting.fp32_precision = before


def bf16_is_slow(device: torch.device) -> bool:
    """Whether bfloat16's products are slower than float32's here: on processors of the x86 line they are, unless there
    is a matrix unit (AMX) or AMD's instructions for them. Where that is not known, False.
    """
    if device.type != "cpu" or not re.search(r"^flags\b", about := _about_processor(), re.MULTILINE):
        return False
    flags = set(about.split())
    return "amx_bf16" not in flags and not (_is_amd() and "avx512_bf16" in flags)


def warn_of_slow_bf16(device: torch.device) -> None:
    """Say so where a training in bfloat16 takes longer than one in float32 would."""
    if bf16_is_slow(device):
        warnings.warn(
            "precision='bf16' makes training slower here, not faster: this processor has no matrix unit for bfloat16. "
            "Use 'fp32'.",
            UserWarning,
            stacklevel=2,
        )


def _is_amd() -> bool:
    return "AuthenticAMD" in _about_processor()


def _about_processor() -> str:
    known = Path("/proc/cpuinfo")
    return known.read_text(encoding="utf-8", errors="replace") if known.is_file() else platform.processor()


def onednn_is_exact() -> bool:
    """Whether oneDNN's products can be had here, and are float32's."""
    if _setting() is None:
        return False
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(64, 512, generator=generator), torch.randn(512, 64, generator=generator)
    exact = a.double() @ b.double()

    def error() -> float:
        return float((a @ b - exact).abs().max())

    usual = error()
    with _allowed(ALLOWED):
        return error() <= AS_EXACT * usual
