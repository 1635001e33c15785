"""What a study recommends and found, as sentences, in the reader's language."""

from __future__ import annotations

from hyotan.models.families import BY_NAME
from hyotan.study.cells import Interval
from hyotan.study.choices import ALONE, HELPS, NOTHING, UNKNOWN, Advice, Caveat, Option, Recommendation
from hyotan.study.replications import NO_LABEL, NOT_REPRODUCED, Measurement, Replication
from hyotan.words import has, say, shown

SHARES = frozenset({"explained", "knn_accuracy", "coverage", "mistaken", "pulled", "plane", "kept", "fall"})
"""Measures that are written as per cent."""


def of_recommendation(recommendation: Recommendation, lang: str = "en") -> list[str]:
    """A line a purpose, the headline first, and what weakens them all."""
    purposes = [say(f"recommendation.purpose.{choice.purpose}", lang) for choice in recommendation.choices]
    texts = [of_choice(choice, lang) for choice in recommendation.choices]
    pairs = zip(purposes, texts, strict=True)
    lines = [say("recommendation.line", lang, purpose=purpose, text=text) for purpose, text in pairs]
    return [*lines, *(_note(note, lang) for note in recommendation.notes)]


def of_choice(choice: Advice, lang: str = "en") -> str:
    """The verdict on one purpose and what else to know, in one paragraph."""
    return say("recommendation.space", lang).join([of_verdict(choice, lang), *of_caveats(choice, lang)])


def of_verdict(choice: Advice, lang: str = "en") -> str:
    """What to take, and its figure on the test rows beside those of the baselines."""
    if choice.verdict in (NOTHING, UNKNOWN) or choice.chosen is None or choice.ours is None:
        kind = NOTHING if choice.verdict == NOTHING else UNKNOWN
        return say(f"recommendation.{kind}.{choice.purpose}", lang)
    ours = {"model": BY_NAME[choice.ours.model].names[lang], "ours": choice.ours.latent_dim}
    words = {
        **ours,
        "size": choice.chosen.latent_dim,
        "n": choice.chosen.latent_dim,
        "measure": say(f"recommendation.measure.{choice.measure}", lang),
        "value": of_option(choice.ours, choice.measure, lang),
        "baseline": of_option(choice.chosen, choice.measure, lang),
        "pca": of_option(choice.pca, choice.measure, lang),
    }
    if choice.verdict in (HELPS, ALONE):
        parts = ["take", *(["beside"] if choice.pca is not None else [])]
    else:
        parts = [choice.verdict, "instead"]
    return "".join(say(f"recommendation.{part}", lang, **words) for part in (*parts, "stop"))


def of_option(option: Option | None, measure: str, lang: str = "en") -> str:
    """What an option reaches on the test rows, with its 95 % interval where there are repeats."""
    if option is None or option.test is None:
        return "–"
    return of_interval(option.test, measure in SHARES, lang)


def of_interval(value: Interval, share: bool = False, lang: str = "en") -> str:
    """A mean with its interval, as per cent or with three digits."""
    if value.low is None or value.high is None:
        return say("recommendation.share", lang, value=per_cent(value.mean)) if share else three_digits(value.mean)
    write = per_cent if share else three_digits
    key = "recommendation.interval_share" if share else "recommendation.interval"
    low, high = (max(0.0, value.low), min(1.0, value.high)) if share else (value.low, value.high)
    return say(key, lang, value=write(value.mean), low=write(low), high=write(high))


def per_cent(share: float) -> str:
    """A share in whole per cent, below one and above 99 with a digit more."""
    hundred = 100 * share
    return shown(round(hundred) if 1 <= abs(hundred) <= 99 else round(hundred, 1))


def three_digits(value: float) -> str:
    """Three digits."""
    return shown(value, 3)


def of_caveats(choice: Advice, lang: str = "en") -> list[str]:
    """What else to know, a sentence each."""
    return [_note(note, lang) for note in choice.notes]


def _note(note: Caveat, lang: str) -> str:
    values = dict(note.values)
    if "models" in values:
        names = [BY_NAME[model].names[lang] for model in values["models"]]
        values["models"] = say("recommendation.between", lang).join(names)
    return say(f"recommendation.note.{note.code}", lang, **values)


def rule(choice: Advice, lang: str = "en") -> str:
    """By what the choice was made."""
    return say(f"recommendation.rule.{choice.rule}", lang)


def rules(recommendation: Recommendation, lang: str = "en") -> dict[str, str]:
    """By what each choice was made, by its purpose in words."""
    choices = recommendation.choices
    return {say(f"recommendation.purpose.{choice.purpose}", lang): rule(choice, lang) for choice in choices}


def claim(finding: Replication, lang: str = "en") -> str:
    """What the article says."""
    return say(f"claim.says.{finding.code}", lang)


def outcome(finding: Replication, lang: str = "en") -> str:
    """Reproduced or not, and whether chance may have had a part in it."""
    said = say(f"claim.outcome.{finding.outcome}", lang)
    if not finding.within_spread:
        return said
    all_spread = finding.outcome == NOT_REPRODUCED and len(set(finding.comparisons)) == 1
    return say("claim.outcome.all_spread" if all_spread else "claim.outcome.spread", lang, outcome=said)


def figures_of(finding: Replication, lang: str = "en") -> list[str]:
    """Our figures with model and size, a sentence a measure."""
    found = []
    for measure in dict.fromkeys(figure.measure for figure in finding.figures):
        figures = [_figure_of(figure, lang) for figure in finding.figures if figure.measure == measure]
        named = say(f"claim.measure.{measure}", lang)
        found.append(say("claim.group", lang, measure=named, figures=say("recommendation.between", lang).join(figures)))
    return found


def _figure_of(figure: Measurement, lang: str) -> str:
    own = f"claim.model.{figure.model}"
    words = {
        "model": say(own, lang) if has(own) else BY_NAME[figure.model].names[lang],
        "size": figure.latent_dim,
        "value": of_interval(figure.value, figure.measure in SHARES, lang),
    }
    if figure.latent_dim == 0:  # the features themselves have no size
        return say("claim.sizeless", lang, model=words["model"], value=words["value"])
    if figure.condition == NO_LABEL:
        return say("claim.figure", lang, **words)
    return say("claim.condition", lang, **words, condition=say(f"claim.label.{figure.condition}", lang))
