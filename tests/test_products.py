"""Which library computes float32 products while training, and that it may be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from hyotan import Autoencoder
from hyotan.training import products
from hyotan.training.callbacks import Callback, Fitting
from hyotan.training.products import fast_products, prefers_onednn

CPU = torch.device("cpu")
X = np.random.default_rng(0).random((60, 6)).astype(np.float32)


def allowed() -> Any:
    """What torch is allowed at the moment."""
    return getattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision", None)


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """The choice is made once a process; here, once a test."""
    prefers_onednn.cache_clear()
    yield
    prefers_onednn.cache_clear()


class Watching(Callback):
    """Notes what is allowed at each step."""

    def __init__(self) -> None:
        self.seen: set[Any] = set()

    def on_step_end(self, fitting: Fitting) -> None:
        self.seen.add(allowed())


def test_products_while_training_are_as_exact_as_outside() -> None:
    a, b = torch.randn(96, 700), torch.randn(700, 80)
    exact = a.double() @ b.double()
    outside = (a @ b - exact).abs().max()
    with fast_products(CPU):
        inside = (a @ b - exact).abs().max()
    assert inside <= 4 * outside


@pytest.mark.skipif(allowed() is None, reason="this torch does not know the setting")
def test_the_choice_lasts_as_long_as_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_is_amd", lambda: True)
    monkeypatch.setattr(products, "onednn_is_exact", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    before, watching = allowed(), Watching()
    Autoencoder(2, max_epochs=1, callbacks=[watching]).fit(X)
    assert watching.seen == {"bf16"} and allowed() == before


@pytest.mark.skipif(allowed() is None, reason="this torch does not know the setting")
@pytest.mark.parametrize("reason", ["another processor", "narrow instructions", "rounded products"])
def test_nothing_changes_where_it_would_not_help_or_not_be_exact(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_is_amd", lambda: reason != "another processor")
    capability = "AVX2" if reason == "narrow instructions" else "AVX512"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    if reason == "rounded products":
        monkeypatch.setattr(products, "AS_EXACT", 0.0)
    before = allowed()
    with fast_products(CPU):
        assert allowed() == before


def test_other_devices_and_older_versions_of_torch_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = allowed()
    with fast_products(torch.device("meta")):
        assert allowed() == before
    monkeypatch.setattr(products, "_setting", lambda: None)
    assert not prefers_onednn()
    Autoencoder(2, max_epochs=1).fit(X)


def test_the_setting_comes_back_after_an_error() -> None:
    before = allowed()
    with pytest.raises(RuntimeError, match="within"), fast_products(CPU):
        raise RuntimeError("within")
    assert allowed() == before


@pytest.mark.parametrize(
    ("about", "is_slow"),
    [
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512f avx512_bf16", True),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile", False),
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2", True),
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512f avx512_bf16", False),
        ("Features\t: fp asimd bf16", False),
        ("arm", False),
    ],
)
def test_bfloat16_without_a_unit_for_it_is_told_of(
    about: str, is_slow: bool, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(products, "_about_processor", lambda: about)
    Autoencoder(2, max_epochs=1).fit(X)
    assert not [warning for warning in recwarn if "bf16" in str(warning.message)]
    Autoencoder(2, max_epochs=1, precision="bf16").fit(X)
    told = [str(warning.message) for warning in recwarn if "bf16" in str(warning.message)]
    expected = (
        "precision='bf16' makes training slower here, not faster: this processor has no matrix unit for bfloat16."
    )
    assert told == ([f"{expected} Use 'fp32'."] if is_slow else [])
    assert not products.bf16_is_slow(torch.device("cuda"))
