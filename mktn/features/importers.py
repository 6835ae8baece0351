"""`mktn import-features`: features as others published them to one Zarr part.

Part k of N takes every N-th video of the pairs, as `mktn extract-video` does. The shapes of all
videos are looked at first, so that every part refuses the same file for the same reason; then the
part's videos are read one by one. At most one video and one shard are in memory. A video that
cannot be used is recorded with its error, and the others go on.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any, get_args

import polars as pl
from tqdm import tqdm

import mktn
from mktn.config import read_settings
from mktn.errors import UserError
from mktn.features.clip_times import ClipTimes, even_spans_s
from mktn.features.feature_source import FeatureSource
from mktn.features.import_checks import clip_times, look, refuse_part_of_nothing
from mktn.features.import_settings import EXAMPLE, SETTINGS, ImportSettings
from mktn.features.pairs_file import read_pairs_file
from mktn.features.published import PRESETS, import_settings
from mktn.features.resample import durations_s
from mktn.features.stored_features import FeatureError, Format
from mktn.features.writers import PartWriter
from mktn.files import written_beside
from mktn.provenance import code_sha256

# What the numbers of a part depend on.
IMPORT_CODE = (
    *("features/importers.py", "features/import_checks.py", "features/clip_times.py"),
    *("features/feature_source.py", "features/feature_files.py", "features/stored_features.py"),
    *("features/import_settings.py", "features/published.py"),
)
SHOWN = 5


def attributes_of(
    source: FeatureSource, settings: ImportSettings, sha256: str, dtypes: list[str], table: str
) -> dict[str, Any]:
    """Where the features of a store came from, for the store itself."""
    if settings.fit == "duration":
        policy = "unknown: rows spread evenly over the duration"
    elif table:
        policy = f"per video, column {settings.fps_column} of {table}"
    else:
        policy = f"{settings.fps:g} frames a second, stated"
    return {
        "backbone": settings.backbone,
        "weights_name": settings.weights or "unknown",
        "weights_sha256": settings.weights_sha256,
        "clip": settings.clip,
        "stride": settings.stride,
        "fps": "per video" if table and settings.fit == "none" else settings.fps,
        "frame_rate_policy": policy,
        "patches": list(settings.patches) or None,
        "code_version": mktn.__version__,
        "code_sha256": code_sha256(*IMPORT_CODE),
        "origin": "imported",
        "file": source.path.name,
        "file_format": source.kind,
        "name": settings.name,
        "key": settings.key,
        "listing_sha256" if source.folder else "file_sha256": sha256,
        "dtype": ", ".join(dtypes),
        "preset": settings.preset or "none",
        "read_in": settings.read_in,
        "unverified": list(settings.unverified),
    }


def import_part(
    source: FeatureSource,
    durations: dict[str, float],
    table: Path | None,
    out: Path,
    part: int,
    parts: int,
    settings: ImportSettings,
) -> dict[str, str]:
    """Write one part of the videos in `durations` (sorted by id); video_id -> why it is left out.

    Raises UserError as `look` and `clip_times` do, when all that the file has of the part is
    unusable, and while another process writes the part.
    """
    times = clip_times(settings, durations, table)
    found = look(source, durations, times)
    video_ids = list(durations)[part::parts]
    refuse_part_of_nothing(source, video_ids, found)
    sha256 = source.sha256(durations)
    attributes = attributes_of(source, settings, sha256, found.dtypes, table.name if table else "")
    videos = {name: [durations[name], str(times.get(name, ""))] for name in video_ids}
    rows, columns = settings.patches or (0, 0)
    writer = PartWriter(
        out, part, settings.dimension, rows * columns, settings.dimension if rows else 0,
        settings.compressor, attributes, resumable="shards",
        identity={
            "videos": hashlib.sha256(json.dumps(videos).encode()).hexdigest(),
            "strip": settings.strip,
        },
    )  # fmt: skip
    cut, began = 0, time.perf_counter()
    with writer, tqdm(video_ids, desc="import", unit="video", disable=None) as bar:
        if writer.note:
            print(f"{out}: {writer.note}, {len(writer.done)} videos done", flush=True)
        recorded = writer.done
        for done, video_id in enumerate(bar, start=1):
            if video_id not in recorded:
                cut += _import_video(writer, source, video_id, durations, times, found.errors)
            if bar.disable and (done % settings.log_every == 0 or done == len(video_ids)):
                seconds = time.perf_counter() - began
                print(f"{done}/{len(video_ids)} videos  {seconds:.1f} s", flush=True)
        left_out = {row["video_id"]: row["error"] for row in writer.manifest if row["error"]}
    if cut:
        print(f"{cut} rows start after the end of their video and were left out")
    if found.missing:
        names = ", ".join(found.missing[:SHOWN])
        more = ", ..." if len(found.missing) > SHOWN else ""
        where = "folder" if source.folder else "file"
        print(f"{len(found.missing)} of {len(durations)} videos not in the {where}: {names}{more}")
        there = len(durations) - len(found.missing)
        if 2 * there < len(durations):
            print(
                f"warning: only {there} of {len(durations)} videos of the pairs are in the "
                f"{where}; is it the file of this dataset, and are name and strip right?"
            )
    return left_out


def _import_video(
    writer: PartWriter,
    source: FeatureSource,
    video_id: str,
    durations: dict[str, float],
    times: dict[str, ClipTimes | str],
    errors: dict[str, str],
) -> int:
    """Record one video; gives how many of its rows start after its end."""
    duration_s = durations[video_id]
    try:
        if video_id in errors:
            raise FeatureError(errors[video_id])
        features, patches = source.read(video_id)
    except FeatureError as error:
        writer.fail(video_id, str(error), duration_s)
        return 0
    stated = times.get(video_id)
    span_s = (
        stated.spans_s(len(features), duration_s)
        if isinstance(stated, ClipTimes)
        else even_spans_s(len(features), duration_s)
    )
    kept = len(span_s)
    writer.append(
        video_id, features[:kept], None if patches is None else patches[:kept], span_s, duration_s
    )
    return len(features) - kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs and outputs of `mktn import-features`."""
    parser.add_argument(
        "--from", type=Path, required=True, dest="source", help="file, or folder of VIDEO.npy, ..."
    )
    parser.add_argument(
        "--format", choices=("auto", *get_args(Format)), default="auto", help="auto: by suffix"
    )
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet: videos, s")
    parser.add_argument(
        "--fps-table", type=Path, help="csv or Parquet: video_id, fps[, duration_s] of the videos"
    )
    parser.add_argument("--out", type=Path, required=True, help="part-{k}.zarr")
    parser.add_argument("--part", type=int, required=True, help="k, from 0")
    parser.add_argument("--parts", type=int, required=True, help="N, parts in all")
    parser.add_argument("--left-out", type=Path, help="csv: video_id, error of every one left out")
    parser.add_argument(
        "--settings",
        help="JSON, or the path of a YAML file: see below",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = settings_help()


def settings_help() -> str:
    """The settings with a line each, the presets and an example."""
    lines = [f"  {name:<15} {what}" for name, what in SETTINGS.items()]
    return "\n".join([
        "settings (in brackets what stands where none is given):", *lines,
        f"presets: {', '.join(PRESETS)}",
        f"for example --settings '{EXAMPLE}'",
        """or --settings '{"preset": "charades-i3d"}'""",
    ])  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """`mktn import-features`."""
    settings = import_settings(
        read_settings(arguments.settings), table=arguments.fps_table is not None
    )
    if not 0 <= arguments.part < arguments.parts:
        raise UserError(
            "no such part", where="--part", found=arguments.part,
            expected=f"0 to {arguments.parts - 1}",
        )  # fmt: skip
    durations = durations_s(read_pairs_file(arguments.pairs, ["video_id", "duration_s"]))
    kind = None if arguments.format == "auto" else arguments.format
    source = FeatureSource(arguments.source, kind, settings)
    left_out = import_part(
        source, durations, arguments.fps_table, arguments.out, arguments.part, arguments.parts,
        settings,
    )  # fmt: skip
    other = {name: error for name, error in left_out.items() if not error.startswith("not in the")}
    for video_id, error in list(other.items())[: 4 * SHOWN]:
        print(f"left out {video_id}: {error}")
    if len(other) > 4 * SHOWN:
        print(f"left out {len(other) - 4 * SHOWN} more: manifest.parquet of {arguments.out}")
    if arguments.left_out is not None:
        with written_beside(arguments.left_out) as beside:
            _write_csv(left_out, beside)
    count = len(list(durations)[arguments.part :: arguments.parts]) - len(left_out)
    print(f"{arguments.out}: {count} videos, {len(left_out)} left out")


def _write_csv(left_out: dict[str, str], path: Path) -> None:
    columns = {"video_id": list(left_out), "error": list(left_out.values())}
    pl.DataFrame(columns, schema={"video_id": pl.String, "error": pl.String}).write_csv(path)
