"""`mktn score`: anyone's predictions are scored as our own, and what is wrong is one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mktn.checksums import read_sealed_json
from mktn.cli import main
from mktn.engine.metrics import evaluate_rankings, nms, temporal_iou
from mktn.parquet import write_parquet

IOUS = (0.3, 0.5, 0.7)
DURATION_S = 20.0


def targets() -> pl.DataFrame:
    """Seven videos of up to four test queries and one of training; two sentences are alike."""
    rng = np.random.default_rng(3)
    rows = []
    for video in range(8):
        split = "test" if video else "train"
        for order in range(1 + video % 4):
            name = f"v{video}"
            start_s, end_s = np.sort(rng.uniform(0, DURATION_S, 2))
            sentence = f"A person Opens the {'door' if order < 2 else 'box'} {order // 2 * order}."
            rows.append(("charades", split, name, f"{split}/{name}#{order}", sentence, order,
                         float(start_s), float(end_s), DURATION_S))  # fmt: skip
    columns = ("dataset", "split", "video_id", "pair_id", "sentence", "order")
    return pl.DataFrame(rows, (*columns, "start_s", "end_s", "duration_s"), orient="row")


def predictions(pairs: pl.DataFrame, moments: int = 6) -> pl.DataFrame:
    """Ranked moments of the test queries, the queries in no particular order."""
    rng = np.random.default_rng(4)
    rows = []
    for row in pairs.filter(split="test").sample(fraction=1, shuffle=True, seed=1).to_dicts():
        for rank in range(1, moments + 1):
            near = np.sort(np.add((row["start_s"], row["end_s"]), rng.normal(0, 2, 2)))
            rows.append({"pair_id": row["pair_id"], "video_id": row["video_id"],
                         "order": row["order"], "sentence": row["sentence"], "rank": rank,
                         "start_s": float(near[0]), "end_s": float(near[1]),
                         "score": 1.0 / rank})  # fmt: skip
    return pl.DataFrame(rows)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, pl.DataFrame, pl.DataFrame]:
    pairs = targets()
    write_parquet(pairs, tmp_path / "pairs.parquet")
    return tmp_path, pairs, predictions(pairs)


def score(folder: Path, given: pl.DataFrame | list[Any], *more: str, kind: str = "csv") -> int:
    """`mktn score` of these rows in a file of this kind; what it found is in scores.json."""
    path = folder / f"given.{kind}"
    if isinstance(given, list) or kind == "json":
        rows = given if isinstance(given, list) else given.to_dicts()
        path.write_text(json.dumps(rows))
    else:
        getattr(given, f"write_{kind}")(path)
    words = ["score", str(path), "--pairs", str(folder / "pairs.parquet"),
             "--json", str(folder / "scores.json"), *more]  # fmt: skip
    return main(words)


def scores(folder: Path) -> dict[str, Any]:
    found = read_sealed_json(folder / "scores.json")
    assert isinstance(found, dict)
    return found


def by_loops(pairs: pl.DataFrame, given: pl.DataFrame) -> dict[tuple[str, Any, Any], float]:
    """The metrics from their definitions, a query at a time."""
    test = pairs.filter(split="test").to_dicts()
    best: dict[str, list[float]] = {}
    for row in test:
        own = given.filter(pair_id=row["pair_id"]).sort("rank")
        spans = own.select("start_s", "end_s").to_numpy()
        best[row["pair_id"]] = [
            float(temporal_iou(span, (row["start_s"], row["end_s"]))) for span in spans
        ]
    found: dict[tuple[str, Any, Any], float] = {
        ("R", n, iou): 100 * sum(any(x > iou for x in b[:n]) for b in best.values()) / len(test)
        for n in (1, 5)
        for iou in IOUS
    }
    found["mIoU", None, None] = 100 * sum(b[0] if b else 0 for b in best.values()) / len(test)
    return found


def test_it_is_what_the_definitions_say(files, capsys: pytest.CaptureFixture[str]) -> None:
    folder, pairs, given = files
    assert score(folder, given) == 0
    expected = by_loops(pairs, given)
    for row in scores(folder)["metrics"]:
        key = row["metric"], row["n"], row["iou"]
        assert row["value"] == pytest.approx(expected[key], abs=1e-9)
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
    said = capsys.readouterr().out
    assert "charades, test: 19 queries of 7 videos\n" in said
    assert "NMS: none applied, ranks as given" in said
    assert "1000 bootstraps over videos, seed 0" in said
    assert f"R@1, IoU=0.5  {expected['R', 1, 0.5]:7.2f}  [" in said


def test_the_form_of_the_file_and_the_name_of_the_query_change_nothing(files) -> None:
    folder, _, given = files
    plain = given.drop("score")
    forms: list[tuple[pl.DataFrame, str]] = [
        (given, "csv"), (given, "json"), (given, "parquet"), (plain.drop("pair_id"), "csv"),
        (plain.drop("pair_id", "sentence"), "parquet"), (plain.drop("order", "sentence"), "json"),
    ]  # fmt: skip
    found = []
    for frame, kind in forms:
        assert score(folder, frame, kind=kind) == 0
        found.append(scores(folder))
    assert found[0]["queries"] == 19
    assert all(other == found[0] for other in found)


def test_sentences_name_queries_where_they_stand_once(files, capsys) -> None:
    folder, pairs, given = files
    keys = ["video_id", "sentence"]
    twice = pairs.filter(pairs.select(keys).is_duplicated())["pair_id"]
    once = given.filter(~pl.col("pair_id").is_in(twice.implode()))
    assert score(folder, once) == 0
    expected = scores(folder)["metrics"]
    by_sentence = once.drop("pair_id", "order").with_columns(
        pl.col("sentence").str.to_lowercase().str.strip_chars_end(".")
    )
    assert score(folder, by_sentence) == 0
    assert scores(folder)["metrics"] == expected
    capsys.readouterr()
    assert score(folder, given.drop("pair_id", "order")) == 2
    assert "the video has this sentence several times" in capsys.readouterr().err


def test_missing_queries_are_missed_and_said(files, capsys) -> None:
    folder, pairs, given = files
    gone = sorted(given["pair_id"].unique())[:5]
    left = given.filter(~pl.col("pair_id").is_in(gone))
    assert score(folder, left) == 0
    assert "5 queries have no prediction and count as missed" in capsys.readouterr().out
    found = scores(folder)
    assert (found["queries"], found["missing"]) == (19, 5)
    expected = by_loops(pairs, left)
    for row in found["metrics"]:
        key = row["metric"], row["n"], row["iou"]
        assert row["value"] == pytest.approx(expected[key], abs=1e-9)


def test_groups_say_which_queries_count(files, capsys) -> None:
    folder, pairs, given = files
    usable = pairs.filter(pl.col("video_id") != "v3")
    write_parquet(usable.select("pair_id"), folder / "groups.parquet")
    assert score(folder, given, "--groups", str(folder / "groups.parquet")) == 0
    found = scores(folder)
    assert (found["queries"], found["left_out"], found["missing"]) == (15, 4, 0)
    assert "4 predicted queries are not in the groups: not scored" in capsys.readouterr().out
    expected = by_loops(usable, given)
    for row in found["metrics"]:
        key = row["metric"], row["n"], row["iou"]
        assert row["value"] == pytest.approx(expected[key], abs=1e-9)


def test_nms_is_applied_where_it_is_asked_for_and_then_before_the_first_n(files, capsys) -> None:
    folder, pairs, given = files
    assert score(folder, given, "--settings", '{"nms": 0.4}') == 0
    assert "NMS: 0.4;" in capsys.readouterr().out
    kept = []
    for (_,), own in given.group_by("pair_id"):
        own = own.sort("rank")
        index = nms(own.select("start_s", "end_s").to_numpy(), -own["rank"].to_numpy(), 0.4)
        kept.append(own[index.tolist()].with_columns(rank=pl.int_range(1, len(index) + 1)))
    left = pl.concat(kept)
    assert left.height < given.height
    expected = by_loops(pairs, left)
    for row in scores(folder)["metrics"]:
        key = row["metric"], row["n"], row["iou"]
        assert row["value"] == pytest.approx(expected[key], abs=1e-9)


def test_rankings_of_a_threshold_for_each_iou_are_scored_each_at_its_own(files) -> None:
    folder, pairs, given = files
    limits = {0.3: 0.25, 0.5: 0.45, 0.7: 0.65}
    parts = [
        given.with_columns(nms=pl.lit(limit), end_s=pl.col("end_s") + limit)
        for limit in limits.values()
    ]
    assert score(folder, pl.concat(parts)) == 0
    found = scores(folder)
    assert found["nms"] == "peer"
    for iou, part in zip(limits, parts, strict=True):
        expected = by_loops(pairs, part)
        for row in found["metrics"]:
            if row["iou"] == iou:
                key = row["metric"], row["n"], row["iou"]
                assert row["value"] == pytest.approx(expected[key], abs=1e-9)


def test_the_draws_are_those_of_the_metrics(files) -> None:
    folder, pairs, given = files
    settings = {"bootstraps": 30, "seed": 7, "comparison": ">=", "ns": [1, 3], "ious": [0.5]}
    assert score(folder, given, "--settings", json.dumps(settings)) == 0
    order = given["pair_id"].unique(maintain_order=True)
    asked = pl.DataFrame({"pair_id": order}).join(pairs, on="pair_id", maintain_order="left")
    ranked = [
        given.filter(pair_id=name).sort("rank").select("start_s", "end_s").to_numpy()
        for name in order
    ]
    assert scores(folder)["metrics"] == evaluate_rankings(
        ranked, asked.select("start_s", "end_s").to_numpy(), asked["video_id"].to_list(),
        (1, 3), (0.5,), ">=", 7, 30,
    )  # fmt: skip


@pytest.mark.parametrize("limit", [0.4, "peer"])
def test_our_own_predictions_have_our_own_metrics(
    small_dataset: Path, tmp_path: Path, limit: float | str
) -> None:
    (tmp_path / "rejected.parquet").write_bytes((small_dataset / "pairs.parquet").read_bytes())
    protocol = {"source": "synthetic", "dataset": "charades", "ious": [0.1, 0.3], "nms": limit,
                "table_iou": 0.3, "bootstraps": 40, "device": "cpu"}  # fmt: skip
    inputs = ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr")
    options = zip(("--pairs", "--groups", "--features", "--text"), inputs, strict=True)
    written = tmp_path / "predictions.parquet"
    assert main([
        *("evaluate", "--baseline", "train-prior", "--settings", json.dumps(protocol)),
        *(word for name, path in options for word in (name, str(small_dataset / path))),
        *("--rejected", str(tmp_path / "rejected.parquet"), "--predictions", str(written)),
        *("--metrics", str(tmp_path / "metrics.json")),
    ]) == 0  # fmt: skip
    settings = {"ious": [0.1, 0.3], "bootstraps": 40}
    assert main([
        *("score", str(written), "--pairs", str(small_dataset / "pairs.parquet")),
        *("--json", str(tmp_path / "scores.json"), "--settings", json.dumps(settings)),
    ]) == 0  # fmt: skip
    metrics = read_sealed_json(tmp_path / "metrics.json")
    assert isinstance(metrics, dict)
    assert scores(tmp_path)["metrics"] == metrics["metrics"]
    assert scores(tmp_path)["nms"] == limit


def at(row: int, **values: Any) -> Callable[[list[dict[str, Any]]], Any]:
    """One row of the predictions changed; None takes the key away."""

    def change(rows: list[dict[str, Any]]) -> None:
        for name, value in values.items():
            rows[row].pop(name) if value is None else rows[row].update({name: value})

    return change


REFUSED: list[tuple[str, str, Callable[[list[dict[str, Any]]], Any]]] = [
    ("csv", "unknown query, found 'test/v9#0'", at(3, pair_id="test/v9#0")),
    ("csv", "query of another split, found 'train/v0#0' of train", at(3, pair_id="train/v0#0")),
    ("csv", "given.csv, line 5: start_s refused, found 'nan'", at(3, start_s="nan")),
    ("csv", "end_s refused, found ''", at(3, end_s="")),
    ("csv", "end_s refused, found 'inf'", at(3, end_s="inf")),
    ("csv", "score refused, found 'best'", at(3, score="best")),
    ("csv", "end_s is not after start_s, found 4 to 4", at(3, start_s=4, end_s=4.0)),
    ("csv", "end_s is not after start_s, found 5 to 4", at(3, start_s=5, end_s=4.0)),
    ("csv", "a rank stands twice, found rank 3 of", at(3, rank=3)),
    ("csv", "a rank is missing, found no rank 6 of", at(5, rank=7)),
    ("csv", "rank refused, found 0.0, expected a whole number, 1", at(0, rank=0)),
    ("csv", "rank refused, found 1.5", at(0, rank=1.5)),
    ("json", "NaN, which is no number of JSON", at(3, start_s=float("nan"))),
    ("json", "row 3: pair_id refused, found 7, expected text", at(3, pair_id=7)),
    ("json", "row 3: end_s refused, found None", at(3, end_s=None)),
    ("json", "row 114: broken row, found no object of keys", lambda rows: rows.append([])),
    ("json", "predictions without rows", lambda rows: rows.clear()),
    ("json", "several NMS thresholds", lambda rows: [
        row.update(nms=[0.4, 0.5][i % 2]) for i, row in enumerate(rows)]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "message", "change"), REFUSED, ids=[m for _, m, _ in REFUSED])
def test_what_cannot_be_scored_is_one_line(files, capsys, kind: str, message: str, change) -> None:
    folder, _, given = files
    rows = given.to_dicts()
    change(rows)
    if kind == "csv":
        text = "".join(f"{','.join(str(v) for v in row.values())}\n" for row in rows)
        (folder / "given.csv").write_text(f"{','.join(given.columns)}\n{text}")
        status = main(["score", str(folder / "given.csv"), "--pairs",
                       str(folder / "pairs.parquet")])  # fmt: skip
    else:
        status = score(folder, rows, kind=kind)
    error = capsys.readouterr().err
    assert status == 2, error
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "scores.json").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["rank"], "column is missing, found pair_id, video_id, order, sentence, start_s"),
        (["pair_id", "video_id"], "expected pair_id, or video_id and order or sentence"),
    ],
)
def test_missing_columns_are_named(files, capsys, columns: list[str], message: str) -> None:
    folder, _, given = files
    assert score(folder, given.drop(columns)) == 2
    assert message in capsys.readouterr().err


def test_nms_twice_is_refused(files, capsys) -> None:
    folder, _, given = files
    done = given.with_columns(nms=pl.lit(0.5))
    assert score(folder, done, "--settings", '{"nms": 0.5}') == 2
    assert "these predictions have been through NMS" in capsys.readouterr().err
    assert score(folder, done) == 0
    assert scores(folder)["nms"] == 0.5


def test_a_split_that_is_not_there_is_refused(files, capsys) -> None:
    folder, _, given = files
    assert score(folder, given, "--split", "val") == 2
    assert "no pairs of the split, found train, test, expected val" in capsys.readouterr().err
