"""The conditional variational autoencoder: labels at both ends, and rows whose label is not known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent
from torch.nn import functional as F

from hyotan.distributions.likelihoods import Likelihood, normal, standard_normal
from hyotan.models.labelled import LabelledDecoder, LabelledEncoder
from hyotan.models.losses import (
    free_bits,
    kl_per_dimension,
    log_weights,
    negative_elbo,
    virtual_adversarial,
    warmed_beta,
)
from hyotan.models.vae import VAEModel, sampled
from hyotan.training.objective import Labels, Progress, Terms
from hyotan.training.stacking import stackable

LEAST_PROBABILITY, MOST_CLASSES = 0.05, 4
"""Classes less probable, or beyond so many, are left out of the sum over a row's classes; the others add up to 1 again.

A posterior truncated like that still gives a bound (Lücke & Eggert 2010). What is left out would add to it, and to its
gradient, in proportion to its probability; soon most rows have one class left, and the sum costs what a label costs.
"""

LEAST_LOG_PROBABILITY = math.log(LEAST_PROBABILITY)

PRIOR_SHARE = 0.05
"""Share of the prior in the proposal from which classes are drawn where a likelihood is estimated, so that no weight is
without bounds."""


@dataclass(frozen=True)
class Pairs:
    """Rows of a batch, each with every class that it may have.

    Attributes
    ----------
    rows : (pairs,), which row; None where each row stands once, in its order.
    label : (pairs, classes), one-hot; all zero for no label.
    weights : (pairs,), the class's probability; a row's weights add up to 1.
    """

    rows: Tensor | None
    label: Tensor
    weights: Tensor

    def of(self, values: Tensor) -> Tensor:
        """The values of the pairs' rows, (pairs, …), of (batch, …)."""
        return values if self.rows is None else values.index_select(0, self.rows)

    def mean(self, values: Tensor, batch: int) -> Tensor:
        """Weighted sums over each row's classes, (batch, …), of (pairs, …)."""
        if self.rows is None:
            return values
        weights = self.weights.reshape(-1, *[1] * (values.dim() - 1))
        return values.new_zeros(batch, *values.shape[1:]).index_add(0, self.rows, weights * values)


