"""Small files that ask much of who decodes them."""

from fractions import Fraction
from pathlib import Path

import av


def write_still_clock(path: Path, frames: int) -> None:
    """Matroska of 16 x 16 pixels of which all frames have the same time: none is ever seen."""
    with av.open(str(path), "w", format="matroska") as target:
        stream = target.add_stream("mpeg4", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        packets = []
        for number in range(100):
            frame = _black(16, 16)
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode()
        held = [(bytes(packet), packet.is_keyframe) for packet in packets]
        for number in range(frames):
            content, key = held[number % len(held)]
            packet = av.Packet(content)
            packet.pts = packet.dts = 0
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 1000), stream, key
            target.mux(packet)


def write_large(path: Path, width: int, height: int) -> None:
    """mp4 of two black pictures: small, whatever their size."""
    with av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(2):
            frame = _black(width, height)
            frame.pts = number
            target.mux(stream.encode(frame))
        target.mux(stream.encode())


def _black(width: int, height: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, (16, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame
