"""What the synthetic datasets promise, read off all stories and sentences at the default sizes."""

import functools
import hashlib
import itertools
import re

import pytest

from mktn.datasets.synthetic import SyntheticSettings, tell, video_ids
from mktn.datasets.synthetic.language import KINDS, PARAPHRASES, gerund, inflected, third
from mktn.datasets.synthetic.motion import ACTIVITIES
from mktn.datasets.synthetic.narration import Query
from mktn.datasets.synthetic.settings import FLAVOURS
from mktn.datasets.synthetic.story import COLORS, OBJECTS, Action, Story, held_out
from mktn.errors import UserError

FLAVOUR_NAMES = sorted(FLAVOURS)
FORMS = {
    inflected(phrase, form): activity
    for activity, phrases in PARAPHRASES.items()
    for phrase in phrases
    for form in ("base", "third", "gerund")
}
NAMES = {name: kind for kind, names in KINDS.items() for name in names}
TIMES = {"first": 0, "again": 1, "second": 1, "once more": 1, "third": 2}


@functools.cache
def told(dataset: str) -> list[tuple[Story, list[Query]]]:
    return tell(dataset, SyntheticSettings())


def queries(dataset: str, *splits: str) -> list[tuple[Story, Query]]:
    chosen = splits or ("train", "val", "test")
    return [(s, q) for s, told_of in told(dataset) if s.split in chosen for q in told_of]


def plain(sentence: str) -> str:
    return re.sub(r"[^a-z ]", "", sentence.lower()).strip()


def actor_of(story: Story, text: str) -> int:
    """The one actor that the text names."""
    found = re.search(rf"\b({'|'.join(COLORS)}) ({'|'.join(NAMES)})\b", text)
    assert found, text
    look = (found[1], NAMES[found[2]])
    matches = [i for i, a in enumerate(story.actors) if (a.color, a.object) == look]
    assert len(matches) == 1, text
    return matches[0]


def activity_of(text: str) -> str:
    """What the text says is done: the longest known phrase in it."""
    return FORMS[max((f for f in FORMS if re.search(rf"\b{f}\b", text)), key=len)]


def meant(story: Story, text: str, actor: int) -> Action:
    """The one action of `actor` that a simple sentence denotes."""
    same = [a for a in story.of(actor) if a.activity == activity_of(text)]
    which = [nth for word, nth in TIMES.items() if re.search(rf"\b{word}\b", text)]
    assert which or len(same) == 1, text
    return same[which[0]] if which else same[0]


def moment(story: Story, sentence: str, before: Action | None) -> tuple[int, int, Action | None]:
    """The frames that a sentence denotes, from its words and what the one before spoke of.

    Third comes the last action of its one actor, which a pronoun in the next refers to.
    """
    text = sentence.lower().strip().removesuffix(".")
    text = re.sub(r"^(first|then|after that|next|finally),? ", "", text)
    if " while " in text:
        left, right = text.split(" while ")
        spans = [
            (max(a.start, b.start), min(a.end, b.end), None)
            for a in story.of(actor_of(story, left))
            for b in story.of(actor_of(story, right))
            if (a.activity, b.activity) == (activity_of(left), activity_of(right)) and a.overlap(b)
        ]
        assert len(spans) == 1, sentence
        return spans[0]
    if joined := re.search(r" and then | and after that ", text):
        names = activity_of(text[: joined.start()]), activity_of(text[joined.end() :])
        pairs = [
            (a, b)
            for a, b in itertools.combinations(story.of(actor_of(story, text)), 2)
            if (a.activity, b.activity) == names
        ]
        assert len(pairs) == 1, sentence
        return pairs[0][0].start, pairs[0][1].end, pairs[0][1]
    if re.search(r"\bit\b", text):
        assert before is not None, sentence
        own = story.of(before.actor)
        action = own[own.index(before) + 1]
        assert action.activity == activity_of(text), sentence
    else:
        action = meant(story, text, actor_of(story, text))
    return action.start, action.end, action


@pytest.mark.parametrize("dataset", FLAVOUR_NAMES)
def test_every_sentence_denotes_its_moment(dataset: str) -> None:
    for story, told_of in told(dataset):
        before = None
        for query in told_of:
            start, end, before = moment(story, query.sentence, before)
            assert (start, end) == (query.start, query.end), (story.video_id, query)


@pytest.mark.parametrize("dataset", FLAVOUR_NAMES)
def test_world_is_varied_and_actors_overlap(dataset: str) -> None:
    stories = [story for story, _ in told(dataset)]
    assert {a.activity for s in stories for a in s.actions} == set(ACTIVITIES)
    if dataset != "tacos":  # which has one scene of four props
        assert {a.color for s in stories for a in s.actors} == set(COLORS)
        assert {a.object for s in stories for a in s.actors} == set(OBJECTS)
    assert len(ACTIVITIES) >= 12
    assert len(COLORS) >= 6
    assert len(OBJECTS) >= 5
    recurring = 0
    for story in stories:
        pairs = list(itertools.combinations(story.actions, 2))
        assert any(a.overlap(b) for a, b in pairs if a.actor != b.actor)
        assert not any(a.overlap(b) for a, b in pairs if a.actor == b.actor)
        assert len({(a.color, a.object) for a in story.actors}) == len(story.actors) >= 2
        assert all(0 <= a.start < a.end <= story.frames for a in story.actions)
        recurring += any(story.occurrence(a)[1] > 1 for a in story.actions)
    assert recurring > 0.25 * len(stories)


