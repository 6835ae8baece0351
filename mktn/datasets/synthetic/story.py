"""What happens in a synthetic video: its actors, what each does, and when. No pixels, no words."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mktn.datasets.synthetic.motion import ACTIVITIES
from mktn.datasets.synthetic.settings import FLAVOURS, Flavour, SyntheticSettings
from mktn.errors import UserError
from mktn.seeds import named_rng

COLORS = ("red", "green", "blue", "yellow", "purple", "orange")
OBJECTS = ("ball", "box", "star", "ring", "triangle", "cross")
APPEARANCES = tuple(itertools.product(COLORS, OBJECTS))

IMITATE = 0.2  # how often an actor does what another one is doing
ATTEMPTS = 1000  # stories drawn for a video before the settings are refused
CUT = 0.6  # how often an action that the video's first or last frame would cut is left out
NOVEL = 0.06  # how often an actor outside the training split has a look that is not common


@dataclass(frozen=True)
class Actor:
    """An object of a scene; its place of rest `x`, `y` and its `radius` in parts of the frame."""

    color: str
    object: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Action:
    """Actor `actor` (its index in the video) does `activity` in frames [start, end)."""

    actor: int
    activity: str
    start: int
    end: int

    def overlap(self, other: "Action") -> int:
        """How many frames both last."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))


@dataclass(frozen=True)
class Story:
    """One video: `actions` are in order of their start; `main` are the actors told about."""

    video_id: str
    split: str
    frames: int
    actors: tuple[Actor, ...]
    actions: tuple[Action, ...]
    main: tuple[int, ...]

    def of(self, actor: int) -> list[Action]:
        """The actions of one actor, in order."""
        return [action for action in self.actions if action.actor == actor]

    def occurrence(self, action: Action) -> tuple[int, int]:
        """(which, of how many): 0-based, among the same activity of the same actor."""
        same = [a for a in self.of(action.actor) if a.activity == action.activity]
        return same.index(action), len(same)


def common_looks(settings: SyntheticSettings, dataset: str) -> tuple[tuple[str, str], ...]:
    """The (color, object) that training videos show, the most frequent first.

    Each colour comes with two kinds and each kind in two colours; in `tacos` they are the
    four props of its one scene.
    """
    rng = named_rng(settings.seed, dataset, "looks")
    colors, kinds = rng.permutation(COLORS).tolist(), rng.permutation(OBJECTS).tolist()
    if dataset == "tacos":
        return tuple(zip(colors[:4], kinds[:4], strict=True))
    pairs = [(colors[i], kinds[(i + step) % 6]) for step in range(2) for i in range(6)]
    return tuple(pairs[i] for i in rng.permutation(len(pairs)))


def held_out(settings: SyntheticSettings, dataset: str) -> frozenset[tuple[str, str, str]]:
    """The (color, object, activity) of common looks that training videos never show."""
    order = named_rng(settings.seed, dataset, "held_out").permutation(ACTIVITIES).tolist()
    return frozenset(
        (*look, order[(k * settings.held_out + m) % len(order)])
        for k, look in enumerate(common_looks(settings, dataset))
        for m in range(settings.held_out)
    )


def draw_story(settings: SyntheticSettings, dataset: str, video_id: str, split: str) -> Story:
    """The story of one video, which follows from the seed, the dataset and the video's id.

    Raises UserError when the settings leave no room for enough to happen.
    """
    settings = settings.filled(dataset)
    flavour = FLAVOURS[dataset]
    forbidden = held_out(settings, dataset) if split == "train" else frozenset()
    for attempt in range(ATTEMPTS):
        rng = named_rng(settings.seed, dataset, "story", video_id, attempt)
        spread = rng.uniform(1 - flavour.duration_spread, 1 + flavour.duration_spread)
        frames = round((settings.duration_s or 0) * spread * settings.fps)
        if dataset == "tacos":
            actors = _props(settings)
            main = tuple(sorted(int(i) for i in rng.choice(len(actors), 2, replace=False)))
        else:
            actors = _cast(settings, dataset, split, rng)
            main = tuple(range(len(actors)))
        actions: list[Action] = []
        for actor in sorted(range(len(actors)), key=lambda i: i not in main):
            weights = _habits(settings, dataset, actors[actor], forbidden)
            actions += _timeline(settings, flavour, rng, frames, actor, weights, actions)
            if actor not in main:  # a prop that acts once or twice, only to distract
                own = [a for a in actions if a.actor == actor]
                kept = rng.permutation(len(own))[:2]
                actions = [a for a in actions if a.actor != actor] + [own[i] for i in kept]
        told = [a for a in actions if a.actor in main]
        enough = flavour.actions * frames / (flavour.duration_s * settings.fps)
        both = any(a.overlap(b) for a in told for b in told if a.actor != b.actor)
        if both and len(told) >= min(flavour.actions, enough):
            actions.sort(key=lambda a: (a.start, a.actor))
            return Story(video_id, split, frames, actors, tuple(actions), main)
    raise UserError(
        "no story fits the settings",
        where=f"video {video_id}",
        found=f"duration_s {settings.duration_s}",
        expected="two actors that act at once",
        do="give a longer duration_s",
    )


