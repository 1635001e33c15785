"""What is wrong with a fit, and what is right with it, in words, with what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyotan.analysis.noise_removal import Denoising

GOOD, NOTICE, WARNING = "good", "notice", "warning"


@dataclass(frozen=True)
class Finding:
    """One finding: a stable code, how grave it is (good, notice, warning), and a text with what to do."""

    code: str
    level: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What a diagnosis looks at.

    Attributes
    ----------
    kind, likelihood : names.
    latent_dim, active_units, n_features : counts.
    n_train : rows trained on.
    mse, mse_mean_image, mse_pca : on the test rows, a feature, in the model's range; the last two None if not known.
    pca_difference_error : standard error of the difference between the two, row by row.
    low, high : range of the data after scaling.
    beta : weight of the KL in nats against nats (the effective beta); None without a KL.
    kl_per_dimension : nats.
    history : one dict an epoch.
    schedule : the learning rate's path.
    denoising : what became of noise; None for a model that was trained without.
    """

    kind: str
    likelihood: str
    latent_dim: int
    active_units: int
    n_features: int
    n_train: int
    mse: float
    low: float
    high: float
    mse_mean_image: float | None = None
    mse_pca: float | None = None
    pca_difference_error: float = 0.0
    beta: float | None = None
    kl_per_dimension: Sequence[float] = ()
    history: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    schedule: str = "one-cycle"
    denoising: Denoising | None = None


WIDE_CODE = 512
"""A size that is advised where a denoising autoencoder's code keeps too little of a row."""

STARTED = 0.5
"""KL in nats above which a posterior has left the prior."""


def posterior_collapse(facts: Facts) -> Iterator[Finding]:
    """Units of a VAE that carry nothing."""
    if facts.beta is None:
        return
    active, total = facts.active_units, facts.latent_dim
    if active == total:
        yield Finding("ALL_UNITS_ACTIVE", GOOD, f"All {total} latent units are active.")
    elif active == 0 and sum(facts.kl_per_dimension) > STARTED:
        yield Finding(
            "CODE_NOT_LEARNED",
            WARNING,
            f"0 of {total} latent units vary over the rows, though the KL is {sum(facts.kl_per_dimension):.1f} nats: "
            "the posterior has left the prior, but is the same for every row, as early in training. Train longer "
            f"(--max-epochs {4 * max(1, len(facts.history))}).",
        )
    elif active == 0:
        yield Finding(
            "POSTERIOR_COLLAPSE",
            WARNING,
            f"Posterior collapse: 0 of {total} latent units are active, so every row gets the same code and every "
            f"reconstruction is the same. {_why_collapsed(facts)}",
        )
    else:
        least = min(facts.kl_per_dimension, default=0.0)
        yield Finding(
            "UNUSED_UNITS",
            NOTICE,
            f"{active} of {total} latent units are active; the least used one carries {least:.3f} nats. The data may "
            f"need no more (try --latent-dim {active}); otherwise lower --beta (now {facts.beta:g}), or give units "
            "time with --beta-warmup 5 or --free-bits 0.1.",
        )


def _why_collapsed(facts: Facts) -> str:
    beta = facts.beta or 0.0
    if 0.5 * facts.n_features <= beta <= 2 * facts.n_features and beta > 2:
        return (
            f"The effective beta is {beta:g}, about the number of features ({facts.n_features}): that is what a "
            "reconstruction averaged over the features beside a KL summed over the latents amounts to. Set --beta 1."
        )
    if beta > 2:
        return f"The effective beta is {beta:g}: the KL weighs {beta:g} times what the bound asks for. Set --beta 1."
    return (
        f"The effective beta is {beta:g}, as the bound asks for. Try --beta-warmup 10, --free-bits 0.2, a likelihood "
        "with a learned scale (--likelihood gaussian-shared), or a simpler decoder."
    )


