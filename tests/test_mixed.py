"""The likelihood of a table, column by column, against SciPy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats

from hyotan.data.frames import Frame
from hyotan.distributions.mixed import MixedDistribution, MixedLikelihood
from hyotan.preprocessing.category_columns import Category, YesNo
from hyotan.preprocessing.number_columns import Count, Number
from hyotan.preprocessing.tabular import SETTINGS, TablePreprocessor

N = 200


def fit_table(frame: Frame, train: Frame, kinds: dict[str, str] | None = None) -> TablePreprocessor:
    return TablePreprocessor.fit(frame, train, {**SETTINGS, "column_kinds": kinds})


def table() -> pa.Table:
    random = np.random.default_rng(0)
    return pa.table(
        {
            "g": random.normal(3, 2, N),
            "t": random.standard_t(2.2, N),
            "c": random.choice(["a", "b", "c"], N),
            "d": random.choice([5, 6, 7, 8], N),
            "y": random.choice(["no", "yes"], N),
            "k": random.negative_binomial(1, 0.15, N),
        }
    )


@pytest.fixture(scope="module")
def scaling() -> TablePreprocessor:
    return fit_table(Frame(table()), Frame(table()), {"t": "number", "k": "count"})


@pytest.fixture(scope="module")
def likelihood(scaling: TablePreprocessor) -> MixedLikelihood:
    made = MixedLikelihood(scaling)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3)
    return made


def raw_and_rows(scaling: TablePreprocessor) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.from_numpy(scaling.to_model(Frame(table())))
    return torch.from_numpy(np.random.default_rng(1).normal(size=rows.shape).astype(np.float32)), rows


def at(scaling: TablePreprocessor, name: str) -> slice:
    return scaling.slices[scaling.names.index(name)]


def test_every_column_has_the_probability_that_scipy_gives(
    scaling: TablePreprocessor, likelihood: MixedLikelihood
) -> None:
    raw, rows = raw_and_rows(scaling)
    found = scaling.by_part(likelihood(raw).log_prob_per_feature(rows).detach().numpy().astype(np.float64))
    by_name = dict(zip(scaling.names, found.T, strict=True))
    r, x = raw.numpy().astype(np.float64), rows.numpy().astype(np.float64)
    scale = np.exp(0.3)

    def one(name: str) -> tuple[np.ndarray, np.ndarray]:
        return r[:, at(scaling, name)], x[:, at(scaling, name)]

    raw_g, x_g = one("g")
    np.testing.assert_allclose(by_name["g"], stats.norm(raw_g[:, 0], scale).logpdf(x_g[:, 0]), rtol=1e-4, atol=1e-5)
    raw_t, x_t = one("t")
    degrees = 2 + np.log1p(np.exp(2.3))
    expected = stats.t(degrees, raw_t[:, 0], scale).logpdf(x_t[:, 0])
    np.testing.assert_allclose(by_name["t"], expected, rtol=1e-4, atol=1e-5)
    raw_y, x_y = one("y")
    probability = 1 / (1 + np.exp(-raw_y[:, 0]))
    np.testing.assert_allclose(by_name["y"], stats.bernoulli(probability).logpmf(x_y[:, 0]), rtol=1e-4)
    for name in ("c", "d"):
        raw_c, x_c = one(name)
        shares = np.exp(raw_c) / np.exp(raw_c).sum(1, keepdims=True)
        np.testing.assert_allclose(by_name[name], np.log((shares * x_c).sum(1)), rtol=1e-4)
    raw_k, _ = one("k")
    count = next(column for column in scaling.columns if isinstance(column, Count))
    mean, dispersion = np.expm1(raw_k[:, 0] / count.factor + count.offset), np.exp(0.3)
    is_a_mean = mean > 1e-5  # below, the mean is floored
    expected = stats.nbinom(dispersion, dispersion / (dispersion + mean[is_a_mean])).logpmf(
        np.array(table()["k"])[is_a_mean]
    )
    np.testing.assert_allclose(by_name["k"][is_a_mean], expected, rtol=2e-3, atol=1e-3)


def test_a_row_is_the_sum_of_its_columns(scaling: TablePreprocessor, likelihood: MixedLikelihood) -> None:
    raw, rows = raw_and_rows(scaling)
    distribution = likelihood(raw)
    assert torch.allclose(distribution.log_prob(rows), distribution.log_prob_per_feature(rows).sum(-1))
    assert distribution.log_prob(rows).shape == (N,)
    several = likelihood(torch.stack([raw, raw + 1]))
    assert several.log_prob(rows).shape == (2, N)
    assert torch.allclose(several.log_prob(rows)[0], distribution.log_prob(rows))


def test_a_missing_value_counts_nothing_and_passes_no_gradient(
    scaling: TablePreprocessor, likelihood: MixedLikelihood
) -> None:
    raw, rows = raw_and_rows(scaling)
    whole = likelihood(raw).log_prob_per_feature(rows)
    holed = rows.clone()
    holed[:, at(scaling, "c")] = float("nan")
    holed[::2, at(scaling, "k")] = float("nan")
    raw = raw.clone().requires_grad_(True)
    each = likelihood(raw).log_prob_per_feature(holed)
    expected = whole.clone()
    expected[:, at(scaling, "c")] = 0
    expected[::2, at(scaling, "k")] = 0
    assert torch.allclose(each, expected)
    each.sum().backward()
    assert raw.grad is not None and torch.isfinite(raw.grad).all()
    assert (raw.grad[:, at(scaling, "c")] == 0).all()
    assert (raw.grad[1::2, at(scaling, "k")] != 0).any()


def test_draws_have_the_mean_that_the_distribution_names(
    scaling: TablePreprocessor, likelihood: MixedLikelihood
) -> None:
    torch.manual_seed(0)
    raw, _ = raw_and_rows(scaling)
    distribution = likelihood(raw[:3])
    drawn = distribution.sample((20_000,))
    assert drawn.shape == (20_000, 3, scaling.width)
    for name in ("g", "c", "d", "y"):
        place = at(scaling, name)
        np.testing.assert_allclose(drawn[..., place].mean(0), distribution.mean[..., place].detach(), atol=0.05)
    for name in ("c", "d"):
        block = drawn[..., at(scaling, name)]
        assert torch.equal(block.sum(-1), torch.ones(20_000, 3))
        assert set(block.unique().tolist()) == {0.0, 1.0}
    assert set(drawn[..., at(scaling, "y")].unique().tolist()) == {0.0, 1.0}


def test_drawn_counts_are_negative_binomial(scaling: TablePreprocessor, likelihood: MixedLikelihood) -> None:
    torch.manual_seed(0)
    count = next(column for column in scaling.columns if isinstance(column, Count))
    place = at(scaling, "k")
    raw = torch.zeros(1, scaling.width)
    raw[:, place] = (np.log1p(4.0) - count.offset) * count.factor
    drawn = likelihood(raw).sample((20_000,))[:, 0, place].numpy().ravel().astype(np.float64)
    counts = np.rint(np.expm1(drawn / count.factor + count.offset))
    dispersion = np.exp(0.3)
    expected = stats.nbinom(dispersion, dispersion / (dispersion + 4.0))
    assert counts.mean() == pytest.approx(4.0, rel=0.05)
    assert counts.var() == pytest.approx(expected.var(), rel=0.1)


def test_students_draws_have_its_quantiles(scaling: TablePreprocessor, likelihood: MixedLikelihood) -> None:
    torch.manual_seed(0)
    drawn = likelihood(torch.zeros(1, scaling.width)).sample((50_000,))[:, 0, at(scaling, "t")].numpy().ravel()
    expected = stats.t(2 + np.log1p(np.exp(2.3)), 0, np.exp(0.3)).ppf([0.05, 0.5, 0.95])
    np.testing.assert_allclose(np.quantile(drawn, [0.05, 0.5, 0.95]), expected, atol=0.05)


def test_the_decoded_mean_and_draw_are_rows_of_the_table(
    scaling: TablePreprocessor, likelihood: MixedLikelihood
) -> None:
    raw, _ = raw_and_rows(scaling)
    distribution = likelihood(raw)
    assert isinstance(distribution, MixedDistribution)
    for rows in (distribution.mean, distribution.sample()):
        back = scaling.to_frame(rows.detach().numpy()).table
        assert back.schema.equals(table().schema)
        assert set(back["c"].to_pylist()) <= {"a", "b", "c"}


def test_the_kinds_in_this_table_are_as_meant(scaling: TablePreprocessor) -> None:
    assert [type(column) for column in scaling.columns] == [Number, Number, Category, Category, YesNo, Count]
    assert [column.family for column in scaling.columns[:2]] == ["gaussian", "student-t"]


def test_nothing_is_likelier_than_the_mode(scaling: TablePreprocessor, likelihood: MixedLikelihood) -> None:
    raw, rows = raw_and_rows(scaling)
    distribution = likelihood(raw)
    mode = distribution.mode
    best = scaling.by_part(distribution.log_prob_per_feature(mode).detach().numpy())
    for _ in range(30):
        found = distribution.log_prob_per_feature(rows[torch.randperm(N)]).detach().numpy()
        assert (scaling.by_part(found) <= best + 1e-4).all()
    assert torch.equal(mode[:, at(scaling, "c")].sum(1), torch.ones(N))
    count = next(column for column in scaling.columns if isinstance(column, Count))
    counts = np.expm1(mode[:, at(scaling, "k")].detach().numpy()[:, 0] / count.factor + count.offset)
    np.testing.assert_allclose(counts, np.rint(counts), atol=2e-3)
