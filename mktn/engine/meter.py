"""What an epoch of training was like: its part of a row of log.parquet (mktn.engine.log_columns).

Nothing here waits for a GPU inside a step: sums stay on the device until they are read.
"""

import contextlib
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mktn.grouping.batch import PairBatch

GB = 1e9
MEANS = ("negatives", "gradient_norm", "clipped_share")  # over the steps
COUNTS = ("steps", "queries", "videos", "words", "word_cells")
TIMES = ("train_s", "wait_s", "validation_s")


class EpochMeter:
    """Accumulates over the steps of one epoch; `state` and `restore` carry it over a pause.

    `clip` is the gradient norm above which a step is clipped. Use: iterate `batches(loader)`,
    call `step` in each, `validating()` around the validation, then `row()`.
    """

    def __init__(self, device: torch.device, clip: float) -> None:
        self.device, self.clip = device, clip
        self.sums = torch.zeros(len(MEANS), dtype=torch.float64, device=device)
        self.largest = torch.zeros((), dtype=torch.float64, device=device)
        self.threshold: float | None = None
        self.counts = dict.fromkeys(COUNTS, 0)
        self.times = dict.fromkeys(TIMES, 0.0)
        self._running: str | None = None  # of TIMES, and since when
        self._since = 0.0

    def batches(self, source: Iterable[PairBatch]) -> Iterator[PairBatch]:
        """The batches of `source`, on the host; the time that each takes to come is the wait."""
        iterator = iter(source)
        self._switch("train_s")
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            self.times["wait_s"] += time.perf_counter() - asked
            if batch is None:
                break
            self._count(batch)
            yield batch
        self._switch(None)

    def step(
        self,
        batch: PairBatch,
        gradient_norm: Tensor,
        negative_share: Tensor | None = None,
        threshold: float | None = None,
    ) -> None:
        """Count a step that was taken on `batch`, which is on the device.

        gradient_norm and negative_share: 0-d, the norm before clipping; threshold: phi.
        """
        norm = gradient_norm.detach().double()
        negatives = torch.zeros_like(norm)
        if negative_share is not None:
            whole = batch.whole
            unrelated = (~whole.positive()).sum()
            negatives = negative_share.detach().double() * unrelated / whole.words.shape[0]
        self.sums = self.sums + torch.stack([negatives, norm, (norm > self.clip).double()])
        self.largest = torch.maximum(self.largest, norm)
        self.threshold = threshold
        self.counts["steps"] += 1

    @contextlib.contextmanager
    def validating(self) -> Iterator[None]:
        """Around the validation: its time."""
        self._switch("validation_s")
        yield
        self._switch(None)

    def row(self) -> dict[str, Any]:
        """The columns of this epoch that the steps and the process give; waits for the device."""
        steps, train_s = self.counts["steps"], self.times["train_s"]
        means = (self.sums / max(steps, 1)).tolist()
        row: dict[str, Any] = {"steps": steps, **dict(zip(MEANS, means, strict=True))}
        row["threshold"] = self.threshold
        if self.threshold is None:
            row["negatives"] = None
        row["gradient_norm_max"] = float(self.largest)
        row["word_padding"] = 1 - self.counts["words"] / max(self.counts["word_cells"], 1)
        row["train_s"], row["validation_s"] = train_s, self.times["validation_s"]
        for what in ("queries", "videos"):
            row[f"{what}_per_s"] = self.counts[what] / train_s if train_s else None
        row["data_wait_share"] = self.times["wait_s"] / train_s if train_s else None
        return row | memory(self.device)

    def state(self) -> dict[str, Any]:
        """Everything so far as JSON values; `restore` goes on from it to the same bits.

        May be taken between two steps and within the validation.
        """
        self._switch(self._running)
        return {
            "sums": self.sums.tolist(),
            "largest": float(self.largest),
            "threshold": self.threshold,
            "counts": dict(self.counts),
            "times": dict(self.times),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.sums = torch.tensor(state["sums"], dtype=torch.float64, device=self.device)
        self.largest = torch.tensor(state["largest"], dtype=torch.float64, device=self.device)
        self.threshold = state["threshold"]
        self.counts, self.times = dict(state["counts"]), dict(state["times"])

    def _count(self, batch: PairBatch) -> None:
        # Before the batch goes to the device, where reading the mask would wait for it.
        batch = batch.whole  # which all processes compute together
        self.counts["queries"] += batch.words.shape[0]
        self.counts["videos"] += batch.frames.shape[0]
        self.counts["words"] += int(batch.word_mask.sum())
        self.counts["word_cells"] += batch.word_mask.numel()

    def _switch(self, to: str | None) -> None:
        """Stop the clock that runs, if one does, and start another."""
        if self._running is not None or to is not None:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)  # what was asked of it is of the time before
            now = time.perf_counter()
            if self._running is not None:
                self.times[self._running] += now - self._since
            self._running, self._since = to, now


def memory(device: torch.device) -> dict[str, float | None]:
    """Memory of this process and its GPU in GB (1e9 bytes); None where it cannot be known."""
    gpu = device.type == "cuda"
    return {
        "host_memory_gb": _resident("VmRSS"),
        "host_memory_peak_gb": _resident("VmHWM") or _rusage(),
        "gpu_memory_peak_gb": torch.cuda.max_memory_allocated(device) / GB if gpu else None,
        "gpu_reserved_peak_gb": torch.cuda.max_memory_reserved(device) / GB if gpu else None,
    }


def _resident(name: str) -> float | None:
    # ru_maxrss would do for the peak, but it begins with the size of the parent process.
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(ln.split()[1]) * 1024 / GB for ln in lines if ln.startswith(f"{name}:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _rusage() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GB
