"""Word and sentence vectors of all queries: `mktn extract-text` -> `text/{dataset}.zarr`.

Shape legend: P pairs, N words of all pairs together, D_w word vector, D_s sentence vector.
"""

import argparse
import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
import zarr

from mktn.config import fill, read_settings
from mktn.datasets.sentences import tokens
from mktn.errors import UserError
from mktn.features import glove, skipthought_training
from mktn.features.glove import GloveSettings
from mktn.features.pairs_file import read_pairs_file
from mktn.features.skipthought import PUBLISHED_FILES, SkipThought
from mktn.features.skipthought_training import SkipThoughtSettings
from mktn.features.text_store import FORMAT, TextStore, pair_ids_sha256
from mktn.files import written_beside

__all__ = ["TextSettings", "TextStore", "extract_text"]

CHUNK_ROWS = 4096
LISTED_WORDS = 50  # unknown words named in the attributes
TRAINED = "trained"


@dataclass(frozen=True)
class TextSettings:
    """What the vectors are made of. `glove` acts when word vectors are trained."""

    seed: int = 0
    threads: int = 1
    max_words: int = 30  # of a query; the rest of a longer one is left out
    sentence: Literal["trained", "published"] = "trained"
    glove: GloveSettings = field(default_factory=GloveSettings)
    skipthought: SkipThoughtSettings = field(default_factory=SkipThoughtSettings)

    def __post_init__(self) -> None:
        for name in ("threads", "max_words"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")


def extract_text(
    pairs: pl.DataFrame,
    word_vectors: str | Path,
    models: Path,
    out: str | Path,
    settings: TextSettings,
    say: Callable[[str], None] = print,
) -> None:
    """Write the text store of `pairs` to `out`, training what is to be trained first.

    `word_vectors` is a file that `glove.read` reads, or "trained": GloVe on the training
    captions, kept as `models`/glove.npz. Sentence vectors come from `models`/skipthought,
    trained there on the training captions unless `settings.sentence` is "published".
    An unknown word is a zero vector; they are counted, and named in the attributes.
    """
    torch.set_num_threads(settings.threads)
    spoken = [tokens(sentence)[: settings.max_words] for sentence in pairs["sentence"]]
    vocabulary = sorted({word for sentence in spoken for word in sentence})
    vectors, described = _word_vectors(
        pairs, spoken, vocabulary, word_vectors, models, settings, say
    )
    dimension = len(next(iter(vectors.values())))
    encoder, encoded = _encoder(pairs, spoken, vectors, dimension, models, settings, say)
    # A sentence without a word stands as one unknown word: nothing downstream has length 0.
    held = [sentence or [""] for sentence in spoken]
    unknown = Counter(word for sentence in held for word in sentence if word not in vectors)
    offsets = np.cumsum([0, *map(len, held)], dtype=np.int64)
    attributes = {
        "format": FORMAT,
        "pair_ids_sha256": pair_ids_sha256(pairs["pair_id"]),
        "word_vectors": described,
        "sentence_vectors": encoded,
        "unknown_tokens": unknown.total(),
        "unknown_words": [word for word, _ in _most_common(unknown)[:LISTED_WORDS]],
        "settings": dataclasses.asdict(settings),
    }
    table = np.vstack([np.zeros(dimension, "f4"), *vectors.values()]).astype(np.float32)
    rows = {word: row for row, word in enumerate(vectors, start=1)}
    ids = np.array([rows.get(word, 0) for sentence in held for word in sentence], dtype=np.int64)
    with written_beside(out) as beside:
        group = zarr.create_group(beside, zarr_format=3, attributes=attributes)
        words = _create(group, "words", (len(ids), dimension), "float32")
        for first in range(0, len(ids), CHUNK_ROWS):
            words[first : first + CHUNK_ROWS] = table[ids[first : first + CHUNK_ROWS]]
        _create(group, "offsets", offsets.shape, "int64")[:] = offsets
        sentences = _create(group, "sentences", (len(held), encoder.dimension), "float32")
        for first in range(0, len(held), CHUNK_ROWS):
            block = encoder.encode(spoken[first : first + CHUNK_ROWS])
            sentences[first : first + CHUNK_ROWS] = block
    named = ", ".join(word or "(no word)" for word, _ in _most_common(unknown)[:10])
    say(
        f"text: {len(held)} queries, {len(ids)} words; {unknown.total()} unknown words of "
        f"{len(unknown)} kinds{': ' + named if named else ''}"
    )


def _word_vectors(
    pairs: pl.DataFrame,
    spoken: Sequence[Sequence[str]],
    vocabulary: Sequence[str],
    source: str | Path,
    models: Path,
    settings: TextSettings,
    say: Callable[[str], None],
) -> tuple[dict[str, np.ndarray], str]:
    if str(source) == TRAINED:
        options = dataclasses.asdict(settings.glove)
        captions = [s for s, split in zip(spoken, pairs["split"], strict=True) if split == "train"]
        report = _reporter("GloVe epoch", settings.glove.epochs, say)
        words, vectors = glove.train(captions, seed=settings.seed, report=report, **options)
        glove.save(models / "glove.npz", words, vectors)
        described = f"GloVe {vectors.shape[1]} trained on the training captions"
    else:
        words, vectors = glove.read(source, vocabulary)
        described = f"{Path(source).name}, {len(words)} of {len(vocabulary)} words"
    if not words:
        raise UserError("no word of the queries has a vector", where=source)
    return dict(zip(words, vectors, strict=True)), described


def _encoder(
    pairs: pl.DataFrame,
    spoken: Sequence[Sequence[str]],
    vectors: dict[str, np.ndarray],
    dimension: int,
    models: Path,
    settings: TextSettings,
    say: Callable[[str], None],
) -> tuple[SkipThought, str]:
    if settings.sentence == "published":
        inside = (models / PUBLISHED_FILES[0]).is_file()
        published = SkipThought.load_published(models if inside else models / "skipthought")
        return published, f"published skip-thought {published.dimension}"
    training = pairs.select("split", "video_id", "order").with_row_index("row")
    training = training.filter(pl.col("split") == "train").sort("order", maintain_order=True)
    videos = [
        [spoken[row] for row in rows]
        for rows in training.group_by("video_id", maintain_order=True).agg("row")["row"]
    ]
    report = _reporter("skip-thought step", settings.skipthought.steps, say)
    folder = models / "skipthought"
    skipthought_training.train(
        videos, vectors, dimension, settings.skipthought, settings.seed, folder, report
    )
    described = f"skip-thought {settings.skipthought.dimension} trained on the training captions"
    return SkipThought.load(folder), described


def _reporter(what: str, total: int, say: Callable[[str], None]) -> Callable[[int, float], None]:
    """Ten lines of progress."""
    every = max(total // 10, 1)

    def report(index: int, loss: float) -> None:
        if (index + 1) % every == 0:
            say(f"{what} {index + 1}/{total}: loss {loss:.4f}")

    return report


def _most_common(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def _create(group: zarr.Group, name: str, shape: tuple[int, ...], dtype: str) -> zarr.Array:
    chunks = (CHUNK_ROWS, *shape[1:])
    return group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, compressors=None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet")
    parser.add_argument(
        "--word-vectors",
        required=True,
        help="GloVe file (.txt, .zip or .npz), or `trained`: on the training captions",
    )
    parser.add_argument(
        "--models",
        type=Path,
        required=True,
        help="folder of what is trained (glove.npz, skipthought/), or of the published encoders",
    )
    parser.add_argument("--out", type=Path, required=True, help="text store, *.zarr")
    parser.add_argument("--settings", help="JSON: seed, threads, max_words, sentence, ...")


def run(arguments: argparse.Namespace) -> None:
    settings = fill(TextSettings, read_settings(arguments.settings))
    pairs = read_pairs_file(arguments.pairs)
    extract_text(pairs, arguments.word_vectors, arguments.models, arguments.out, settings)
