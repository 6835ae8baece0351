"""A backbone over batches of clips, so that a GPU computes while the next batch is decoded.

Batches are not filled across videos: what a clip's features are would then depend, in the last
bits, on which clips share its batch. Convolutions sum in another order for another batch size,
and with several threads also for another place in the batch; a job that goes on after an
interruption would not give what an uninterrupted one gives.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import torch

from mktn.errors import UserError
from mktn.features.decoding import ClipBatch, VideoEnd
from mktn.features.preprocessing import Preprocessing
from mktn.features.video_backbone import VideoBackbone

DType = Literal["float32", "bfloat16", "float16"]
STAGING = 2  # batches on their way to a GPU


@dataclasses.dataclass(frozen=True)
class Submitted:
    """Features and patches of one batch, on the way: float16 in host memory once `ready`."""

    values: tuple[torch.Tensor, torch.Tensor]
    ready: Any = None  # torch.cuda.Event

    def wait(self) -> tuple[np.ndarray, np.ndarray]:
        """features (n,D) and patches (n,C,D_p) float16."""
        if self.ready is not None:
            self.ready.synchronize()
        return self.values[0].numpy(), self.values[1].numpy()


class Inference:
    """`submit` clips, `wait` for their features.

    batch: most clips of a submission; dtype: what autocast computes in; float32 is full float32,
    also on a GPU that has TensorFloat-32. Raises UserError for float16 on a CPU.
    """

    def __init__(
        self,
        backbone: VideoBackbone,
        recipe: Preprocessing,
        device: torch.device,
        dtype: DType,
        batch: int,
    ) -> None:
        if dtype == "float16" and device.type == "cpu":
            raise UserError(
                "float16 needs a GPU", where="settings.dtype", found="a CPU",
                expected="float32 or bfloat16",
            )  # fmt: skip
        self.recipe, self.device, self.dtype = recipe, device, getattr(torch, dtype)
        self.backbone = backbone.to(device).to(memory_format=torch.channels_last_3d).eval()
        self._staging: list[tuple[torch.Tensor, Any]] = []
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = False  # it would choose kernels by their speed today
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            shape = (batch, recipe.clip, recipe.crop, recipe.crop, 3)
            self._staging = [
                (torch.empty(shape, dtype=torch.uint8, pin_memory=True), torch.cuda.Event())
                for _ in range(STAGING)
            ]

    def submit(self, frames: np.ndarray) -> Submitted:
        """Start on clips (n,clip,S,S,3) uint8; they may be overwritten once this returns."""
        if self.device.type != "cuda":
            return Submitted(self._compute(torch.from_numpy(frames)))
        pinned, copied = self._staging[0]
        self._staging = [*self._staging[1:], self._staging[0]]
        copied.synchronize()  # the batch before last has left this memory
        pinned[: len(frames)].copy_(torch.from_numpy(frames))
        clips = pinned[: len(frames)].to(self.device, non_blocking=True)
        copied.record()
        features, patches = (_to_host(value) for value in self._compute(clips))
        ready = torch.cuda.Event()
        ready.record()
        return Submitted((features, patches), ready)

    @torch.inference_mode()
    def _compute(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = self.recipe.normalise(clips).contiguous(memory_format=torch.channels_last_3d)
        return self.forward(inputs)

    @torch.inference_mode()
    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """features (n,D) and patches (n,C,D_p) float16 of inputs (n,3,clip,S,S) on the device."""
        mixed = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype if mixed else None, enabled=mixed):
            features, patches = self.backbone.features(inputs)
        return features.half(), patches.half()


def _to_host(value: torch.Tensor) -> torch.Tensor:
    host = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
    return host.copy_(value, non_blocking=True)


@dataclasses.dataclass(frozen=True)
class Extracted:
    """features (n,D), patches (n,C,D_p) float16, span_s (n,2) float32 of one video; or error."""

    features: np.ndarray
    patches: np.ndarray
    span_s: np.ndarray
    duration_s: float
    error: str = ""
    note: str = ""


def extracted(
    events: Iterable[ClipBatch | VideoEnd], inference: Inference
) -> Iterator[tuple[int, Extracted]]:
    """Each video's number and features, in the order of the numbers.

    A video is waited for once the batch after its last one is under way.
    """
    begun: dict[int, list[tuple[Submitted, np.ndarray]]] = {}
    ended: dict[int, VideoEnd] = {}
    following = 0
    for event in events:
        if isinstance(event, VideoEnd):
            ended[event.video] = event
            if not event.error:
                continue
        else:
            submitted = inference.submit(event.frames)
            begun.setdefault(event.video, []).append((submitted, event.span_s))
        while following in ended:
            yield following, _joined(begun.pop(following, []), ended.pop(following))
            following += 1
    while following in ended:
        yield following, _joined(begun.pop(following, []), ended.pop(following))
        following += 1


def _joined(batches: list[tuple[Submitted, np.ndarray]], end: VideoEnd) -> Extracted:
    empty = np.empty(0, np.float16)
    if end.error:
        return Extracted(empty, empty, empty, end.duration_s, end.error, end.note)
    features, patches = (
        np.concatenate(values)
        for values in zip(*(submitted.wait() for submitted, _ in batches), strict=True)
    )
    span_s = np.concatenate([span for _, span in batches]).astype(np.float32)
    if not (np.isfinite(features).all() and np.isfinite(patches).all()):
        error = "features are not finite in float16"
        return Extracted(empty, empty, empty, end.duration_s, error, end.note)
    return Extracted(features, patches, span_s, end.duration_s, note=end.note)
