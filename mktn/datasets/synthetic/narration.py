"""Which moments of a story are told, and how: one narrator a flavour.

Every sentence denotes exactly the moment that it is paired with.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from mktn.datasets.synthetic import language
from mktn.datasets.synthetic.settings import SyntheticSettings
from mktn.datasets.synthetic.story import Action, Story
from mktn.seeds import named_rng

PRONOUN = 0.95  # how often a sentence that could say "it" does


@dataclass(frozen=True)
class Query:
    """A sentence and its moment, frames [start, end); `relation` says what was composed.

    `relation` is `action`, `sequence` or `while`; `pronoun` where the subject is only known
    from the sentence before.
    """

    sentence: str
    start: int
    end: int
    relation: str = "action"
    pronoun: bool = False


def narrate(story: Story, dataset: str, settings: SyntheticSettings) -> list[Query]:
    """The queries of a video in the order of its annotation."""
    rng = named_rng(settings.seed, dataset, "narration", story.video_id)
    return {"charades": _charades, "activitynet": _activitynet, "tacos": _tacos}[dataset](
        story, settings, rng
    )


def _charades(story: Story, settings: SyntheticSettings, rng: np.random.Generator) -> list[Query]:
    """Two to four short sentences about single actions, in no order; lower case."""
    count = min(int(rng.integers(2, 5)), len(story.actions))
    queries: list[Query] = []
    for i in rng.choice(len(story.actions), count, replace=False):
        action = story.actions[i]
        article = language.pick(rng, ("the", "a"), 0.94)
        subject = language.naming(rng, story.actors[action.actor], article)
        sentence = f"{language.clause(rng, story, action, subject, continuous=0.04)}."
        queries.append(Query(sentence, action.start, action.end))
    return queries


def _tacos(story: Story, settings: SyntheticSettings, rng: np.random.Generator) -> list[Query]:
    """Two annotators tell every action of the main actors, one after the other."""
    queries: list[Query] = []
    for action in story.actions:
        if action.actor not in story.main:
            continue
        said: set[str] = set()
        for _ in range(2):
            sentence = _capital(language.clause(rng, story, action, continuous=0.1))
            while sentence in said:
                sentence = _capital(language.clause(rng, story, action, continuous=0.1))
            said.add(sentence)
            queries.append(Query(f"{sentence}.", action.start, action.end))
    return queries


@dataclass(frozen=True)
class _Moment:
    """Something that can be told: the actions that it is made of, in order."""

    relation: str
    actions: tuple[Action, ...]
    start: int
    end: int


def _activitynet(
    story: Story, settings: SyntheticSettings, rng: np.random.Generator
) -> list[Query]:
    """Three to five sentences in narrative order, some composed, some with a pronoun."""
    moments = _chosen(story, settings, rng, int(rng.integers(3, 6)))
    queries: list[Query] = []
    for k, moment in enumerate(moments):
        before = moments[k - 1] if k else None
        pronoun = before is not None and _follows(story, before, moment) and rng.random() < PRONOUN
        sentence = _told(story, moment, before, rng, pronoun, k == len(moments) - 1)
        space = " " if k else ""
        queries.append(
            Query(
                f"{space}{_capital(sentence)}.",
                moment.start,
                moment.end,
                moment.relation,
                pronoun,
            )
        )
    return queries


def _chosen(
    story: Story, settings: SyntheticSettings, rng: np.random.Generator, count: int
) -> list[_Moment]:
    """`count` moments in order of their start: half of the time the same actor goes on."""
    pool = _moments(story, settings.fps)
    weights = np.array([{"action": 1.0, "sequence": 0.7, "while": 0.6}[m.relation] for m in pool])
    chosen: list[int] = []
    while len(chosen) < min(count, len(pool)):
        allowed = weights * [i not in chosen for i in range(len(pool))]
        if chosen and rng.random() < 0.95:
            go_on = allowed * [_follows(story, pool[chosen[-1]], moment) for moment in pool]
            allowed = go_on if go_on.any() else allowed
        chosen.append(int(rng.choice(len(pool), p=allowed / allowed.sum())))
    return sorted((pool[i] for i in chosen), key=lambda m: (m.start, m.end))


def _moments(story: Story, fps: int) -> list[_Moment]:
    """Every single action, and the compositions that name one moment of the video only."""
    singles = [_Moment("action", (a,), a.start, a.end) for a in story.actions]
    composed: list[tuple[tuple[object, ...], _Moment]] = []
    for actor in range(len(story.actors)):
        own = story.of(actor)
        for a, b in itertools.combinations(own, 2):
            key = ("sequence", actor, a.activity, b.activity)
            composed.append((key, _Moment("sequence", (a, b), a.start, b.end)))
    for a in story.actions:
        for b in story.actions:
            if a.actor == b.actor or not a.overlap(b) or (a.start, a.actor) > (b.start, b.actor):
                continue
            pair = sorted((x.actor, x.activity) for x in (a, b))
            moment = _Moment("while", (a, b), b.start, min(a.end, b.end))
            composed.append((("while", *pair[0], *pair[1]), moment))
    keys = [key for key, _ in composed]
    return singles + [
        moment
        for key, moment in composed
        if keys.count(key) == 1
        and moment.end - moment.start >= 2 * fps
        and (moment.relation == "while" or _next(story, moment.actions[0]) == moment.actions[1])
    ]


def _follows(story: Story, before: _Moment, moment: _Moment) -> bool:
    """Whether `moment` is what the one actor of `before` does next."""
    if before.relation == "while" or moment.relation != "action":
        return False
    return _next(story, before.actions[-1]) == moment.actions[0]


def _next(story: Story, action: Action) -> Action | None:
    """What the actor of `action` does after it."""
    own = story.of(action.actor)
    nth = own.index(action)
    return own[nth + 1] if nth + 1 < len(own) else None


def _told(
    story: Story,
    moment: _Moment,
    before: _Moment | None,
    rng: np.random.Generator,
    pronoun: bool,
    last: bool,
) -> str:
    """The sentence of a moment, without capital and full stop."""
    a = moment.actions[0]
    if moment.relation == "while":
        b = moment.actions[1]
        subject = language.naming(rng, story.actors[a.actor])
        other = language.naming(rng, story.actors[b.actor])
        while_other = f"while {other} {language.doing(rng, b.activity)}"
        if b.start > a.start and rng.random() < 0.5:
            going_on = language.doing(rng, a.activity, "base")
            return f"{subject} continues to {going_on} {while_other}"
        return f"{subject} {language.doing(rng, a.activity)} {while_other}"
    if moment.relation == "sequence":
        b = moment.actions[1]
        subject = language.naming(rng, story.actors[a.actor])
        join = language.pick(rng, ("and then", "and after that"), 0.75)
        return (
            f"{subject} {language.doing(rng, a.activity)} {join} {language.doing(rng, b.activity)}"
        )
    if pronoun:
        what = language.clause(rng, story, a, "it", continuous=0.0).removeprefix("it ")
        start = language.pick(rng, ("it then", "after that, it", "next, it"), 0.5)
        if last and a == story.actions[-1] and rng.random() < 0.5:
            start = "finally, it"
        return f"{start} {what}"
    sentence = language.clause(rng, story, a)
    if a == story.actions[0] and "first" not in sentence and rng.random() < 0.6:
        return f"first, {sentence}"
    if last and a == story.actions[-1] and rng.random() < 0.7:
        return f"finally, {sentence}"
    if before is not None and before.end <= a.start and rng.random() < 0.6:
        return f"{language.pick(rng, ('then', 'after that,', 'next,'), 0.5)} {sentence}"
    return sentence


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
