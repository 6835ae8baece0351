"""From frames to a backbone's input: the numbers live beside the weights, not in the code."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mktn.features.video import Clip, read_clips

if TYPE_CHECKING:  # loaded when it is used: the processes that decode do without
    import torch


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How a video becomes clips, and clips the input of a backbone.

    fps of the samples; clip and stride in samples; resize: (height, width) of the frames, or one
    number, the shorter side; crop: side of the square, from the centre; channels: order of the
    colours; input = (value - mean) / scale, with values 0..255, mean and scale in the order of
    channels; scale is one number or three.
    """

    fps: float
    crop: int
    resize: tuple[int, ...]
    clip: int = 16
    stride: int = 8
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    scale: float | tuple[float, ...] = 127.5

    def __post_init__(self) -> None:
        if self.fps <= 0 or min(self.scales) <= 0:
            raise ValueError(f"fps and scale must be above 0, found {self.fps} and {self.scale}")
        if not 1 <= self.stride <= self.clip:
            raise ValueError(f"stride {self.stride} is not in 1..clip ({self.clip})")
        if len(self.resize) not in (1, 2) or min(self.resize) < self.crop or self.crop < 1:
            raise ValueError(f"resize {self.resize} does not hold a crop of {self.crop}")
        if len(self.mean) != 3:
            raise ValueError(f"mean has {len(self.mean)} numbers, expected 3")
        if len(self.scales) != 3:
            raise ValueError(f"scale has {len(self.scales)} numbers, expected 1 or 3")

    @property
    def scales(self) -> tuple[float, ...]:
        """The scale of each channel, in the order of channels."""
        return self.scale if isinstance(self.scale, tuple) else (self.scale,) * 3

    def frame_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that frames of (height, width) are resized to."""
        if len(self.resize) == 2:
            return self.resize[0], self.resize[1]
        factor = self.resize[0] / min(height, width)
        return max(self.crop, round(height * factor)), max(self.crop, round(width * factor))

    def clips(self, path: str | Path) -> Iterator[Clip]:
        """The clips of a video, resized, not cropped. Raises VideoError."""
        return read_clips(path, self.fps, self.clip, self.stride, self.frame_size)

    def crop_frames(
        self, frames: np.ndarray, offset: tuple[int, int] | None = None, mirrored: bool = False
    ) -> np.ndarray:
        """Frames (clip,crop,crop,3) uint8, contiguous, of frames (clip,H,W,3) uint8 RGB.

        The centre, in the order of channels: a quarter of the bytes of the float input, so that
        is what travels to the device, and `normalise` runs there. offset: row and column of the
        crop's corner, in place of the centre.
        """
        height, width = frames.shape[1:3]
        # An odd rest is halved to the even side, as torchvision and pytorch-i3d do: 171 gives 30.
        row, column = offset or (round((height - self.crop) / 2), round((width - self.crop) / 2))
        cut = frames[:, row : row + self.crop, column : column + self.crop]
        cut = cut[:, :, ::-1] if mirrored else cut
        cut = cut[..., ::-1] if self.channels == "bgr" else cut
        return np.ascontiguousarray(cut)

    def normalise(self, frames: "torch.Tensor") -> "torch.Tensor":
        """Input (B,3,clip,S,S) float32 of cropped frames (B,clip,S,S,3) uint8, on their device.

        Its memory is laid out channels last, as convolutions run fastest: no copy is needed.
        """
        import torch

        mean = torch.tensor(self.mean, dtype=torch.float32, device=frames.device)
        scale = torch.tensor(self.scales, dtype=torch.float32, device=frames.device)
        # Whole rows of pixels at once: twice as fast as three channels at a time.
        width = frames.shape[-2]
        rows = frames.flatten(-2).float().sub_(mean.repeat(width)).div_(scale.repeat(width))
        return rows.view(frames.shape).permute(0, 4, 1, 2, 3)

    def to_input(
        self, frames: np.ndarray, offset: tuple[int, int] | None = None, mirrored: bool = False
    ) -> "torch.Tensor":
        """Input (3,clip,crop,crop) float32 of frames (clip,H,W,3) uint8: both steps at once."""
        import torch

        cropped = torch.from_numpy(self.crop_frames(frames, offset, mirrored))
        return self.normalise(cropped[None])[0].contiguous()