def no_bottleneck(facts: Facts) -> Iterator[Finding]:
    """A code that is as large as what it codes."""
    if facts.latent_dim >= facts.n_features and facts.denoising is None:  # noise keeps a model from copying, too
        yield Finding(
            "NO_BOTTLENECK",
            NOTICE,
            f"The code ({facts.latent_dim} numbers) is no smaller than a row ({facts.n_features}): nothing has to be "
            "left out, and PCA of that size is exact. Lower --latent-dim.",
        )


def against_baselines(facts: Facts) -> Iterator[Finding]:
    """The reconstruction beside the mean image and PCA of the same size."""
    if facts.mse_mean_image is None or facts.mse_pca is None:
        return
    if facts.beta is not None and facts.active_units == 0:
        return  # Collapse says it all.
    if facts.mse >= 0.97 * facts.mse_mean_image:
        yield Finding(
            "NO_BETTER_THAN_MEAN",
            WARNING,
            f"The reconstruction (MSE {facts.mse:.4g}) is no better than showing the mean of the data for every row "
            f"({facts.mse_mean_image:.4g}): nothing was learned. Train longer, or lower the learning rate.",
        )
    elif facts.denoising is not None:
        return  # It was not trained to give clean rows back: see below.
    elif facts.latent_dim < facts.n_features and facts.mse_pca > 0:  # else PCA is exact: nothing to compare with
        yield _beside_pca(facts, facts.mse_pca)


def _beside_pca(facts: Facts, pca: float) -> Finding:
    pair = f"MSE {facts.mse:.4g} against {pca:.4g}"
    if abs(facts.mse - pca) < 2 * facts.pca_difference_error:
        return Finding(
            "LIKE_PCA",
            NOTICE,
            f"Reconstructs about as well as PCA with {facts.latent_dim} components: {pair}, a difference within twice "
            f"its standard error of {facts.pca_difference_error:.2g}. PCA is simpler; more rows would tell them apart.",
        )
    share = 100 * (facts.mse / pca - 1)
    if share > 0:
        return Finding(
            "WORSE_THAN_PCA",
            WARNING,
            f"Reconstructs {share:.0f} % worse than PCA with {facts.latent_dim} components ({pair}). "
            f"{_why_worse_than_pca(facts)}",
        )
    return Finding(
        "BETTER_THAN_PCA",
        GOOD,
        f"Reconstructs {-share:.0f} % better than PCA with {facts.latent_dim} components ({pair}; the mean: "
        f"{facts.mse_mean_image:.4g}).",
    )


def _why_worse_than_pca(facts: Facts) -> str:
    if facts.beta is not None and facts.active_units < facts.latent_dim:
        return (
            f"A VAE pays for each unit it uses, and uses {facts.active_units} of {facts.latent_dim} here: for "
            "reconstruction alone take an autoencoder (--model ae) or lower --beta."
        )
    return "Train longer, or widen --hidden-dims; where PCA stays ahead, PCA is the better choice."


def noise_removal(facts: Facts) -> Iterator[Finding]:
    """What became of noise, beside the noisy rows themselves and the best affine map."""
    if (found := facts.denoising) is None:
        return
    noisy, ours, affine = found.mse_noisy, found.mse_denoised, found.mse_affine
    if ours >= noisy:
        yield Finding(
            "ADDS_NOISE",
            WARNING,
            f"What it makes of noisy rows is further from the clean ones (MSE {ours:.4g}) than the noisy rows are "
            f"({noisy:.4g}): use them as they come. {_how_to_keep_more(facts)}",
        )
    elif affine is not None and abs(ours - affine) < 2 * (found.affine_difference_error or 0.0):
        yield Finding(
            "LIKE_AFFINE",
            NOTICE,
            f"Takes noise away about as well as the best affine map: MSE {ours:.4g} against {affine:.4g}, a difference "
            "within twice its standard error; the noisy rows have "
            f"{noisy:.4g}. The map is simpler; more rows would tell them apart.",
        )
    elif affine is not None and ours > affine:
        yield Finding(
            "WORSE_THAN_AFFINE",
            WARNING,
            f"Takes less noise away than the best affine map does: MSE {ours:.4g} against {affine:.4g}, the noisy rows "
            f"{noisy:.4g}. {_how_to_keep_more(facts)}",
        )
    elif affine is not None:
        yield Finding(
            "BETTER_THAN_AFFINE",
            GOOD,
            f"Takes noise away: MSE {noisy:.4g} before, {ours:.4g} after; the best affine map leaves {affine:.4g}.",
        )
    else:
        yield Finding("LESS_NOISE", GOOD, f"Takes noise away: MSE {noisy:.4g} before, {ours:.4g} after.")


