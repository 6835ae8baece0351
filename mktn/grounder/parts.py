"""What answers about new videos: a trained network, and all that its inputs are made with.

A run's folder holds the network alone. The word vectors, the sentence encoder and the video
backbone are files of the pipeline; its config.json says of each what it must be.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

import mktn
from mktn.engine import checkpoint
from mktn.errors import UserError
from mktn.features import backbones
from mktn.features.backbones import BackboneDescription
from mktn.features.extract import FEATURE_CODE
from mktn.features.origin import fields_of, patch_grid_of
from mktn.features.pairs_file import read_pairs_file
from mktn.features.skipthought import SkipThought
from mktn.features.skipthought_published import published_sha256
from mktn.features.text import TEXT_CODE
from mktn.features.video_backbone import VideoBackbone
from mktn.features.zarr_group import ZarrGroup
from mktn.grounder.run_folder import backbone_weights, data_folder, refuse_folder_of_runs
from mktn.grounder.words import Words
from mktn.provenance import code_sha256
from mktn.seeds import named_rng

ORDINARY = 256
BATCH = 16  # clips; in the last bits features depend on it, so it is that of config.yaml


@dataclasses.dataclass(frozen=True)
class Places:
    """Where a run's parts are, as far as they are not where the pipeline puts them.

    data: the folder `data/{source}`; weights: of the video backbone; word_vectors: the file;
    text_models: the folder of what was trained on captions; skipthought: the published encoders';
    pairs: pairs.parquet of the run.
    """

    data: Path | None = None
    weights: Path | None = None
    word_vectors: Path | None = None
    text_models: Path | None = None
    skipthought: Path | None = None
    pairs: Path | None = None


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A video backbone, its description, and how many clips it is given at once."""

    network: VideoBackbone
    description: BackboneDescription
    batch: int


@dataclasses.dataclass(frozen=True)
class Parts:
    """A trained network with its encoders. config: the run's config.json, as it is read.

    backbone is None where `without` says why no new video can be seen. ordinary: some sentences
    of the run's training, against which others are matched with videos; none where not known.
    """

    network: nn.Module
    config: dict[str, Any]
    words: Words
    sentences: SkipThought
    backbone: Backbone | None
    without: str = ""
    ordinary: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """T, the frames that a video is resampled to."""
        return int(self.config["sizes"]["frames"])

    @property
    def max_words(self) -> int:
        """Words of a query that are read; the rest of a longer one was left out in training."""
        return int(self.config["text"]["settings"]["max_words"])


def other_code(config: Mapping[str, Any]) -> Iterator[str]:
    """Lines where the run's features or text were made by other code than this: another version's
    numbers may differ."""
    for name, files in (("features", FEATURE_CODE), ("text", TEXT_CODE)):
        made = config[name].get("code_sha256")
        # Imported and simulated features are made by code that nothing here runs.
        runs = name == "text" or config[name].get("origin") == "extracted"
        if runs and made not in (None, code_sha256(*files)):
            version = config[name].get("code_version")
            yield (
                f"the run's {name} were made by other code (mktn {version}) than this"
                f" ({mktn.__version__}): new numbers may differ from those it was trained on"
            )


def of_run(run: Path, places: Places | None = None, batch: int = BATCH) -> Parts:
    """The parts of a trained run, from the pipeline's files.

    Raises UserError where one is missing, or is not what the run was trained with.
    """
    refuse_folder_of_runs(run)
    places = places or Places()
    network, config = checkpoint.load(run)
    data = places.data or data_folder(run)
    text = config["text"]
    for key in ("settings", "median_norm"):
        if key not in text:
            raise UserError(
                "the run does not say how its text was made", where=run / "config.json",
                expected=f"text.{key}", do="train it again",
            )  # fmt: skip
    models = places.text_models
    if models is None and data is not None:
        models = data / "text_models" / config["dataset"]
        _check_store(data / "text" / f"{config['dataset']}.zarr", text, run)
    words = _words(text, models, places.word_vectors, data, run)
    sentences = _sentences(text, models, places.skipthought, run)
    if sentences.dimension != config["sizes"]["sentence_dimension"]:
        raise UserError(
            "sentence encoder of another run", where=models,
            found=f"{sentences.dimension} wide", expected=config["sizes"]["sentence_dimension"],
        )  # fmt: skip
    backbone, without = _backbone(config["features"], places.weights, data, run, batch)
    pairs = places.pairs
    if pairs is None and data is not None:
        pairs = data / "pairs" / config["dataset"] / "pairs.parquet"
        pairs = pairs if pairs.is_file() else None
    ordinary = () if pairs is None else ordinary_sentences(pairs)
    return Parts(network.eval(), config, words, sentences, backbone, without, ordinary)


