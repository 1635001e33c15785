"""Every estimator parameter, once: default, domain, help. Python, command line and TOML files all read this table.

The module loads neither torch nor scikit-learn, so that ``hyotan fit --help`` answers at once.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from hyotan.distributions import LIKELIHOODS
from hyotan.errors import SettingsError, did_you_mean
from hyotan.models import ACTIVATIONS, INITIALISATIONS, NOISES, PENALTIES, VARIANCES
from hyotan.models.families import BY_KIND, FAMILIES, Family
from hyotan.preprocessing import column_kinds
from hyotan.training import OPTIMIZERS, SCHEDULES


class Domain(Protocol):
    """What values a parameter can take, in words, from text, and checked."""

    metavar: ClassVar[str]
    """What help shows in the place of a value."""

    def describe(self) -> str:
        """Say what is expected, to follow "expected "."""
        ...

    def parse(self, text: str) -> Any:
        """Turn text from the command line into a value; ValueError where that cannot be done."""
        ...

    def check(self, value: Any) -> Any:
        """Give the value back in its plain Python type; ValueError where it does not belong here."""
        ...


@dataclass(frozen=True)
class Integer:
    """A whole number of at least ``low``."""

    metavar: ClassVar[str] = "N"
    low: int = 0

    def describe(self) -> str:
        """Say what is expected."""
        return f"an integer of at least {self.low}"

    def parse(self, text: str) -> int:
        """Read an integer."""
        return int(text)

    def check(self, value: Any) -> int:
        """Refuse booleans, fractions, and values below ``low``."""
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < self.low:
            raise ValueError
        return int(value)


@dataclass(frozen=True)
class Seed(Integer):
    """A whole number, or a NumPy RandomState that a Python caller passes."""

    def describe(self) -> str:
        """Say what is expected."""
        return f"{super().describe()} or a RandomState"

    def check(self, value: Any) -> Any:
        """Refuse what is neither."""
        return value if type(value).__name__ == "RandomState" else super().check(value)


@dataclass(frozen=True)
class Real:
    """A finite number from ``low`` to ``high``; ``above`` excludes ``low`` itself, ``below`` excludes ``high``."""

    metavar: ClassVar[str] = "NUMBER"
    low: float = 0.0
    high: float = math.inf
    above: bool = False
    below: bool = False

    def describe(self) -> str:
        """Say what is expected."""
        low = f"{'above' if self.above else 'of at least'} {self.low:g}"
        return f"a number {low}" + (
            "" if math.isinf(self.high) else f" and {'below' if self.below else 'at most'} {self.high:g}"
        )

    def parse(self, text: str) -> float:
        """Read a number."""
        return float(text)

    def check(self, value: Any) -> float:
        """Refuse booleans, NaN, infinities and values outside the interval."""
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(float(value)):
            raise ValueError
        value = float(value)
        too_low = value < self.low or (self.above and value == self.low)
        too_high = value > self.high or (self.below and value == self.high)
        if too_low or too_high:
            raise ValueError
        return value


@dataclass(frozen=True)
class RealOrRange:
    """A finite number of at least ``low``, or the two ends of a range of such numbers."""

    metavar: ClassVar[str] = "NUMBER[:NUMBER]"
    separator: ClassVar[str] = ":"
    low: float = 0.0

    def describe(self) -> str:
        """Say what is expected."""
        one = Real(self.low).describe()
        return f"{one}, or the two ends of a range such as (0.1, 0.6), on the command line 0.1:0.6"

    def parse(self, text: str) -> float | tuple[float, ...]:
        """Read a number, or two with a colon between them."""
        ends = tuple(float(part) for part in text.split(self.separator))
        return ends if len(ends) > 1 else ends[0]

    def check(self, value: Any) -> float | tuple[float, float]:
        """Refuse what :class:`Real` does, and two numbers that do not rise."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            return Real(self.low).check(value)
        low, high = (Real(self.low).check(end) for end in value)
        if low >= high:
            raise ValueError
        return low, high


@dataclass(frozen=True)
class Choice:
    """One of a few names."""

    metavar: ClassVar[str] = "NAME"
    options: tuple[str, ...]

    def describe(self) -> str:
        """Say what is expected."""
        return "one of " + ", ".join(f"'{option}'" for option in self.options)

    def parse(self, text: str) -> str:
        """Take the text as it is."""
        return text

    def check(self, value: Any) -> str:
        """Refuse anything that is not on the list."""
        if not isinstance(value, str) or value not in self.options:
            raise ValueError
        return value


