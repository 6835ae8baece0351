"""What happens in a clip, and where: targets from the tables of actions, for `mktn pretrain`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from mktn.errors import UserError
from mktn.features.pairs_file import read_table_of

COLUMNS = (
    "video_id", "split", "actor", "color", "object", "x", "y", "activity", "start_s", "end_s",
)  # fmt: skip
PARTS = ("color", "object", "activity")
# A group of class labels is named by the columns that make one label of it.
GROUPS: dict[str, tuple[str, ...]] = {
    "activity": ("activity",),
    "color+activity": ("color", "activity"),
    "object+activity": ("object", "activity"),
}


@dataclasses.dataclass(frozen=True)
class Actors:
    """The k actors of one video and its n actions.

    looks (k,2) int: color and object; place (k,2): x and y of the place of rest, parts of the
    frame; of each action its actor, activity, labels (n, len(GROUPS)), -1 where training never
    shows one, and start_s, end_s.
    """

    looks: np.ndarray
    place: np.ndarray
    actor: np.ndarray
    activity: np.ndarray
    labels: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray

    def overlap(self, start_s: float, end_s: float) -> np.ndarray:
        """(n,) share of [start_s, end_s], or of the action where it is shorter, that it lasts."""
        seconds = np.minimum(end_s, self.end_s) - np.maximum(start_s, self.start_s)
        return np.clip(seconds / np.minimum(end_s - start_s, self.end_s - self.start_s), 0, 1)

    def doing(self, start_s: float, end_s: float, none: int) -> np.ndarray:
        """(k,) activity of each actor during at least half of the time, or `none`."""
        found = np.full(len(self.looks), none)
        for index in np.flatnonzero(self.overlap(start_s, end_s) >= 0.5):
            found[self.actor[index]] = self.activity[index]
        return found


@dataclasses.dataclass(frozen=True)
class ClipLabels:
    """The class labels of the training split, and the actors of every video.

    names: "activity:bounce", "color+activity:red/bounce", ...; group of each name (its index in
    GROUPS); values: the colors, objects and activities of all videos.
    """

    names: tuple[str, ...]
    group: np.ndarray
    values: tuple[tuple[str, ...], ...]
    videos: dict[str, Actors]

    def targets(self, video_id: str, start_s: float, end_s: float) -> np.ndarray:
        """Class targets (labels,) float32 in [0,1]: the share of the clip that a label lasts."""
        video = self.videos[video_id]
        targets = np.zeros(len(self.names), np.float32)
        for share, columns in zip(video.overlap(start_s, end_s), video.labels, strict=True):
            columns = columns[columns >= 0]
            targets[columns] = np.maximum(targets[columns], share)
        return targets


def read_actions(paths: Sequence[Path]) -> pl.DataFrame:
    """The tables of actions as one; `source` numbers the table that a row is from.

    Raises UserError where one is missing, lacks a column, or has no action of training.
    """
    tables = []
    for number, path in enumerate(paths):
        if not path.is_file():
            raise UserError("missing file", where=path, do="run mktn synthesize")
        actions = read_table_of("synthesize", path)
        missing = [name for name in COLUMNS if name not in actions.columns]
        if missing:
            raise UserError(
                "missing column", where=path, found=", ".join(actions.columns),
                expected=", ".join(COLUMNS), do="run mktn synthesize again",
            )  # fmt: skip
        if actions.filter(pl.col("split") == "train").is_empty():
            raise UserError("no action of the training split", where=path, expected="split: train")
        tables.append(actions.select(COLUMNS).with_columns(source=pl.lit(number)))
    table = pl.concat(tables)
    shared = table.group_by("video_id").agg(pl.col("source").n_unique()).filter(source=2)
    if len(shared):
        raise UserError(
            "video of two tables", where=paths[-1], found=shared["video_id"].min(),
            expected="video ids that differ between tables",
        )  # fmt: skip
    return table


def clip_labels(actions: pl.DataFrame) -> ClipLabels:
    """Class labels that occur in the training split, sorted within their group."""
    for name, columns in GROUPS.items():
        joined = pl.concat_str(pl.col(columns), separator="/")
        actions = actions.with_columns(joined.alias(f"_{name}"))
    training = actions.filter(pl.col("split") == "train")
    names = [
        f"{group}:{text}"
        for group in GROUPS
        for text in training[f"_{group}"].unique().sort().to_list()
    ]
    column = {name: index for index, name in enumerate(names)}
    values = tuple(tuple(actions[part].unique().sort().to_list()) for part in PARTS)
    number = [{value: index for index, value in enumerate(known)} for known in values]
    videos = {}
    for (video_id,), rows in actions.group_by("video_id", maintain_order=True):
        actors = rows.unique("actor", keep="first", maintain_order=True)
        position = {actor: index for index, actor in enumerate(actors["actor"])}
        videos[str(video_id)] = Actors(
            looks=np.array([
                (number[0][color], number[1][thing])
                for color, thing in actors.select("color", "object").iter_rows()
            ]),
            place=actors.select("x", "y").to_numpy(),
            actor=np.array([position[actor] for actor in rows["actor"]]),
            activity=np.array([number[2][activity] for activity in rows["activity"]]),
            labels=np.array([
                [column.get(f"{group}:{text}", -1) for text in rows[f"_{group}"]]
                for group in GROUPS
            ]).T,
            start_s=rows["start_s"].to_numpy(),
            end_s=rows["end_s"].to_numpy(),
        )  # fmt: skip
    order = list(GROUPS)
    group = np.asarray([order.index(name.split(":")[0]) for name in names])
    return ClipLabels(tuple(names), group, values, videos)


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Average precision of scores (n,) for positive (n,) bool; ties in the order given."""
    ranked = positive[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(ranked)
    return float((hits / np.arange(1, len(ranked) + 1))[ranked].mean())


def mean_average_precision(
    scores: np.ndarray, targets: np.ndarray, group: np.ndarray, threshold: float = 0.5
) -> dict[str, float]:
    """Group name -> mean average precision over its labels that occur; scores, targets (n,labels).

    A clip is positive for a label when its target reaches the threshold.
    """
    positive = targets >= threshold
    result: dict[str, float] = {}
    for index, name in enumerate(GROUPS):
        columns: Sequence[int] = np.flatnonzero((group == index) & positive.any(0)).tolist()
        values = [average_precision(scores[:, c], positive[:, c]) for c in columns]
        result[name] = float(np.mean(values)) if values else 0.0
    return result