@stackable
class CVAEModel(VAEModel):
    """A VAE given the class (Sohn et al. 2015), trained on rows of which some, or most, have no label.

    With a classifier, an unknown class is a latent variable that the bound is summed over: M2 of Kingma et al. 2014,
    eq. 7, with the classifier's own term, eq. 9; without that term the classes mean nothing. Without a classifier, no
    label is one more label: its embedding is zero.

    Parameters
    ----------
    encoder, decoder : take a label beside x and z.
    likelihood : p(x|y, z).
    classifier : (batch, *features) to logits of q(y|x), (batch, classes); or None.
    log_prior : (classes,), log p(y).
    classifier_weight : of the classifier's cross-entropy on labelled rows, in nats against nats.
    neighbour_weight : of the cross-entropy between the classifier and what a row's neighbours say, in training alone.
    consistency_weight : of the change of the classifier's answer around rows without a label (Miyato et al. 2018), in
        training alone.
    others : as for :class:`VAEModel`.

    Attributes
    ----------
    radius : how far "around" goes, in the model's range.
    """

    encoder: LabelledEncoder  # pyrefly: ignore[bad-override-mutable-attribute]
    decoder: LabelledDecoder  # pyrefly: ignore[bad-override-mutable-attribute]
    log_prior: Tensor
    differs_in_stack = ("training", "radius")  # without rows of no class, no radius is used

    def __init__(
        self,
        encoder: LabelledEncoder,
        decoder: LabelledDecoder,
        likelihood: Likelihood,
        classifier: nn.Module | None,
        log_prior: Tensor,
        classifier_weight: float = 1.0,
        neighbour_weight: float = 0.0,
        consistency_weight: float = 0.0,
        **settings: object,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, **settings)  # pyrefly: ignore[bad-argument-type]
        self.classifier, self.classifier_weight = classifier, classifier_weight
        self.neighbour_weight = neighbour_weight
        self.consistency_weight, self.radius = consistency_weight, 0.0
        self.register_buffer("log_prior", log_prior)

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.log_prior)

    def is_same_each_step(self, progress: Progress) -> bool:
        """Never: what a step does depends on the classes that its rows may have."""
        return False

    def stacks_with(self, classes: Tensor | None) -> bool:
        """With a classifier only where every class is known: each row then stands once, with its own."""
        return self.classifier is None or (classes is not None and bool((classes >= 0).all()))

    # -- the networks ------------------------------------------------------------------------------------------------

    def one_hot(self, classes: Tensor) -> Tensor:
        """Classes, (...), as weights, (..., classes); -1 becomes "no label", all zero."""
        known = classes >= 0
        return F.one_hot(classes.clamp(min=0), self.n_classes).to(self.log_prior.dtype) * known[..., None]

    def posterior(self, x: Tensor, label: Tensor | None = None) -> Independent:
        """q(z|x, y), (batch,) and (latent,); without a label where none is given."""
        return self._posterior(self.encoder(x, label))

    def decode(self, z: Tensor, label: Tensor | None = None) -> Distribution:
        """p(x|y, z) over (*features); without a label where none is given."""
        return self.likelihood(self.decoder(z, label).float())

    def class_log_probabilities(self, x: Tensor) -> Tensor:
        """log q(y|x), (batch, classes); without a classifier, log p(y|x) by Bayes' rule from each class's bound."""
        if self.classifier is not None:
            return self.classifier(x).float().log_softmax(-1)
        hidden = self.encoder.trunk(x)
        bounds = []
        for label in torch.eye(self.n_classes, device=x.device, dtype=hidden.dtype):
            label = label.expand(len(x), -1)
            posterior = self._posterior(self.encoder.from_hidden(hidden, label))
            kl = kl_per_dimension(posterior).sum(-1)
            bounds.append(self.decode(posterior.mean, label).log_prob(x) - kl)
        return (torch.stack(bounds, dim=-1) + self.log_prior).log_softmax(-1)

    def label_of(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """The label to go with each row, (batch, classes), where its class is not known: the predicted one; without a
        classifier none.
        """
        classes = x.new_full((len(x),), -1, dtype=torch.int64) if classes is None else classes
        if self.classifier is None:
            return self.one_hot(classes)
        return self.one_hot(torch.where(classes >= 0, classes, self.classifier(x).argmax(-1)))

    # -- deterministic -----------------------------------------------------------------------------------------------

    def code(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """The posterior mean, (batch, latent), over the classes that a row without a known one may have."""
        if self.classifier is None or classes is not None:
            return self.posterior(x, self.label_of(x, classes)).mean
        hidden, probabilities = self.encoder.trunk(x), self.class_log_probabilities(x).exp()
        means = self._posterior(self._with_every_label(hidden)).mean
        return (means * probabilities[..., None]).sum(1)

    def reconstruct(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """x through the code of its class and back, (batch, *features); for unknown ones see :meth:`label_of`."""
        label = self.label_of(x, classes)
        return self.decode(self.posterior(x, label).mean, label).mean

    def explanation(self, x: Tensor) -> Distribution:
        """p(x|y, code of x) over (*features), y the predicted label: what :meth:`reconstruct` is the mean of."""
        label = self.label_of(x)
        return self.decode(self.posterior(x, label).mean, label)

    def decode_like(self, z: Tensor, x: Tensor) -> Distribution:
        """p(x|y, z) over (*features), y the predicted label of x."""
        return self.decode(z, self.label_of(x))

    def noise_size(self, latent: int) -> int:
        """Of an importance sample, those of the code and, where there is a classifier, one for the class."""
        return latent + (self.classifier is not None)

    def mean_without_label(self, z: Tensor) -> Tensor:
        """E[x|z], (batch, *features): over all classes by their prior; without a classifier, of the label "none"."""
        if self.classifier is None:
            return self.decode(z).mean
        labels = torch.eye(self.n_classes, device=z.device, dtype=z.dtype)
        means = (self.decode(z, label.expand(len(z), -1)).mean * p for label, p in zip(labels, self.log_prior.exp()))
        return torch.stack(list(means)).sum(0)

    # -- training ----------------------------------------------------------------------------------------------------

    def objective(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """The negative bound, per sample, in nats, plus the classifier's own terms, means over the batch.

        Companions count as rows of the batch: the mean loss is that over both.
        """
        n, classes = len(x), x.new_full((len(x),), -1, dtype=torch.int64) if labels is None else labels.classes
        if labels is not None and labels.companions is not None:
            x, classes = torch.cat([x, labels.companions[0]]), torch.cat([classes, labels.companions[1]])
        logits = None if self.classifier is None else self.classifier(x).float()
        terms = self._bound(x, classes, logits, progress)
        loss = (n * terms.loss[:n] + terms.loss[n:].sum()) / len(x)
        if logits is not None:
            beliefs = None if labels is None else labels.beliefs
            loss = loss + self._classifiers_terms(x, classes, logits, beliefs)
        parts = (terms.reconstruction, terms.code, terms.kl, terms.label)
        return Terms(loss, *(None if part is None else part[:n] for part in parts))  # pyrefly: ignore[bad-argument-type]

    def _bound(self, x: Tensor, classes: Tensor, logits: Tensor | None, progress: Progress | None) -> Terms:
        """The negative bound of rows whose class is known, or -1."""
        pairs, label_cost = self._pairs(classes, logits)
        posterior = self._posterior(self.encoder.from_hidden(pairs.of(self.encoder.trunk(x)), pairs.label))
        z = sampled(posterior, self.n_samples)
        log_likelihood = self.decode(z, pairs.label).log_prob(pairs.of(x)).mean(0)
        reconstruction = pairs.mean(-log_likelihood, len(x))
        kl = pairs.mean(kl_per_dimension(posterior), len(x))
        beta = warmed_beta(self.beta, self.beta_warmup, progress)
        loss = negative_elbo(reconstruction, free_bits(kl, self.free_bits), beta)
        loss = loss if label_cost is None else loss + label_cost
        return Terms(loss, reconstruction, pairs.mean(posterior.mean, len(x)), kl, label_cost)

    def _pairs(self, classes: Tensor, logits: Tensor | None) -> tuple[Pairs, Tensor | None]:
        """Each row with the classes that it may have, and what the class costs, (batch,)."""
        if logits is None:
            return Pairs(None, self.one_hot(classes), torch.ones_like(self.log_prior)), None
        known = self.one_hot(classes)
        is_known = (classes >= 0)[:, None]
        if bool(is_known.all()):
            return Pairs(None, known, torch.ones_like(self.log_prior)), -self.log_prior[classes]
        log_q = logits.log_softmax(-1)
        highest = log_q.detach().topk(min(MOST_CLASSES, self.n_classes), dim=-1).values
        likely = (log_q >= highest[:, -1:]) & (log_q >= highest[:, :1].clamp(max=LEAST_LOG_PROBABILITY))
        kept = torch.where(is_known, known > 0, likely)
        # Over the classes kept the probabilities add up to 1 again; a known class has all of it.
        log_q = log_q.masked_fill(~kept, -torch.inf).log_softmax(-1)
        cost = torch.where(kept, log_q.exp() * (log_q.masked_fill(~kept, 0.0) - self.log_prior), 0.0).sum(-1)
        rows, columns = kept.nonzero(as_tuple=True)
        return Pairs(rows, self.one_hot(columns), log_q[rows, columns].exp()), cost

    def _classifiers_terms(self, x: Tensor, classes: Tensor, logits: Tensor, beliefs: Tensor | None) -> Tensor:
        """Cross-entropy with the known classes, a mean over their rows, and with what the neighbours of the others say;
        and that the answer stays the same around rows without a class: (), or in a stack (batch,), a mean a model.
        """
        known = classes >= 0
        if self.stack_size > 1:  # each model has its own mean; its rows all have classes, see stacks_with
            of_model = F.cross_entropy(logits, classes, reduction="none").view(self.stack_size, -1).mean(1)
            return self.classifier_weight * of_model.repeat_interleave(len(x) // self.stack_size)
        cross_entropy = F.cross_entropy(logits[known], classes[known], reduction="sum") / known.sum().clamp(min=1)
        loss = self.classifier_weight * cross_entropy
        if beliefs is not None:  # of the batch itself: companions come after it
            log_q = logits[: len(beliefs)].log_softmax(-1)
            loss = loss - self.neighbour_weight * (beliefs * log_q).sum(-1).mean()
        if self.training and self.classifier is not None and self.consistency_weight and not bool(known.all()):
            change = virtual_adversarial(self.classifier, x[~known], logits[~known], self.radius)
            loss = loss + self.consistency_weight * change.mean()
        return loss

    # -- the likelihood ----------------------------------------------------------------------------------------------

    def log_weights(self, x: Tensor, noise: Tensor) -> Tensor:
        """log of the importance weights of log p(x), (samples, batch), in nats; see :meth:`VAEModel.log_weights`.

        With a classifier, class and code are drawn together, the class from q(y|x) mixed with a little of the prior;
        the noise has one more column for it, (samples, 1 or batch, latent + 1).
        """
        if self.classifier is None:
            return super().log_weights(x, noise)
        hidden, log_q = self.encoder.trunk(x), self.class_log_probabilities(x)
        proposal = (1 - PRIOR_SHARE) * log_q.exp() + PRIOR_SHARE * self.log_prior.exp()
        uniform = torch.special.ndtr(noise[..., -1]).expand(-1, len(x))
        classes = torch.searchsorted(proposal.cumsum(-1), uniform.t().contiguous()).clamp(max=self.n_classes - 1).t()
        every = self._posterior(self._with_every_label(hidden))
        rows = torch.arange(len(x), device=x.device)
        mean, deviation = every.mean[rows, classes], every.base_dist.scale[rows, classes]
        z = mean + deviation * noise[..., :-1]
        chosen = normal(mean, deviation)
        prior = standard_normal(z.shape[-1], like=z)
        weights = log_weights(self.decode(z, self.one_hot(classes)).log_prob(x), z, chosen, prior)
        return weights + self.log_prior[classes] - proposal.log()[rows, classes]

    def _with_every_label(self, hidden: Tensor) -> Tensor:
        """The encoder's output under each class, (batch, classes, 2 * latent)."""
        labels = torch.eye(self.n_classes, device=hidden.device, dtype=hidden.dtype)
        n = len(hidden)
        return self.encoder.from_hidden(hidden[:, None].expand(-1, self.n_classes, -1), labels.expand(n, -1, -1))
