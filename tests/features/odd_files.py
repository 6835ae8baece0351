"""Odd video files as they are found in the wild, each made from `write_numbered` or with PyAV."""

import struct
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from tests.features.numbered import picture, write_numbered

STEADY_MS = [125 * i for i in range(60)]
# a b c d of the display matrix: x' = a x + c y, y' = b x + d y
TURNS = {
    "0": (1, 0, 0, 1), "90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1), "upside down": (1, 0, 0, -1),
    "90 mirrored": (0, 1, 1, 0), "270 mirrored": (0, -1, -1, 0),
}  # fmt: skip


def write_frames(
    path: Path,
    frames: list[np.ndarray],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times_ms: list[int] | None = None,
    options: dict[str, str] | None = None,
    **stream_settings: Any,
) -> Path:
    """A file of frames (H,W,3) uint8, at 8 a second or at times_ms."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1000 if times_ms else 8)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.options = {"threads": "1", **(options or {})}
        for name, value in stream_settings.items():
            setattr(stream, name, value)
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = times_ms[number] if times_ms else number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbered_frames(count: int = 40) -> list[np.ndarray]:
    return [picture(number) for number in range(count)]


def turn(path: Path, name: str) -> None:
    """Overwrite the display matrix of the one track of an mp4 file."""
    content = bytearray(path.read_bytes())
    a, b, c, d = TURNS[name]
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = struct.pack(
        ">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)


def packets(path: Path) -> list[tuple[int, int, bool]]:
    """Place, size and whether a key frame, of each video packet."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]


def spoil(path: Path, numbers: list[int]) -> None:
    """Overwrite packets with what no decoder reads."""
    content = bytearray(path.read_bytes())
    places = packets(path)
    for number in numbers:
        at, size, _ = places[number]
        content[at : at + size] = b"\xff" * size
    path.write_bytes(content)


def write_cover(path: Path, moving: bool) -> None:
    """Sound with a large cover picture; with `moving` also a small video, after the cover."""
    with av.open(str(path), "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.height = cover.width = 1024
        cover.pix_fmt = "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=8000, layout="mono")
        video = container.add_stream("libx264", rate=8) if moving else None
        if video is not None:
            video.height = video.width = 64
            video.pix_fmt = "yuv420p"
        large = np.kron(picture(999), np.ones((16, 16, 1), np.uint8))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(large, format="rgb24")))
        container.mux(cover.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 20000), np.float32), "fltp", "mono")
        silence.rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
        if video is not None:
            for rgb in numbered_frames(20):
                container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(video.encode())


def write_from_packet(path: Path, first: int, key_frames: int) -> None:
    """A file whose packets before number `first` are missing; a key frame each `key_frames`."""
    whole = path.with_name("whole.mkv")
    options = {"g": str(key_frames), "bf": "0", "sc_threshold": "0"}
    write_frames(whole, numbered_frames(60), options=options)
    with av.open(str(whole)) as source, av.open(str(path), "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if number >= first and packet.size:
                packet.stream = stream
                target.mux(packet)
    whole.unlink()


def write_joined(path: Path, sizes: list[int], seconds: list[float]) -> None:
    """MPEG-TS files one after another, of other frame sizes and starting at those times."""
    joined = b""
    for size, start_s in zip(sizes, seconds, strict=True):
        piece = path.with_name("piece.ts")
        grown = [
            np.kron(rgb, np.ones((size // 64, size // 64, 1), np.uint8))
            for rgb in numbered_frames(40)
        ]
        times_ms = [round(1000 * start_s) + 125 * i for i in range(40)]
        write_frames(piece, grown, times_ms=times_ms)
        joined += piece.read_bytes()
        piece.unlink()
    path.write_bytes(joined)


def write_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def cut_at_packet(path: Path, share: float) -> None:
    places = packets(path)
    at, size, _ = places[int(len(places) * share)]
    path.write_bytes(path.read_bytes()[: at + size])


def write_steady(path: Path, **options: str) -> Path:
    return write_numbered(path, STEADY_MS, **options)
