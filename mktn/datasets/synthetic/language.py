"""The words of the synthetic sentences: synonyms, inflection, and which time is meant."""

from collections.abc import Callable

import numpy as np

from mktn.datasets.synthetic.story import Action, Actor, Story

# The first is the most frequent. A star marks the words that are inflected.
KINDS: dict[str, tuple[str, ...]] = {
    "ball": ("ball", "sphere"),
    "box": ("box", "cube", "square"),
    "star": ("star",),
    "ring": ("ring", "hoop"),
    "triangle": ("triangle", "pyramid"),
    "cross": ("cross", "plus"),
}
PARAPHRASES: dict[str, tuple[str, ...]] = {
    "bounce": ("bounce*", "jump* up and down", "hop* on the spot"),
    "spin": ("spin*", "rotate*", "turn* around"),
    "circle": ("move* in a circle", "circle* around", "go* round and round"),
    "shake": ("shake*", "tremble*", "vibrate*"),
    "swing": ("swing*", "sway* to and fro", "swing* like a pendulum"),
    "pulse": ("grow* and shrink*", "pulse*", "swell* and contract*"),
    "blink": ("blink*", "disappear* and reappear*", "flicker* on and off"),
    "slide": ("slide* from side to side", "glide* left and right", "move* sideways"),
    "float": ("rise* and fall* slowly", "float* up and down", "drift* up and sink* back"),
    "squash": ("squash* and stretch*", "get* flat and tall", "flatten* and lengthen*"),
    "roll": ("roll* back and forth", "tumble* left and right", "roll* along the ground"),
    "flash": ("flash*", "light* up", "glow* brightly"),
}
COMMON = 0.8  # how often the first of several synonyms is taken
_DOUBLED = {"spin", "hop", "get"}


def third(verb: str) -> str:
    """The third person: "flash" -> "flashes"."""
    return verb + ("es" if verb.endswith(("sh", "ch", "s", "x", "o")) else "s")


def gerund(verb: str) -> str:
    """The -ing form: "spin" -> "spinning"."""
    if verb in _DOUBLED:
        return verb + verb[-1] + "ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"


def inflected(phrase: str, form: str) -> str:
    """A paraphrase with its verbs in `form`: `base`, `third` or `gerund`."""
    changes: dict[str, Callable[[str], str]] = {"base": str, "third": third, "gerund": gerund}
    change = changes[form]
    words = [change(w[:-1]) if w.endswith("*") else w for w in phrase.split()]
    return " ".join(words)


def pick(rng: np.random.Generator, options: tuple[str, ...], common: float = COMMON) -> str:
    """The first option with probability `common`, else one of the others alike."""
    if len(options) == 1 or rng.random() < common:
        return options[0]
    return options[int(rng.integers(1, len(options)))]


def doing(rng: np.random.Generator, activity: str, form: str = "third") -> str:
    """A paraphrase of the activity."""
    return inflected(pick(rng, PARAPHRASES[activity]), form)


def naming(rng: np.random.Generator, actor: Actor, article: str = "the") -> str:
    """The actor by its colour and kind: "the red sphere"."""
    name = f"{actor.color} {pick(rng, KINDS[actor.object], 0.92)}"
    if article == "a":
        article = "an" if name[0] in "aeiou" else "a"
    return f"{article} {name}".strip()


def which_time(rng: np.random.Generator, story: Story, action: Action) -> str:
    """What tells this occurrence from the others ("again"); empty where there is one only."""
    which, count = story.occurrence(action)
    if count == 1:
        return ""
    if which == 0:
        return "for the first time"
    if count == 2:
        return pick(rng, ("again", "for the second time", "once more"))
    return ("", "for the second time", "for the third time")[which]


def clause(
    rng: np.random.Generator,
    story: Story,
    action: Action,
    subject: str | None = None,
    continuous: float = 0.2,
) -> str:
    """Subject, verb and which time: "the red ball spins again"; true of this action alone."""
    subject = subject or naming(rng, story.actors[action.actor])
    when = which_time(rng, story, action)
    if when == "for the first time" and rng.random() < 0.5:
        return f"{subject} first {doing(rng, action.activity)}"
    if rng.random() < continuous:
        return f"{subject} is {doing(rng, action.activity, 'gerund')} {when}".strip()
    return f"{subject} {doing(rng, action.activity)} {when}".strip()
