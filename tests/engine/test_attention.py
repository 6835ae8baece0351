"""Attention maps of a trained IA-Net: shares of words and frames that were really there."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from mktn.cli import main
from mktn.engine.attention import COLUMNS, MAPS, maps_of
from mktn.models import build
from tests.batches import random_batch
from tests.engine.runs import NAMES, OPTIONS, command, settings
from tests.models.test_ianet import IANET_SIZES

PADDING = 3
EVALUATED = {
    "source": "synthetic", "dataset": "charades", "ious": [0.3, 0.5], "table_iou": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of each of IA-Net, IA-Net without intra-modal attention, and MKTN."""
    folder = tmp_path_factory.mktemp("runs")
    sizes = {"width": 16, "heads": 2, "padding": PADDING, "windows": [1, 2, 4], "window_frames": 5}
    for model, variant in (("ianet", "full"), ("ianet", "model_b"), ("mktn", "full")):
        given = settings(model=model, variant=variant, train={"epochs": 1})
        if model == "ianet":
            given |= {"sizes": sizes, "losses": {}}
        assert main(command(small_dataset, folder / f"{model}-{variant}", given)) == 0
    return folder


def attention(dataset: Path, run: Path, out: Path, split: str = "val", **draw: Any) -> int:
    paths = [
        f"--{option}={dataset / name}"
        for option, name in zip(OPTIONS, NAMES, strict=True)
        if option != "relations"
    ]
    given = json.dumps({**EVALUATED, "draw": draw})
    more = (f"--run={run}", f"--split={split}", f"--out={out}", f"--settings={given}")
    return main(["attention", *paths, *more])


@pytest.fixture(scope="module")
def table(trained: Path, small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("maps") / "attention.parquet"
    assert attention(small_dataset, trained / "ianet-full", out, "test", pairs=1) == 0
    return pl.read_parquet(out)


def test_rows_sum_to_one_and_padding_is_told_apart(table: pl.DataFrame) -> None:
    assert tuple(table.columns) == COLUMNS
    assert set(table["map"]) == set(MAPS)
    assert set(table["block"]) == {1, 2, 3}
    sums = table.group_by("pair_id", "map", "block", "row").agg(pl.col("weight").sum())["weight"]
    assert np.abs(sums.to_numpy() - 1).max() < 1e-5
    for name in MAPS:
        of_map = table.filter(map=name, block=2, row=0).sort("column")
        learned = of_map["column_kind"].to_list().count("padding")
        assert learned == (PADDING if name in MAPS[:2] else 0)
        # Behind what there is, with no word and no time.
        assert of_map["column_kind"].to_list()[: of_map.height - learned].count("padding") == 0
        padding = of_map.filter(column_kind="padding")
        assert set(padding["column_word"]) <= {""}
        assert padding["column_from_s"].null_count() == learned


def test_words_and_seconds_stand_beside_the_weights(table: pl.DataFrame) -> None:
    words = table.filter(map="frames_to_words", block=1, row=0, column_kind="word")
    sentence = table["sentence"][0]
    assert " ".join(words.sort("column")["column_word"]) == sentence
    frames = table.filter(map="frames_to_frames", block=1, row=0).sort("column")
    assert frames["column_from_s"].to_list() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert frames["column_to_s"].to_list() == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert set(table["chosen"]) == {"drawn at random, seed 0"}
    assert set(table["variant"]) == {"full"}


def test_the_batchs_own_padding_is_cut_off_and_moves_nothing() -> None:
    torch.manual_seed(0)
    network = build("ianet", "full", dataclasses.replace(IANET_SIZES, padding=PADDING)).eval()
    batch = random_batch()
    query = int((~batch.word_mask).sum(1).argmax())
    one = batch.only([query])
    words, frames = int(one.word_mask.sum()), int(one.frame_mask.sum())
    assert words < one.word_mask.shape[1]
    short = dataclasses.replace(
        one, words=one.words[:, :words], word_mask=one.word_mask[:, :words]
    )
    shapes = {
        "frames_to_words": (frames, words + PADDING),
        "words_to_frames": (words, frames + PADDING),
        "frames_to_frames": (frames, frames),
        "words_to_words": (words, words),
    }
    with torch.inference_mode():
        for (_, name, weights), (_, _, alone) in zip(
            maps_of(network, one), maps_of(network, short), strict=True
        ):
            assert weights.shape == shapes[name]
            assert np.abs(weights.sum(1) - 1).max() < 1e-5
            assert np.abs(weights - alone).max() < 1e-5


def test_a_block_without_intra_attention_has_no_such_maps(
    trained: Path, small_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "attention.parquet"
    assert attention(small_dataset, trained / "ianet-model_b", out, pairs=2) == 0
    table = pl.read_parquet(out)
    assert set(table["map"]) == set(MAPS[:2])
    assert table["video_id"].n_unique() == 2


@pytest.mark.parametrize(
    ("run", "draw", "said"),
    [
        ("mktn-full", {}, "only IA-Net has these attention maps, found mktn, expected ianet"),
        ("ianet-full", {"named": ["val/none#0"]}, "found 'val/none#0', expected the pair_id"),
        ("ianet-full", {"named": ["test/test0#0"]}, "found 'test/test0#0'"),  # of another split
        ("ianet-full", {"pairs": 0}, "pairs 0 >= 1"),
    ],
)
def test_what_cannot_be_is_one_line(
    trained: Path,
    small_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run: str,
    draw: dict[str, Any],
    said: str,
) -> None:
    assert attention(small_dataset, trained / run, tmp_path / "a.parquet", **draw) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "checksum" not in one]
    assert said in line
    assert not (tmp_path / "a.parquet").exists()


def test_a_row_that_is_no_share_is_refused(
    trained: Path,
    small_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mktn.models import interaction

    softmax = interaction._averaged
    monkeypatch.setattr(interaction, "_averaged", lambda *given: 1.01 * softmax(*given))
    assert attention(small_dataset, trained / "ianet-full", tmp_path / "a.parquet") == 2
    assert "a row of attention does not sum to one, found 1.01" in capsys.readouterr().err
    assert not (tmp_path / "a.parquet").exists()
