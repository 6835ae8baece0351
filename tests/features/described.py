"""Stores whose attributes say everything that extraction, import and simulation record."""

from pathlib import Path
from typing import Any

import numpy as np

from mktn.features.writers import Compressor, PartWriter, ResampledWriter

EXTRACTED: dict[str, Any] = {
    "origin": "extracted",
    "backbone": "c3d",
    "width": 8.0,
    "weights_name": "c3d.safetensors",
    "weights_sha256": "1a2b3c4d" * 8,
    "code_version": "0.1.0",
    "code_sha256": "abcdef0123456789",
    "clip": 16,
    "stride": 8,
    "fps": 8.0,
    "frame_rate_policy": "the frame on the screen at each time",
    "patches": [2, 2],
    "preprocessing": {"crop": 112, "resize": [128, 171], "channels": "bgr"},
    "dtype": "float32",
}
IMPORTED: dict[str, Any] = {
    "origin": "imported",
    "backbone": "i3d",
    "clip": 16,
    "stride": 4,
    "fps": "per video",
    "frame_rate_policy": "column fps of rates.csv",
    "file": "i3d.hdf5",
    "file_sha256": "99887766" * 8,
    "key": "{video_id}/i3d",
    "preset": "",
    "unverified": ["clip", "stride"],
    "read_in": "one pass",
}
SIMULATED: dict[str, Any] = {
    "backbone": "simulated",
    "source": "simulated",
    "statement": "simulated from human action labels; a labelled surrogate",
    "settings": {"seed": 0, "noise": 3.0},
}
ROWS = 9  # of each video, a row a second, of videos of 10 s


def write_part(folder: Path, part: int, attributes: dict[str, Any], patches: int = 4) -> Path:
    """Two videos of nine rows, and one without a video stream."""
    path = folder / f"part-{part}.zarr"
    dimensions = (6, patches, 3 if patches else 0)
    with PartWriter(path, part, *dimensions, attributes=attributes) as writer:
        start_s = np.arange(ROWS, dtype=np.float32)
        span_s = np.stack([start_s, start_s + 2], 1)
        of_patches = np.ones((ROWS, patches, 3)) if patches else None
        for video in range(2):
            writer.append(f"v{part}{video}", np.ones((ROWS, 6)), of_patches, span_s, 10.0)
        writer.fail(f"bad{part}", "no video stream", 5.0)
    return path


def write_simulated(path: Path, compressor: Compressor = "none", **changes: Any) -> Path:
    """A T store of three videos of 20 s, four frames each."""
    attributes = {**SIMULATED, **changes}
    with ResampledWriter(path, 3, 4, 6, compressor=compressor, attributes=attributes) as writer:
        for video in range(3):
            writer.append(f"v{video}", np.ones((4, 6)), None, 20.0)
    return path
