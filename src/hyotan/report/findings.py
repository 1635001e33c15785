"""What a diagnosis found, in the language of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hyotan.report.page import PageNote
from hyotan.words import has, say

PLAIN_BETA = 2.0
"""A KL that weighs more than this many times what the bound asks for is called a cause of collapse."""


def notes_of(diagnosis: Iterable[Mapping[str, str]], values: Mapping[str, Any], lang: str) -> list[PageNote]:
    """Every finding as a note.

    Parameters
    ----------
    diagnosis : ``code``, ``level`` and English ``text`` of each, as ``metrics.json`` has them.
    values : see :func:`finding_values`.
    lang : of the page; a finding that the catalogue does not know keeps its English text, marked as English.
    """
    return [_note(finding, values, lang) for finding in diagnosis]


def _note(finding: Mapping[str, str], values: Mapping[str, Any], lang: str) -> PageNote:
    code, level = finding["code"], finding.get("level", "notice")
    if not has(f"finding.{code}.title"):
        return PageNote(level, "", finding["text"], None if lang == "en" else "en")
    text = f"finding.{code}.strong" if code == "POSTERIOR_COLLAPSE" and _is_heavy(values) else f"finding.{code}.text"
    return PageNote(level, say(f"finding.{code}.title", lang, **values), say(text, lang, **values))


def _is_heavy(values: Mapping[str, Any]) -> bool:
    return float(values["beta"] or 0.0) > PLAIN_BETA


def finding_values(
    metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]], n_train: int, value_range: tuple[float, float]
) -> dict[str, Any]:
    """What the catalogue's findings can name.

    Parameters
    ----------
    metrics : what ``metrics.json`` says.
    history : one dict an epoch.
    n_train : rows trained on.
    value_range : lowest and highest value in the model's range.
    """
    mse, pca = metrics["test"]["mse"], metrics.get("mse_pca")
    kl = metrics.get("kl_per_dimension") or [0.0]
    held_out = [row["val_loss"] for row in history if row.get("val_loss") is not None]
    return {
        "active": metrics["active_units"],
        "total": metrics["latent_dim"],
        "features": metrics.get("n_features", 0),
        "beta": metrics.get("effective_beta"),
        "kl": sum(kl),
        "least": min(kl),
        "mse": mse,
        "pca": pca,
        "mean": metrics.get("mse_mean_image"),
        "share": round(100 * abs(mse / pca - 1)) if pca else 0,
        "error": metrics.get("pca_difference_error"),
        "epochs": metrics.get("epochs", len(history)),
        "twice": 2 * metrics.get("epochs", len(history)),
        "best": metrics.get("best_epoch", 0),
        "lowest": min(held_out, default=0.0),
        "last": held_out[-1] if held_out else 0.0,
        "n_train": n_train,
        "low": value_range[0],
        "high": value_range[1],
        "smaller": max(1, n_train // 20),
        **_denoising_values(metrics.get("denoising") or {}),
    }


def _denoising_values(found: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of noisy rows, denoised ones and an affine map's; in per cent what is left, and how far from the map."""
    noisy, ours, affine = (found.get(f"mse_{name}") for name in ("noisy", "denoised", "affine"))
    return {
        "noisy": noisy,
        "denoised": ours,
        "affine": affine,
        "left": round(100 * ours / noisy) if ours is not None and noisy else 0,
        "from_affine": round(100 * abs(ours / affine - 1)) if ours is not None and affine else 0,
    }
