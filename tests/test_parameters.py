"""The table of parameters: estimators, docstrings and flags agree with it, and a value outside its domain is named."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import pytest

from hyotan import VAE, Autoencoder
from hyotan.cli.flags import parameter_options
from hyotan.errors import SettingsError
from hyotan.estimators import ESTIMATORS
from hyotan.models import NOISES
from hyotan.models.families import FAMILIES
from hyotan.parameters.domains import Anything, Choice, Flag
from hyotan.parameters.parameter import Parameter
from hyotan.parameters.table import PARAMETERS, TABLE, check_settings, default_of, parameters_of

BY_NAME = pytest.mark.parametrize("parameter", TABLE, ids=lambda parameter: parameter.name)
BY_KIND = pytest.mark.parametrize("kind", ESTIMATORS)

WRONG: dict[str, list[Any]] = {
    "Integer": ["abc", 2.5, True, None, -1, [3]],
    "Seed": ["abc", 2.5, True, None, -1, [3]],
    "Real": ["abc", math.nan, math.inf, -math.inf, True, -1.0, None, [0.1]],
    "RealOrRange": ["abc", math.nan, True, -1.0, None, [0.1], (0.5, 0.1), (0.1, 0.1), (0.1, math.inf), (0.1, "b")],
    "Choice": ["no-such-name", 3, ["relu"], b"relu"],
    "Flag": [1, "True", 0.0],
    "Integers": ["64", 64, [0], [2.5], [True], ["64"], [[8]]],
    "ChoiceByName": ["a", 3, {"a": "nonsense"}, {"": "number"}, {3: "number"}],
    "Marker": [2.5, None, True, [3]],
}
RIGHT: dict[str, list[tuple[Any, Any]]] = {
    "Integer": [(3, 3), (np.int64(3), 3)],
    "Seed": [(3, 3), (np.int64(3), 3)],
    "Real": [(0.5, 0.5), (np.float32(0.5), 0.5), (np.float64(0.25), 0.25)],
    "RealOrRange": [(0.5, 0.5), (np.float32(0.5), 0.5), ([0.25, 1], (0.25, 1.0)), (np.array([0.5, 2]), (0.5, 2.0))],
    "Flag": [(True, True), (np.bool_(False), False)],
    "Integers": [((8, 4), (8, 4)), ([8], (8,)), ([], ()), (np.array([8, 4]), (8, 4))],
    "ChoiceByName": [({"年齢": "count"}, {"年齢": "count"}), ({}, {})],
    "Marker": [(-1, -1), (np.int64(-1), -1), ("none", "none"), ("欠", "欠")],
}


def signature_of(estimator: type) -> dict[str, Any]:
    parameters = list(inspect.signature(estimator.__init__).parameters.values())[1:]
    return {parameter.name: parameter.default for parameter in parameters}


@BY_KIND
class TestEstimatorsAndTableAgree:
    def test_on_names_and_defaults(self, kind: str) -> None:
        table = {parameter.name: default_of(parameter, kind) for parameter in parameters_of(kind)}
        assert signature_of(ESTIMATORS[kind]) == table

    def test_on_get_params_and_attributes(self, kind: str) -> None:
        estimator = ESTIMATORS[kind]()
        assert set(estimator.get_params(deep=False)) == {parameter.name for parameter in parameters_of(kind)}
        assert all(getattr(estimator, name) is value for name, value in signature_of(type(estimator)).items())

    def test_only_the_latent_size_may_be_given_by_position(self, kind: str) -> None:
        with pytest.raises(TypeError, match="positional argument"):
            ESTIMATORS[kind](4, (32,))

    def test_and_every_default_is_in_its_own_domain(self, kind: str) -> None:
        defaults = {parameter.name: default_of(parameter, kind) for parameter in parameters_of(kind)}
        assert check_settings(kind, defaults) == defaults


class TestDocumentation:
    @staticmethod
    def documented(estimator: type) -> set[str]:
        section = inspect.getdoc(estimator).split("Parameters\n----------\n")[1].split("\n\n")[0]
        heads = re.findall(r"^(\S[^:]*?) :", section, flags=re.MULTILINE)
        return {name.strip() for head in heads for name in head.split(",")}

    def test_names_every_parameter_of_the_autoencoder_and_nothing_else(self) -> None:
        assert self.documented(Autoencoder) == {parameter.name for parameter in parameters_of("autoencoder")}

    def test_of_the_vae_leaves_to_the_autoencoders_only_what_both_have(self) -> None:
        own = self.documented(VAE)
        names = {parameter.name for parameter in parameters_of("vae")}
        assert "others" in own
        assert own - {"others"} <= names
        assert names - own <= self.documented(Autoencoder)
        assert {
            parameter.name for parameter in TABLE if [family.kind for family in parameter.families] == ["vae"]
        } <= own

    @BY_NAME
    def test_helps_with_each_parameter_in_a_sentence(self, parameter: Parameter) -> None:
        assert parameter.help.endswith(".")
        assert parameter.help[0] == parameter.help[0].upper() or parameter.help.startswith(("p(x|z)",))


@pytest.fixture(scope="module")
def flags() -> dict[str, list[str]]:
    """The options of a command that takes every parameter."""

    @click.command()
    @parameter_options
    def command(**values: Any) -> None:
        """Do nothing."""

    return {str(option.name): option.opts for option in command.params}


class TestFlags:
    @BY_NAME
    def test_exist_for_every_parameter_that_has_a_spelling(self, parameter: Parameter, flags: dict) -> None:
        if isinstance(parameter.domain, Anything):
            assert parameter.name in ("encoder", "decoder", "callbacks")
            assert parameter.name not in flags
        elif parameter.name != "verbose":  # the command line has --quiet and --verbose of its own
            assert flags[parameter.name] == ["--" + parameter.name.replace("_", "-")]

    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("latent_dim", "20", 20),
            ("hidden_dims", "512,256", (512, 256)),
            ("hidden_dims", "-", ()),
            ("hidden_dims", "auto", "auto"),
            ("noise", "none", None),
            ("early_stopping", "None", None),
            ("max_epochs", "AUTO", "auto"),
            ("shuffle", "no", False),
            ("learning_rate", "1e-3", 0.001),
            ("random_state", "7", 7),
            ("noise_level", "0.25", 0.25),
            ("noise_level", "0.1:0.6", (0.1, 0.6)),
        ],
    )
    def test_read_text(self, name: str, text: str, value: object) -> None:
        read = PARAMETERS[name].parse(text)
        assert (read, type(read)) == (value, type(value))

    @pytest.mark.parametrize(
        ("name", "text", "match"),
        [
            ("latent_dim", "abc", r"--latent-dim cannot be 'abc': expected an integer of at least 1"),
            ("latent_dim", "0", r"--latent-dim cannot be 0"),
            ("learning_rate", "nan", r"--learning-rate cannot be nan: expected a number above 0"),
            (
                "hidden_dims",
                "64,x",
                r"--hidden-dims cannot be '64,x': expected integers of at least 1, such as 512,256",
            ),
            ("column_kinds", "age", r"--column-kinds cannot be \{'': 'age'\}: expected a name and one of number"),
            ("noise_level", "0.6:0.1", r"--noise-level cannot be \(0\.6, 0\.1\): .*on the command line 0\.1:0\.6"),
            ("noise_level", "0.1:", r"--noise-level cannot be '0\.1:': expected a number of at least 0, or the two"),
            ("noise_level", "0:1:2", r"--noise-level cannot be \(0\.0, 1\.0, 2\.0\)"),
            ("shuffle", "maybe", r"--shuffle cannot be 'maybe': expected True or False"),
            ("encoder", "net", r"--encoder cannot be 'net': expected an nn.Module or None"),
        ],
    )
    def test_name_themselves_when_a_text_cannot_be_read(self, name: str, text: str, match: str) -> None:
        with pytest.raises(SettingsError, match=match):
            PARAMETERS[name].parse(text)


class TestDomains:
    @BY_NAME
    def test_refuse_what_does_not_belong_naming_value_and_expectation(self, parameter: Parameter) -> None:
        wrong = WRONG.get(type(parameter.domain).__name__, [])
        refused = [value for value in wrong if not (value is None and None in parameter.words)]
        assert refused or isinstance(parameter.domain, Anything)
        for value in refused:
            with pytest.raises(SettingsError, match=re.escape(f"{parameter.name} cannot be {value!r}: expected ")):
                parameter.check(value)

    @BY_NAME
    def test_spell_their_default_so_that_it_can_be_read(self, parameter: Parameter) -> None:
        if parameter.on_command_line:
            assert parameter.parse(parameter.spell(parameter.default)) == parameter.default

    @BY_NAME
    def test_give_plain_python_values_back(self, parameter: Parameter) -> None:
        for given, plain in RIGHT.get(type(parameter.domain).__name__, []):
            checked = parameter.check(given)
            assert (checked, type(checked)) == (plain, type(plain))

    @BY_NAME
    def test_take_each_of_their_choices_and_words(self, parameter: Parameter) -> None:
        options = parameter.domain.options if isinstance(parameter.domain, Choice) else ()
        assert [parameter.check(value) for value in (*options, *parameter.words)] == [*options, *parameter.words]

    @pytest.mark.parametrize(
        ("name", "value", "match"),
        [
            ("latent_dim", 0, r"latent_dim cannot be 0: expected an integer of at least 1\..*the default is 16"),
            ("learning_rate", 0, r"learning_rate cannot be 0: expected a number above 0"),
            ("validation_fraction", 1, r"cannot be 1: expected a number of at least 0 and below 1\."),
            ("validation_fraction", 1.5, r"cannot be 1.5: expected a number of at least 0 and below 1\."),
            ("likelihood_scale", 0.0, r"likelihood_scale cannot be 0.0: expected a number above 0\."),
            ("grad_clip", 0, r"grad_clip cannot be 0: expected a number above 0 or None\."),
            ("early_stopping", 0, r"early_stopping cannot be 0: expected an integer of at least 1 or None\."),
            ("max_epochs", "aut", r"max_epochs cannot be 'aut': expected an integer of at least 1 or 'auto'\."),
            ("likelihood", "bernouli", r"likelihood cannot be 'bernouli'.* Did you mean 'bernoulli'\?"),
            ("activation", "gellu", r"Did you mean 'gelu'\?"),
            ("noise", "zzz", rf"Choose from: {', '.join(sorted(NOISES))}\."),
            ("random_state", "today", r"random_state cannot be .today.*at least 0 or a RandomState or None"),
        ],
    )
    def test_say_what_was_expected_and_what_to_do(self, name: str, value: object, match: str) -> None:
        with pytest.raises(SettingsError, match=match):
            PARAMETERS[name].check(value)

    def test_are_shown_as_flags_where_they_are_yes_or_no(self) -> None:
        flags = [parameter.name for parameter in TABLE if isinstance(parameter.domain, Flag)]
        assert flags == ["ordered", "tied", "shuffle", "compile"]


class TestCheckSettings:
    @pytest.mark.parametrize(
        ("kind", "settings", "match"),
        [
            ("vae", {"latent_dmi": 2}, r"'latent_dmi' is not a parameter of vae\. Did you mean 'latent_dim'\?"),
            ("vae", {"tied": True}, r"'tied' is not a parameter of vae\. It belongs to: autoencoder, denoising-auto"),
            ("autoencoder", {"beta": 4.0}, r"'beta' is not a parameter of autoencoder\. It belongs to: vae, cvae\."),
            ("denoising-autoencoder", {"noise": "salt"}, r"noise cannot be 'salt'"),
        ],
    )
    def test_names_the_nearest_parameter_or_its_owner(self, kind: str, settings: dict, match: str) -> None:
        with pytest.raises(SettingsError, match=match):
            check_settings(kind, settings)

    def test_says_in_which_file(self) -> None:
        with pytest.raises(SettingsError, match=r"'zzz' in run\.toml is not a parameter of vae\. Choose from: acti"):
            check_settings("vae", {"zzz": 1}, where="run.toml")

    @pytest.mark.parametrize("make", [dict, lambda: {"latent_dim": np.int64(3), "hidden_dims": [4]}])
    def test_keeps_to_what_was_given(self, make: Callable[[], dict]) -> None:
        settings = make()
        assert set(check_settings("vae", settings)) == set(settings)

    def test_every_model_name_is_a_kind_with_an_estimator(self) -> None:
        assert {family.kind for family in FAMILIES} == set(ESTIMATORS)
        assert all(estimator.kind == kind for kind, estimator in ESTIMATORS.items())
