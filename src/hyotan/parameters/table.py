"""The table of parameters, and what it says of one kind of estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyotan.distributions import LIKELIHOODS
from hyotan.errors import SettingsError, did_you_mean
from hyotan.models import ACTIVATIONS, INITIALISATIONS, NOISES, PENALTIES, VARIANCES
from hyotan.models.families import BY_KIND
from hyotan.parameters.domains import (
    Anything,
    Choice,
    ChoiceByName,
    Flag,
    Integer,
    Integers,
    Marker,
    Real,
    RealOrRange,
    Seed,
)
from hyotan.parameters.parameter import Parameter
from hyotan.preprocessing.column_kinds import CHOICES as COLUMN_KINDS
from hyotan.preprocessing.layouts import LAYOUTS
from hyotan.training import OPTIMIZERS, SCHEDULES

TABLE: tuple[Parameter, ...] = (
    Parameter("latent_dim", 16, Integer(1), "Size of the code."),
    Parameter("ordered", False, Flag(), "The code can be cut after any prefix.", trait="ordered code"),
    Parameter("hidden_dims", "auto", Integers(), "Widths of the hidden layers, encoder side."),
    Parameter("activation", "gelu", Choice(tuple(ACTIVATIONS)), "Activation of the hidden layers."),
    Parameter(
        "architecture",
        "auto",
        Choice(("mlp", "conv")),
        "Fully connected or convolutional; auto: conv above 4,096 values.",
    ),
    Parameter("channels", (32, 64), Integers(), "Channels of the convolutions; each halves the image."),
    Parameter("encoder", None, Anything("an nn.Module"), "Your own encoder.", trait="own networks"),
    Parameter("decoder", None, Anything("an nn.Module"), "Your own decoder.", trait="own networks"),
    Parameter(
        "latent_activation", None, Choice(tuple(ACTIVATIONS)), "Activation of the code.", trait="deterministic code"
    ),
    Parameter("output_activation", None, Choice(("sigmoid", "tanh")), "Activation of the reconstruction's mean."),
    Parameter("tied", False, Flag(), "Decoder uses the encoder's weights, transposed.", trait="deterministic code"),
    Parameter("noise", None, Choice(tuple(NOISES)), "Corrupt the input.", trait="noise"),
    Parameter(
        "noise_level",
        0.3,
        RealOrRange(),
        "Standard deviation of gaussian noise, else the share of values hit; of a range each row draws its own.",
        trait="noise",
    ),
    Parameter("penalty", None, Choice(tuple(PENALTIES)), "Penalty on the code.", trait="deterministic code"),
    Parameter("penalty_weight", 0.1, Real(), "Weight of the penalty.", trait="deterministic code"),
    Parameter("variance", "exp", Choice(tuple(VARIANCES)), "How the posterior variance is made.", trait="posterior"),
    Parameter("beta", 1.0, Real(), "Weight of the KL, in nats against nats.", trait="posterior"),
    Parameter("beta_warmup", 0.0, Real(), "Epochs over which beta rises from 0.", trait="posterior"),
    Parameter("free_bits", 0.0, Real(), "KL per dimension that costs nothing, in nats.", trait="posterior"),
    Parameter("n_samples", 1, Integer(1), "Latent samples a row in training.", trait="posterior"),
    Parameter("objective", "elbo", Choice(("elbo", "iwae")), "The bound that is trained.", trait="importance weights"),
    Parameter("mmd_weight", 10.0, Real(), "Weight of the codes' MMD to N(0, I), in nats.", trait="matched codes"),
    Parameter("label_dim", 64, Integer(1), "Size of the labels' embedding.", trait="labels"),
    Parameter(
        "unlabelled_rows",
        "marginalise",
        Choice(("marginalise", "zero")),
        "Rows without a label: sum over the classes, or a zero embedding.",
        trait="labels",
    ),
    Parameter(
        "classifier_weight",
        10.0,
        Real(),
        "Weight of the classifier's cross-entropy, in nats against nats.",
        trait="labels",
    ),
    Parameter(
        "neighbour_weight", 50.0, Real(), "Weight of what the neighbours of rows without a label say.", trait="labels"
    ),
    Parameter(
        "consistency_weight",
        50.0,
        Real(),
        "Weight of the classifier's change around rows without a label.",
        trait="labels",
    ),
    Parameter(
        "consistency_radius",
        0.5,
        Real(),
        "How far around: a share of the rows' distance from their mean.",
        trait="labels",
    ),
    Parameter("unlabelled", -1, Marker(), "The label that says: none. None and NaN always do.", trait="labels"),
    Parameter(
        "labelled_fraction",
        1.0,
        Real(0, 1, above=True),
        "Share of each class's labels that training sees; the others are hidden.",
        trait="labels",
    ),
    Parameter("layout", "auto", Choice(tuple(LAYOUTS)), "How a row's values lie; auto: by the dimensions of X."),
    Parameter("likelihood", "auto", Choice(tuple(LIKELIHOODS)), "p(x|z); auto: bernoulli for pictures, else gaussian."),
    Parameter(
        "column_kinds",
        None,
        ChoiceByName(COLUMN_KINDS),
        "What columns of a mixed table are taken for, where a guess would be wrong.",
    ),
    Parameter("likelihood_scale", 1.0, Real(above=True), "Standard deviation of a fixed gaussian."),
    Parameter(
        "scaling",
        "auto",
        Choice(("none", "unit", "symmetric", "standard")),
        "To [0, 1], to [-1, 1], to mean 0 and deviation 1, or not at all.",
    ),
    Parameter(
        "handle_missing",
        "auto",
        Choice(("always", "never")),
        "Learn to handle missing values; auto: where there are any.",
        trait="missing values",
    ),
    Parameter(
        "binarise",
        None,
        Choice(("static", "dynamic")),
        "Draw black-and-white images from grey ones, once or at each batch.",
    ),
    Parameter("validation_fraction", 0.1, Real(0, 1, below=True), "Share of the rows held out; 0: none."),
    Parameter("validation_rows", "random", Choice(("random", "first", "last")), "Which rows are held out."),
    Parameter("max_epochs", "auto", Integer(1), "Passes over the data; auto: by its size."),
    Parameter("batch_size", "auto", Integer(1), "Rows a step; auto: by the data's size."),
    Parameter("optimizer", "adamw", Choice(tuple(OPTIMIZERS)), "The optimizer."),
    Parameter("learning_rate", "auto", Real(above=True), "The schedule's highest rate; auto: by the batch size."),
    Parameter("weight_decay", 1e-3, Real(), "Weight decay of weight matrices (AdamW)."),
    Parameter("schedule", "one-cycle", Choice(tuple(SCHEDULES)), "Learning rate's path."),
    Parameter("grad_clip", None, Real(above=True), "Largest norm of the gradient, in nats."),
    Parameter("initialisation", "default", Choice(tuple(INITIALISATIONS)), "How weights start."),
    Parameter("shuffle", True, Flag(), "New order of the rows at each epoch."),
    Parameter("early_stopping", None, Integer(1), "Stop after this many epochs without a better validation loss."),
    Parameter("device", "auto", Choice(("cpu", "cuda", "mps")), "Where to compute."),
    Parameter("precision", "fp32", Choice(("fp32", "bf16")), "Number format of the matrix products."),
    Parameter(
        "compile",
        False,
        Flag(),
        "Compile the step (CPU, C++ compiler, 15 s): pays from 30,000 steps on; changes last bits.",
        trait="compiled step",
    ),
    Parameter("random_state", None, Seed(), "Seed."),
    Parameter("callbacks", None, Anything("a list of callbacks"), "Called after steps and epochs."),
    Parameter("verbose", 0, Integer(), "0: silent; 1: progress."),
)

PARAMETERS: Mapping[str, Parameter] = {parameter.name: parameter for parameter in TABLE}

EARLIER_NAMES: Mapping[str, str] = {"gaps": "handle_missing", "has_gaps": "handles_missing", "were_gaps": "had_missing"}
"""What settings were called in files of earlier versions, and what they are called now."""


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a file has them, by the names that they have now."""
    return {EARLIER_NAMES.get(name, name): value for name, value in settings.items()}


def parameters_of(kind: str) -> list[Parameter]:
    """The parameters that an estimator of this kind has, in the table's order."""
    return [parameter for parameter in TABLE if BY_KIND[kind] in parameter.families]


def default_of(parameter: Parameter, kind: str) -> Any:
    """The default of a parameter for one kind of estimator."""
    return BY_KIND[kind].defaults.get(parameter.name, parameter.default)


def check_settings(kind: str, settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Check names and values of settings for one kind; the values come back in plain Python types.

    Raises
    ------
    SettingsError
        A name that this kind does not have (with the nearest one), or a value outside its domain.
    """
    known = {parameter.name: parameter for parameter in parameters_of(kind)}
    place = f" in {where}" if where else ""
    for name in settings:
        if name not in known:
            owners = [family.kind for family in PARAMETERS[name].families] if name in PARAMETERS else []
            fix = f"It belongs to: {', '.join(owners)}." if owners else did_you_mean(name, known)
            raise SettingsError(f"'{name}'{place} is not a parameter of {kind}.", fix)
    return {name: known[name].check(value) for name, value in settings.items()}
