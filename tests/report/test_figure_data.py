"""What figures are drawn from: bins against a slow loop, and curves as the logs have them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.engine.log_columns import COLUMNS, TERMS
from mktn.engine.metrics import bootstrap_interval, temporal_iou
from mktn.report.binned_scores import LENGTHS, POSITIONS, bin_of, equal_counts
from mktn.seeds import named_rng
from tests.report.runs import random_moments, targets, write_pairs, write_run

IOU = '{"table_iou": {"charades": 0.5, "tacos": 0.3}}'
SYSTEMS = (("mktn", "full"), ("mmn", "origin"), ("train-prior", "baseline"))


def binned(folder: Path, *more: str, name: str = "lengths", seeds: Sequence[int] = (0,)) -> int:
    """`mktn figure-data` of made-up runs on two datasets."""
    files = [
        write_run(folder, dataset, *system, seed, moments=lengths(dataset, *system, seed))
        for dataset in ("tacos", "charades")
        for system in SYSTEMS
        for seed in (seeds if system[1] != "baseline" else seeds[:1])
    ]
    return main([
        *("figure-data", "--figure", name, "--variants", "mktn/full", "mmn/origin"),
        *("--metrics", *(str(metrics) for metrics, _ in files)),
        *("--predictions", *(str(predictions) for _, predictions in files)),
        *("--pairs", *(str(write_pairs(folder, d)) for d in ("charades", "tacos"))),
        *("--csv", str(folder / "f.csv"), *(more or ("--settings", IOU))),
    ])  # fmt: skip


def lengths(dataset: str, *names: object) -> dict[float, np.ndarray]:
    return random_moments(dataset, *names)


@pytest.mark.parametrize(("name", "quantities"), [("lengths", LENGTHS), ("positions", POSITIONS)])
def test_bins_hold_what_a_slow_loop_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, quantities: tuple[str, ...]
) -> None:
    # Moments of several lengths, in videos of 80 s.
    for dataset in ("charades", "tacos"):
        spans = targets(dataset)[2]
        spans[:, 1] += named_rng(0, dataset, "lengths").integers(-18, 18, len(spans))
        kept = (*targets(dataset)[:2], spans)
        monkeypatch.setitem(_SPANS, dataset, kept)
    monkeypatch.setattr("tests.report.runs.targets", _SPANS.__getitem__)
    assert binned(tmp_path, name=name) == 0
    table = pl.read_csv(tmp_path / "f.csv")
    assert {*table["by"]} == {*quantities}
    for row in table.iter_rows(named=True):
        _, video_ids, spans = _SPANS[row["dataset"]]
        moments = lengths(row["dataset"], row["model"], row["variant"], 0)[0.5]
        last = table.filter(dataset=row["dataset"], by=row["by"])["bin"].max() == row["bin"]
        hits, videos = [], []
        for video, (start, end), found in zip(video_ids, spans, moments[:, 0], strict=True):
            value = {
                "length_s": end - start,
                "length_share": (end - start) / 80,
                "start_share": start / 80,
                "centre_share": (start + end) / 2 / 80,
                "end_share": end / 80,
            }[row["by"]]
            if row["low"] <= value < row["high"] or (last and value == row["high"]):
                hits.append(float(temporal_iou(found, (start, end))) > row["iou"])
                videos.append(video)
        assert (row["queries"], row["videos"]) == (len(hits), len(set(videos)))
        if not hits:
            assert row["value"] is None
            continue
        assert row["value"] == pytest.approx(100 * sum(hits) / len(hits), abs=0.00501)
        if len(set(videos)) == 1:
            assert row["ci_low"] is None
            continue
        ends = bootstrap_interval(np.array(hits, dtype=float)[:, None], videos, 0, 40)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx([e[0] for e in ends], abs=0.00501)
    for _, of_system in table.group_by("model", "dataset", "by"):
        assert of_system["queries"].sum() == 24
    assert table.select("model").unique(maintain_order=True)["model"].to_list() == [
        s[0] for s in SYSTEMS
    ]
    assert {*table.select("dataset", "iou").unique().rows()} == {("charades", 0.5), ("tacos", 0.3)}


_SPANS: dict[str, tuple[list[str], list[str], np.ndarray]] = {}


def test_bins_are_equally_full_and_keep_ties_together() -> None:
    rng = named_rng(0, "values")
    for values in (
        rng.normal(10, 3, 1000),
        rng.integers(0, 6, 500).astype(float),
        rng.uniform(0, 1, 3),
        np.full(7, 2.5),
    ):
        edges = equal_counts(values, 5)
        within = bin_of(values, edges)
        counts = np.bincount(within, minlength=len(edges) - 1)
        assert (np.diff(edges) > 0).all()
        assert (counts > 0).all()
        assert edges[0] <= values.min()
        assert values.max() <= edges[-1]
        for value, at in zip(values, within, strict=True):
            upper = value <= edges[at + 1] if at == len(edges) - 2 else value < edges[at + 1]
            assert edges[at] <= value
            assert upper
    assert np.bincount(bin_of(rng.normal(10, 3, 1000), equal_counts(values, 5))).sum() == 1000
    even = rng.normal(10, 3, 1000)
    assert np.abs(np.bincount(bin_of(even, equal_counts(even, 5))) - 200).max() <= 2


def test_seeds_are_joined(tmp_path: Path) -> None:
    assert binned(tmp_path, seeds=(0, 1, 2)) == 0
    joined = pl.read_csv(tmp_path / "f.csv")
    alone = []
    for seed in (0, 1, 2):
        assert binned(tmp_path / str(seed), seeds=(seed,)) == 0
        alone.append(pl.read_csv(tmp_path / str(seed) / "f.csv"))
    trained = joined["model"] != "train-prior"
    assert set(joined.filter(trained)["seeds"]) == {3}
    mean = sum(one["value"] for one in alone) / 3
    assert (joined["value"] - mean).filter(trained).abs().max() < 0.011


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--settings", "{}"), "--settings: missing key, expected 'table_iou'"),
        (
            ("--settings", '{"table_iou": {"tacos": 0.3}}'),
            "--settings.table_iou.charades: no IoU of a dataset's table, found none",
        ),
        (
            ("--settings", '{"table_iou": {"tacos": 0.3, "charades": "half"}}'),
            "--settings.table_iou.charades: no IoU of a dataset's table, found 'half'",
        ),
        (
            ("--settings", '{"table_iou": {"tacos": 0.3, "charades": 0.4}}'),
            "runs are not scored at the IoU of the table, found 0.3, 0.5, 0.7, expected 0.4",
        ),
        (("--settings", '{"table_iou": {}, "bins": 0}'), "bins 0, expected 1 to 50"),
        (("--settings", IOU, "--logs", "a.parquet"), "--logs: figure lengths is made of other"),
    ],
)
def test_misuse_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, ...], said: str
) -> None:
    assert binned(tmp_path, *given) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "f.csv").exists()


def write_log(path: Path, epochs: int, seed: int = 0, **changes: list[float | None]) -> Path:
    """log.parquet of a run of mktn; `changes` are its columns."""
    rng = named_rng(seed, "log")
    absent = {"map", "mutual", "align", "boundary", "rank", "cycle"}
    values = {
        name: [None] * epochs if name in absent else rng.uniform(size=epochs).tolist()
        for name in COLUMNS
    }
    values |= {"epoch": [*range(epochs)], **changes}
    schema = {n: pl.Int64 if c.kind is int else pl.Float64 for n, c in COLUMNS.items()}
    values["steps"] = [1] * epochs
    pl.DataFrame(values, schema=schema).write_parquet(path)
    return path


def curves(folder: Path, logs: Sequence[Path], name: str = "training") -> int:
    metrics = [write_run(folder, "charades", "mktn", "full", seed)[0] for seed in range(len(logs))]
    return main([
        *("figure-data", "--figure", name, "--metrics", *map(str, metrics)),
        *("--logs", *map(str, logs), "--csv", str(folder / "f.csv")),
    ])  # fmt: skip


def test_curves_are_those_of_the_logs_and_of_their_mean(tmp_path: Path) -> None:
    # The second stopped earlier, and was not validated in its first epoch.
    validated = [[10.0, 30.0, 30.0, 20.0], [None, 20.0, 40.0]]
    logs = [
        write_log(tmp_path / f"{seed}.parquet", len(of), seed, **{"val_mIoU": of})
        for seed, of in enumerate(validated)
    ]
    assert curves(tmp_path, logs) == 0
    table = pl.read_csv(tmp_path / "f.csv")
    assert table["quantity"].unique(maintain_order=True).to_list() == [
        *("span", "float", "csm", "proto", "cl", "val_mIoU")
    ]
    for seed, path in enumerate(logs):
        log = pl.read_parquet(path)
        for name in table["quantity"].unique():
            drawn = table.filter(seed=str(seed), quantity=name)
            assert drawn["value"].to_list() == pytest.approx(
                log[name].drop_nulls().to_list(), rel=1e-5
            )
            # The first of equals, as training keeps it.
            assert drawn.filter(selected=1)["epoch"].to_list() == [1 if seed == 0 else 2]
    mean = table.filter(seed="mean", quantity="val_mIoU")
    assert mean.select("epoch", "value").rows() == [(1, 25.0), (2, 35.0)]
    assert mean["selected"].sum() == 0
    assert curves(tmp_path, logs[:1], "negatives") == 0
    table = pl.read_csv(tmp_path / "f.csv")
    assert {*table["quantity"]} == {"threshold", "negative_share", "negatives"}
    assert {*table["seed"]} == {0}


def test_a_log_of_one_epoch_and_broken_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write_log(tmp_path / "one.parquet", 1, val_mIoU=[None])
    assert curves(tmp_path, [one]) == 0
    table = pl.read_csv(tmp_path / "f.csv")
    assert table.height == len(TERMS) - 6
    assert table["selected"].sum() == 0
    empty = write_log(tmp_path / "empty.parquet", 0)
    short = tmp_path / "short.parquet"
    pl.read_parquet(one).drop("threshold").write_parquet(short)
    text = tmp_path / "text.parquet"
    pl.read_parquet(one).with_columns(span=pl.lit("low")).write_parquet(text)
    (tmp_path / "no.parquet").write_bytes(b"PAR1")
    capsys.readouterr()
    for path, said in (
        (empty, "empty.parquet: log has no epoch"),
        (short, "short.parquet: column is missing"),
        (text, "text.parquet, span: column of another type, found String"),
        (tmp_path / "no.parquet", "no.parquet: log cannot be read"),
        (tmp_path / "none.parquet", "none.parquet: log cannot be read"),
    ):
        assert curves(tmp_path, [path]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    metrics = write_run(tmp_path, "charades", "mktn", "full")[0]
    command = ("figure-data", "--figure", "training", "--csv", str(tmp_path / "g.csv"))
    assert main([*command, "--metrics", str(metrics), "--logs", str(one), str(one)]) == 2
    assert "--logs: not one file a run, found 2" in capsys.readouterr().err
    other = json.loads(metrics.read_text()) | {"variant": "wo_csm"}
    metrics.write_text(json.dumps(other))
    assert main([*command, "--metrics", str(metrics), "--logs", str(one)]) == 2
    assert "variant is not in the table, found wo_csm" in capsys.readouterr().err
