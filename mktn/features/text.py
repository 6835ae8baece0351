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

import mktn
from mktn.config import fill, read_settings
from mktn.datasets.sentences import tokens
from mktn.features import known_words, skipthought_training
from mktn.features.glove_training import GloveSettings
from mktn.features.known_words import TRAINED, reporter
from mktn.features.pairs_file import read_pairs_file
from mktn.features.skipthought import SkipThought
from mktn.features.skipthought_published import PUBLISHED_FILES, published_sha256
from mktn.features.skipthought_training import SkipThoughtSettings
from mktn.features.store_checksums import write_checksums
from mktn.features.text_store import TextStore, pair_ids_sha256
from mktn.features.word_vectors import RULE, coverage_by_split, look_up, most_common, summary
from mktn.features.zarr_group import FORMAT
from mktn.files import refuse_file, written_beside
from mktn.provenance import code_sha256

__all__ = ["TextSettings", "TextStore", "extract_text"]

CHUNK_ROWS = 4096
# What the vectors depend on.
TEXT_CODE = (
    "datasets/sentences.py",
    *(f"features/{name}.py" for name in ("text", "word_vectors", "known_words")),
    *(f"features/{name}.py" for name in ("glove", "glove_training", "skipthought")),
    *(f"features/{name}.py" for name in ("skipthought_published", "skipthought_training")),
)
LISTED_WORDS = 50  # unknown words named in the attributes


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
    word_file: str | Path,
    models: Path,
    out: str | Path,
    settings: TextSettings,
    say: Callable[[str], None] = print,
    cache: Path | None = None,
    published: Path | None = None,
) -> None:
    """Write the text store of `pairs` to `out`, training what is to be trained first.

    `word_file` is a file that `glove.read` reads, or "trained": GloVe on the training
    captions, kept as `models`/glove.npz. What is kept of a `.txt` or `.zip` goes to the folder
    `cache` where one is given. Every word gets a vector by the rule of `word_vectors.look_up`;
    how many types and tokens each step of it found is in the attributes, by split.

    Sentence vectors come from `models`/skipthought, trained there on the training captions
    unless `settings.sentence` is "published": then from the files in the folder `published`,
    or in `models` or `models`/skipthought where that is not given.
    """
    refuse_file(out)
    torch.set_num_threads(settings.threads)
    spoken = [tokens(sentence)[: settings.max_words] for sentence in pairs["sentence"]]
    vocabulary = sorted({word for sentence in spoken for word in sentence})
    if str(word_file) == TRAINED:
        captions = [s for s, split in zip(spoken, pairs["split"], strict=True) if split == "train"]
        source = known_words.trained(captions, models, settings.glove, settings.seed, say)
    else:
        source = known_words.read(word_file, vocabulary, cache, say)
    models.mkdir(parents=True, exist_ok=True)
    known = source.vectors
    found = look_up(vocabulary, known, source.median_norm)
    dimension = len(next(iter(known.values())))
    encoder, encoded = _encoder(pairs, spoken, known, dimension, models, settings, published, say)
    # A sentence without a word stands as one zero vector: nothing downstream has length 0.
    held = [sentence or [""] for sentence in spoken]
    seeded = Counter(w for sentence in spoken for w in sentence if found.how[w] == "seeded")
    offsets = np.cumsum([0, *map(len, held)], dtype=np.int64)
    covered = coverage_by_split(spoken, pairs["split"].to_list(), found.how)
    attributes = {
        "format": FORMAT,
        "pair_ids_sha256": pair_ids_sha256(pairs["pair_id"]),
        **source.attributes,
        "out_of_vocabulary": RULE,
        "coverage": covered,
        "unknown_tokens": seeded.total(),
        "unknown_words": [word for word, _ in most_common(seeded)[:LISTED_WORDS]],
        **encoded,
        "settings": dataclasses.asdict(settings),
        "code_version": mktn.__version__,
        "code_sha256": code_sha256(*TEXT_CODE),
    }
    table = np.vstack([np.zeros(dimension, "f4"), *found.vectors.values()]).astype(np.float32)
    rows = {word: row for row, word in enumerate(found.vectors, start=1)}
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
        write_checksums(beside)
    for line in summary(covered, len(held), seeded):
        say(line)


def _encoder(
    pairs: pl.DataFrame,
    spoken: Sequence[Sequence[str]],
    vectors: dict[str, np.ndarray],
    dimension: int,
    models: Path,
    settings: TextSettings,
    published: Path | None,
    say: Callable[[str], None],
) -> tuple[SkipThought, dict[str, object]]:
    if settings.sentence == "published":
        inside = (models / PUBLISHED_FILES[0]).is_file()
        folder = published or (models if inside else models / "skipthought")
        encoder = SkipThought.load_published(folder)
        say(f"skip-thought: {len(encoder.rows)} words, {encoder.dimension} wide, from {folder}")
        return encoder, {
            "sentence_vectors": f"published skip-thought {encoder.dimension}",
            "skipthought_sha256": published_sha256(folder),
        }
    training = pairs.select("split", "video_id", "order").with_row_index("row")
    training = training.filter(pl.col("split") == "train").sort("order", maintain_order=True)
    videos = [
        [spoken[row] for row in rows]
        for rows in training.group_by("video_id", maintain_order=True).agg("row")["row"]
    ]
    report = reporter("skip-thought step", settings.skipthought.steps, say)
    folder = models / "skipthought"
    skipthought_training.train(
        videos, vectors, dimension, settings.skipthought, settings.seed, folder, report
    )
    described = f"skip-thought {settings.skipthought.dimension} trained on the training captions"
    return SkipThought.load(folder), {"sentence_vectors": described}


def _create(group: zarr.Group, name: str, shape: tuple[int, ...], dtype: str) -> zarr.Array:
    chunks = (CHUNK_ROWS, *shape[1:])
    return group.create_array(
        name, shape=shape, chunks=chunks, dtype=dtype, compressors=None,
        config={"write_empty_chunks": True},  # what is absent is lost, and never zeros
    )  # fmt: skip


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
    parser.add_argument(
        "--published", type=Path, help="folder of the published encoders, where not in --models"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        help="folder for what was kept of large files of word vectors; data sets may share it",
    )
    parser.add_argument("--out", type=Path, required=True, help="text store, *.zarr")
    parser.add_argument("--settings", help="JSON: seed, threads, max_words, sentence, ...")


def run(arguments: argparse.Namespace) -> None:
    settings = fill(TextSettings, read_settings(arguments.settings))
    pairs = read_pairs_file(arguments.pairs, ["pair_id", "video_id", "split", "order", "sentence"])
    extract_text(
        pairs,
        arguments.word_vectors,
        arguments.models,
        arguments.out,
        settings,
        cache=arguments.cache,
        published=arguments.published,
    )
