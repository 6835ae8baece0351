"""How each activity moves: periodic motions, recognisable within two seconds.

Lengths are in radii of the actor and angles in radians; y points down, as in a frame.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
EASE_S = 0.25  # an action leaves the place of rest, and comes back to it, within this time


@dataclass
class Pose:
    """Where an actor is in each of `n` frames, relative to its place of rest; all (n,) float32."""

    n: int
    dx: Array = field(init=False)
    dy: Array = field(init=False)
    angle: Array = field(init=False)
    width: Array = field(init=False)
    height: Array = field(init=False)
    opacity: Array = field(init=False)
    glow: Array = field(init=False)

    def __post_init__(self) -> None:
        for name in ("dx", "dy", "angle", "glow"):
            setattr(self, name, np.zeros(self.n, np.float32))
        for name in ("width", "height", "opacity"):
            setattr(self, name, np.ones(self.n, np.float32))


def _sine(phase: Array) -> Array:
    return np.sin(2 * np.pi * phase)


def _triangle(phase: Array) -> Array:
    """A triangle wave in [-1, 1] of period 1 that starts at 0 and rises."""
    return 4 * np.abs((phase - 0.25) % 1.0 - 0.5) - 1


def _bounce(pose: Pose, phase: Array, ease: Array) -> None:
    height = np.abs(np.sin(np.pi * phase))
    pose.dy = -1.8 * height * ease
    pose.height = 1 - 0.3 * (height < 0.3) * ease
    pose.width = 1 + 0.25 * (height < 0.3) * ease


def _spin(pose: Pose, phase: Array, ease: Array) -> None:
    pose.angle = 2 * np.pi * phase


def _circle(pose: Pose, phase: Array, ease: Array) -> None:
    pose.dx = 1.4 * _sine(phase) * ease
    pose.dy = 1.4 * _sine(phase + 0.25) * ease


def _shake(pose: Pose, phase: Array, ease: Array) -> None:
    pose.dx = 0.45 * _sine(phase + 0.06) * ease
    pose.angle = 0.3 * _sine(phase + 0.06) * ease


def _swing(pose: Pose, phase: Array, ease: Array) -> None:
    angle = 0.85 * _sine(phase) * ease
    pose.dx = 1.65 * np.sin(angle)
    pose.dy = 1.65 * (np.cos(angle) - 1)
    pose.angle = -angle


def _pulse(pose: Pose, phase: Array, ease: Array) -> None:
    pose.width = 1 + 0.45 * _sine(phase) * ease
    pose.height = pose.width


def _blink(pose: Pose, phase: Array, ease: Array) -> None:
    pose.opacity = np.where(phase % 1.0 < 0.5, 0.08, 1.0)


def _slide(pose: Pose, phase: Array, ease: Array) -> None:
    pose.dx = 1.4 * _sine(phase) * ease


def _float(pose: Pose, phase: Array, ease: Array) -> None:
    pose.dy = -1.5 * _sine(phase) * ease


def _squash(pose: Pose, phase: Array, ease: Array) -> None:
    pose.width = 1 + 0.42 * _sine(phase) * ease
    pose.height = 1 - 0.42 * _sine(phase) * ease


def _roll(pose: Pose, phase: Array, ease: Array) -> None:
    pose.dx = 1.3 * _triangle(phase) * ease
    pose.angle = 2.2 * pose.dx


def _flash(pose: Pose, phase: Array, ease: Array) -> None:
    pose.glow = (0.5 - 0.5 * np.cos(2 * np.pi * phase)) * ease


# activity -> (period in seconds, motion)
MOTIONS: dict[str, tuple[float, Callable[[Pose, Array, Array], None]]] = {
    "bounce": (0.9, _bounce),
    "spin": (1.2, _spin),
    "circle": (1.4, _circle),
    "shake": (0.42, _shake),
    "swing": (1.6, _swing),
    "pulse": (1.2, _pulse),
    "blink": (0.8, _blink),
    "slide": (1.5, _slide),
    "float": (2.0, _float),
    "squash": (1.0, _squash),
    "roll": (1.8, _roll),
    "flash": (1.0, _flash),
}
ACTIVITIES = tuple(MOTIONS)


def act(activity: str, time_s: Array, length_s: float, tempo: float, direction: int) -> Pose:
    """The poses (n,) of `activity` at `time_s` (n,) seconds after its start.

    `tempo` divides the period, `direction` (1 or -1) mirrors sideways motion.
    """
    period_s, motion = MOTIONS[activity]
    pose = Pose(len(time_s))
    ease = np.clip(np.minimum(time_s, length_s - time_s) / EASE_S, 0, 1).astype(np.float32)
    motion(pose, (time_s * tempo / period_s).astype(np.float32), ease)
    pose.dx = pose.dx * direction
    pose.angle = pose.angle * direction
    return pose
