r"""The likelihood of a table's rows: for each column the family of distributions that suits it.

Every column counts in nats, so that they add up: log p(x|z) = sum over columns of log p(x_column|z). What is not
observed (NaN) counts nothing (Nazabal et al. 2020, eq. 3). Columns of one family lie side by side and are computed at
once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Chi2, Distribution, Gamma, constraints
from torch.nn import functional as F

from hyotan.distributions.likelihoods import MIN_LOG_SCALE, Likelihood
from hyotan.errors import DataError

if TYPE_CHECKING:
    from hyotan.preprocessing.columns import Column
    from hyotan.preprocessing.number_columns import Count

MAX_LOG_MEAN = 15.0
"""Ceiling of the logarithm of a mean count, far above any that was seen: exp must stay finite."""


class Family(nn.Module):
    """The distribution of all columns of a family, side by side.

    Parameters
    ----------
    columns : in the order of their numbers.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self.width = sum(column.width for column in columns)

    def mean(self, raw: Tensor) -> Tensor:
        """From the decoder's numbers, (..., width), to the mean on the model's side, (..., width)."""
        raise NotImplementedError

    def mode(self, raw: Tensor) -> Tensor:
        """The likeliest value on the model's side, (..., width): of the columns here mostly the mean."""
        return self.mean(raw)

    def variance(self, raw: Tensor) -> Tensor:
        """The variance on the model's side, (..., width)."""
        raise NotImplementedError

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """log p of each number, (..., width), in nats; ``value`` holds no NaN."""
        raise NotImplementedError

    def draw(self, raw: Tensor) -> Tensor:
        """One draw on the model's side, (..., width)."""
        raise NotImplementedError


class GaussianFamily(Family):
    """N(raw, scale²), one learned scale a column."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        self.log_scale = nn.Parameter(torch.zeros(self.width))

    def scale_logarithm(self) -> Tensor:
        """The log standard deviations, (width,), floored."""
        return self.log_scale.clamp_min(MIN_LOG_SCALE)

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's numbers."""
        return raw

    def variance(self, raw: Tensor) -> Tensor:
        """The same for every row."""
        return (2 * self.scale_logarithm()).exp().expand_as(raw)

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """Log density of each number."""
        log_scale = self.scale_logarithm()
        return -0.5 * ((value - raw) * (-log_scale).exp()).square() - log_scale - 0.5 * math.log(2 * math.pi)

    def draw(self, raw: Tensor) -> Tensor:
        """Mean and noise."""
        return raw + torch.randn_like(raw) * self.scale_logarithm().exp()


class StudentFamily(GaussianFamily):
    """Student's t around raw, one learned scale and one learned number of degrees of freedom (above 2) a column."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        self.freedom = nn.Parameter(torch.full((self.width,), 2.0))

    def degrees(self) -> Tensor:
        """Degrees of freedom, (width,): above 2, so that there is a variance."""
        return 2 + F.softplus(self.freedom)

    def variance(self, raw: Tensor) -> Tensor:
        """That of Student's t."""
        degrees = self.degrees()
        return super().variance(raw) * degrees / (degrees - 2)

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """Log density of each number."""
        degrees, log_scale = self.degrees(), self.scale_logarithm()
        squares = ((value - raw) * (-log_scale).exp()).square()
        normaliser = torch.lgamma((degrees + 1) / 2) - torch.lgamma(degrees / 2) - 0.5 * (math.pi * degrees).log()
        return normaliser - log_scale - (degrees + 1) / 2 * torch.log1p(squares / degrees)

    def draw(self, raw: Tensor) -> Tensor:
        """Normal noise over the root of a chi-squared one."""
        degrees = self.degrees().expand_as(raw)
        chi = Chi2(degrees, validate_args=False).sample()
        return raw + torch.randn_like(raw) * (degrees / chi).sqrt() * self.scale_logarithm().exp()


