"""`mktn attention`: the attention maps of a trained IA-Net, on some pairs of a split.

T frames, L words, K learned padding rows. The maps of a block, counted from 1, are means over its
heads: frames_to_words (T,L+K), words_to_frames (L,T+K), frames_to_frames (T,T), words_to_words
(L,L). A row attends to the columns, and its weights sum to one.
"""

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from mktn.config import fill, read_settings
from mktn.datasets.sentences import tokens
from mktn.engine.checkpoint import load
from mktn.engine.drawn_pairs import Draw, drawn_pairs
from mktn.engine.evaluate import EvaluationConfig, add_data, read_data, variant_name
from mktn.engine.predict import choose_device
from mktn.errors import UserError
from mktn.models.ianet import IANet

if TYPE_CHECKING:
    import polars as pl

    from mktn.grouping.batch import PairBatch
    from mktn.grouping.loader import PairData

MAPS = ("frames_to_words", "words_to_frames", "frames_to_frames", "words_to_words")
FRAME, WORD, PADDING = "frame", "word", "padding"
TOLERANCE = 1e-4  # of the sum of a row, of float32 weights
AXIS = ("kind", "word", "from_s", "to_s")
COLUMNS = (
    *("source", "dataset", "model", "variant", "seed", "chosen"),
    *("video_id", "pair_id", "sentence", "start_s", "end_s", "duration_s"),
    *("block", "map", "row", *(f"row_{name}" for name in AXIS)),
    *("column", *(f"column_{name}" for name in AXIS), "weight"),
)

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class AttentionConfig(EvaluationConfig):
    """The data as for `mktn evaluate`, and which pairs: drawn at random, or those named."""

    draw: Draw = dataclasses.field(default_factory=Draw)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn attention`."""
    parser.add_argument("--run", required=True, help="folder of a trained IA-Net")
    add_data(parser)
    parser.add_argument("--out", required=True, type=Path, help="output: attention.parquet")
    parser.add_argument("--settings", required=True, help="JSON or a file: AttentionConfig")


def run(arguments: argparse.Namespace) -> None:
    """Answer the drawn pairs and write their maps, a row a weight."""
    import polars as pl

    from mktn.parquet import write_parquet

    config = fill(AttentionConfig, read_settings(arguments.settings))
    torch.set_num_threads(config.threads)
    network, trained = load(arguments.run)
    if not isinstance(network, IANet):
        raise UserError(
            "only IA-Net has these attention maps",
            where=arguments.run,
            found=trained["model"],
            expected="ianet",
        )
    # Few videos are looked at: the others' features are not read.
    data = read_data(arguments, config, trained, memory_gb=0.0)
    rows = _drawn(data, config.draw, arguments.pairs, arguments.split)
    device = choose_device(config.device)
    network.to(device).eval()
    of_run = {
        **{name: trained[name] for name in ("source", "dataset", "model")},
        "variant": variant_name(trained),
        "seed": trained["seed"],
        "chosen": config.draw.said,
    }
    frames = [_table(network, data, row, device, of_run) for row in rows]
    write_parquet(pl.concat(frames).select(COLUMNS), arguments.out)
    print(f"attention maps of {len(rows)} pairs of {arguments.run}: {arguments.out}")


def _drawn(data: "PairData", draw: Draw, where: str, split: str) -> list[int]:
    """Row numbers of the draw among the split's pairs, those without features left out."""
    from mktn.features.pairs_file import read_pairs_file

    table = read_pairs_file(where, ["pair_id", "video_id", "split"])
    of_split = table.filter(split=split).select("pair_id", "video_id").iter_rows()
    row_of = {pair_id: row for row, pair_id in enumerate(data.pair_ids)}
    return [row_of[name] for name in drawn_pairs(draw, of_split, row_of.__contains__, where)]


def _table(
    network: IANet, data: "PairData", row: int, device: torch.device, of_run: dict[str, Any]
) -> "pl.DataFrame":
    """All maps of one pair, a row a weight."""
    import polars as pl

    pair = data.pairs.row(row, named=True)
    batch = data.batch(np.array([row]))
    # In float32 on every device, as in answering.
    with torch.inference_mode():
        found = list(maps_of(network, batch.to(device)))
    spoken = _words(pair["sentence"], int(batch.word_mask.sum()))
    frames = int(batch.frame_mask.sum())
    edges = np.linspace(0.0, pair["duration_s"], frames + 1).tolist()
    axes = {
        "frames": [(FRAME, "", edges[t], edges[t + 1]) for t in range(frames)],
        "words": [(WORD, word, None, None) for word in spoken],
    }
    tables = []
    for block, name, weights in found:
        check_rows(weights, f"{pair['pair_id']}, block {block}, {name}")
        attending, attended = name.split("_to_")
        padding = [(PADDING, "", None, None)] * (weights.shape[1] - len(axes[attended]))
        at = np.indices(weights.shape).reshape(2, -1)
        tables.append(
            pl.DataFrame(
                {
                    "block": block,
                    "map": name,
                    **_axis("row", axes[attending], at[0]),
                    **_axis("column", [*axes[attended], *padding], at[1]),
                    "weight": weights.ravel(),
                }
            )
        )
    shown = {name: pair[name] for name in COLUMNS[6:12]}
    return pl.concat(tables).with_columns(
        **{name: pl.lit(value) for name, value in (of_run | shown).items()}
    )


def maps_of(network: IANet, batch: "PairBatch") -> Iterator[tuple[int, str, Floats]]:
    """(block, map, weights) of a batch of one pair, without the batch's own padding.

    A block without attention within a modality has no such maps.
    """
    words, frames = batch.word_mask[0].cpu(), batch.frame_mask[0].cpu()
    for block, maps in enumerate(network.attention_maps(batch), start=1):
        for name in MAPS:
            found = getattr(maps, name)
            if found is None:
                continue
            attending, attended = (
                {"frames": frames, "words": words}[side] for side in name.split("_to_")
            )
            weights = found[0].double().cpu()
            learned = torch.ones(weights.shape[1] - len(attended), dtype=torch.bool)
            yield block, name, weights[attending][:, torch.cat([attended, learned])].numpy()


def check_rows(weights: Floats, where: str) -> None:
    """Raise UserError unless weights (rows, columns) are shares: rows sum to one, none below 0."""
    sums = weights.sum(1)
    wrong = ~(np.abs(sums - 1) <= TOLERANCE) | ~(weights >= 0).all(1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(
            "a row of attention does not sum to one",
            where=where,
            found=f"{sums[row]:g} in row {row}",
            expected="1, of weights that are not negative",
        )


def _words(sentence: str, count: int) -> list[str]:
    """The words that the text store has a vector of, one for a sentence without any."""
    spoken = tokens(sentence)[:count]
    return spoken if len(spoken) == count else [*spoken, *[""] * (count - len(spoken))]


def _axis(
    name: str, entries: list[tuple[str, str, float | None, float | None]], at: npt.NDArray[Any]
) -> dict[str, Any]:
    import polars as pl

    columns = zip(*entries, strict=True)
    kinds = (pl.String, pl.String, pl.Float64, pl.Float64)
    return {
        name: at,
        **{
            f"{name}_{key}": pl.Series(values, dtype=kind).gather(at)
            for key, values, kind in zip(AXIS, columns, kinds, strict=True)
        },
    }
