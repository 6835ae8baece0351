"""Tables of earlier steps with what cannot be, or of other data than the rest."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import polars as pl

from tests.bad_input.case import Case
from tests.bad_input.spoil import DAMAGES, Spoil, document, put, table
from tests.bad_input.world import COMMANDS, EVALUATE, OWN, TRAIN

PAIRS = "pairs.parquet"
# Who reads the videos alone, and who reads the spans as well.
VIDEOS = ("extract-video", "import-features", "resample")
SPANS = ("train", "evaluate", "rescore", "score", "diagnose", "tables", "diagnostics")


def first(name: str, value: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The first row has another value in a column."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values = frame[name].to_list()
        return frame.with_columns(pl.Series(name, [value, *values[1:]], strict=False))

    return change


def pickled_objects(path: str) -> Spoil:
    """A column of pickles in place of the ids: what pandas would have written as objects."""
    return table(path, lambda f: f.with_columns(pair_id=pl.lit(b"\x80\x04.")))


def array(path: str, change: Callable[[np.ndarray], np.ndarray], name: str = "features") -> Spoil:
    """The numbers of an array of a Zarr store changed."""

    def spoil() -> None:
        import zarr

        group = zarr.open_group(path, mode="r+", zarr_format=3)
        old = group[name]
        assert isinstance(old, zarr.Array)
        new = change(np.asarray(old[:]))
        attributes = dict(group.attrs)
        del group[name]
        group.create_array(name, data=new, chunks=new.shape, compressors=None)
        assert dict(group.attrs) == attributes

    return spoil


def both(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    """Features and patches changed."""

    def spoil() -> None:
        array(path, change)()
        array(path, change, "patches")()

    return spoil


def _cases() -> Iterator[Case]:
    # Every command that reads the pairs refuses what no pairs.parquet can be.
    readers = [c for c, (line, _) in COMMANDS.items() if "--pairs pairs.parquet" in line]
    for command in (c for c in readers if c != "pairs"):
        yield Case(f"{command}: no rows", command, r"pairs\.parquet: table without rows",
                   table(PAIRS, lambda f: f.head(0)))  # fmt: skip
    for command in (*VIDEOS, *SPANS):
        name = "video_id" if command != "rescore" else "pair_id"
        yield Case(f"{command}: a column too few", command,
                   rf"pairs\.parquet: column is missing.* expected {name}",
                   table(PAIRS, lambda f, name=name: f.drop(name)))  # fmt: skip
    for command in VIDEOS:
        for bad in ("../../etc/passwd", "/etc/passwd", "a\0b", "a\nb", ".", "..", "", "v" * 300,
                    "e\u0301", "a/b", "a\\b", " a"):  # fmt: skip
            yield Case(f"{command}: video id {bad[:20]!r}", command,
                       r"pairs\.parquet, video_id: video id cannot name a file",
                       table(PAIRS, first("video_id", bad)))  # fmt: skip
    for command in ("resample", "train"):
        for value in (float("nan"), float("inf")):
            yield Case(f"{command}: duration {value}", command,
                       r"pairs\.parquet, duration_s, row 0: value refused",
                       table(PAIRS, first("duration_s", value)))  # fmt: skip
        yield Case(f"{command}: negative duration", command,
                   r"pairs\.parquet, row 0: span refused, found .*duration_s -3",
                   table(PAIRS, first("duration_s", -3.0)))  # fmt: skip
    for command in SPANS:
        yield Case(f"{command}: NaN start", command, r"start_s, row 0: value refused, found nan",
                   table(PAIRS, first("start_s", float("nan"))))  # fmt: skip
        yield Case(f"{command}: reversed span", command, r"row 0: span refused",
                   table(PAIRS, first("start_s", 9e6)))  # fmt: skip
        yield Case(f"{command}: ids twice", command, r"pair_id stands twice",
                   table(PAIRS, lambda f: pl.concat([f, f.head(1)])))  # fmt: skip
    yield from (
        Case("spans as text", "train", r"start_s: column of another type, found String",
             table(PAIRS, lambda f: f.with_columns(pl.col("start_s").cast(pl.String)))),
        Case("order as a fraction", "train", r"order: column of another type, found Float64",
             table(PAIRS, lambda f: f.with_columns(pl.col("order").cast(pl.Float64)))),
        Case("ids as numbers", "extract-video", r"video_id: column of another type, found Int64",
             table(PAIRS, lambda f: f.with_columns(video_id=pl.lit(7, pl.Int64)))),
        Case("a sentence missing", "extract-text", r"sentence, row 0: value is missing",
             table(PAIRS, first("sentence", None))),
        Case("pickled objects", "train", r"pair_id: column of another type, found Binary",
             pickled_objects(PAIRS)),
        Case("text of other pairs", "train", r"text\.zarr: text store of other pairs",
             table(PAIRS, lambda f: f.reverse())),
        Case("groups of other pairs", "train", r"groups\.parquet: groups of other pairs",
             table("groups.parquet", first("pair_id", "train/other#0"))),
        Case("a group's pair of another video", "train", r"groups of other pairs",
             table("groups.parquet", first("video_id", "v_other"))),
        Case("groups without rows", "train", r"groups\.parquet: table without rows",
             table("groups.parquet", lambda f: f.head(0))),
        Case("group as text", "evaluate", r"group: column of another type",
             table("groups.parquet", lambda f: f.with_columns(group=pl.lit("a")))),
        Case("a group below 0", "evaluate", r"group, row 0: value refused, found -1",
             table("groups.parquet", first("group", -1))),
        Case("relations of other pairs", "train", r"relations\.parquet: relations of other pairs",
             table("relations.parquet", first("pair_a", "train/other#0"))),
        Case("relations to group of other pairs", "group", r"relations of other pairs",
             table("relations.parquet", first("pair_b", "train/other#0"))),
        Case("relations of NaN", "train", r"weight, row 0: value refused",
             table("relations.parquet", first("weight", float("nan")))),
        Case("predictions for relations", "train", r"relations\.parquet: column is missing",
             lambda: (shutil.copy("run/predictions.parquet", "relations.parquet"), None)[1]),
        Case("a rank twice", "rescore", r"pair_id and nms and rank stand twice",
             table("run/predictions.parquet", lambda f: pl.concat([f, f.head(1)]))),
        Case("rank 0", "tables", r"rank, row 0: value refused, found 0",
             table("run/predictions.parquet", first("rank", 0))),
        Case("a moment of NaN", "tables", r"start_s, row 0: value refused, found nan",
             table("run/predictions.parquet", first("start_s", float("nan")))),
        Case("predictions of other pairs", "tables", r"predictions of a pair that is not there",
             table("run/predictions.parquet", first("pair_id", "test/other#0"))),
        Case("a score of other pairs", "score", r"predictions\.parquet, row 0: unknown query",
             table("run/predictions.parquet", first("pair_id", "test/other#0"))),
        Case("a score of a validation pair", "score", r"query of another split, found 'val/.* of",
             _of_another_split),
        Case("a score of a rank twice", "score", r"pair_id and nms and rank stand twice",
             table("run/predictions.parquet", lambda f: pl.concat([f, f.head(1)]))),
        Case("a score of NaN", "score", r"end_s, row 0: value refused, found nan",
             table("run/predictions.parquet", first("end_s", float("nan")))),
        Case("a score of a moment that ends before it begins", "score", r"not after start_s",
             table("run/predictions.parquet", first("end_s", -1.0))),
        Case("a score of a rank that is left out", "score", r"a rank is missing, found no rank 1",
             table("run/predictions.parquet", lambda f: f.filter(pl.col("rank") > 1))),
        Case("a score of three thresholds", "score", r"several NMS thresholds, found 0\.1, 0\.2",
             table("run/predictions.parquet", lambda f: pl.concat(
                 [f.with_columns(nms=pl.lit(t)) for t in (0.1, 0.2, 0.3)]))),
        Case("a score without ranks", "score", r"column is missing.* expected rank",
             table("run/predictions.parquet", lambda f: f.drop("rank"))),
        Case("a score of no predictions", "score", r"predictions without rows",
             table("run/predictions.parquet", lambda f: f.head(0))),
        Case("the 10**12th annotator", "rescore", r"annotator, row 0: value refused",
             table("spans.parquet", first("annotator", 10**12))),
        Case("an empty test split", "evaluate", r"no usable test pair",
             table("groups.parquet", lambda f: f.filter(pl.col("split") != "test"))),
        Case("no training pair", "train", r"no usable training pair",
             table("groups.parquet", lambda f: f.filter(pl.col("split") != "train"))),
        Case("no validation pair", "train", r"no usable validation pair",
             table("groups.parquet", lambda f: f.filter(pl.col("split") != "val"))),
        Case("pairs of another dataset", "train", r"the pairs are of another dataset",
             settings={**TRAIN, "dataset": "charades"}),
        Case("a baseline on another dataset", "evaluate", r"another dataset",
             settings={**EVALUATE, "dataset": "charades"}),
        Case("a split of no partition", "train", r"pairs are of another partition",
             settings={**TRAIN, "partition": "cd"}),
        Case("actions without a colour", "pretrain", r"actions\.parquet: .*color",
             table("actions.parquet", lambda f: f.drop("color"))),
        Case("actions of a path", "pretrain", r"video id cannot name a file",
             table("actions.parquet", first("video_id", "../videos/x"))),
        Case("actions of NaN", "pretrain", r"start_s, row 0: value refused",
             table("actions.parquet", first("start_s", float("nan")))),
        Case("no training actions", "pretrain", r"no action of the training split",
             table("actions.parquet", lambda f: f.filter(split="val"))),
        Case("features of another dimension", "evaluate", r"other sizes",
             array("t.zarr", lambda a: np.concatenate([a, a], axis=-1))),
        Case("features of other frames", "evaluate", r"other sizes",
             both("t.zarr", lambda a: a[:, :3])),
        Case("features of other frames than patches", "evaluate", r"arrays of another shape",
             array("t.zarr", lambda a: a[:, :3])),
        Case("NaN in features", "evaluate", r"not finite",
             array("t.zarr", lambda a: np.full_like(a, np.nan))),
        Case("NaN in features of a training", "train", r"not finite",
             array("t.zarr", lambda a: np.full_like(a, np.nan))),
        Case("NaN in features of a diagnosis", "diagnose", r"not finite",
             array("t.zarr", lambda a: np.full_like(a, np.nan))),
        Case("NaN in features of a measurement", "efficiency", r"not finite|not a number",
             array("t.zarr", lambda a: np.full_like(a, np.nan))),
        Case("NaN in sentences", "relate", r"not finite",
             array("text.zarr", lambda a: np.full_like(a, np.nan), "sentences")),
        Case("fewer features than the manifest has", "train", r"rows that the arrays have not",
             both("t.zarr", lambda a: a[:2])),
        Case("fewer rows than its manifest has", "resample", r"part-0.*arrays of another shape",
             array("parts/part-0.zarr", lambda a: a[:2])),
        Case("features that are no numbers a frame", "train", r"t\.zarr.*shape",
             array("t.zarr", lambda a: a.reshape(-1))),
        Case("words of one dimension", "train", r"'words' of another shape",
             array("text.zarr", lambda a: a.reshape(-1), "words")),
        Case("fewer words than counted", "train", r"arrays do not belong together",
             array("text.zarr", lambda a: a[:3], "words")),
        Case("words out of order", "train", r"arrays do not belong together",
             array("text.zarr", lambda a: a[::-1], "offsets")),
        Case("a manifest that is a path", "resample", r"video id cannot name a file",
             table("parts/part-0.zarr/manifest.parquet", first("video_id", "../a"))),
        Case("a manifest without rows of arrays", "train", r"column is missing.* expected row",
             table("t.zarr/manifest.parquet", lambda f: f.drop("row"))),
        Case("a manifest with text for numbers", "train", r"row: column of another type",
             table("t.zarr/manifest.parquet", lambda f: f.with_columns(row=pl.lit("0")))),
        Case("a store of another version", "train", r"written by another version",
             document("t.zarr/zarr.json", lambda d: d["attributes"].update(format=99))),
        Case("attributes that are a list", "train", r"not a store",
             document("t.zarr/zarr.json", lambda d: d.update(attributes=[1]))),
        Case("JSON nested without end", "train", r"not a store",
             put("t.zarr/zarr.json", "[" * 100_000)),
        Case("parts that differ in dimension", "resample", r"parts of one folder differ",
             _other_part),
        Case("imported features of NaN", "import-features", r"NaN|not finite|no video",
             _hdf5(np.full((5, 4), np.nan, np.float32))),
        Case("imported features of text", "import-features", r"features\.hdf5",
             _hdf5(np.array(["a", "b"], dtype="S1"))),
        Case("imported features of another dimension", "import-features", r"features\.hdf5",
             _hdf5(np.ones((5, 7), np.float32))),
    )  # fmt: skip


def _of_another_split() -> None:
    other = pl.read_parquet(PAIRS).filter(split="val")["pair_id"][0]
    table("run/predictions.parquet", first("pair_id", other))()


def _own_cases() -> Iterator[Case]:
    """A table of one's own."""
    for kind in ("csv", "json"):
        options = {**OWN, "annotations": f"own.{kind}"}
        for how, damage in DAMAGES.items():
            if (kind, how) != ("csv", "cut in half"):  # whose rows are the table of fewer videos
                yield Case(f"own table: {kind}, {how}", "pairs", rf"own\.{kind}: ",
                           damage(f"own.{kind}"), options=options)  # fmt: skip
    header = "video,sentence,start_s,end_s"
    for name, text, says in (
        ("a column too few", "video,sentence,start_s\n", r"column is missing.*'end_s'"),
        ("columns of another name", "video_id,sentence,start,end\n", r"'video_id', expected 'vid"),
        ("semicolons", f"{header.replace(',', ';')}\n", r"not separated by commas, found ';'"),
        ("no row", f"{header}\n", r"own\.csv: table without rows"),
        ("wrong rows alone", f"{header}\nv,A cat.,a,b\n", r"no usable row, found 1 that"),
        ("videos that are not there", f"{header}\nv,A cat.,1,2\n", r"broken video: no such file"),
        ("an open quote", f'{header}\nv,"A cat.,1,2\n', r"own\.csv, line \d: broken csv"),
        ("a field without end", f"{header}\n{'v' * 200_000},A.,1,2\n", r"line \d: broken csv"),
    ):
        yield Case(f"own table: {name}", "pairs", says, put("own.csv", text), options=OWN)
    yield Case("own table: a split in two", "pairs", r"train and test share videos",
               _shared_video, options=OWN)  # fmt: skip
    yield Case("own table: another suffix", "pairs", r"unknown kind of table",
               put("own.xlsx", "PK"), options={**OWN, "annotations": "own.xlsx"})  # fmt: skip


def _shared_video() -> None:
    own = pl.read_csv("own.csv")
    both = pl.concat([own, own.filter(split="test").with_columns(split=pl.lit("train"))])
    both.write_csv("own.csv")


def _other_part() -> None:
    shutil.copytree("parts/part-0.zarr", "parts/part-1.zarr")
    manifest = table("parts/part-1.zarr/manifest.parquet",
                     lambda f: f.with_columns(video_id="other" + pl.col("video_id")))  # fmt: skip
    manifest()
    array("parts/part-1.zarr", lambda a: np.concatenate([a, a], axis=-1))()


def _hdf5(values: np.ndarray) -> Spoil:
    def spoil() -> None:
        with h5py.File("features.hdf5", "r") as file:
            names = list(file)
        Path("features.hdf5").unlink()
        with h5py.File("features.hdf5", "w") as file:
            for name in names:
                file[name] = values

    return spoil


CASES = (*_cases(), *_own_cases())