class BernoulliFamily(Family):
    """Yes or no, raw being the logit of yes."""

    def mean(self, raw: Tensor) -> Tensor:
        """The probability of yes."""
        return raw.sigmoid()

    def mode(self, raw: Tensor) -> Tensor:
        """The likelier of both."""
        return (raw > 0).to(raw.dtype)

    def variance(self, raw: Tensor) -> Tensor:
        """p (1 - p)."""
        return self.mean(raw) * (1 - self.mean(raw))

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """Log-probability of each number."""
        return raw * value - F.softplus(raw)

    def draw(self, raw: Tensor) -> Tensor:
        """0 or 1."""
        return torch.bernoulli(raw.sigmoid())


class CategoricalFamily(Family):
    """One of several categories, raw being their logits.

    The log-probability of a column stands at the category that is there; at the others stands 0.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        sizes = [column.width for column in columns]
        starts = [0, *itertools.accumulate(sizes)][:-1]
        most = max(sizes)
        # Columns of several sizes in one rectangle: where a category is missing, the index points to one beyond.
        places = [[start + k if k < size else self.width for k in range(most)] for start, size in zip(starts, sizes)]
        back = [row * most + k for row, size in enumerate(sizes) for k in range(size)]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.register_buffer("back", torch.tensor(back), persistent=False)

    def _rectangle(self, raw: Tensor) -> Tensor:
        """Logits with one row a column, (..., columns, most), -inf where there is no category."""
        padded = F.pad(raw, (0, 1), value=-math.inf)
        return padded[..., self.get_buffer("places")]

    def _flat(self, rectangle: Tensor) -> Tensor:
        return rectangle.flatten(-2)[..., self.get_buffer("back")]

    def mean(self, raw: Tensor) -> Tensor:
        """The probability of each category."""
        return self._flat(self._rectangle(raw).softmax(-1))

    def mode(self, raw: Tensor) -> Tensor:
        """A 1 at the likeliest category of each column, elsewhere 0."""
        logits = self._rectangle(raw)
        return self._flat(F.one_hot(logits.argmax(-1), logits.shape[-1]).to(raw.dtype))

    def variance(self, raw: Tensor) -> Tensor:
        """p (1 - p) of each category."""
        return self.mean(raw) * (1 - self.mean(raw))

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """Log-probability of each column, at the category that is there."""
        return value * self._flat(self._rectangle(raw).log_softmax(-1))

    def draw(self, raw: Tensor) -> Tensor:
        """A 1 in each column, elsewhere 0."""
        probabilities = self._rectangle(raw).softmax(-1)
        drawn = torch.distributions.Categorical(probabilities, validate_args=False).sample()
        return self._flat(F.one_hot(drawn, probabilities.shape[-1]).to(raw.dtype))


class CountFamily(Family):
    """Negative binomial counts: raw is the scaled log(1 + mean), and one dispersion a column is learned."""

    def __init__(self, columns: Sequence[Count]) -> None:
        super().__init__(columns)
        self.register_buffer("offset", torch.tensor([column.offset for column in columns]), persistent=False)
        self.register_buffer("factor", torch.tensor([column.factor for column in columns]), persistent=False)
        self.log_dispersion = nn.Parameter(torch.zeros(self.width))

    def _log1p(self, encoded_names: Tensor) -> Tensor:
        return encoded_names / self.get_buffer("factor") + self.get_buffer("offset")

    def _mean_count(self, raw: Tensor) -> Tensor:
        return torch.expm1(self._log1p(raw).clamp(1e-6, MAX_LOG_MEAN))

    def _dispersion(self) -> Tensor:
        return self.log_dispersion.clamp(-7, 7).exp()

    def _scaled(self, counts: Tensor) -> Tensor:
        return (counts.log1p() - self.get_buffer("offset")) * self.get_buffer("factor")

    def mean(self, raw: Tensor) -> Tensor:
        """The mean count, scaled as the data are."""
        return self._scaled(self._mean_count(raw))

    def mode(self, raw: Tensor) -> Tensor:
        """The likeliest count, the floor of m (r - 1) / r, scaled as the data are: 0 where r is at most 1."""
        mean, r = self._mean_count(raw), self._dispersion()
        return self._scaled((mean * (1 - 1 / r)).clamp_min(0).floor())

    def variance(self, raw: Tensor) -> Tensor:
        """That of the scaled logarithm, to first order in the count's: m + m²/r over (1 + m)²."""
        mean, r = self._mean_count(raw), self._dispersion()
        return (mean + mean.square() / r) / (1 + mean).square() * self.get_buffer("factor").square()

    def log_prob(self, raw: Tensor, value: Tensor) -> Tensor:
        """Log-probability of each count."""
        count = torch.expm1(self._log1p(value)).round().clamp_min(0)
        mean, r = self._mean_count(raw), self._dispersion()
        log_total = (mean + r).log()
        ways = torch.lgamma(count + r) - torch.lgamma(r) - torch.lgamma(count + 1)
        return ways + r * (r.log() - log_total) + count * (mean.log() - log_total)

    def draw(self, raw: Tensor) -> Tensor:
        """A Poisson count whose rate is drawn from a gamma distribution."""
        mean, r = self._mean_count(raw), self._dispersion().expand_as(raw)
        rate = Gamma(r, torch.ones_like(r), validate_args=False).sample() * mean / r
        return self._scaled(torch.poisson(rate))


