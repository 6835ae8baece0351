"""Sentences about rendered videos that are in no split, answered through `Grounder`.

Two worlds: `same` has the looks and habits that the run was trained on, in new videos; `other`
is rendered from another seed, where other looks are the common ones. All videos are drawn as
those of the test split.

V videos, Q sentences.
"""

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mktn.config import fill
from mktn.datasets.sentences import normalised
from mktn.datasets.synthetic.narration import narrate
from mktn.datasets.synthetic.render import encode, render
from mktn.datasets.synthetic.settings import SyntheticSettings
from mktn.datasets.synthetic.story import draw_story
from mktn.engine.baselines import train_prior
from mktn.engine.metrics import bootstrap_interval, temporal_iou
from mktn.engine.retrieval import chance_at, found_at, groups_of, positives_of
from mktn.errors import UserError
from mktn.features.pairs_file import read_pairs_file
from mktn.grounder.answers import Answer, EncodedVideo
from mktn.grounder.grounder import Grounder
from mktn.grounder.matching import RULES, USED
from mktn.grounder.run_folder import data_folder
from mktn.seeds import named_rng

Floats = npt.NDArray[np.float64]
ORDERS = ("unknown", "as told", "shuffled")


@dataclasses.dataclass(frozen=True)
class UnseenSettings:
    """run: its folder, or a bundle; videos of each world; names: how the new videos are called,
    from which their stories follow; groups: among how many videos a sentence's own is looked for;
    seeds of the two worlds; synthetic: SyntheticSettings of the run's videos.
    """

    run: str = "runs/synthetic/charades/mktn/full/seed0"
    videos: int = 96
    names: str = "new"
    groups: tuple[int, ...] = (8, 16)
    worlds: tuple[str, ...] = ("same", "other")
    seed: int = 0
    other_seed: int = 1
    synthetic: dict[str, Any] = dataclasses.field(default_factory=dict)
    bootstraps: int = 1000
    iou: float = 0.5
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.videos < 2 or not self.groups or min(self.groups) < 2 or self.bootstraps < 1:
            raise ValueError("videos and groups must be 2 or more, bootstraps 1 or more")
        unknown = [world for world in self.worlds if world not in ("same", "other")]
        if unknown or not self.worlds:
            raise ValueError(f"worlds {unknown}: expected same, other")
        if self.other_seed == self.seed:
            raise ValueError(f"other_seed {self.other_seed} is the seed of the run's videos")


@dataclasses.dataclass(frozen=True)
class Asked:
    """All sentences of some videos: text, video (its number), span_s (Q,2); owners: names."""

    sentences: list[str]
    video: npt.NDArray[np.int64]
    span_s: Floats
    owners: list[str]


def run(settings: UnseenSettings) -> Iterator[dict[str, Any]]:
    """Rows: world, what is measured, value, its 95 % interval over videos, chance."""
    grounder = Grounder.load(settings.run, device=settings.device)
    if grounder.parts.config["source"] != "synthetic":
        raise UserError(
            "the videos are rendered", where=settings.run,
            found=f"a run of {grounder.parts.config['source']}", expected="one of synthetic",
        )  # fmt: skip
    for world in settings.worlds:
        with tempfile.TemporaryDirectory() as folder:
            videos, asked, seconds = _seen(grounder, settings, world, Path(folder))
        for row in _rows(grounder, settings, videos, asked):
            yield {
                "world": world, "videos": len(videos), "queries": len(asked.sentences),
                **row, "encode_s": seconds,
            }  # fmt: skip


def summary(row: dict[str, Any]) -> str:
    """A line for a person."""
    value = f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    chance = "" if row["chance"] == "" else f", chance {row['chance']:.2f}"
    return f"{row['world']:6s} {row['what']:58s} {value}{chance}"