def _props(settings: SyntheticSettings) -> tuple[Actor, ...]:
    """The one scene of `tacos`: the same four props at the same places in every video."""
    places = ((0.3, 0.36), (0.7, 0.36), (0.3, 0.73), (0.7, 0.73))
    return tuple(
        Actor(color, kind, x, y, 0.105)
        for (color, kind), (x, y) in zip(common_looks(settings, "tacos"), places, strict=True)
    )


def _cast(
    settings: SyntheticSettings, dataset: str, split: str, rng: np.random.Generator
) -> tuple[Actor, ...]:
    """Two or three actors of different looks, often of the same colour or the same kind."""
    common = common_looks(settings, dataset)
    looks: list[tuple[str, str]] = []
    count = 3 if rng.random() < FLAVOURS[dataset].three else 2
    while len(looks) < count:
        pool = APPEARANCES if split != "train" and rng.random() < NOVEL else common
        allowed = np.array([float(look not in looks) for look in pool])
        if pool is common:
            allowed /= np.arange(1, len(pool) + 1) ** FLAVOURS[dataset].zipf[0]
        similar = rng.random()
        if looks and similar < 0.5:  # half of these share the colour, half the kind
            part = int(similar < 0.25)
            alike = allowed * [look[part] == looks[0][part] for look in pool]
            allowed = alike if alike.any() else allowed
        looks.append(pool[rng.choice(len(pool), p=allowed / allowed.sum())])
    columns = (0.31, 0.69) if count == 2 else (0.3, 0.5, 0.7)
    rows = rng.permutation((0.4, 0.64) if count == 2 else (0.36, 0.54, 0.72))
    radius = 0.145 if count == 2 else 0.12
    places = [
        (columns[i] + rng.uniform(-0.015, 0.015), rows[i] + rng.uniform(-0.015, 0.015))
        for i in rng.permutation(count)
    ]
    return tuple(
        Actor(color, kind, float(x), float(y), radius)
        for (color, kind), (x, y) in zip(looks, places, strict=True)
    )


def _habits(
    settings: SyntheticSettings,
    dataset: str,
    actor: Actor,
    forbidden: frozenset[tuple[str, str, str]],
) -> NDArray[np.float64]:
    """How often an actor of this look does each activity: Zipf-like, another order a look."""
    ranks = named_rng(settings.seed, dataset, "habits").permutation(len(ACTIVITIES))
    look = (actor.color, actor.object)
    order = [*common_looks(settings, dataset), *APPEARANCES].index(look)
    nth = (1 + (ranks + 5 * order) % len(ACTIVITIES)).astype(np.float64)
    weights = nth ** -FLAVOURS[dataset].zipf[1]
    return weights * [(*look, activity) not in forbidden for activity in ACTIVITIES]


def _timeline(
    settings: SyntheticSettings,
    flavour: Flavour,
    rng: np.random.Generator,
    frames: int,
    actor: int,
    weights: NDArray[np.float64],
    others: list[Action],
) -> list[Action]:
    """What one actor does from the first frame to the last, with rests between.

    `weights` (activities,) say how often it does what, `others` what is done meanwhile.
    """
    fps = settings.fps
    own: list[Action] = []
    shortest, longest = (round(seconds * fps) for seconds in flavour.action_s)
    start = -round(rng.uniform(1, 2) * longest)  # begun before the video, as it goes on after
    while start + shortest <= frames:
        length = round(shortest * (longest / shortest) ** rng.random())
        now = Action(actor, "", max(start, 0), min(start + length, frames))
        start += length + round(rng.uniform(*flavour.gap_s) * fps)
        cut = now.end - now.start < length
        if now.end - now.start < shortest or (cut and rng.random() < CUT):
            continue
        done = [a.activity for a in own]
        allowed = weights * [done.count(a) < flavour.occurrences for a in ACTIVITIES]
        again = allowed * [a in done for a in ACTIVITIES]
        meanwhile = {a.activity for a in others if now.overlap(a)}
        seen = allowed * [a in meanwhile for a in ACTIVITIES]
        fresh = allowed * [a not in done for a in ACTIVITIES]
        choice = rng.random()
        if again.any() and choice < flavour.repeat:
            chances = again
        elif seen.any() and choice < flavour.repeat + IMITATE:
            chances = seen
        else:
            chances = fresh if fresh.any() else allowed
        activity = ACTIVITIES[rng.choice(len(ACTIVITIES), p=chances / chances.sum())]
        own.append(replace(now, activity=activity))
    return own
