"""`mktn export`: a run and all that it needs for new videos and sentences, in one folder."""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from mktn.datasets.sentences import tokens, treebank
from mktn.errors import UserError
from mktn.features.pairs_file import read_pairs_file
from mktn.features.store import FeatureStore
from mktn.features.text_store import TextStore
from mktn.features.video_files import find_videos
from mktn.features.word_vectors import looked_for
from mktn.grounder import bundle, parts
from mktn.grounder.own_video import clip_features
from mktn.grounder.parts import BATCH, Parts, Places
from mktn.grounder.run_folder import data_folder
from mktn.grounder.text import sentence_vectors
from mktn.grounder.words import words_of

WORDS = 100_000  # of a published file: the first ones, which are the most frequent
COMPARED = 32  # sentences of the run that are encoded again
TOLERANCE = 1e-5  # of sentence vectors: sums are of another order in another batch


def add_places(parser: argparse.ArgumentParser) -> None:
    """Options that name a run's parts, where they are not in the pipeline's places."""
    of_run = parser.add_argument_group("parts of a run that are not in the pipeline's places")
    of_run.add_argument("--data", type=Path, help="folder data/SOURCE of the run")
    of_run.add_argument("--weights", type=Path, help="of the video backbone")
    of_run.add_argument("--word-vectors", type=Path, help="the file that the run was made with")
    of_run.add_argument("--text-models", type=Path, help="folder of glove.npz and skipthought/")
    of_run.add_argument("--skipthought", type=Path, help="folder of the published encoders")
    of_run.add_argument("--pairs", type=Path, help="pairs.parquet of the run")
    of_run.add_argument(
        "--batch", type=int, default=BATCH, help="extract.batch of the run's features, in clips"
    )


def places_of(arguments: argparse.Namespace) -> Places:
    """What `add_places` was given. Raises UserError on a batch of nothing."""
    if arguments.batch < 1:
        raise UserError("value refused", where="--batch", found=arguments.batch, expected=">= 1")
    return Places(
        arguments.data,
        arguments.weights,
        arguments.word_vectors,
        arguments.text_models,
        arguments.skipthought,
        arguments.pairs,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn export`."""
    parser.add_argument("run", type=Path, help="folder of a trained run")
    parser.add_argument("--out", type=Path, required=True, help="output: the bundle, a folder")
    parser.add_argument(
        "--words", type=int, default=WORDS,
        help="of a published file of word vectors, the first N besides those of the run's queries",
    )  # fmt: skip
    parser.add_argument("--text", type=Path, help="text store of these pairs, to compare with")
    add_places(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write the bundle, and say what is in it."""
    places = places_of(arguments)
    if bundle.is_bundle(arguments.run):
        raise UserError(
            "a bundle already, and no run", where=arguments.run, expected="a trained run",
            do=f"use it as it is: mktn ground VIDEO --model {arguments.run}",
        )  # fmt: skip
    found = parts.of_run(arguments.run, places, arguments.batch)
    data = places.data or data_folder(arguments.run)
    dataset = found.config["dataset"]
    pairs, text = arguments.pairs, arguments.text
    if data is not None:
        pairs = pairs or _there(data / "pairs" / dataset / "pairs.parquet")
        text = text or _there(data / "text" / f"{dataset}.zarr")
    said: list[str] = []
    queries: list[str] = []
    if pairs is not None:
        table = read_pairs_file(pairs, ["pair_id", "sentence"])
        queries = table["sentence"].to_list()
        if text is not None:
            _compare(found, queries, TextStore(text, table["pair_id"]))
    kept = words_to_keep(found, queries, arguments.words)
    models = places.text_models or (data and data / "text_models" / dataset)
    trained = found.config["text"]["settings"].get("sentence") != "published"
    folder = models / "skipthought" if trained and models else places.skipthought
    assert folder is not None  # the run's parts were found there
    described = bundle.write(found, arguments.run, folder, kept, arguments.out)
    said.append(f"{described['words']} words")
    said.append(f"backbone {described['backbone']}" if found.backbone else found.without)
    said.append("text as the run's" if pairs and text else "text not compared with the run's")
    if data is not None and found.backbone is not None:
        said.append(_seen_again(found, data, dataset))
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {size / 1e6:.1f} MB, {'; '.join(said)}")


def words_to_keep(found: Parts, queries: list[str], count: int) -> dict[str, np.ndarray]:
    """All words that were trained; of a published file those of the queries and the first ones."""
    path = found.words.path
    if "word_vectors_sha256" not in found.config["text"]:
        return found.words.known(set(words_of(path)))
    spoken = {word for sentence in queries for word in tokens(sentence)}
    halves = {half for word in spoken for half in treebank(word)}
    return found.words.known(looked_for(spoken) | halves | set(islice(words_of(path), count)))


def _compare(found: Parts, queries: list[str], store: TextStore) -> None:
    """Refuse text models that do not make the vectors that the run was trained on."""
    rows = np.unique(np.linspace(0, len(queries) - 1, COMPARED).astype(int))
    rows = np.array([row for row in rows if tokens(queries[row])], int)
    here = sentence_vectors(found, [queries[row] for row in rows])
    words, mask = store.padded_words(rows)
    same = np.array_equal(mask, here.mask) and np.array_equal(words, here.words)
    if not same or not np.allclose(store.sentences[rows], here.sentences, atol=TOLERANCE):
        raise UserError(
            "the text models do not make the run's text", where=store.path,
            found=f"other vectors of {'sentences' if same else 'words'}",
            do="name the run's own, or train it again",
        )  # fmt: skip


def _seen_again(found: Parts, data: Path, dataset: str) -> str:
    """Whether a video of the run has the features that the pipeline's store has, in a phrase."""
    folder = data / "features" / dataset / str(found.config["features"]["backbone"])
    videos = data / "videos" / dataset
    if not videos.is_dir() or not any(folder.glob("part-*.zarr")):
        return "no video compared with the run's"
    store = FeatureStore(folder)
    names = store.video_ids
    files = (files[0] for files in find_videos(videos, names) if len(files) == 1)
    path = next(files, None)
    if path is None:
        return "no video compared with the run's"
    torch.set_num_threads(1)
    here, _ = clip_features(found, path, torch.device("cpu"))
    there = store[path.stem]
    if here.features.shape != there.features.shape:
        raise UserError(
            "the backbone does not make the run's features", where=path,
            found=here.features.shape, expected=there.features.shape, do="name the run's own",
        )  # fmt: skip
    most = float(np.abs(here.features.astype(np.float32) - there.features).max())
    if most == 0:
        return f"{path.name} has the run's features to the bit"
    # As of features that another device, batch or number of threads made.
    return f"{path.name} has the run's features within {most:.1e}"


def _there(path: Path) -> Path | None:
    return path if path.exists() else None
