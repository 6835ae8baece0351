"""Frames of a story, and the H.264 file of them.

Shapes are signed distances, each drawn in its own box of the frame only.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mktn.datasets.synthetic.motion import Pose, act
from mktn.datasets.synthetic.settings import SyntheticSettings
from mktn.datasets.synthetic.story import Actor, Story
from mktn.seeds import named_rng

Array = NDArray[np.floating]
RGB: dict[str, tuple[int, int, int]] = {
    "red": (225, 35, 35),
    "green": (40, 190, 60),
    "blue": (45, 85, 245),
    "yellow": (245, 225, 40),
    "purple": (185, 60, 225),
    "orange": (250, 140, 20),
}
REACH = 1.65  # half of an actor's box, in radii: a fully grown box from centre to corner nearly
NOISES = 8  # frames of camera noise; each video frame takes one, shifted at random


def distance(kind: str, u: Array, v: Array) -> Array:
    """Signed distance (negative inside) from the edge of a shape of radius 1; v points down."""
    if kind == "ball":
        return np.hypot(u, v) - 0.95
    if kind == "box":
        return np.maximum(np.abs(u), np.abs(v)) - 0.85
    if kind == "ring":
        return np.abs(np.hypot(u, v) - 0.74) - 0.26
    if kind == "triangle":
        return np.maximum(v - 0.6, 0.866 * np.abs(u) - 0.5 * v - 0.55)
    if kind == "cross":
        wide, tall = np.abs(u), np.abs(v)
        return np.minimum(np.maximum(wide - 1, tall - 0.33), np.maximum(wide - 0.33, tall - 1))
    # a star: the radius of its edge falls from each of five tips to the notch between two
    turn = np.arctan2(u, -v) * (5 / (2 * np.pi))
    return 0.75 * (np.hypot(u, v) - (1.15 - 1.3 * np.abs((turn + 0.5) % 1.0 - 0.5)))


def poses(story: Story, actor: int, settings: SyntheticSettings) -> Pose:
    """The poses of one actor in all frames of its video; idle it drifts by half a pixel."""
    pose = Pose(story.frames)
    rng = named_rng(settings.seed, "motion", story.video_id, actor)
    time_s = np.arange(story.frames, dtype=np.float32) / settings.fps
    drift = 0.5 / (story.actors[actor].radius * settings.size)
    slow = 2 * np.pi * (time_s / rng.uniform(6, 12) + rng.random())
    for action in story.of(actor):
        tempo, direction = rng.uniform(0.88, 1.12), int(rng.choice((-1, 1)))
        frames = slice(action.start, action.end)
        length_s = (action.end - action.start) / settings.fps
        since = time_s[frames] - time_s[action.start] + 0.5 / settings.fps
        part = act(action.activity, since, length_s, tempo, direction)
        for name in ("dx", "dy", "angle", "width", "height", "opacity", "glow"):
            getattr(pose, name)[frames] = getattr(part, name)
    pose.dx += (drift * np.sin(slow)).astype(np.float32)
    pose.dy += (drift * np.cos(0.7 * slow)).astype(np.float32)
    return pose


def draw(frames: Array, actor: Actor, pose: Pose, color: Array) -> None:
    """Draw an actor into `frames` (n, size, size, 3), in place, anti-aliased, inside the frame."""
    n, size = frames.shape[:2]
    radius = actor.radius * size
    box = min(int(np.ceil(2 * REACH * radius)) + 2, size)
    stretch = np.maximum(pose.width, pose.height)
    room = np.minimum(radius * stretch * 1.25, size / 2)
    x = np.clip(actor.x * size + radius * pose.dx, room, size - room).astype(np.float32)
    y = np.clip(actor.y * size + radius * pose.dy, room, size - room).astype(np.float32)
    left = np.clip(np.round(x - box / 2), 0, size - box).astype(np.intp)
    top = np.clip(np.round(y - box / 2), 0, size - box).astype(np.intp)
    steps = np.arange(box)
    px = ((left[:, None] + steps + 0.5 - x[:, None]) / radius).astype(np.float32)[:, None, :]
    py = ((top[:, None] + steps + 0.5 - y[:, None]) / radius).astype(np.float32)[:, :, None]
    cos, sin = (f(pose.angle).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    width, height = (a.astype(np.float32)[:, None, None] for a in (pose.width, pose.height))
    u = (px * cos + py * sin) / width
    v = (py * cos - px * sin) / height
    scale = radius * np.minimum(width, height)
    cover = np.clip(0.5 - distance(actor.object, u, v) * scale, 0, 1)
    opacity, glow = (a.astype(np.float32)[:, None, None] for a in (pose.opacity, pose.glow))
    cover = (cover * opacity)[..., None]
    # a dark mark off the centre shows turning
    mark = np.clip(0.5 - (np.hypot(u, v + 0.55) - 0.3) * scale, 0, 1)[..., None]
    paint = color * (1 - 0.85 * mark)
    paint = paint + (255 - paint) * (0.85 * glow)[..., None]
    rows = (top[:, None] + steps)[:, :, None]
    columns = (left[:, None] + steps)[:, None, :]
    where = (np.arange(n)[:, None, None], rows, columns)
    below = frames[where]
    frames[where] = below + (paint - below) * cover


def background(rng: np.random.Generator, size: int) -> Array:
    """A dull, smooth scene (size, size, 3) in grey levels."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = axis[None, :, None], axis[:, None, None]
    image = rng.uniform(55, 125) + rng.uniform(-9, 9, 3)
    image = image + x * rng.uniform(-12, 12, 3) + y * rng.uniform(-12, 12, 3)
    for _ in range(4):
        at_x, at_y = rng.uniform(-1, 1, 2)
        near = np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / rng.uniform(0.05, 0.3))
        image = image + near * rng.uniform(-11, 11, 3)
    floor = rng.uniform(0.55, 0.95)
    image = image + np.clip((y - floor) * size / 4, 0, 1) * rng.uniform(-25, 25)
    return image.astype(np.float32)


