"""`mktn bench`: speed, memory and accuracy, each measured against a baseline in the same run.

A benchmark is a module with a frozen dataclass of settings, `run(settings)`, which yields one row
at a time, and `summary(row)`, a line for a person.
"""

import argparse
import csv
import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mktn.config import fill, read_settings
from mktn.files import write_text

# what is measured -> its module and settings
BENCHES = {
    "multipair": ("mktn.engine.multipair_bench", "MultipairSettings"),
    "processes": ("mktn.engine.processes_bench", "ProcessesSettings"),
    "similarity": ("mktn.engine.similarity_bench", "SimilaritySettings"),
    "reading": ("mktn.engine.reading_bench", "ReadingSettings"),
    "import": ("mktn.engine.import_bench", "ImportBenchSettings"),
    "extraction": ("mktn.engine.extraction_bench", "ExtractionSettings"),
    "checkpoint": ("mktn.engine.checkpoint_bench", "CheckpointSettings"),
    "parts": ("mktn.engine.parts_bench", "PartsSettings"),
    "dag": ("mktn.engine.dag_bench", "DagSettings"),
    "cost": ("mktn.engine.cost_bench", "CostSettings"),
    "relations": ("mktn.engine.relations_bench", "RelationsBenchSettings"),
    "map": ("mktn.engine.map_bench", "MapSettings"),
    "words": ("mktn.features.words_bench", "WordsSettings"),
    "ground": ("mktn.grounder.unseen_bench", "UnseenSettings"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn bench`."""
    parser.add_argument("what", choices=tuple(BENCHES))
    parser.add_argument("--out", required=True, type=Path, help="output: csv")
    parser.add_argument("--settings", help="JSON or a file: settings of that benchmark")


def run(arguments: argparse.Namespace) -> None:
    """Measure, print a line a row, and write the csv."""
    name, settings = BENCHES[arguments.what]
    module = importlib.import_module(name)
    rows: list[dict[str, Any]] = []
    for row in module.run(fill(getattr(module, settings), read_settings(arguments.settings))):
        rows.append(row)
        print(module.summary(row), flush=True)
    write_text(as_csv(rows), arguments.out)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of the same keys as csv; lines end in a line feed on every machine."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