def _seen(
    grounder: Grounder, settings: UnseenSettings, world: str, folder: Path
) -> tuple[list[EncodedVideo], Asked, float]:
    """The new videos as they are seen, what is asked of them, and seconds a video."""
    seed = settings.seed if world == "same" else settings.other_seed
    synthetic = fill(SyntheticSettings, {**settings.synthetic, "seed": seed}, "synthetic")
    dataset = grounder.parts.config["dataset"]
    synthetic = synthetic.filled(dataset)
    videos, sentences, owner, spans, owners, took_s = [], [], [], [], [], 0.0
    for number in range(settings.videos):
        # No video of the pipeline has such an id, so none has this story.
        name = f"{settings.names}-{number}"
        story = draw_story(synthetic, dataset, name, "test")
        path = folder / f"{name}.mp4"
        encode(render(story, dataset, synthetic), path, synthetic)
        began = time.perf_counter()
        videos.append(grounder.encode(path))
        took_s += time.perf_counter() - began
        for query in narrate(story, dataset, synthetic):
            sentences.append(query.sentence)
            spans.append((query.start / synthetic.fps, query.end / synthetic.fps))
            owner.append(number)
            owners.append(videos[-1].name)
    asked = Asked(sentences, np.array(owner), np.array(spans, np.float64), owners)
    return videos, asked, round(took_s / settings.videos, 3)


def _rows(
    grounder: Grounder, settings: UnseenSettings, videos: list[EncodedVideo], asked: Asked
) -> Iterator[dict[str, Any]]:
    iou_at: dict[str, Floats] = {}
    for order in ORDERS:
        spans_s = _answered(grounder, videos, asked, order)
        iou_at[order] = temporal_iou(spans_s, asked.span_s)
        hits = (iou_at[order] > settings.iou).astype(np.float64)
        yield _row(f"R@1, IoU={settings.iou:g}, order {order}", hits, asked, settings)
        if order == ORDERS[0]:
            yield _row("mIoU", iou_at[order], asked, settings)
            error_s = np.abs(spans_s - asked.span_s).mean(1)
            yield _seconds("mean error of start and end, s", error_s, asked, settings, np.mean)
            yield _seconds("median error of start and end, s", error_s, asked, settings, np.median)
    yield from _prior(settings, grounder.parts.config["dataset"], videos, asked)
    yield from _matched(grounder, settings, videos, asked)


def _answered(grounder: Grounder, videos: list[EncodedVideo], asked: Asked, order: str) -> Floats:
    """The best moment (Q,2) of each sentence in its own video, all of a video together."""
    spans_s = np.full((len(asked.sentences), 2), np.nan)
    for number, video in enumerate(videos):
        rows = np.flatnonzero(asked.video == number)
        if order == "shuffled":
            rows = named_rng(0, "order", number).permutation(rows)
        answers = grounder.ground(
            video, [asked.sentences[row] for row in rows], n=1, in_order=order != "unknown"
        )
        for row, answer in zip(rows, answers, strict=True):
            spans_s[row] = answer.moments[0].start_s, answer.moments[0].end_s
    return spans_s


def _prior(
    settings: UnseenSettings, dataset: str, videos: Sequence[EncodedVideo], asked: Asked
) -> Iterator[dict[str, Any]]:
    """The moment that covers most of the training split, where its pairs stand by the run."""
    data = data_folder(Path(settings.run))
    pairs = None if data is None else data / "pairs" / dataset / "pairs.parquet"
    if pairs is None or not pairs.is_file():
        return
    table = read_pairs_file(pairs, ["split", "start_s", "end_s", "duration_s"])
    table = table.filter(split="train")
    fractions = (
        table.select("start_s", "end_s").to_numpy() / table["duration_s"].to_numpy()[:, None]
    )
    best = train_prior(fractions, 1, settings.iou, 0.5)[0]
    length_s = np.array([videos[v].duration_s for v in asked.video])
    spans_s = best * length_s[:, None]
    hits = temporal_iou(spans_s, asked.span_s) > settings.iou
    yield _row(f"R@1, IoU={settings.iou:g}, train-prior", hits.astype(float), asked, settings)
    error_s = np.abs(spans_s - asked.span_s).mean(1)
    what = "median error of start and end, s, train-prior"
    yield _seconds(what, error_s, asked, settings, np.median)


