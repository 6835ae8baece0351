"""Runs as `mktn evaluate` leaves them, small and made by a random model."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mktn.cli import main
from mktn.engine.metrics import evaluate_rankings
from mktn.report.layouts import TABLES
from mktn.seeds import named_rng

REPORTED = Path(__file__).resolve().parents[2] / "workflow" / "reported.csv"
IOUS = {"activitynet": (0.3, 0.5, 0.7), "charades": (0.3, 0.5, 0.7), "tacos": (0.1, 0.3, 0.5)}
NS = (1, 5)
VIDEOS, QUERIES = 8, 3  # of the test split, queries a video
SYSTEMS = (("random", "baseline"), ("train-prior", "baseline"))

Moments = dict[float, np.ndarray]  # NMS threshold -> (Q, 5, 2) seconds


def targets(dataset: str) -> tuple[list[str], list[str], np.ndarray]:
    """Pair ids, video ids and spans (Q, 2) of the test split: 20 s from a whole second."""
    pair_ids = [f"test/v{v}#{q}" for v in range(VIDEOS) for q in range(QUERIES)]
    video_ids = [f"v{v}" for v in range(VIDEOS) for _ in range(QUERIES)]
    starts = named_rng(0, dataset, "targets").integers(0, 40, len(pair_ids)).astype(float)
    return pair_ids, video_ids, np.stack([starts, starts + 20], axis=1)


def write_pairs(folder: Path, dataset: str) -> Path:
    """pairs.parquet of the test split, and one training pair."""
    pair_ids, video_ids, spans = targets(dataset)
    path = folder / f"{dataset}-pairs.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        {
            "dataset": dataset,
            "split": ["test"] * len(pair_ids) + ["train"],
            "video_id": [*video_ids, "t"],
            "pair_id": [*pair_ids, "train/t#0"],
            "start_s": [*spans[:, 0], 0.0],
            "end_s": [*spans[:, 1], 1.0],
            "duration_s": [80.0] * len(pair_ids) + [1.0],
        }
    ).write_parquet(path)
    return path


def random_moments(dataset: str, *names: object, thresholds: Sequence[float] = (0.5,)) -> Moments:
    """Five moments a query near its target, other ones for each run and threshold."""
    spans = targets(dataset)[2]
    return {
        threshold: spans[:, None]
        + named_rng(0, dataset, *names, threshold).normal(0, 8, (len(spans), 5, 1))
        for threshold in thresholds
    }


def write_run(
    folder: Path,
    dataset: str,
    model: str,
    variant: str,
    seed: int = 0,
    moments: Moments | None = None,
    **changes: Any,
) -> tuple[Path, Path]:
    """metrics.json and predictions.parquet of a run; `changes` are keys of metrics.json."""
    pair_ids, video_ids, spans = targets(dataset)
    moments = moments or random_moments(dataset, model, variant, seed)
    comparison, nms = changes.get("comparison", ">"), changes.get("nms", 0.5)
    ranked = {
        iou: list(moments[round(iou - 0.05, 4) if nms == "peer" else nms]) for iou in IOUS[dataset]
    }
    document = {
        "format": 1,
        "source": "synthetic",
        "dataset": dataset,
        "model": model,
        "variant": variant,
        "seed": seed,
        "split": "test",
        "queries": len(pair_ids),
        "videos": VIDEOS,
        "rejected": 2,
        "comparison": comparison,
        "nms": nms,
        "validation": "official",
        "bootstraps": 40,
        "notes": ["word vectors trained on the captions"],
        "features": "c3d width 8, weights 1a2b3c4d, 8 fps, extracted",
        "features_sha256": "12345678" * 8,
        "word_vectors": "GloVe 64 trained on the training captions",
        "sentence_vectors": "skip-thought 256 trained on the training captions",
        "text_sha256": "87654321" * 8,
        "metrics": evaluate_rankings(
            ranked, spans, video_ids, NS, IOUS[dataset], comparison, bootstraps=40
        ),
        **changes,
    }
    stem = f"{dataset}-{model}-{variant}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    metrics, predictions = folder / f"{stem}.json", folder / f"{stem}.parquet"
    metrics.write_text(json.dumps(document))
    pl.concat(
        pl.DataFrame(
            {
                "pair_id": np.repeat(pair_ids, 5).tolist(),
                "nms": threshold,
                "rank": np.tile(np.arange(1, 6), len(pair_ids)),
                "start_s": spans_s[..., 0].ravel(),
                "end_s": spans_s[..., 1].ravel(),
                "score": 1.0,
            }
        ).filter(pl.col("start_s").is_not_nan())
        for threshold, spans_s in moments.items()
    ).write_parquet(predictions)
    return metrics, predictions


def write_runs(
    folder: Path, table: str = "3", seeds: Sequence[int] = (0,), **changes: Any
) -> list[tuple[Path, Path]]:
    """Every run of a table, with both baselines, on each of its datasets."""
    layout = TABLES[table]
    systems = [*SYSTEMS, *layout.systems]
    return [
        write_run(folder, dataset, model, variant, seed, **changes)
        for dataset in layout.datasets
        for model, variant in systems
        for seed in (seeds[:1] if variant == "baseline" else seeds)
    ]


def tables(folder: Path, runs: Sequence[tuple[Path, Path]], *more: str, table: str = "3") -> int:
    """`mktn tables` on the runs: writes its csv, .md and .tex, gives the exit status."""
    layout = TABLES[table]
    pairs = [write_pairs(folder, dataset) for dataset in layout.datasets]
    scored = [
        *("--metrics", *(str(metrics) for metrics, _ in runs)),
        *("--predictions", *(str(predictions) for _, predictions in runs)),
        *("--pairs", *map(str, pairs)),
    ]
    return main(
        [
            *("tables", *(scored if runs else []), "--reported", str(REPORTED), "--table", table),
            *("--csv", str(folder / f"{layout.stem}.csv")),
            *("--markdown", str(folder / f"{layout.stem}.md")),
            *("--latex", str(folder / f"{layout.stem}.tex"), *more),
        ]
    )


def rows(folder: Path, table: str = "3") -> Callable[..., dict[str, str]]:
    """A look-up of the one row of the csv that has the given fields."""
    frame = pl.read_csv(folder / f"{TABLES[table].stem}.csv", infer_schema=False).fill_null("")

    def row(**fields: object) -> dict[str, str]:
        found = frame.filter(*(pl.col(name) == str(value) for name, value in fields.items()))
        assert found.height == 1, (fields, found)
        return found.row(0, named=True)

    return row


def grids(text: str) -> list[list[list[str]]]:
    """The tables in a Markdown text, as rows of cells."""
    blocks: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            blocks[-1].append(line.strip("| ").split(" | "))
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def write_efficiency(
    folder: Path, dataset: str, model: str, variant: str, vps: float, **changes: Any
) -> Path:
    """efficiency.json of a run; `vps` of origin, cached is twice and multi_pair thrice as fast."""
    speeds = {"origin": vps, "cached": 2 * vps, "batched": 1.5 * vps, "multi_pair": 3 * vps}

    def spread(value: float) -> dict[str, float]:
        return {"value": value, "low": 0.9 * value, "high": 1.2 * value}

    document = {
        **{"format": 1, "source": "synthetic", "dataset": dataset, "partition": "standard"},
        **{"model": model, "variant": variant, "seed": 0, "weights": "trained"},
        **{"sizes": {"frames": 12}, "split": "test", "videos": VIDEOS, "queries": 24},
        **{"split_videos": VIDEOS, "split_queries": 24, "device": "cpu", "device_name": "a CPU"},
        **{"cpus": 2, "dtype": "float32", "threads": 1, "torch": "2.9", "batch_queries": 24},
        **{"warm_up_batches": 10, "repeats": 7, "n": 5, "nms": 0.5},
        **{"load_average_before": [0.1] * 3, "load_average_after": [0.1] * 3},
        **{"text_out": "", "operations": "", "memory": "", "parameters": 2_500_000},
        **{"parameters_by_part": {}, "weights_mb": 10.0},
        "modes": [
            {
                **{"mode": mode, "text": text, "batches": 3, "vps": spread(value)},
                **{"qps": spread(3 * value), "seconds_query": spread(1 / (3 * value))},
                **{"cpu_share": 0.9, "gflops_query": None, "peak_mb": None},
            }
            for text, times in (("in", 1.0), ("out", 2.0))
            for mode, value in ((mode, times * speed) for mode, speed in speeds.items())
        ],
        "ratios": [],
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset}-{model}-{variant}-efficiency.json"
    path.write_text(json.dumps(document))
    return path


def efficiencies(folder: Path, table: str) -> list[str]:
    """The option with efficiency.json of every system; the nth has n + 1 videos a second."""
    layout = TABLES[table]
    return [
        "--efficiency",
        *(
            str(write_efficiency(folder, dataset, *system, vps=n + 1.0))
            for dataset in layout.datasets
            for n, system in enumerate(layout.systems)
        ),
    ]