def render(story: Story, dataset: str, settings: SyntheticSettings) -> NDArray[np.uint8]:
    """All frames of a story, (frames, size, size, 3) uint8 RGB."""
    size, n = settings.size, story.frames
    rng = named_rng(settings.seed, dataset, "camera", story.video_id)
    scene = ("one scene",) if dataset == "tacos" else (story.video_id,)
    image = background(named_rng(settings.seed, dataset, "background", *scene), size)
    frames = np.repeat(image[None], n, axis=0)
    for i in rng.permutation(len(story.actors)):
        actor = story.actors[i]
        color = np.asarray(RGB[actor.color], np.float32) * np.float32(rng.uniform(0.9, 1.0))
        draw(frames, actor, poses(story, int(i), settings), color)
    time_s = np.arange(n) / settings.fps
    flicker = 0.02 * np.sin(2 * np.pi * (time_s / rng.uniform(5, 15) + rng.random()))
    frames *= (rng.uniform(0.88, 1.1) * (1 + flicker)).astype(np.float32)[:, None, None, None]
    noise = rng.normal(0, settings.noise, (NOISES, 2 * size, size, 3)).astype(np.float32)
    for frame, k, shift in zip(
        frames, rng.integers(0, NOISES, n), rng.integers(0, size, n), strict=True
    ):
        frame += noise[k, shift : shift + size]
    return np.clip(frames, 0, 255, out=frames).astype(np.uint8)


def encode(frames: NDArray[np.uint8], path: Path, settings: SyntheticSettings) -> None:
    """Write RGB frames as H.264 in mp4: the same bytes for the same frames and settings."""
    import av

    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=settings.fps)
        stream.width, stream.height, stream.pix_fmt = settings.size, settings.size, "yuv420p"
        stream.options = {
            "crf": str(settings.crf),
            "preset": settings.preset,
            "threads": "1",
            # on frames of a few macroblocks x264's macroblock tree reads memory never written
            "x264-params": "mbtree=0",
        }
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
