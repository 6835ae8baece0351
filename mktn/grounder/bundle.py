"""A bundle: one folder with all that answers about new videos need; no pickle, no code.

bundle.json                     format, what was exported, and how it is used
model.safetensors, config.json  the run
words.npz                       words and their vectors
skipthought/                    the sentence encoder
backbone.safetensors, .json     the video backbone and its preprocessing, where there is one
checksums.json                  bytes and CRC-32C of each of them; `mktn verify` reads it too
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mktn
from mktn.checksums import read_sealed_json, write_sealed_json
from mktn.engine import checkpoint
from mktn.errors import UserError
from mktn.features import backbones, glove
from mktn.features.skipthought import TRAINED_FILES, SkipThought
from mktn.features.skipthought_published import PUBLISHED_FILES, UNKNOWN
from mktn.features.store_checksums import StoreChecksums, write_checksums
from mktn.files import refuse_file, written_beside
from mktn.grounder.parts import Backbone, Parts
from mktn.grounder.words import Words

FORMAT = 1
NAME = "bundle.json"
RUN = ("model.safetensors", "config.json")
WORDS, SENTENCES, BACKBONE = "words.npz", "skipthought", "backbone.safetensors"
KEYS = ("backbone", "batch", "without", "ordinary")
NAMED = ("source", "dataset", "partition", "model", "variant", "seed")


def is_bundle(folder: Path) -> bool:
    """Whether a folder says that it is a bundle."""
    return (folder / NAME).is_file()


def write(
    parts: Parts,
    run: Path,
    sentence_files: Path,
    words: dict[str, np.ndarray],
    out: Path,
) -> dict[str, Any]:
    """Write the bundle of a run to the folder `out`; gives what stands in its bundle.json.

    parts: of the run; sentence_files: the folder of its sentence encoder; words: those to keep.
    Raises UserError where something else stands at `out`.
    """
    refuse_file(out)
    described = {
        "format": FORMAT,
        "mktn": mktn.__version__,
        "run": {name: parts.config[name] for name in NAMED if name in parts.config},
        "words": len(words),
        "backbone": parts.config["features"]["backbone"] if parts.backbone else None,
        "batch": parts.backbone.batch if parts.backbone else None,
        "without": parts.without,
        "ordinary": list(parts.ordinary),
    }
    with written_beside(out) as beside:
        beside.mkdir()
        for name in RUN:
            shutil.copyfile(run / name, beside / name)
        glove.save(beside / WORDS, list(words), np.stack(list(words.values())))
        write_sentences(sentence_files, set(words), beside / SENTENCES)
        if parts.backbone is not None:
            of = parts.backbone
            backbones.save(of.network, of.description, beside / BACKBONE)
        write_sealed_json(described, beside / NAME)
        write_checksums(beside)
    return described


def write_sentences(files: Path, words: set[str], out: Path) -> None:
    """The encoder trained here as it is; of the published ones the rows of `words`, unpickled."""
    out.mkdir()
    if (files / TRAINED_FILES[0]).is_file():
        for name in TRAINED_FILES:
            shutil.copyfile(files / name, out / name)
        return
    encoder = SkipThought.load_published(files)
    kept = [word for word in encoder.rows if word in words or word in (UNKNOWN, "<eos>")]
    rows = [encoder.rows[word] for word in kept]
    models, tables, dictionary = PUBLISHED_FILES[:2], PUBLISHED_FILES[2:4], PUBLISHED_FILES[4]
    for name in models:
        shutil.copyfile(files / name, out / name)
    for name, one in zip(tables, encoder.encoders, strict=True):
        np.save(out / name, np.array(one.table[rows], np.float32), allow_pickle=False)
    (out / dictionary).write_text("".join(f"{word}\n" for word in kept), encoding="utf-8")


def read(folder: Path) -> Parts:
    """The parts of a bundle.

    Raises UserError where it is of another format, damaged, or lacks a part.
    """
    try:
        described = read_sealed_json(folder / NAME, folder)
    except (OSError, ValueError) as error:
        raise UserError("not a bundle", where=folder, found=error, do="export it again") from error
    found = described.get("format") if isinstance(described, dict) else None
    if found != FORMAT:
        raise UserError(
            "bundle of another format", where=folder / NAME, found=f"format {found!r}",
            expected=f"format {FORMAT}", do="export it again with `mktn export` of this version",
        )  # fmt: skip
    lost = [key for key in KEYS if key not in described]
    if lost:
        raise UserError("missing key", where=folder / NAME, expected=lost[0], do="export it again")
    checksums = StoreChecksums(folder)
    _require(folder, checksums, (NAME, *RUN, WORDS))
    checksums.check_all()
    network, config = checkpoint.load(folder)
    backbone = None
    if described["backbone"] is not None:
        _require(folder, checksums, (BACKBONE,))
        net, description = backbones.load(folder / BACKBONE, described["backbone"])
        backbone = Backbone(net, description, int(described["batch"]))
    words = Words(folder / WORDS, float(config["text"]["median_norm"]))
    sentences = SkipThought.load(folder / SENTENCES)
    without, ordinary = str(described["without"]), tuple(described["ordinary"])
    return Parts(network.eval(), config, words, sentences, backbone, without, ordinary)


def _require(folder: Path, checksums: StoreChecksums, names: Sequence[str]) -> None:
    """Refuse a bundle without these files, or without their checksums."""
    known = checksums.names()
    for name in names:
        if name not in known:
            raise UserError(
                "the bundle lacks a file, or its checksum", where=folder / name,
                do="export it again",
            )  # fmt: skip
