"""IA-Net's Figure 5 as a reader sees it: the weights, words, seconds, padding and the truth."""

import csv
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.engine.attention import COLUMNS, MAPS
from mktn.figures.attention_figure import draw
from mktn.figures.figure import Inputs
from mktn.figures.style import styled
from mktn.seeds import named_rng

FRAMES, PADDING, BLOCKS, DURATION_S, SPAN = 6, 2, 2, 30.0, (5.0, 12.5)
WORDS = ("a", "person_1", "pays", "$5", "incomprehensibilities")


def table(dataset: str = "charades") -> pl.DataFrame:
    """Random maps of one pair, as `mktn attention` writes them."""
    axes = {"frames": [("frame", "", 5.0 * t, 5.0 * (t + 1)) for t in range(FRAMES)],
            "words": [("word", word, None, None) for word in WORDS]}  # fmt: skip
    learned = [("padding", "", None, None)] * PADDING
    head = ("synthetic", dataset, "ianet", "full", 0, "drawn at random, seed 0", "v1",
            "test/v1#0", " ".join(WORDS), *SPAN, DURATION_S)  # fmt: skip
    rows = []
    for block in range(1, BLOCKS + 1):
        for name in MAPS:
            side, other = name.split("_to_")
            columns = axes[other] + (learned if side != other else [])
            weights = named_rng(block, name).dirichlet(np.ones(len(columns)), len(axes[side]))
            rows += [
                (*head, block, name, i, *axes[side][i], j, *columns[j], weights[i, j])
                for i in range(len(axes[side]))
                for j in range(len(columns))
            ]
    return pl.DataFrame(rows, COLUMNS, orient="row", infer_schema_length=None)


def command(folder: Path, *tables: pl.DataFrame) -> int:
    paths = []
    for number, one in enumerate(tables):
        paths.append(str(folder / f"{number}.parquet"))
        one.write_parquet(paths[-1])
    outputs = [word for s in ("svg", "png", "csv") for word in (f"--{s}", str(folder / f"f.{s}"))]
    return main(["figure", "--figure", "ianet5", "--attention", *paths, *outputs])


def test_the_heat_maps_are_the_weights(tmp_path: Path) -> None:
    given = table()
    given.write_parquet(tmp_path / "a.parquet")
    with styled():
        figure = draw(Inputs(attention=[tmp_path / "a.parquet"]))
    shown = [axes for axes in figure.axes if axes.images]
    names = ("frames_to_words", "frames_to_frames", "words_to_words")
    assert len(shown) == len(names) * BLOCKS
    for axes, (name, block) in zip(
        shown, [(name, block) for name in names for block in (1, 2)], strict=True
    ):
        weights = given.filter(map=name, block=block).sort("row", "column")["weight"]
        drawn = axes.images[0].get_array()
        assert drawn is not None
        assert (np.asarray(drawn).ravel() == weights.to_numpy()).all()
        lines = [line.get_xydata() for line in axes.lines]
        # The truth on each axis of frames, in frames of 5 s of which the first is at 0.
        truth = [SPAN[0] / 5 - 0.5, SPAN[1] / 5 - 0.5]
        assert sum(np.allclose(line[:, 1], truth) for line in lines) == name.startswith("frames")
        assert sum(np.allclose(line[:, 0], truth) for line in lines) == name.endswith("frames")
        parted = [line for line in lines if (line[:, 0] == len(WORDS) - 0.5).all()]
        assert len(parted) == (name == "frames_to_words")


def test_words_seconds_and_padding_can_be_read(tmp_path: Path) -> None:
    assert command(tmp_path, table()) == 0
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", (tmp_path / "f.svg").read_text())
    words = {"a", "person_1", "pays", "$5", "incomprehensi\u2026"}
    assert words | {"padding 1", "padding 2", "block 1", "block 2", "seconds"} <= {*texts}
    assert {"0", "10", "20", "30"} <= {*texts}
    assert "padding 3" not in texts
    assert any("test/v1#0, 30.0 s, ground truth 5.0\u201312.5 s" in text for text in texts)
    said = next(text for text in texts if text.startswith("source: synthetic"))
    assert "drawn at random, seed 0" in said
    assert "black bar: ground truth" in said
    rows = list(csv.DictReader((tmp_path / "f.csv").open()))
    assert {row["map"] for row in rows} == {*MAPS} - {"words_to_frames"}
    kinds = [r["column_kind"] for r in rows if r["map"] == "frames_to_words" and r["row"] == "0"]
    assert kinds == BLOCKS * (["word"] * len(WORDS) + ["padding"] * PADDING)
    assert rows[0]["row_at"] == "0.0"
    assert rows[1]["column_at"] == "person_1"


def test_maps_that_are_not_whole_or_no_shares_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = table()
    doubled = whole.with_columns(weight=pl.col("weight") * 2)
    for tables, said in (
        ([whole.drop("weight")], "column is missing"),
        ([whole.with_columns(block=pl.lit("1"))], "block: column of another type"),
        ([whole.with_columns(row_to_s=pl.lit(None))], "row_to_s: a frame without seconds"),
        ([whole[1:]], "an attention map is not whole"),
        ([doubled], "a row of attention does not sum to one, found 2"),
        ([whole, whole], "not one dataset a file"),
        ([whole, table("tacos").with_columns(source=pl.lit("own"))], "maps of several sources"),
    ):
        assert command(tmp_path, *tables) == 2
        (line,) = [one for one in capsys.readouterr().err.splitlines() if "checksum" not in one]
        assert said in line
    assert not (tmp_path / "f.svg").exists()
