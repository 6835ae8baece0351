"""The settings of `mktn import-features`, each with a line for its help."""

import dataclasses
import math
import re
from typing import Literal

from mktn.features.sharded import Compressor

EXAMPLE = '{"backbone": "i3d", "dimension": 1024, "clip": 16, "stride": 8, "fps": 24}'
# name -> what it is; the order is that of the help
SETTINGS: dict[str, str] = {
    "preset": "a published layout, whose settings stand where none is given; none: no preset",
    "backbone": "the name of the network, as features.backbone of the configuration",
    "dimension": "D, the numbers of a row",
    "clip": "frames of which a row was made",
    "stride": "frames from one row to the next",
    "fps": "frames a second at which the clips were taken; or --fps-table",
    "fps_column": "the column of --fps-table that has them (fps)",
    "fit": "duration: rows spread evenly over the video, for a rate that is not known (none)",
    "name": "what the file calls a video, of {video_id} ({video_id})",
    "strip": "a prefix to take off the id before",
    "key": "where a video is in a file, of {name}, {video_id} (the name, or the only array)",
    "patches": "[rows, columns] where a row is a map, (n,h*w,D) or (n,h,w,D)",
    "weights": "which weights made the features, kept in the store",
    "weights_sha256": "their sha256, kept in the store",
    "sha256": "of the file, when its download was verified (else it is computed)",
    "compressor": "of the store, none or blosc-zstd (none)",
    "log_every": "videos between two lines of a log that is no terminal (1000)",
    "read_in": "where the layout was read, kept in the store",
    "unverified": "[...], what of these is not known for sure, kept in the store",
}


@dataclasses.dataclass(frozen=True)
class ImportSettings:
    """How a published file is to be read; `SETTINGS` says what each field is.

    Frames are counted in clip and stride; fps in frames a second. preset: the name of one of
    `mktn.features.published.PRESETS`, with what of it the user changed, as the store records it.
    """

    backbone: str
    dimension: int
    preset: str = ""
    weights: str = ""
    weights_sha256: str | None = None
    name: str = "{video_id}"
    strip: str = ""
    key: str = ""
    clip: int | None = None
    stride: int | None = None
    fps: float | None = None
    fps_column: str = "fps"
    fit: Literal["none", "duration"] = "none"
    patches: tuple[int, ...] = ()
    sha256: str | None = None
    compressor: Compressor = "none"
    log_every: int = 1000
    read_in: str = ""
    unverified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("dimension", "log_every", *(k for k in ("clip", "stride") if self.timed(k))):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} {getattr(self, key)} is below 1")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps {self.fps}: expected a number above 0")
        if not self.backbone:
            raise ValueError("backbone is empty: expected the name of the network")
        if self.patches and (len(self.patches) != 2 or min(self.patches) < 1):
            raise ValueError(f"patches {list(self.patches)}: expected [rows, columns]")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r}: expected 64 hexadecimal digits")
        for key, known in (("name", {"video_id"}), ("key", {"name", "video_id"})):
            if set(re.findall(r"{(.*?)}", getattr(self, key))) - known:
                names = " and ".join(f"{{{one}}}" for one in sorted(known))
                raise ValueError(f"{key} {getattr(self, key)!r}: it may hold {names} only")
        if "{video_id}" not in self.name:
            raise ValueError(f"name {self.name!r}: expected {{video_id}} in it")
        if self.fit == "duration":
            given = [key for key in ("clip", "stride", "fps") if self.timed(key)]
            if given:
                raise ValueError(f"fit: duration and {given[0]} exclude each other")
        elif not (self.timed("clip") and self.timed("stride")):
            raise ValueError("clip and stride are missing: state them, or fit: duration")

    def timed(self, key: str) -> bool:
        """Whether the number is given."""
        return getattr(self, key) is not None

    def name_of(self, video_id: str) -> str:
        """What the file calls a video."""
        return self._put(self.name, video_id=video_id.removeprefix(self.strip))

    def place_of(self, video_id: str, one_video: bool) -> str:
        """Where the features of a video are inside a file ("": its only array)."""
        key = self.key or ("" if one_video else "{name}")
        return self._put(key, name=self.name_of(video_id), video_id=video_id)

    @staticmethod
    def _put(pattern: str, **values: str) -> str:
        for key, value in values.items():
            pattern = pattern.replace(f"{{{key}}}", value)
        return pattern