FAMILIES: Mapping[str, type[Family]] = {
    "bernoulli": BernoulliFamily,
    "categorical": CategoricalFamily,
    "gaussian": GaussianFamily,
    "negative-binomial": CountFamily,
    "student-t": StudentFamily,
}
"""Families by the name that a column's kind gives them."""


class MixedDistribution(Distribution):
    """p(x|z) over a table's rows on the model's side; NaN counts nothing.

    Parameters
    ----------
    raw : what the decoder puts out, (..., width).
    families : in the order of their numbers.
    """

    arg_constraints: ClassVar = {}  # pyrefly: ignore[bad-override]
    support = constraints.real_vector

    def __init__(self, raw: Tensor, families: Sequence[Family]) -> None:
        self.raw, self.families = raw, families
        self.widths = [family.width for family in families]
        super().__init__(raw.shape[:-1], raw.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean of each number, (..., width): of a category its probability."""
        return self._joined(lambda family, raw: family.mean(raw), self.raw)

    @property
    def mode(self) -> Tensor:
        """The likeliest value of each number, (..., width): of a category a 1 at the likeliest."""
        return self._joined(lambda family, raw: family.mode(raw), self.raw)

    @property
    def variance(self) -> Tensor:
        """The variance of each number, (..., width)."""
        return self._joined(lambda family, raw: family.variance(raw), self.raw)

    def log_prob_per_feature(self, value: Tensor) -> Tensor:
        """log p of each number, (..., width), in nats; a category's stands at the category that is there."""
        observed = ~value.isnan()
        each = self._joined(lambda family, raw, x: family.log_prob(raw, x), self.raw, value.where(observed, 0.0))
        return each * observed

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of the row, (...,), in nats."""
        return self.log_prob_per_feature(value).sum(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw rows, (*sample_shape, ..., width)."""
        shape = torch.Size(sample_shape)
        raw = self.raw.expand(*shape, *self.raw.shape)
        with torch.no_grad():
            return self._joined(lambda family, part: family.draw(part.contiguous()), raw)

    def _joined(self, compute: Callable[..., Tensor], *rows: Tensor) -> Tensor:
        """What each family computes from its part of rows, (..., width), side by side."""
        parts = zip(self.families, *(each.split(self.widths, -1) for each in rows), strict=True)
        return torch.cat([compute(*part) for part in parts], -1)


class MixedLikelihood(Likelihood):
    """p(x|z) of a table, column by column.

    Parameters
    ----------
    preprocessor : the columns.
    """

    name = "mixed"

    def __init__(self, preprocessor: Any) -> None:
        super().__init__(preprocessor.feature_shape)
        columns = preprocessor.encoded_columns
        grouped = itertools.groupby(columns, key=lambda column: column.family)
        self.families = nn.ModuleList([FAMILIES[name](list(members)) for name, members in grouped])

    def forward(self, raw: Tensor) -> Distribution:
        """The distribution of rows from the decoder's numbers, (..., width)."""
        return MixedDistribution(raw, list(self.families))  # pyrefly: ignore[bad-argument-type]

    @classmethod
    def check_support(cls, low: float, high: float) -> None:
        """Every table that was encoded is in the support."""
        if not (math.isfinite(low) and math.isfinite(high)):
            raise DataError(f"The table's numbers reach from {low} to {high}.", "Mend what is infinite.")
