"""Training a skip-thought encoder on captions: from a sentence, its neighbours' words.

Kiros et al., "Skip-Thought Vectors", NeurIPS 2015, section 2. Shape legend: n sentences,
L words of the longest, E word vector, H sentence vector, V words of the vocabulary.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mktn.errors import UserError
from mktn.features.skipthought import save_trained
from mktn.seeds import named_rng, named_seed

UNKNOWN, END = "<unk>", "<eos>"
IGNORED = -100  # of cross_entropy


@dataclass(frozen=True)
class SkipThoughtSettings:
    """How the encoder is trained; its time is about proportional to `steps`."""

    dimension: int = 256  # H, what `encode` gives
    steps: int = 400
    batch: int = 64
    learning_rate: float = 2e-3
    clip: float = 5.0  # largest norm of the gradient
    word_dropout: float = 0.02  # words shown as unknown, so that `<unk>` is learned
    max_words: int = 30

    def __post_init__(self) -> None:
        for name in ("dimension", "steps", "batch", "max_words"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")


class SkipThoughtModel(nn.Module):
    """GRU encoder; a decoder of the previous sentence and one of the next.

    The sentence vector enters every step of a decoder, beside the word before: the C matrices
    of the paper's conditional GRU are the part of its input weights that multiplies it. Both
    decoders share the output matrix (V,H), as in the paper.
    """

    def __init__(self, words: int, word_dimension: int, dimension: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, word_dimension)
        self.encoder = nn.GRU(word_dimension, dimension, batch_first=True)
        self.decoders = nn.ModuleList(
            nn.GRU(word_dimension + dimension, dimension, batch_first=True) for _ in range(2)
        )
        self.output = nn.Linear(dimension, words)

    def encode(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """ids (n,L), lengths (n,) -> sentence vectors (n,H)."""
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(ids), lengths, batch_first=True, enforce_sorted=False
        )
        return self.encoder(packed)[1][0]

    def forward(
        self, ids: torch.Tensor, lengths: torch.Tensor, neighbours: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Mean negative log likelihood of the words of previous and next sentence.

        neighbours: two (n,L) tensors of words ending in END, IGNORED where there is none.
        """
        sentence = self.encode(ids, lengths)  # (n,H)
        losses, count = [], 0
        for decoder, target in zip(self.decoders, neighbours, strict=True):
            present = (target != IGNORED).any(1)
            if not present.any():
                continue
            target, condition = target[present], sentence[present]
            before = self.embedding(target[:, :-1].clamp(min=0))
            before = nn.functional.pad(before, (0, 0, 1, 0))  # nothing comes before the first
            condition = condition[:, None].expand(-1, target.shape[1], -1)
            states, _ = decoder(torch.cat([before, condition], dim=2))  # (n,L,H)
            real = target != IGNORED
            losses.append(
                nn.functional.cross_entropy(
                    self.output(states[real]), target[real], reduction="sum"
                )
            )
            count += int(real.sum())
        return torch.stack(losses).sum() / count


def train(
    videos: Sequence[Sequence[Sequence[str]]],
    vectors: Mapping[str, np.ndarray],
    word_dimension: int,
    settings: SkipThoughtSettings,
    seed: int,
    directory: str | Path,
    report: Callable[[int, float], None] | None = None,
) -> None:
    """Train on tokenised sentences, one list a video in narrative order, and save to `directory`.

    Words that `vectors` has begin at it, others at small random numbers. Sentences without a
    neighbour in their video teach nothing and are passed over. `report(step, loss)` is called
    after each step. Raises UserError when no video has two sentences.
    """
    contexts = _contexts(videos)
    if not contexts:
        raise UserError(
            "skip-thought has no context to learn from",
            where=directory,
            found="one sentence in each video",
            expected="consecutive sentences",
            do="use published sentence vectors",
        )
    words = [UNKNOWN, END, *sorted({w for s in chain.from_iterable(videos) for w in s})]
    rows = {word: row for row, word in enumerate(words)}
    rng = named_rng(seed, "skipthought", "batches")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(seed, "skipthought", "weights"))
        model = SkipThoughtModel(len(words), word_dimension, settings.dimension)
    with torch.no_grad():
        model.embedding.weight.mul_(0.1)
        for word, vector in vectors.items():
            if word in rows:
                model.embedding.weight[rows[word]] = torch.from_numpy(vector)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=max(settings.steps, 2)
    )
    order = np.zeros(0, dtype=np.int64)
    for step in range(settings.steps):
        while len(order) < settings.batch:
            order = np.concatenate([order, rng.permutation(len(contexts))])
        chosen, order = order[: settings.batch], order[settings.batch :]
        before, current, after = zip(*(contexts[index] for index in chosen), strict=True)
        ids, lengths = _padded(current, rows, settings.max_words)
        dropped = torch.from_numpy(rng.random(ids.shape) < settings.word_dropout)
        neighbours = [_targets(side, rows, settings.max_words) for side in (before, after)]
        loss = model(ids.masked_fill(dropped, rows[UNKNOWN]), lengths, neighbours)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        schedule.step()
        if report is not None:
            report(step, float(loss.detach()))
    mean = _mean_state(model, videos, rows, settings)
    save_trained(directory, words, UNKNOWN, model.embedding.weight.detach(), model.encoder, mean)


def _mean_state(
    model: SkipThoughtModel,
    videos: Sequence[Sequence[Sequence[str]]],
    rows: Mapping[str, int],
    settings: SkipThoughtSettings,
) -> torch.Tensor:
    """Mean of the sentence vectors of all sentences with a word, (H,)."""
    sentences = [sentence for sentence in chain.from_iterable(videos) if sentence]
    total = torch.zeros(settings.dimension)
    with torch.no_grad():
        for first in range(0, len(sentences), 256):
            block = sentences[first : first + 256]
            total += model.encode(*_padded(block, rows, settings.max_words)).sum(0)
    return total / len(sentences)


def _contexts(
    videos: Sequence[Sequence[Sequence[str]]],
) -> list[tuple[Sequence[str] | None, Sequence[str], Sequence[str] | None]]:
    """(sentence before, sentence, sentence after) wherever one of the two neighbours exists."""
    contexts = []
    for video in videos:
        sentences = [sentence for sentence in video if sentence]
        for index, sentence in enumerate(sentences):
            before = sentences[index - 1] if index else None
            after = sentences[index + 1] if index + 1 < len(sentences) else None
            if before is not None or after is not None:
                contexts.append((before, sentence, after))
    return contexts


def _padded(
    sentences: Sequence[Sequence[str]], rows: Mapping[str, int], max_words: int
) -> tuple[torch.Tensor, torch.Tensor]:
    ids = [torch.tensor([rows[word] for word in s[:max_words]]) for s in sentences]
    lengths = torch.tensor([len(row) for row in ids])
    return nn.utils.rnn.pad_sequence(ids, batch_first=True), lengths


def _targets(
    sentences: Sequence[Sequence[str] | None], rows: Mapping[str, int], max_words: int
) -> torch.Tensor:
    ids = [
        torch.tensor([] if s is None else [*(rows[w] for w in s[:max_words]), rows[END]]).long()
        for s in sentences
    ]
    return nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=IGNORED)
