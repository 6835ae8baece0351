"""`mktn bench`: what multi-pair batches save, what similarities need, how features are read."""

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mktn.config import fill, read_settings
from mktn.engine.multipair_bench import MultipairSettings
from mktn.engine.multipair_bench import run as multipair
from mktn.engine.predict import choose_device
from mktn.engine.reading_bench import ReadingSettings
from mktn.engine.reading_bench import run as reading
from mktn.engine.reading_bench import summary as reading_summary
from mktn.engine.similarity_bench import SimilaritySettings
from mktn.engine.similarity_bench import run as similarity
from mktn.files import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn bench`."""
    parser.add_argument("what", choices=("multipair", "similarity", "reading"))
    parser.add_argument("--out", required=True, type=Path, help="output: csv")
    parser.add_argument(
        "--settings", help="JSON or a file: Multipair-, Similarity- or ReadingSettings"
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure, print a summary, and write the csv."""
    given = read_settings(arguments.settings)
    if arguments.what == "similarity":
        rows = list(similarity(fill(SimilaritySettings, given)))
        for row in rows:
            print(
                f"{row['similarity']:>5}: {row['peak_mb']:7.1f} MB beyond inputs and gradients, "
                f"{row['seconds']:.2f} s; all scores at once: {row['whole_tensor_mb']:.0f} MB"
            )
    elif arguments.what == "reading":
        rows = []
        for row in reading(fill(ReadingSettings, given)):
            rows.append(row)
            print(reading_summary(row), flush=True)
    else:
        settings = fill(MultipairSettings, given)
        torch.set_num_threads(settings.threads)
        device = choose_device(settings.device)
        rows = []
        for row in multipair(settings, device):
            rows.append(row)
            print(
                f"{row['phase']:>9}, {row['queries_per_video']:>2} queries a video, "
                f"{row['mode']:<13}: {row['queries_per_s']:8.1f} queries/s, "
                f"{row['ratio_to_encoded_again']:.2f} x encoded again, "
                f"{row['ratio_to_cached']:.2f} x cached",
                flush=True,
            )
        about = {
            "frames": settings.frames,
            "width": settings.width,
            "threads": settings.threads,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "dtype": "float32",
            "torch": torch.__version__,
        }
        rows = [{**row, **about} for row in rows]
    write_text(as_csv(rows), arguments.out)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of the same keys as csv; lines end in a line feed on every machine."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