def _how_to_keep_more(facts: Facts) -> str:
    if facts.latent_dim < WIDE_CODE:
        return f"A small code cannot keep what a row holds: widen it (--latent-dim {WIDE_CODE})."
    return "Train longer, or on more rows."


def overfitting(facts: Facts) -> Iterator[Finding]:
    """A held-out loss that has risen since its best epoch."""
    held_out = [row["val_loss"] for row in facts.history if "val_loss" in row]
    if not held_out:
        yield Finding(
            "NO_VALIDATION",
            NOTICE,
            "No rows were held out, so the last weights were kept and overfitting cannot be seen. "
            "Set --validation-fraction 0.1.",
        )
        return
    best = min(range(len(held_out)), key=held_out.__getitem__)
    rise = held_out[-1] - held_out[best]
    if rise > 0.02 * abs(held_out[best]) and best < len(held_out) - 1:
        yield Finding(
            "OVERFITTING",
            NOTICE,
            f"The held-out loss was lowest in epoch {best + 1} ({held_out[best]:.2f}) and has risen to "
            f"{held_out[-1]:.2f} since; the weights of epoch {best + 1} were kept. Fewer epochs, or more rows, or "
            "stronger --weight-decay.",
        )


def not_converged(facts: Facts) -> Iterator[Finding]:
    """A held-out loss that was still falling when training ended."""
    held_out = [row["val_loss"] for row in facts.history if "val_loss" in row]
    if len(held_out) < 3 or held_out[-1] != min(held_out):
        return
    fall = (held_out[-3] - held_out[-1]) / max(abs(held_out[-1]), 1e-12)
    if facts.schedule == "constant" and fall > 0.01:
        yield Finding(
            "NOT_CONVERGED",
            NOTICE,
            f"The held-out loss still fell by {100 * fall:.1f} % over the last two epochs: training longer will help "
            f"(resume the run with --max-epochs {2 * len(held_out)}).",
        )


def data_range(facts: Facts) -> Iterator[Finding]:
    """Data that fill an implausibly small part of the likelihood's range."""
    bounded = "bernoulli" in facts.likelihood
    if bounded and facts.high - facts.low < 0.1 and facts.high > facts.low:
        yield Finding(
            "DATA_RANGE",
            WARNING,
            f"All values lie in [{facts.low:.3g}, {facts.high:.3g}], a small part of [0, 1]: were they divided by 255 "
            "twice? Pass --scaling unit to spread them.",
        )
    if facts.high == facts.low:
        yield Finding("CONSTANT_DATA", WARNING, f"Every value is {facts.low:g}: there is nothing to learn.")


def few_rows(facts: Facts) -> Iterator[Finding]:
    """Too few rows for what is asked."""
    if facts.n_train < 10 * facts.latent_dim and facts.denoising is None:  # noise makes many rows of one
        smaller = max(1, facts.n_train // 20)
        advice = f"Try --latent-dim {smaller}, or gather" if smaller < facts.latent_dim else "Gather"
        yield Finding(
            "FEW_ROWS",
            NOTICE,
            f"{facts.n_train} rows for a code of size {facts.latent_dim} are few: every figure here is uncertain. "
            f"{advice} more rows.",
        )


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    data_range,
    posterior_collapse,
    no_bottleneck,
    against_baselines,
    noise_removal,
    overfitting,
    not_converged,
    few_rows,
)

_ORDER = {WARNING: 0, NOTICE: 1, GOOD: 2}


def diagnose(facts: Facts) -> list[Finding]:
    """All findings, the gravest first."""
    findings = [finding for check in CHECKS for finding in check(facts)]
    return sorted(findings, key=lambda finding: _ORDER[finding.level])
