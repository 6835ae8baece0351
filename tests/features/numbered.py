"""Little videos whose every frame shows its number, as black and white squares."""

from pathlib import Path

import av
import numpy as np

SIDE, BITS = 64, 10
SQUARE = SIDE // 4


def picture(number: int) -> np.ndarray:
    """(SIDE,SIDE,3) uint8: bit i of the number is the i-th square, white for 1."""
    rgb = np.full((SIDE, SIDE, 3), 128, np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, 4)
        square = (
            slice(row * SQUARE, (row + 1) * SQUARE), slice(column * SQUARE, (column + 1) * SQUARE)
        )  # fmt: skip
        rgb[square] = 255 * (number >> bit & 1)
    return rgb


def number_in(rgb: np.ndarray) -> int:
    """The number that a decoded frame of any size shows."""
    height, width = rgb.shape[:2]
    rows = (np.arange(4) * 2 + 1) * height // 8
    columns = (np.arange(4) * 2 + 1) * width // 8
    middles = rgb[rows][:, columns].mean(2).reshape(-1)[:BITS]
    return int(sum(1 << bit for bit, value in enumerate(middles) if value > 128))


def write_numbered(path: Path, times_ms: list[int], **options: str) -> Path:
    """An H.264 file whose frame i shows i and is presented at times_ms[i] (B-frames included)."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=1000)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "bf": "2", "threads": "1"}
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = time_ms
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
