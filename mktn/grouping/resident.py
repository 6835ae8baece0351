"""Where a training's features are while it runs: on the device, in memory, or on disk.

V videos, T frames, D global feature, C patches, D_p patch feature.
"""

import contextlib
import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from mktn.features.reader import FeatureReader
from mktn.features.store import ResampledStore

SHARE = 0.6  # of a device's free memory, for features; the rest is for the steps
LOADED = 256  # videos that are copied at once


class ResidentFeatures:
    """All features of a store on a device, float16; batches are composed there, by index."""

    def __init__(self, store: ResampledStore, device: torch.device) -> None:
        self.row, self.device = store.row, device
        videos, patches = len(store), store.patches
        half, shape = torch.float16, (videos, store.frames, store.dimension)
        self.features = torch.empty(shape, dtype=half, device=device)
        parts = (videos, store.frames, patches, store.patch_dimension)
        self.patches = torch.empty(parts, dtype=half, device=device) if patches else None
        for start in range(0, videos, LOADED):
            features, of_patches = store.read(store.video_ids[start : start + LOADED])
            place = slice(start, start + len(features))
            self.features[place] = torch.from_numpy(features).to(device)
            if self.patches is not None and of_patches is not None:
                self.patches[place] = torch.from_numpy(of_patches).to(device)

    def read(self, video_ids: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """features (V,T,D) and patches (V,T,C,D_p) or None, float32, on the device."""
        rows = torch.tensor([self.row[name] for name in video_ids])
        if self.device.type == "cuda":
            rows = rows.pin_memory().to(self.device, non_blocking=True)
        patches = self.patches
        return (
            self.features.index_select(0, rows).float(),
            None if patches is None else patches.index_select(0, rows).float(),
        )


@dataclasses.dataclass(frozen=True)
class Placed:
    """Where features are: on the device, or `resident` is None; `ahead`: whether batches are read
    while the device computes; `said`: one line that says so; `pinned_for`: the GPU that copies
    them."""

    resident: ResidentFeatures | None
    ahead: bool
    said: str
    pinned_for: torch.device | None = None


def place(reader: FeatureReader, device: torch.device) -> Placed:
    """The fastest place that the features fit in."""
    size = f"{reader.gigabytes:.3g} GB of features"
    held = "in memory" if reader.fits else "more than loader.memory_gb, read from disk by batch"
    if device.type != "cuda":
        ahead = not reader.fits
        return Placed(None, ahead, f"{size}: {held}{', ahead' if ahead else ''}")
    free = torch.cuda.mem_get_info(device)[0]
    if reader.gigabytes * 1e9 <= SHARE * free:
        with contextlib.suppress(torch.OutOfMemoryError):  # others use it too
            resident = ResidentFeatures(reader.store, device)
            said = f"{size}: on {device}, batches are composed there"
            return Placed(resident, True, said, pinned_for=device)
        torch.cuda.empty_cache()  # behind the error, which holds what had found room
    said = f"{size}: {held}, read ahead and pinned ({free / 1e9:.3g} GB of {device} are free)"
    return Placed(None, True, said, pinned_for=device)
