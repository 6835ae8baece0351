"""What can be said of published features before their values are read: shapes, rates, names."""

import dataclasses
from pathlib import Path
from typing import NoReturn

from mktn.errors import UserError
from mktn.features.clip_times import TOLERANCE, ClipTimes, read_frame_rates, refuse_wrong_rate
from mktn.features.feature_source import FeatureSource
from mktn.features.import_settings import ImportSettings
from mktn.features.stored_features import FeatureError, Missing

REASONS = 3


@dataclasses.dataclass(frozen=True)
class Looked:
    """What the headers say: the rows of each usable video, and why each other one is not."""

    rows: dict[str, int]
    errors: dict[str, str]
    missing: list[str]
    dtypes: list[str]


def look(
    source: FeatureSource, durations: dict[str, float], times: dict[str, ClipTimes | str]
) -> Looked:
    """Check the shapes and rates of all videos without reading values.

    times: video_id -> its clips' times, or why there are none; empty for rows spread evenly.
    Raises UserError when the file as a whole has another rate than stated, or nothing is usable.
    """
    rows: dict[str, int] = {}
    errors: dict[str, str] = {}
    missing: list[str] = []
    dtypes: set[str] = set()
    for video_id in durations:
        try:
            header = source.header(video_id)
            rows[video_id] = source.rows(header)
            dtypes.add(header.dtype)
        except Missing as error:
            missing.append(video_id)
            errors[video_id] = str(error)
        except FeatureError as error:
            errors[video_id] = str(error)
    known = {name: t for name, t in times.items() if isinstance(t, ClipTimes) and name in rows}
    refuse_wrong_rate(known, {name: rows[name] for name in known}, durations, source.path)
    for video_id in list(rows) if times else []:
        stated = times[video_id]
        if isinstance(stated, str):
            errors[video_id] = stated
        elif stated.wrong(rows[video_id], durations[video_id]):
            both = stated.both_rates(rows[video_id], durations[video_id])
            errors[video_id] = f"rate off by more than {TOLERANCE:.0%}: {both}"
        if video_id in errors:
            del rows[video_id]
    if not rows:
        _nothing(source, errors, missing)
    return Looked(rows, errors, missing, sorted(dtypes))


def refuse_part_of_nothing(source: FeatureSource, video_ids: list[str], found: Looked) -> None:
    """Read the videos of a part up to the first that can be used; the others join the errors.

    Raises UserError with the first reasons when all that the file has of the part fail, so that
    nothing is written. A part of which the file has no video is a part of the pairs all the same.
    """
    missing = set(found.missing)
    failed: dict[str, str] = {}
    for video_id in video_ids:
        if video_id in missing:
            continue
        try:
            if video_id in found.errors:
                raise FeatureError(found.errors[video_id])
            source.read(video_id)
        except FeatureError as error:
            failed[video_id] = str(error)
        else:
            found.errors.update(failed)
            return
    if failed:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(failed.items())[:REASONS])
        raise UserError(
            "no video of this part can be used", where=source.path,
            found=f"{len(failed)} that fail: {reasons}",
            do="mend the file or the settings, or make fewer parts",
        )  # fmt: skip


def _nothing(source: FeatureSource, errors: dict[str, str], missing: list[str]) -> NoReturn:
    """Say why no video is usable: the first one's own reason, else the names on both sides."""
    reasons = {name: error for name, error in errors.items() if name not in set(missing)}
    named = ", ".join(source.names()) or "nothing"
    wanted = next(iter(errors), "")
    raise UserError(
        "no video of the pairs can be used", where=source.path,
        found="; ".join(f"{name}: {error}" for name, error in list(reasons.items())[:1]) or named,
        expected="" if reasons else source.settings.name_of(wanted),
        do=f"{len(missing)} of {len(errors)} are not there: mend name, strip, key or dimension",
    )  # fmt: skip


def clip_times(
    settings: ImportSettings, durations: dict[str, float], table: Path | None
) -> dict[str, ClipTimes | str]:
    """video_id -> its clips' times, or why there are none; empty with `fit: duration`.

    Raises UserError when there is neither a number nor a table of frames a second, or both.
    """
    if settings.fit == "duration":
        return {}
    assert settings.clip is not None
    assert settings.stride is not None
    if (settings.fps is None) == (table is None):
        both = "a number and a table" if table else "neither a number nor a table"
        raise UserError(
            "frames a second at which the clips were taken", where="settings.fps", found=both,
            expected="fps, or --fps-table for videos of different rates",
            do="leave the other out, or for a rate that is not known set fit: duration",
        )  # fmt: skip
    if settings.fps is not None:
        return dict.fromkeys(durations, ClipTimes(settings.clip, settings.stride, settings.fps))
    assert table is not None
    rates = read_frame_rates(table, settings.fps_column)
    times: dict[str, ClipTimes | str] = {}
    for video_id, duration_s in durations.items():
        fps, seconds = rates.get(video_id, (None, None))
        if fps is None:
            times[video_id] = f"no frame rate in {table.name}"
        elif seconds is not None and abs(seconds / duration_s - 1) > TOLERANCE:
            times[video_id] = (
                f"features of another cut: {seconds:.2f} s in {table.name}, "
                f"{duration_s:.2f} s in the annotations"
            )
        else:
            times[video_id] = ClipTimes(settings.clip, settings.stride, fps)
    return times