def _matched(
    grounder: Grounder, settings: UnseenSettings, videos: list[EncodedVideo], asked: Asked
) -> Iterator[dict[str, Any]]:
    """The share of right videos, a video being right that has a sentence of the same text."""
    names = [video.name for video in videos]
    texts = [normalised(sentence) for sentence in asked.sentences]
    _, index = np.unique(texts, return_inverse=True)
    positive = positives_of(names, asked.owners, index)
    row_of = {name: row for row, name in enumerate(names)}
    for size in sorted({min(size, len(videos)) for size in (*settings.groups, len(videos))}):
        hits: dict[str, Floats] = {}
        chance = np.zeros(len(texts))
        whole = np.zeros(len(texts))
        for scored, candidates in groups_of(names, size, settings.seed):
            rows = np.array([row_of[name] for name in candidates])
            queries = np.flatnonzero(np.isin(asked.video, [row_of[name] for name in scored]))
            among = [videos[row] for row in rows]
            sentences = [asked.sentences[q] for q in queries]
            block = positive[np.ix_(rows, queries)]
            found = grounder.similarities(among, sentences)
            by = {name: np.asarray(value, np.float64) for name, value in found.items()}
            usual = {n: np.asarray(v, np.float64) for n, v in grounder.ordinary(among).items()}
            by |= {name: rule(by, usual) for name, rule in RULES.items()}
            for name, scores in by.items():
                column = hits.setdefault(name, np.zeros(len(texts)))
                column[queries] = found_at(scores, block, (1,))[:, 0]
            chance[queries] = chance_at(block.sum(0), len(rows), (1,))[:, 0]
            answers = grounder.ground(among, sentences, n=1)
            whole[queries] = [
                _right(answer, texts[q], texts, asked, settings.iou)
                for q, answer in zip(queries, answers, strict=True)
            ]
        for name, column in hits.items():
            used = " (in use)" if name == USED else ""
            what = f"right video among {size}, {name}{used}"
            yield _row(what, column, asked, settings, chance)
        yield _row(f"right video among {size} and IoU>{settings.iou:g}", whole, asked, settings)


def _right(answer: Answer, text: str, texts: list[str], asked: Asked, iou: float) -> bool:
    """Whether the chosen video has this text, and one of its moments is met."""
    moment = answer.moments[0].start_s, answer.moments[0].end_s
    return any(
        owner == answer.video and other == text and float(temporal_iou(moment, span)) > iou
        for owner, other, span in zip(asked.owners, texts, asked.span_s, strict=True)
    )


def _row(
    what: str,
    scores: Floats,
    asked: Asked,
    settings: UnseenSettings,
    chance: Floats | None = None,
) -> dict[str, Any]:
    low, high = bootstrap_interval(
        scores[:, None], asked.owners, settings.seed, settings.bootstraps
    )
    return {
        "what": what, "value": 100 * float(scores.mean()), "ci_low": float(low[0]),
        "ci_high": float(high[0]), "chance": "" if chance is None else 100 * float(chance.mean()),
    }  # fmt: skip


def _seconds(
    what: str, error_s: Floats, asked: Asked, settings: UnseenSettings, statistic: Any
) -> dict[str, Any]:
    """A statistic of seconds, with its interval over videos."""
    rng = named_rng(settings.seed, "bootstrap of seconds")
    of_video = [error_s[asked.video == number] for number in np.unique(asked.video)]
    drawn = [
        statistic(
            np.concatenate([of_video[k] for k in rng.integers(len(of_video), size=len(of_video))])
        )
        for _ in range(settings.bootstraps)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {
        "what": what, "value": float(statistic(error_s)), "ci_low": float(low),
        "ci_high": float(high), "chance": "",
    }  # fmt: skip