def test_paraphrases_are_distinct_and_name_one_activity() -> None:
    assert set(PARAPHRASES) == set(ACTIVITIES)
    assert set(KINDS) == set(OBJECTS)
    assert all(len(set(phrases)) >= 3 for phrases in PARAPHRASES.values())
    assert sum(len(names) > 1 for names in KINDS.values()) >= 2
    for form in ("base", "third", "gerund"):
        written = [inflected(p, form) for phrases in PARAPHRASES.values() for p in phrases]
        assert len(set(written)) == len(written)
    assert [third(v) for v in ("spin", "flash", "go")] == ["spins", "flashes", "goes"]
    assert [gerund(v) for v in ("spin", "bounce", "glow")] == ["spinning", "bouncing", "glowing"]


@pytest.mark.parametrize("dataset", FLAVOUR_NAMES)
def test_some_test_sentences_and_combinations_are_unseen(dataset: str) -> None:
    seen = {plain(q.sentence) for _, q in queries(dataset, "train")}
    test = [plain(q.sentence) for _, q in queries(dataset, "test")]
    share = sum(sentence not in seen for sentence in test) / len(test)
    assert 0.15 < share < (0.95 if dataset == "activitynet" else 0.65)
    forbidden = held_out(SyntheticSettings(), dataset)
    shown: dict[str, set[tuple[str, str, str]]] = {"train": set(), "val": set(), "test": set()}
    for story, _ in told(dataset):
        for a in story.actions:
            actor = story.actors[a.actor]
            shown[story.split].add((actor.color, actor.object, a.activity))
    assert forbidden
    assert not shown["train"] & forbidden
    assert shown["test"] & forbidden


def test_charades_repeats_sentences_and_validates_by_hash() -> None:
    videos: dict[str, set[str]] = {}
    for story, query in queries("charades"):
        videos.setdefault(plain(query.sentence), set()).add(story.video_id)
        assert query.sentence == query.sentence.lower()
    repeated = sum(len(videos[plain(q.sentence)]) > 1 for _, q in queries("charades"))
    assert repeated > 0.4 * len(queries("charades"))
    assert max(map(len, videos.values())) >= 5
    assert all(2 <= len(told_of) <= 4 for _, told_of in told("charades"))
    ids = video_ids("charades", SyntheticSettings())
    assert {split: len(names) for split, names in ids.items()} == {
        "train": 166,
        "val": 24,
        "test": 60,
    }
    for split in ("train", "val"):
        for name in ids[split]:
            hashed = int(hashlib.sha256(name.encode()).hexdigest(), 16)
            assert (hashed % 10 == 0) == (split == "val")


def test_activitynet_tells_in_order_with_pronouns_and_long_overlaps() -> None:
    everything = queries("activitynet")
    for _, told_of in told("activitynet"):
        assert 3 <= len(told_of) <= 5
        assert [q.start for q in told_of] == sorted(q.start for q in told_of)
        assert not told_of[0].pronoun
    share = sum(q.pronoun for _, q in everything) / len(everything)
    assert 0.15 < share < 0.35
    words = " ".join(plain(q.sentence) for _, q in everything)
    for word in ("first", "then", "after that", "again", "finally", "continues to", "while"):
        assert word in words
    assert {q.relation for _, q in everything} == {"action", "sequence", "while"}
    overlapping = sum(
        any(a.end > b.start for a, b in itertools.pairwise(told_of))
        for _, told_of in told("activitynet")
    )
    assert overlapping > 0.5 * len(told("activitynet"))
    assert max(q.end - q.start for _, q in everything) > 12 * 8


def test_tacos_is_one_scene_with_many_short_queries() -> None:
    scenes = {story.actors for story, _ in told("tacos")}
    assert len(scenes) == 1
    for _, told_of in told("tacos"):
        assert len(told_of) >= 20
        assert max(q.end - q.start for q in told_of) <= 7 * 8


@pytest.mark.parametrize(
    ("dataset", "iou", "most"), [("charades", 0.5, 0.25), ("tacos", 0.3, 0.13)]
)
def test_no_constant_moment_does_well(dataset: str, iou: float, most: float) -> None:
    spans = [(q.start / s.frames, q.end / s.frames) for s, q in queries(dataset)]
    best = 0.0
    for low, high in itertools.combinations([i / 20 for i in range(21)], 2):
        hits = sum(
            min(e, high) - max(s, low) > iou * (max(e, high) - min(s, low)) for s, e in spans
        )
        best = max(best, hits / len(spans))
    assert best < most


def test_stories_follow_from_the_seed() -> None:
    few = {"videos_train": 3, "videos_val": 1, "videos_test": 1}
    first, again, other = (
        tell("activitynet", SyntheticSettings(seed=seed, **few)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_settings_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="even size"):
        SyntheticSettings(size=63)
    with pytest.raises(ValueError, match="duration_s"):
        SyntheticSettings(duration_s=3.0)
    with pytest.raises(UserError, match="videos_train"):
        video_ids("charades", SyntheticSettings(videos_train=5, videos_val=5))
