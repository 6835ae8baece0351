"""Peak memory of the similarities, forward and backward, beyond their inputs and gradients.

V videos, Q queries, T frames, L words, A object, P phrase, E activity prototypes, d width.
On a CPU it is the process's peak resident set, of a fresh process for each similarity: an
earlier one would leave freed memory behind, in which the next could hide.
"""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mktn.engine.peak_memory import peak, reset_peak
from mktn.errors import UserError
from mktn.models import similarity
from mktn.seeds import named_seed

SIMILARITIES = ("S", "S_op", "S_es")
MEGABYTE = 1_000_000


@dataclasses.dataclass(frozen=True)
class SimilaritySettings:
    """Sizes of one step."""

    videos: int = 48
    queries: int = 192
    frames: int = 200
    words: int = 30
    objects: int = 6
    phrases: int = 4
    activities: int = 3
    width: int = 512
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if name != "seed" and value < 1:
                raise ValueError(f"{name} {value}: expected at least 1")


def whole_tensor_mb(name: str, s: SimilaritySettings) -> float:
    """MB of the tensor of all scores in float32 that a plain computation makes: arithmetic."""
    scores = {
        "S": s.videos * s.frames * s.queries * s.words,
        "S_op": s.videos * s.frames * s.objects * s.queries * s.phrases,
        "S_es": s.videos * s.activities * s.queries,
    }
    return 4 * scores[name] / MEGABYTE


def inputs_of(name: str, s: SimilaritySettings, device: str) -> tuple[list[Tensor], list[Tensor]]:
    """Random inputs that need gradients, and their masks."""
    generator = torch.Generator().manual_seed(named_seed(s.seed, "bench", name))

    def normal(*shape: int) -> Tensor:
        made = torch.randn(*shape, generator=generator)
        return functional.normalize(made, dim=-1).to(device).requires_grad_()

    def real(*shape: int) -> Tensor:
        return torch.ones(*shape, dtype=torch.bool, device=device)

    if name == "S_es":
        return [normal(s.videos, s.activities, s.width), normal(s.queries, s.width)], []
    frame_mask = real(s.videos, s.frames)
    if name == "S":
        given = [normal(s.videos, s.frames, s.width), normal(s.queries, s.words, s.width)]
        return given, [frame_mask, real(s.queries, s.words)]
    objects = normal(s.videos, s.frames, s.objects, s.width)
    return [objects, normal(s.queries, s.phrases, s.width)], [
        frame_mask,
        real(s.queries, s.phrases),
    ]


def scores_of(name: str, inputs: list[Tensor], masks: list[Tensor]) -> Tensor:
    """The scores (V,Q) of one similarity."""
    if name == "S_es":
        return similarity.activity_sentence_similarity(*inputs)
    function = {
        "S": similarity.frame_word_similarity,
        "S_op": similarity.object_phrase_similarity,
    }[name]
    return function(inputs[0], masks[0], inputs[1], masks[1])


def gradients_of(scores: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """The inputs' gradients of the sum of squared scores."""
    return torch.autograd.grad(scores.square().sum(), inputs)


def measure(name: str, settings: SimilaritySettings) -> dict[str, Any]:
    """Peak MB beyond inputs and gradients, and seconds, in this process.

    `forward_peak_mb` is that of the forward pass alone, when there is no gradient yet.
    """
    torch.set_num_threads(settings.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # The libraries' own memory is taken before it counts.
    small = dataclasses.replace(settings, videos=2, queries=2, frames=4)
    warming, masks = inputs_of(name, small, device)
    gradients_of(scores_of(name, warming, masks), warming)
    inputs, masks = inputs_of(name, settings, device)
    of_gradients = sum(x.numel() * x.element_size() for x in inputs)
    before = reset_peak(torch.device(device))
    started = time.perf_counter()
    scores = scores_of(name, inputs, masks)
    forward = peak(torch.device(device)) - before
    gradients = gradients_of(scores, inputs)
    whole = peak(torch.device(device)) - before
    seconds = time.perf_counter() - started
    assert len(gradients) == len(inputs)  # they are alive here, and so part of the peak
    return {
        "similarity": name,
        "forward_peak_mb": round(forward / MEGABYTE, 1),
        "peak_mb": round(max(forward, whole - of_gradients) / MEGABYTE, 1),
        "whole_tensor_mb": round(whole_tensor_mb(name, settings), 1),
        "seconds": round(seconds, 2),
        "device": device,
    }


def run(settings: SimilaritySettings) -> Iterator[dict[str, Any]]:
    """One row a similarity, each measured in a process of its own."""
    given = json.dumps(dataclasses.asdict(settings))
    for name in SIMILARITIES:
        command = [sys.executable, "-m", "mktn.engine.similarity_bench", name, given]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"measuring {name} failed", found=done.stderr.strip()[-400:])
        yield {**json.loads(done.stdout), **dataclasses.asdict(settings)}


def summary(row: dict[str, Any]) -> str:
    """A row in words."""
    return (
        f"{row['similarity']:>5}: {row['peak_mb']:7.1f} MB beyond inputs and gradients, "
        f"{row['seconds']:.2f} s; all scores at once: {row['whole_tensor_mb']:.0f} MB"
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], SimilaritySettings(**json.loads(sys.argv[2])))))
