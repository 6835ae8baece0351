"""How the time and memory of `mktn relate` and `mktn group` grow with the queries.

Queries are the first n of `pairs` (pairs.parquet), all taken for training ones, or sentences drawn
from `vocabulary` words with Zipf's frequencies. A sentence's vector is the sum of a random vector
for each of its words, so that near texts have near vectors. Each size is measured in a process of
its own; `exponent` is that of the time between a size and the one before it: 2 is quadratic.
"""

import dataclasses
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mktn.config import fill
from mktn.errors import UserError
from mktn.seeds import named_rng

if TYPE_CHECKING:
    import polars as pl

DURATION_S = 30.0


@dataclasses.dataclass(frozen=True)
class RelationsBenchSettings:
    """queries: sizes, growing; the first is the base of the ratios."""

    queries: tuple[int, ...] = (1000, 5000, 20000)
    pairs: str | None = None
    queries_per_video: int = 4
    vocabulary: int = 10000
    words: int = 13
    sentence_dimension: int = 512
    nearest: int = 8
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if list(self.queries) != sorted({*self.queries}) or min(self.queries, default=0) < 2:
            raise ValueError(f"queries {self.queries}: expected growing sizes of 2 or more")
        for name in ("queries_per_video", "vocabulary", "words", "sentence_dimension"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")


def run(settings: RelationsBenchSettings) -> Iterator[dict[str, Any]]:
    """A row a size: seconds and peak memory of relating and of grouping, and what they gave."""
    before: dict[str, Any] | None = None
    for queries in settings.queries:
        row = _in_child(dataclasses.replace(settings, queries=(queries,)))
        for step in ("relate", "group"):
            grown = before is not None and before[f"{step}_s"] > 0 and row[f"{step}_s"] > 0
            times = row[f"{step}_s"] / before[f"{step}_s"] if before and grown else 1.0
            sizes = row["queries"] / before["queries"] if before else 1.0
            row[f"{step}_exponent"] = round(math.log(times) / math.log(sizes), 2) if grown else ""
        yield row
        before = row


def summary(row: dict[str, Any]) -> str:
    """A row for a person."""
    return (
        f"{row['queries']} queries: relate {row['relate_s']} s (exponent "
        f"{row['relate_exponent'] or '-'}), group {row['group_s']} s (exponent "
        f"{row['group_exponent'] or '-'}), peak {row['peak_mb']} MB, {row['relations']} relations"
    )


def drawn_pairs(settings: RelationsBenchSettings) -> "pl.DataFrame":
    """Training pairs with sentences of Zipf's words, or the first ones of the file given."""
    import polars as pl

    count = settings.queries[0]
    if settings.pairs is not None:
        from pathlib import Path

        from mktn.features.pairs_file import read_pairs_file

        pairs = read_pairs_file(Path(settings.pairs)).head(count)
        if pairs.height < count:
            raise UserError(
                "too few pairs", where=settings.pairs, found=pairs.height, expected=f"{count}"
            )
        return pairs.with_columns(split=pl.lit("train"))
    rng = named_rng(settings.seed, "bench", "relations")
    share = 1 / np.arange(1, settings.vocabulary + 1)
    drawn = rng.choice(settings.vocabulary, (count, settings.words), p=share / share.sum())
    video = np.arange(count) // settings.queries_per_video
    return pl.DataFrame(
        {
            "split": ["train"] * count,
            "video_id": [f"v{number}" for number in video],
            "pair_id": [f"train/v{v}#{i}" for i, v in enumerate(video)],
            "sentence": [" ".join(f"w{word}" for word in row) for row in drawn],
            "order": np.arange(count) % settings.queries_per_video,
            "duration_s": [DURATION_S] * count,
        }
    )


def sentence_vectors(sentences: list[str], settings: RelationsBenchSettings) -> np.ndarray:
    """(queries, D_s) float32: the sum of a random vector for each word."""
    words = [sentence.lower().split() for sentence in sentences]
    index = {word: i for i, word in enumerate(dict.fromkeys(w for held in words for w in held))}
    rng = named_rng(settings.seed, "bench", "vectors")
    table = rng.standard_normal((len(index), settings.sentence_dimension), dtype=np.float32)
    return np.stack([table[[index[word] for word in held]].sum(0) for held in words])


def measure(settings: RelationsBenchSettings) -> dict[str, Any]:
    """Relate and group one size in this process."""
    import torch

    from mktn.grouping.groups import GroupSettings, group
    from mktn.grouping.relations import RelationSettings, relate

    torch.set_num_threads(settings.threads)
    pairs = drawn_pairs(settings)
    vectors = sentence_vectors(pairs["sentence"].to_list(), settings)
    began = time.process_time()
    relations = relate(pairs, vectors, RelationSettings(nearest=settings.nearest))
    related = time.process_time()
    peak_relate = _peak_mb()
    groups = group(pairs, relations, GroupSettings())
    grouped = time.process_time()
    return {
        "queries": pairs.height,
        "videos": pairs["video_id"].n_unique(),
        "relate_s": round(related - began, 2),
        "group_s": round(grouped - related, 2),
        "relate_peak_mb": peak_relate,
        "peak_mb": _peak_mb(),
        "relations": relations.height,
        "groups": groups["group"].n_unique(),
    }


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1)


def _in_child(settings: RelationsBenchSettings) -> dict[str, Any]:
    given = json.dumps(dataclasses.asdict(settings))
    command = [sys.executable, "-m", "mktn.engine.relations_bench", given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError("measuring relations failed", found=done.stderr.strip()[-400:])
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


if __name__ == "__main__":
    print(json.dumps(measure(fill(RelationsBenchSettings, json.loads(sys.argv[1])))))
