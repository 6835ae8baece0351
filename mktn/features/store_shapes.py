"""Whether the arrays and the manifest of a feature store belong together.

Shape legend: R rows of a part, V videos, T frames, D feature, C patches, D_p patch feature.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from mktn.datasets.video_ids import check_video_ids
from mktn.errors import UserError
from mktn.features.table_checks import check_columns

if TYPE_CHECKING:
    from mktn.features.zarr_group import ZarrGroup

AGAIN = "remove the store and make it again"


def check_part(part: "ZarrGroup", first: "ZarrGroup") -> None:
    """Raise UserError unless features (R,D), patches (R,C,D_p) and span_s (R,2) have one R, and
    D, C and D_p are those of the first part."""
    shapes = _shapes(part, {"features": 2, "patches": 3, "span_s": 2})
    found = {name: shape[1:] for name, shape in shapes.items()}
    expected = {name: first.array(name).shape[1:] for name in shapes if first.has(name)}
    if found != expected or part.has("patches") != first.has("patches"):
        raise UserError(
            "parts of one folder differ in the shapes of their arrays", where=part.path,
            found=found, expected=f"{expected} of {first.path.name}",
            do="remove the older parts and make them again",
        )  # fmt: skip


def check_resampled(group: "ZarrGroup") -> None:
    """Raise UserError unless features (V,T,D) and patches (V,T,C,D_p) have one V and one T."""
    shapes = _shapes(group, {"features": 3, "patches": 4})
    if len({shape[1] for shape in shapes.values()}) > 1:
        raise _wrong(group, shapes)


def check_manifest(frame: pl.DataFrame, schema: Mapping[str, Any], rows: int, path: Path) -> None:
    """Raise UserError unless the manifest has the columns and says only of rows that are there."""
    check_columns(frame, list(schema), path, AGAIN)
    for name, kind in schema.items():
        fits = frame[name].dtype == kind
        if not fits or frame[name].has_nulls():
            raise UserError(
                "column of another type" if not fits else "value is missing",
                where=f"{path}, {name}", found=frame[name].dtype, expected=kind, do=AGAIN,
            )  # fmt: skip
    check_video_ids(frame["video_id"], f"{path}, video_id")
    usable = frame.filter(status="ok")
    first = usable["row" if "row" in schema else "offset"]
    count = usable["rows"] if "rows" in schema else pl.Series([1]).new_from_index(0, len(first))
    outside = (first < 0) | (count < 1) | (first + count > rows)
    if outside.any():
        raise UserError(
            "the manifest has rows that the arrays have not", where=path,
            found=f"the video {usable['video_id'][int(outside.arg_max() or 0)]}",
            expected=f"within {rows} rows", do=AGAIN,
        )  # fmt: skip


def _shapes(group: "ZarrGroup", dimensions: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays that are there, which have so many dimensions and as many rows."""
    names = [name for name in dimensions if name != "patches" or group.has(name)]
    shapes = {name: tuple(group.array(name).shape) for name in names}
    fit = all(len(shapes[name]) == dimensions[name] for name in names)
    if not fit or len({shape[0] for shape in shapes.values()}) > 1:
        raise _wrong(group, shapes)
    return shapes


def _wrong(group: "ZarrGroup", shapes: Mapping[str, tuple[int, ...]]) -> UserError:
    return UserError(
        "arrays of another shape", where=group.path, do=AGAIN,
        found=", ".join(f"{name} {shape}" for name, shape in shapes.items()),
    )  # fmt: skip