@dataclass(frozen=True)
class Flag:
    """True or false."""

    metavar: ClassVar[str] = ""

    def describe(self) -> str:
        """Say what is expected."""
        return "True or False"

    def parse(self, text: str) -> bool:
        """Read yes/no, true/false, 1/0."""
        known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in known:
            raise ValueError
        return known[text.lower()]

    def check(self, value: Any) -> bool:
        """Refuse anything but a boolean (NumPy's too)."""
        if not isinstance(value, bool) and type(value).__name__ not in ("bool", "bool_"):
            raise ValueError
        return bool(value)


@dataclass(frozen=True)
class Integers:
    """A list of whole numbers, each of at least 1; may be empty."""

    metavar: ClassVar[str] = "N,N"

    def describe(self) -> str:
        """Say what is expected."""
        return "integers of at least 1, such as 512,256 (an empty list, '-' on the command line, is allowed)"

    def parse(self, text: str) -> tuple[int, ...]:
        """Read comma-separated integers; ``-`` is the empty list."""
        return () if text.strip() in ("", "-") else tuple(int(part) for part in text.split(","))

    def check(self, value: Any) -> tuple[int, ...]:
        """Refuse anything but a sequence of integers of at least 1."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ValueError
        return tuple(Integer(1).check(item) for item in value)


@dataclass(frozen=True)
class Pairs:
    """Names, and one of a few words for each."""

    metavar: ClassVar[str] = "A=KIND,B=KIND"
    options: tuple[str, ...]

    def describe(self) -> str:
        """Say what is expected."""
        return f"a name and one of {', '.join(self.options)} for each, such as {{'age': '{self.options[0]}'}}"

    def parse(self, text: str) -> dict[str, str]:
        """Read comma-separated pairs."""
        pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
        return {name.strip(): word.strip() for name, _, word in pairs}

    def check(self, value: Any) -> dict[str, str]:
        """Refuse anything but a mapping from text to words on the list."""
        if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
            raise ValueError
        return {name: Choice(self.options).check(word) for name, word in value.items()}


@dataclass(frozen=True)
class Marker:
    """A label that stands for something: a whole number or a text."""

    metavar: ClassVar[str] = "LABEL"

    def describe(self) -> str:
        """Say what is expected."""
        return "an integer or a text"

    def parse(self, text: str) -> int | str:
        """Read an integer; what is none stays text."""
        try:
            return int(text)
        except ValueError:
            return text

    def check(self, value: Any) -> int | str:
        """Refuse what is neither."""
        return value if isinstance(value, str) else Integer(-(2**63)).check(value)


@dataclass(frozen=True)
class Anything:
    """A Python object that only a Python caller can pass (a module, callbacks)."""

    metavar: ClassVar[str] = ""
    words: str

    def describe(self) -> str:
        """Say what is expected."""
        return self.words

    def parse(self, text: str) -> Any:
        """Refuse: there is no spelling in text."""
        raise ValueError(text)

    def check(self, value: Any) -> Any:
        """Leave the check to the place that uses the object."""
        return value


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name in Python, its default, what it may be, and a sentence of help."""

    name: str
    default: Any
    domain: Domain
    help: str
    section: str
    trait: str | None = None
    """The trait of the families that have it (:attr:`hyotan.models.families.Family.traits`); None: all have it."""
    words: tuple[Any, ...] = ()
    """Values allowed beside the domain: ``"auto"``, ``None``."""

    @property
    def families(self) -> list[Family]:
        """The families that have it."""
        return [family for family in FAMILIES if self.trait is None or self.trait in family.traits]

    @property
    def flag(self) -> str:
        """The name on the command line: ``latent_dim`` is ``--latent-dim``."""
        return "--" + self.name.replace("_", "-")

    @property
    def on_command_line(self) -> bool:
        """Whether the value has a spelling in text."""
        return not isinstance(self.domain, Anything)

    def spell(self, value: Any) -> str:
        """A value as text that :meth:`parse` reads back; of a flag, True or False."""
        if isinstance(value, list | tuple):
            return getattr(self.domain, "separator", ",").join(map(str, value))
        return "none" if value is None else str(value)

    def describe(self) -> str:
        """Say what is expected: the domain, and the words allowed beside it."""
        words = [repr(word) for word in self.words if word is not None] + [
            "None" for word in self.words if word is None
        ]
        return " or ".join([self.domain.describe(), *words])

    def parse(self, text: str) -> Any:
        """Read a value from the command line; SettingsError where it cannot be one."""
        named = {"none" if word is None else str(word): word for word in self.words}
        if text.lower() in named:
            return named[text.lower()]
        try:
            value = self.domain.parse(text)
        except ValueError:
            raise self._refusal(text, spelled=self.flag) from None
        return self.check(value, spelled=self.flag)

    def check(self, value: Any, spelled: str | None = None) -> Any:
        """Give the value back in its plain type; SettingsError where it cannot be one."""
        if any(value is word or (isinstance(value, str) and value == word) for word in self.words):
            return value
        if isinstance(value, str) and value == "none" and None in self.words:
            return None  # TOML has no other word for it
        try:
            return self.domain.check(value)
        except (ValueError, TypeError):
            raise self._refusal(value, spelled or self.name) from None

    def _refusal(self, value: Any, spelled: str) -> SettingsError:
        hint = ""
        if isinstance(self.domain, Choice) and isinstance(value, str):
            hint = did_you_mean(value, self.domain.options)
        fix = hint or f"Leave it out: the default is {self.default!r}."
        return SettingsError(f"{spelled} cannot be {value!r}: expected {self.describe()}.", fix)


