"""Settings of the synthetic source, and what makes each of its three flavours what it is."""

from dataclasses import dataclass, replace
from typing import Literal

from mktn.datasets.synthetic.motion import ACTIVITIES


@dataclass(frozen=True)
class Flavour:
    """What makes a dataset what it is; times in seconds, `sizes` are the default video counts."""

    sizes: tuple[int, int, int]
    duration_s: float
    duration_spread: float  # durations are uniform in mean * (1 -+ spread)
    action_s: tuple[float, float]
    gap_s: tuple[float, float]
    occurrences: int  # an actor does the same activity at most so often
    actions: int  # a video has at least so many by its main actors
    repeat: float  # how often an actor does again what it did before
    zipf: tuple[float, float]  # exponents of the frequencies of looks, of a look's activities
    three: float = 0.5  # share of the videos with three actors, not two


FLAVOURS = {
    "charades": Flavour(
        (190, 24, 60), 16.5, 0.4, (2.0, 6.5), (1.0, 4.0), 2, 4, 0.12, (0.7, 1.5), 0.25
    ),
    "activitynet": Flavour(
        (120, 20, 45), 27.0, 0.12, (2.4, 7.5), (0.8, 3.0), 2, 6, 0.2, (0.5, 0.7)
    ),
    "tacos": Flavour((26, 5, 10), 70.0, 0.08, (2.6, 6.5), (1.0, 8.0), 3, 12, 0.2, (0.0, 0.0)),
}


@dataclass(frozen=True)
class SyntheticSettings:
    """Settings of `mktn synthesize`; None means the flavour's own default.

    `videos_val` of `charades` are among its `videos_train`, because there a hash of the video
    id tells which training videos validate. `noise` is the camera's, in grey levels of 255;
    `held_out` counts the activities of each look that the training split never shows.
    """

    seed: int = 0
    videos_train: int | None = None
    videos_val: int | None = None
    videos_test: int | None = None
    duration_s: float | None = None
    fps: int = 8
    size: int = 64
    crf: int = 23
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "veryfast"
    noise: float = 4.0
    held_out: int = 1

    def __post_init__(self) -> None:
        for name in ("videos_train", "videos_val", "videos_test"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, expected 1 or more")
        if self.duration_s is not None and self.duration_s < 10:
            raise ValueError(f"duration_s is {self.duration_s}, expected 10 or more")
        if self.fps < 6 or self.size < 32 or self.size % 2:
            raise ValueError(
                f"fps {self.fps}, size {self.size}, expected fps of 6 or more and an even size "
                "of 32 or more"
            )
        if not 0 <= self.crf <= 51 or self.noise < 0:
            raise ValueError(f"crf {self.crf}, noise {self.noise}, expected 0 to 51 and 0 or more")
        if not 0 <= self.held_out <= len(ACTIVITIES) // 2:
            raise ValueError(
                f"held_out is {self.held_out}, expected 0 to {len(ACTIVITIES) // 2} activities"
            )

    def filled(self, dataset: str) -> "SyntheticSettings":
        """These settings with the flavour's defaults in place of None."""
        flavour = FLAVOURS[dataset]
        train, val, test = flavour.sizes
        return replace(
            self,
            videos_train=train if self.videos_train is None else self.videos_train,
            videos_val=val if self.videos_val is None else self.videos_val,
            videos_test=test if self.videos_test is None else self.videos_test,
            duration_s=flavour.duration_s if self.duration_s is None else self.duration_s,
        )