def ordinary_sentences(pairs: Path) -> tuple[str, ...]:
    """Some sentences of the training split, in the order of the alphabet, each once."""
    table = read_pairs_file(pairs, ["split", "sentence"]).filter(split="train")
    told = table["sentence"].unique().sort()
    told = told.filter(told.str.contains(r"\w"))
    drawn = named_rng(0, "ordinary sentences").permutation(len(told))[:ORDINARY]
    return tuple(told[sorted(drawn.tolist())].to_list())


def _words(
    text: dict[str, Any], models: Path | None, file: Path | None, data: Path | None, run: Path
) -> Words:
    cache = None if data is None else data / "text_models" / "word_vectors"
    if "word_vectors_sha256" in text:
        if file is None:
            raise UserError(
                "the run's word vectors are a file", where=run, found=text["word_vectors"],
                do="name it: --word-vectors FILE",
            )  # fmt: skip
        return Words(file, text["median_norm"], text["word_vectors_sha256"], cache)
    path = file or _in(models, "glove.npz", "the word vectors trained on the captions are", run)
    words = Words(path, text["median_norm"])
    words.refuse_other_norm()
    return words


def _sentences(
    text: dict[str, Any], models: Path | None, published: Path | None, run: Path
) -> SkipThought:
    if text["settings"].get("sentence") != "published":
        return SkipThought.load(
            _in(models, "skipthought", "the sentence encoder trained on the captions is", run)
        )
    if published is None:
        raise UserError(
            "the run's sentence vectors are of the published encoders", where=run,
            found=text.get("sentence_vectors"), do="name their folder: --skipthought DIR",
        )  # fmt: skip
    encoder = SkipThought.load_published(published)
    if text.get("skipthought_sha256") not in (None, published_sha256(published)):
        raise UserError("other encoders than the run's", where=published, do="bring the run's")
    return encoder


def _in(folder: Path | None, name: str, what: str, run: Path) -> Path:
    if folder is None or not (folder / name).exists():
        raise UserError(
            f"{what} missing", where=run if folder is None else folder / name,
            do="name the folder of both: --text-models DIR (data/SOURCE/text_models/DATASET)",
        )  # fmt: skip
    return folder / name


def _check_store(store: Path, text: dict[str, Any], run: Path) -> None:
    """Refuse text models that a later run of the pipeline has replaced: they have no hash."""
    if not (store / "zarr.json").is_file():
        return
    here = json.loads(json.dumps(ZarrGroup(store).attributes))
    if here != text:
        key = next(key for key in {**text, **here} if here.get(key) != text.get(key))
        raise UserError(
            "the text models are not those of the run", where=f"{store}, {key}",
            found=f"other than in {run / 'config.json'}", do="train the run again",
        )  # fmt: skip


def _backbone(
    features: dict[str, Any], weights: Path | None, data: Path | None, run: Path, batch: int
) -> tuple[Backbone | None, str]:
    of = fields_of(features)
    if of["origin"] != "extracted":
        made = of["origin"] or "of unknown origin"
        return None, f"the run's video features were {made}: no backbone of it can see a video"
    if weights is None and data is not None:
        weights = backbone_weights(data, of["backbone"], of["weights_sha256"])
    if weights is None or not weights.is_file():
        raise UserError(
            "the video backbone's weights are missing", where=weights or run,
            expected=f"{of['weights']} of {of['backbone']}", do="name them: --weights FILE",
        )  # fmt: skip
    rows_columns = patch_grid_of(features)
    grid = (rows_columns[0], rows_columns[1]) if rows_columns else None
    network, description = backbones.load(weights, of["backbone"], grid)
    if description.weights_sha256 != of["weights_sha256"]:
        raise UserError(
            "weights of another backbone than the run's features were made with", where=weights,
            found=f"sha256 {description.weights_sha256[:12]}",
            expected=str(of["weights_sha256"])[:12], do="name the run's own: --weights FILE",
        )  # fmt: skip
    recipe = json.loads(json.dumps(dataclasses.asdict(description.preprocessing)))
    if recipe != of["preprocessing"]:
        key = next(k for k in recipe if recipe[k] != (of["preprocessing"] or {}).get(k))
        raise UserError(
            "another preprocessing than the run's features were made with",
            where=f"{weights.with_suffix('.json')}, preprocessing.{key}", found=recipe[key],
            expected=(of["preprocessing"] or {}).get(key), do="restore that file",
        )  # fmt: skip
    return Backbone(network, description, batch), ""