_MODEL, _DATA, _TRAINING = "model", "data", "training"

TABLE: tuple[Parameter, ...] = (
    Parameter("latent_dim", 16, Integer(1), "Size of the code.", _MODEL),
    Parameter("ordered", False, Flag(), "The code can be cut after any prefix.", _MODEL, trait="ordered code"),
    Parameter("hidden_dims", "auto", Integers(), "Widths of the hidden layers, encoder side.", _MODEL, words=("auto",)),
    Parameter("activation", "gelu", Choice(tuple(ACTIVATIONS)), "Activation of the hidden layers.", _MODEL),
    Parameter(
        "architecture",
        "auto",
        Choice(("mlp", "conv")),
        "Fully connected or convolutional; auto: conv above 4,096 values.",
        _MODEL,
        words=("auto",),
    ),
    Parameter("channels", (32, 64), Integers(), "Channels of the convolutions; each halves the image.", _MODEL),
    Parameter("encoder", None, Anything("an nn.Module or None"), "Your own encoder.", _MODEL, trait="own networks"),
    Parameter("decoder", None, Anything("an nn.Module or None"), "Your own decoder.", _MODEL, trait="own networks"),
    Parameter(
        "latent_activation",
        None,
        Choice(tuple(ACTIVATIONS)),
        "Activation of the code.",
        _MODEL,
        trait="deterministic code",
        words=(None,),
    ),
    Parameter(
        "output_activation",
        None,
        Choice(("sigmoid", "tanh")),
        "Activation of the reconstruction's mean.",
        _MODEL,
        words=(None,),
    ),
    Parameter(
        "tied", False, Flag(), "Decoder uses the encoder's weights, transposed.", _MODEL, trait="deterministic code"
    ),
    Parameter("noise", None, Choice(tuple(NOISES)), "Corrupt the input.", _MODEL, trait="noise", words=(None,)),
    Parameter(
        "noise_level",
        0.3,
        RealOrRange(0),
        "Standard deviation of gaussian noise, else the share of values hit; of a range each row draws its own.",
        _MODEL,
        trait="noise",
    ),
    Parameter(
        "penalty",
        None,
        Choice(tuple(PENALTIES)),
        "Penalty on the code.",
        _MODEL,
        trait="deterministic code",
        words=(None,),
    ),
    Parameter("penalty_weight", 0.1, Real(0), "Weight of the penalty.", _MODEL, trait="deterministic code"),
    Parameter(
        "variance", "exp", Choice(tuple(VARIANCES)), "How the posterior variance is made.", _MODEL, trait="posterior"
    ),
    Parameter("beta", 1.0, Real(0), "Weight of the KL, in nats against nats.", _MODEL, trait="posterior"),
    Parameter("beta_warmup", 0.0, Real(0), "Epochs over which beta rises from 0.", _MODEL, trait="posterior"),
    Parameter("free_bits", 0.0, Real(0), "KL per dimension that costs nothing, in nats.", _MODEL, trait="posterior"),
    Parameter("n_samples", 1, Integer(1), "Latent samples a row in training.", _MODEL, trait="posterior"),
    Parameter(
        "objective", "elbo", Choice(("elbo", "iwae")), "The bound that is trained.", _MODEL, trait="importance weights"
    ),
    Parameter("label_dim", 64, Integer(1), "Size of the labels' embedding.", _MODEL, trait="labels"),
    Parameter(
        "unlabelled_rows",
        "marginalise",
        Choice(("marginalise", "zero")),
        "Rows without a label: sum over the classes, or a zero embedding.",
        _MODEL,
        trait="labels",
    ),
    Parameter(
        "classifier_weight",
        10.0,
        Real(0),
        "Weight of the classifier's cross-entropy, in nats against nats.",
        _MODEL,
        trait="labels",
    ),
    Parameter(
        "neighbour_weight",
        50.0,
        Real(0),
        "Weight of what the neighbours of rows without a label say.",
        _MODEL,
        trait="labels",
    ),
    Parameter(
        "consistency_weight",
        50.0,
        Real(0),
        "Weight of the classifier's change around rows without a label.",
        _MODEL,
        trait="labels",
    ),
    Parameter(
        "consistency_radius",
        0.5,
        Real(0),
        "How far around: a share of the rows' distance from their mean.",
        _MODEL,
        trait="labels",
    ),
    Parameter("unlabelled", -1, Marker(), "The label that says: none. None and NaN always do.", _DATA, trait="labels"),
    Parameter(
        "labelled_fraction",
        1.0,
        Real(0, 1, above=True),
        "Share of each class's labels that training sees; the others are hidden.",
        _DATA,
        trait="labels",
    ),
    Parameter(
        "likelihood",
        "auto",
        Choice(tuple(LIKELIHOODS)),
        "p(x|z); auto: bernoulli for pictures, else gaussian.",
        _DATA,
        words=("auto",),
    ),
    Parameter(
        "column_kinds",
        None,
        Pairs(column_kinds.CHOICES),
        "What columns of a mixed table are taken for, where a guess would be wrong.",
        _DATA,
        words=(None,),
    ),
    Parameter("likelihood_scale", 1.0, Real(0, above=True), "Standard deviation of a fixed gaussian.", _DATA),
    Parameter(
        "scaling",
        "auto",
        Choice(("none", "unit", "symmetric", "standard")),
        "To [0, 1], to [-1, 1], to mean 0 and deviation 1, or not at all.",
        _DATA,
        words=("auto",),
    ),
    Parameter(
        "handle_missing",
        "auto",
        Choice(("always", "never")),
        "Learn to handle missing values; auto: where there are any.",
        _DATA,
        trait="missing values",
        words=("auto",),
    ),
    Parameter(
        "binarise",
        None,
        Choice(("static", "dynamic")),
        "Draw black-and-white images from grey ones, once or at each batch.",
        _DATA,
        words=(None,),
    ),
    Parameter(
        "validation_fraction",
        0.1,
        Real(0, 1, below=True),
        "Share of the rows held out; 0: none.",
        _DATA,
    ),
    Parameter("validation_rows", "random", Choice(("random", "first", "last")), "Which rows are held out.", _DATA),
    Parameter("max_epochs", "auto", Integer(1), "Passes over the data; auto: by its size.", _TRAINING, words=("auto",)),
    Parameter("batch_size", "auto", Integer(1), "Rows a step; auto: by the data's size.", _TRAINING, words=("auto",)),
    Parameter("optimizer", "adamw", Choice(tuple(OPTIMIZERS)), "The optimizer.", _TRAINING),
    Parameter(
        "learning_rate",
        "auto",
        Real(0, above=True),
        "The schedule's highest rate; auto: by the batch size.",
        _TRAINING,
        words=("auto",),
    ),
    Parameter("weight_decay", 1e-3, Real(0), "Weight decay of weight matrices (AdamW).", _TRAINING),
    Parameter("schedule", "one-cycle", Choice(tuple(SCHEDULES)), "Learning rate's path.", _TRAINING),
    Parameter(
        "grad_clip", None, Real(0, above=True), "Largest norm of the gradient, in nats.", _TRAINING, words=(None,)
    ),
    Parameter(
        "initialisation",
        "default",
        Choice(tuple(INITIALISATIONS)),
        "How weights start.",
        _TRAINING,
    ),
    Parameter("shuffle", True, Flag(), "New order of the rows at each epoch.", _TRAINING),
    Parameter(
        "early_stopping",
        None,
        Integer(1),
        "Stop after this many epochs without a better validation loss.",
        _TRAINING,
        words=(None,),
    ),
    Parameter("device", "auto", Choice(("cpu", "cuda", "mps")), "Where to compute.", _TRAINING, words=("auto",)),
    Parameter("precision", "fp32", Choice(("fp32", "bf16")), "Number format of the matrix products.", _TRAINING),
    Parameter(
        "compile",
        False,
        Flag(),
        "Compile the step (CPU, C++ compiler, 15 s): pays from 30,000 steps on; changes last bits.",
        _TRAINING,
        trait="compiled step",
    ),
    Parameter("random_state", None, Seed(), "Seed.", _TRAINING, words=(None,)),
    Parameter("callbacks", None, Anything("a list of callbacks or None"), "Called after steps and epochs.", _TRAINING),
    Parameter("verbose", 0, Integer(0), "0: silent; 1: progress.", _TRAINING),
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
