"""What each model family can do: one record a family, which every other part of the package reads.

A new family is a file in :mod:`hyotan.models` (the network's objective), a file in :mod:`hyotan.estimators`
(scikit-learn's face), its parameters in the table, and a record here. The module loads no torch, for
``hyotan fit --help`` reads it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hyotan.words import DEFAULT, say


@dataclass(frozen=True)
class Style:
    """How a family looks in every figure, so that none rests on colour alone.

    Attributes
    ----------
    color : place in the palette.
    marker, hatch : as Matplotlib spells them.
    """

    color: int
    marker: str
    hatch: str = ""


@dataclass(frozen=True)
class Family:
    """One model family.

    Attributes
    ----------
    kind : its name in files.
    name : its name on the command line, ``--model NAME``.
    label : its name in figures and reports.
    names : what a sentence calls it, by language.
    texts : what it is, in a sentence or two, by language.
    home : the module and the class of its estimator, ``module:class``.
    style : how it looks in figures.
    probabilistic : whether it is a model of p(x), with a posterior q(z|x) to draw codes from.
    conditional : whether it takes labels, and predicts those that are not known.
    denoising : whether it is trained on corrupted rows by default.
    prior : whether codes follow N(0, I) by its objective; the codes of other families are described by a Gaussian.
    likelihood : of numbers that are no shares of black and white.
    outputs_per_dimension : numbers that the encoder puts out for each dimension of the code.
    cost : of a training step, beside an autoencoder's.
    traits : what its parameters are about, see :attr:`hyotan.parameters.parameter.Parameter.trait`.
    defaults : parameters whose default differs from the table's.
    """

    kind: str
    name: str
    label: str
    names: Mapping[str, str]
    texts: Mapping[str, str]
    home: str
    style: Style
    probabilistic: bool = False
    conditional: bool = False
    denoising: bool = False
    prior: bool = False
    likelihood: str = "gaussian"
    outputs_per_dimension: int = 1
    cost: float = 1.0
    traits: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """The name of its estimator's class."""
        return self.home.partition(":")[2]

    @property
    def estimator(self) -> Any:
        """The estimator's class; imported now."""
        return getattr(importlib.import_module(self.home.partition(":")[0]), self.class_name)


UNLABELLED_TRAITS = frozenset(
    {"ordered code", "own networks", "missing values", "compiled step", "rows in a file", "refined rows"}
)
"""What families without labels share: traits that need a network that sees a row alone."""

FAMILIES: tuple[Family, ...] = (
    Family(
        kind="autoencoder",
        name="ae",
        label="AE",
        names={"en": "autoencoder", "ja": "オートエンコーダ"},
        texts={
            "en": "An autoencoder. An encoder maps each row to a short code, and a decoder maps the code back to a "
            "row. Both are trained to minimise the reconstruction error.",
            "ja": "オートエンコーダです。エンコーダが各行を短いコードに変え、デコーダがコードを行に戻します。途中で失"
            "われるものができるだけ少なくなるように、両方を学習しました。",
        },
        home="hyotan.estimators.autoencoder:Autoencoder",
        style=Style(0, "o"),
        traits=UNLABELLED_TRAITS | {"deterministic code", "noise"},
    ),
    Family(
        kind="denoising-autoencoder",
        name="dae",
        label="DAE",
        names={"en": "denoising autoencoder", "ja": "デノイジング・オートエンコーダ"},
        texts={
            "en": "A denoising autoencoder. It is trained to reconstruct the clean row from the row with noise added.",
            "ja": "デノイジング・オートエンコーダです。ノイズを加えた行から、元のきれいな行を戻すように学習しました。",
        },
        home="hyotan.estimators.autoencoder:DenoisingAutoencoder",
        style=Style(3, "v", "xxxx"),
        denoising=True,
        cost=1.1,
        traits=UNLABELLED_TRAITS | {"deterministic code", "noise"},
        defaults={"latent_dim": 512, "noise": "gaussian"},
    ),
    Family(
        kind="vae",
        name="vae",
        label="VAE",
        names={"en": "VAE", "ja": "VAE"},
        texts={
            "en": "A variational autoencoder. The encoder gives a distribution of codes for each row, and the KL "
            "term keeps it near a standard normal distribution, so that new codes can be drawn and decoded.",
            "ja": "変分オートエンコーダです。エンコーダは各行に対してコードの分布を出します。KL がそれを標準正規分布"
            "の近くに保つので、新しいコードを引いてデコードできます。",
        },
        home="hyotan.estimators.vae:VAE",
        style=Style(1, "s", "////"),
        probabilistic=True,
        prior=True,
        likelihood="gaussian-shared",
        outputs_per_dimension=2,
        cost=1.3,
        traits=UNLABELLED_TRAITS | {"posterior", "importance weights"},
    ),
    Family(
        kind="cvae",
        name="cvae",
        label="CVAE",
        names={"en": "CVAE", "ja": "CVAE"},
        texts={
            "en": "A conditional variational autoencoder. Encoder and decoder also receive the label, so that the "
            "code can represent everything else.",
            "ja": "条件付き変分オートエンコーダです。エンコーダとデコーダはラベルも受け取るので、コードにはラベル以外"
            "の情報が入ります。",
        },
        home="hyotan.estimators.cvae:CVAE",
        style=Style(2, "^", "...."),
        probabilistic=True,
        conditional=True,
        prior=True,
        likelihood="gaussian-shared",
        outputs_per_dimension=2,
        cost=3.0,
        traits=frozenset({"posterior", "labels"}),
    ),
    Family(
        kind="wae",
        name="wae",
        label="WAE",
        names={"en": "WAE", "ja": "WAE"},
        texts={
            "en": "A Wasserstein autoencoder: an autoencoder whose codes, of all rows together, were held near a "
            "standard normal, so that new codes can be drawn and decoded; each row has one code.",
            "ja": "ワッサースタイン・オートエンコーダです。全行のコードの分布が標準正規分布に近くなるように学習した"
            "オートエンコーダなので、新しいコードを引いてデコードできます。各行のコードは一つに決まります。",
        },
        home="hyotan.estimators.wae:WAE",
        style=Style(5, "X", "----"),
        prior=True,
        cost=1.5,
        traits=UNLABELLED_TRAITS | {"matched codes"},
    ),
)
"""Every family, in the order in which help and figures name them."""

BY_KIND: Mapping[str, Family] = {family.kind: family for family in FAMILIES}
BY_NAME: Mapping[str, Family] = {family.name: family for family in FAMILIES}


def short_name(model: str, lang: str = DEFAULT) -> str:
    """What a table or a chart calls a family, or one of a study's baselines, by its name on the command line."""
    return BY_NAME[model].label if model in BY_NAME else say(f"short.{model}", lang)
