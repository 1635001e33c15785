"""Findings: each is made where it should be and nowhere else, and says what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hyotan.analysis.diagnosis import GOOD, NOTICE, WARNING, Facts, Finding, diagnose
from hyotan.analysis.noise_removal import Denoising
from hyotan.recipes import read


def epochs(*held_out: float) -> list[dict[str, Any]]:
    return [{"epoch": number + 1, "loss": loss, "val_loss": loss} for number, loss in enumerate(held_out)]


AUTOENCODER = Facts(
    kind="autoencoder",
    likelihood="bernoulli",
    latent_dim=10,
    active_units=10,
    n_features=784,
    n_train=54_000,
    mse=0.01,
    low=0.0,
    high=1.0,
    mse_mean_image=0.067,
    mse_pca=0.02,
    pca_difference_error=0.0001,
    history=epochs(100.0, 90.0, 89.9),
)
VAE = replace(AUTOENCODER, kind="vae", beta=1.0, kl_per_dimension=(2.0,) * 10)
COLLAPSED = replace(VAE, active_units=0, kl_per_dimension=(0.001,) * 10)


def found(facts: Facts) -> dict[str, Finding]:
    findings = diagnose(facts)
    assert len({finding.code for finding in findings}) == len(findings)
    return {finding.code: finding for finding in findings}


class TestAGoodFit:
    def test_of_an_autoencoder_has_only_good_to_be_said(self) -> None:
        assert [(f.code, f.level) for f in diagnose(AUTOENCODER)] == [("BETTER_THAN_PCA", GOOD)]

    def test_of_a_vae_has_only_good_to_be_said(self) -> None:
        assert {f.code: f.level for f in diagnose(VAE)} == {"ALL_UNITS_ACTIVE": GOOD, "BETTER_THAN_PCA": GOOD}

    def test_without_baselines_is_not_compared(self) -> None:
        assert diagnose(replace(AUTOENCODER, mse_pca=None, mse_mean_image=None)) == []
        assert diagnose(replace(AUTOENCODER, mse_pca=None)) == []

    def test_says_by_how_much(self) -> None:
        text = found(AUTOENCODER)["BETTER_THAN_PCA"].text
        assert text == "Reconstructs 50 % better than PCA with 10 components (MSE 0.01 against 0.02; the mean: 0.067)."


# What is changed in the good facts above, the finding that this must add, its level, and words that its text holds.
CASES: dict[str, tuple[Facts, str, str, tuple[str, ...]]] = {
    "collapse as an averaged reconstruction makes it": (
        replace(COLLAPSED, beta=784.0),
        "POSTERIOR_COLLAPSE",
        WARNING,
        (
            "0 of 10 latent units",
            "beta is 784, about the number of features (784)",
            "averaged over the features",
            "--beta 1.",
        ),
    ),
    "collapse by a large beta": (
        replace(COLLAPSED, beta=20.0),
        "POSTERIOR_COLLAPSE",
        WARNING,
        ("the KL weighs 20 times what the bound asks for", "Set --beta 1."),
    ),
    "collapse at beta 1": (
        COLLAPSED,
        "POSTERIOR_COLLAPSE",
        WARNING,
        ("The effective beta is 1, as the bound asks for", "--beta-warmup 10", "--free-bits 0.2", "gaussian-shared"),
    ),
    "collapse of a table of two columns at beta 1": (
        replace(COLLAPSED, n_features=2, latent_dim=1),
        "POSTERIOR_COLLAPSE",
        WARNING,
        ("0 of 1 latent units", "as the bound asks for"),
    ),
    "some units unused": (
        replace(VAE, active_units=7, kl_per_dimension=(2.0,) * 7 + (0.004,) * 3, beta=4.0),
        "UNUSED_UNITS",
        NOTICE,
        ("7 of 10 latent units", "0.004 nats", "--latent-dim 7", "--beta (now 4)", "--free-bits 0.1"),
    ),
    "no better than the mean": (
        replace(AUTOENCODER, mse=0.066),
        "NO_BETTER_THAN_MEAN",
        WARNING,
        ("MSE 0.066", "0.067", "nothing was learned", "Train longer, or lower the learning rate"),
    ),
    "worse than PCA": (
        replace(AUTOENCODER, mse=0.03),
        "WORSE_THAN_PCA",
        WARNING,
        (
            "PCA with 10 components",
            "50 % worse than PCA with 10 components (MSE 0.03 against 0.02)",
            "widen --hidden-dims",
        ),
    ),
    "worse than PCA for want of units": (
        replace(VAE, mse=0.03, active_units=4),
        "WORSE_THAN_PCA",
        WARNING,
        ("pays for each unit it uses, and uses 4 of 10", "--model ae", "lower --beta"),
    ),
    "like PCA": (
        replace(AUTOENCODER, mse=0.0205, pca_difference_error=0.0004),
        "LIKE_PCA",
        NOTICE,
        ("about as well as PCA with 10", "0.0205 against 0.02", "standard error of 0.0004", "more rows"),
    ),
    "no bottleneck": (
        replace(AUTOENCODER, latent_dim=784),
        "NO_BOTTLENECK",
        NOTICE,
        ("The code (784 numbers) is no smaller than a row (784)", "Lower --latent-dim"),
    ),
    "nothing held out": (
        replace(AUTOENCODER, history=[{"epoch": 1, "loss": 100.0}]),
        "NO_VALIDATION",
        NOTICE,
        ("No rows were held out", "--validation-fraction 0.1"),
    ),
    "overfitting": (
        replace(AUTOENCODER, history=epochs(100.0, 90.0, 95.0)),
        "OVERFITTING",
        NOTICE,
        ("lowest in epoch 2 (90.00)", "risen to 95.00", "weights of epoch 2 were kept", "--weight-decay"),
    ),
    "overfitting of a density, whose loss is negative": (
        replace(AUTOENCODER, history=epochs(-10.0, -90.0, -80.0)),
        "OVERFITTING",
        NOTICE,
        ("lowest in epoch 2 (-90.00)", "risen to -80.00"),
    ),
    "not converged": (
        replace(AUTOENCODER, history=epochs(100.0, 90.0, 80.0), schedule="constant"),
        "NOT_CONVERGED",
        NOTICE,
        ("still fell by 25.0 % over the last two epochs", "--max-epochs 6"),
    ),
    "divided by 255 twice": (
        replace(AUTOENCODER, high=1 / 255),
        "DATA_RANGE",
        WARNING,
        ("[0, 0.00392]", "divided by 255 twice", "--scaling unit"),
    ),
    "constant": (replace(AUTOENCODER, low=0.5, high=0.5), "CONSTANT_DATA", WARNING, ("Every value is 0.5",)),
    "few rows": (
        replace(AUTOENCODER, n_train=99),
        "FEW_ROWS",
        NOTICE,
        ("99 rows for a code of size 10 are few", "--latent-dim 4"),
    ),
}


class TestFindings:
    @pytest.mark.parametrize("case", CASES)
    def test_are_made_with_what_to_do(self, case: str) -> None:
        facts, code, level, words = CASES[case]
        finding = found(facts)[code]
        assert finding.level == level
        for word in words:
            assert word in finding.text

    @pytest.mark.parametrize("case", CASES)
    def test_come_alone_but_for_the_good_ones(self, case: str) -> None:
        facts, code, *_ = CASES[case]
        known_to_go_together = {"UNUSED_UNITS"} if "want of units" in case else set()
        worse = {finding.code for finding in diagnose(facts) if finding.level != GOOD}
        assert worse == {code} | known_to_go_together

    def test_are_ordered_by_gravity(self) -> None:
        facts = replace(VAE, active_units=4, mse=0.03, n_train=50, history=epochs(100.0, 90.0, 95.0), high=0.05)
        levels = [finding.level for finding in diagnose(facts)]
        assert levels == sorted(levels, key=[WARNING, NOTICE, GOOD].index)
        assert set(levels) == {WARNING, NOTICE}

    def test_end_in_a_full_stop(self) -> None:
        assert all(finding.text.endswith(".") for facts, *_ in CASES.values() for finding in diagnose(facts))


class TestSilence:
    @pytest.mark.parametrize(
        ("facts", "code"),
        [
            (replace(AUTOENCODER, active_units=3), "UNUSED_UNITS"),  # a deterministic code pays nothing for a unit
            (replace(AUTOENCODER, active_units=0), "POSTERIOR_COLLAPSE"),
            (replace(AUTOENCODER, active_units=10), "ALL_UNITS_ACTIVE"),
            (replace(COLLAPSED, mse=0.067), "NO_BETTER_THAN_MEAN"),  # collapse says it already
            (replace(AUTOENCODER, mse=0.0201, pca_difference_error=0.0001), "WORSE_THAN_PCA"),
            (replace(AUTOENCODER, mse=0.0203, pca_difference_error=0.0001), "LIKE_PCA"),
            (replace(AUTOENCODER, latent_dim=784, mse=0.03), "WORSE_THAN_PCA"),
            (replace(AUTOENCODER, history=epochs(100.0, 90.0, 90.5)), "OVERFITTING"),
            (replace(AUTOENCODER, history=epochs(100.0, 90.0, 80.0), schedule="one-cycle"), "NOT_CONVERGED"),
            (replace(AUTOENCODER, history=epochs(100.0, 80.0, 80.1), schedule="constant"), "NOT_CONVERGED"),
            (replace(AUTOENCODER, history=epochs(100.0, 80.0), schedule="constant"), "NOT_CONVERGED"),
            (replace(AUTOENCODER, history=epochs(80.2, 80.1, 80.0), schedule="constant"), "NOT_CONVERGED"),
            (replace(AUTOENCODER, high=0.05, likelihood="gaussian"), "DATA_RANGE"),
            (replace(AUTOENCODER, high=0.2), "DATA_RANGE"),
            (replace(AUTOENCODER, n_train=100), "FEW_ROWS"),
        ],
    )
    def test_is_kept_where_there_is_nothing_to_say(self, facts: Facts, code: str) -> None:
        assert code not in found(facts)


class TestTheArticles:
    def test_printed_loss_is_named_as_the_cause_of_its_collapse(self) -> None:
        recipe = read("article-vae-10")
        facts = replace(COLLAPSED, latent_dim=recipe.parameters["latent_dim"], beta=recipe.parameters["beta"])
        text = found(facts)["POSTERIOR_COLLAPSE"].text
        assert "beta is 784, about the number of features (784)" in text
        assert "Set --beta 1." in text

    def test_corrected_loss_is_not(self) -> None:
        recipe = read("article-vae-10-fixed")
        facts = replace(COLLAPSED, beta=recipe.parameters["beta"])
        assert "Set --beta 1" not in found(facts)["POSTERIOR_COLLAPSE"].text


def test_a_posterior_far_from_the_prior_that_is_the_same_for_every_row_has_not_collapsed_but_not_learned() -> None:
    facts = replace(VAE, active_units=0, kl_per_dimension=(6.0, 7.0), history=[{"epoch": 1, "loss": 1.0}] * 30)
    codes = {finding.code: finding.text for finding in diagnose(facts)}
    assert "POSTERIOR_COLLAPSE" not in codes
    assert "the KL is 13.0 nats" in codes["CODE_NOT_LEARNED"]
    assert "--max-epochs 120" in codes["CODE_NOT_LEARNED"]


def with_noise(
    noisy: float, ours: float, affine: float | None = None, error: float | None = None, **more: Any
) -> Facts:
    record = Denoising(0.3, noisy, ours, affine, error, *[None] * 5)
    return replace(AUTOENCODER, kind="denoising-autoencoder", denoising=record, **more)


class TestDenoising:
    @pytest.mark.parametrize(
        ("facts", "code", "level", "words"),
        [
            (with_noise(0.1, 0.2, 0.05, 0.001), "ADDS_NOISE", WARNING, "(MSE 0.2) than the noisy rows are (0.1): use"),
            (with_noise(0.1, 0.051, 0.05, 0.001), "LIKE_AFFINE", NOTICE, "MSE 0.051 against 0.05, a difference within"),
            (with_noise(0.1, 0.06, 0.05, 0.001), "WORSE_THAN_AFFINE", WARNING, "MSE 0.06 against 0.05"),
            (with_noise(0.1, 0.03, 0.05, 0.001), "BETTER_THAN_AFFINE", GOOD, "MSE 0.1 before, 0.03 after; the best"),
            (with_noise(0.1, 0.03), "LESS_NOISE", GOOD, "Takes noise away: MSE 0.1 before, 0.03 after."),
        ],
    )
    def test_says_what_became_of_the_noise_and_nothing_of_pca(
        self, facts: Facts, code: str, level: str, words: str
    ) -> None:
        (finding,) = diagnose(facts)
        assert (finding.code, finding.level) == (code, level)
        assert words in finding.text

    @pytest.mark.parametrize(
        ("size", "words"), [(10, "widen it (--latent-dim 512)"), (600, "Train longer, or on more")]
    )
    def test_advises_a_wider_code_where_it_is_narrow(self, size: int, words: str) -> None:
        facts = with_noise(0.1, 0.06, 0.05, 0.001, latent_dim=size, active_units=size)
        assert words in found(facts)["WORSE_THAN_AFFINE"].text

    def test_has_nothing_against_a_code_that_is_larger_than_a_row(self) -> None:
        facts = with_noise(0.1, 0.03, latent_dim=1000, active_units=1000, n_train=3000)
        assert [finding.code for finding in diagnose(facts)] == ["LESS_NOISE"]
