"""Skip-thought sentence vectors: the published encoders, and those trained here.

Kiros et al., "Skip-Thought Vectors", NeurIPS 2015. Shape legend: n sentences, L words,
E word vector, H state of the GRU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from mktn.checksums import KEY, UNSEALED, check, read_sealed_json, seal, write_sealed_json
from mktn.datasets.sentences import treebank
from mktn.errors import UserError
from mktn.features import skipthought_published as published
from mktn.features.pickled_rows import PickledRows
from mktn.features.skipthought_published import PUBLISHED_FILES
from mktn.files import written_beside

FORMAT = 1
TRAINED_FILES = ("config.json", "model.safetensors")


@dataclass(frozen=True)
class Encoder:
    """A GRU over word vectors; a sentence is its last state (both last states if it is bi)."""

    table: np.ndarray | PickledRows  # (words, E); of the published one only the rows in use
    gru: nn.GRU
    mean: torch.Tensor | None = None  # (dimension,), taken off before the norm

    @property
    def dimension(self) -> int:
        return self.gru.hidden_size * (2 if self.gru.bidirectional else 1)

    def encode(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Sentences of at least one word, as rows of the table -> (n, dimension), norm 1."""
        words = [torch.from_numpy(np.array(self.table[list(row)], "f4")) for row in rows]
        packed = nn.utils.rnn.pack_sequence(words, enforce_sorted=False)
        with torch.no_grad():
            _, last = self.gru(packed)  # (directions, n, H)
        vectors = last.transpose(0, 1).reshape(len(rows), -1)
        if self.mean is not None:
            vectors = vectors - self.mean
        return nn.functional.normalize(vectors, dim=1).numpy()


class SkipThought:
    """Sentence encoders that share a dictionary; their vectors, each of norm 1, side by side."""

    def __init__(
        self,
        words: Sequence[str],
        unknown: str,
        encoders: Sequence[Encoder],
        parted: Callable[[str], Sequence[str]] = lambda token: (token,),
    ) -> None:
        """`parted` gives the words of the dictionary's own convention for one of our tokens."""
        # Of a word that the dictionary repeats the last row counts, as in the authors' program.
        self.rows = {word: row for row, word in enumerate(words)}
        self.unknown = self.rows[unknown]
        self.parted = parted
        self.encoders = list(encoders)
        self.dimension = sum(encoder.dimension for encoder in self.encoders)

    @classmethod
    def load(cls, directory: str | Path) -> "SkipThought":
        """The published encoders (uni 2400 + bi 2400) or one of ours, by the files found.

        Raises UserError when files are missing, broken, of another shape, or of another format.
        """
        directory = Path(directory)
        if (directory / TRAINED_FILES[0]).is_file():
            return _load_trained(directory)
        return cls.load_published(directory)

    @classmethod
    def load_published(cls, directory: str | Path) -> "SkipThought":
        """Only the published encoders, uni-skip and bi-skip; raises as `load` does."""
        directory = Path(directory)
        for name in PUBLISHED_FILES:
            if not (directory / name).is_file():
                raise UserError(
                    "skip-thought model is missing",
                    where=directory / name,
                    expected=f"{', '.join(PUBLISHED_FILES)}, or {' and '.join(TRAINED_FILES)}",
                )
        return _load_published(directory)

    def encode(self, sentences: Sequence[Sequence[str]], batch: int = 256) -> np.ndarray:
        """Tokenised sentences -> (n, dimension) float32; a sentence without words is zero.

        Unknown words take the row of the dictionary's unknown word. The published encoders get
        contractions in the halves that they were trained on ("is" "n't"), as the authors'
        program would give them; it also keeps capitals and punctuation, which tokens have lost.
        As there, no end-of-sentence word is added.
        """
        vectors = np.zeros((len(sentences), self.dimension), dtype=np.float32)
        # By length, so that a batch holds little else than words.
        filled = [index for index, sentence in enumerate(sentences) if len(sentence)]
        filled.sort(key=lambda index: (len(sentences[index]), index))
        for first in range(0, len(filled), batch):
            chosen = filled[first : first + batch]
            parted = [[w for token in sentences[i] for w in self.parted(token)] for i in chosen]
            rows = [[self.rows.get(word, self.unknown) for word in words] for words in parted]
            vectors[chosen] = np.concatenate([e.encode(rows) for e in self.encoders], axis=1)
        return vectors


def save_trained(
    directory: str | Path,
    words: Sequence[str],
    unknown: str,
    table: torch.Tensor,
    gru: nn.GRU,
    mean: torch.Tensor,
) -> None:
    """Write an encoder of ours as a folder of `config.json` and `model.safetensors`.

    `mean` (H,) is the mean state of the training sentences. A small encoder's states all share
    it, so that without taking it off any two sentences have a cosine near 1.
    """
    tensors = {f"gru.{name}": value.contiguous() for name, value in gru.state_dict().items()}
    config = {
        "format": FORMAT,
        "word_dimension": gru.input_size,
        "dimension": gru.hidden_size,
        "unknown": unknown,
        "words": list(words),
    }
    with written_beside(directory) as beside:
        beside.mkdir()
        tensors |= {"table": table.contiguous(), "mean": mean.contiguous()}
        save_file(tensors, beside / TRAINED_FILES[1], metadata={KEY: UNSEALED})
        seal(beside / TRAINED_FILES[1])
        write_sealed_json(config, beside / TRAINED_FILES[0])


def _load_trained(directory: Path) -> SkipThought:
    try:
        config = read_sealed_json(directory / TRAINED_FILES[0], directory.parent)
        weights = directory / TRAINED_FILES[1]
        check(weights.read_bytes(), weights, directory.parent)
        if config.get("format") != FORMAT:
            raise UserError(
                "model written by another version",
                where=directory,
                found=f"format {config.get('format')!r}",
                expected=f"format {FORMAT}",
                do="remove it and run `mktn extract-text` again",
            )
        tensors = load_file(weights)
        table, mean = tensors.pop("table"), tensors.pop("mean")
        gru = nn.GRU(config["word_dimension"], config["dimension"])
        gru.load_state_dict({name.removeprefix("gru."): t for name, t in tensors.items()})
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(
            "skip-thought model cannot be read", where=directory, found=error
        ) from error
    encoder = Encoder(table.numpy(), gru.eval(), mean)
    return SkipThought(config["words"], config["unknown"], [encoder])


def _load_published(directory: Path) -> SkipThought:
    words = published.dictionary(directory / "dictionary.txt")
    encoders = []
    for table_name, model_name, prefixes in (
        ("utable.npy", "uni_skip.npz", ("encoder",)),
        ("btable.npy", "bi_skip.npz", ("encoder", "encoder_r")),
    ):
        gru = published.gru(directory / model_name, prefixes)
        table = published.table(directory / table_name, gru.input_size)
        if table.shape != (len(words), gru.input_size):
            raise UserError(
                "table of another shape",
                where=directory / table_name,
                found=table.shape,
                expected=(len(words), gru.input_size),
            )
        encoders.append(Encoder(table, gru))
    return SkipThought(words, published.UNKNOWN, encoders, treebank)
