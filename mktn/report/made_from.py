"""`mktn provenance`: which programs, configuration and trainings results were made with.

Trainings are told by what their `config.json` says of them: the PyTorch that ran, the features and
the text that they read, and the hash of the file itself. Paths of the machine are cut to their
last part: the page is for others.
"""

import argparse
import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mktn.checksums import read_sealed_json
from mktn.documents import load_json
from mktn.errors import UserError
from mktn.features.origin import short_features
from mktn.files import write_text
from mktn.provenance import code_sha256
from mktn.report.layouts import DATASET_TITLES

PROGRAMS = ("mktn", "torch", "numpy", "polars", "snakemake")
KEYS = ("source", "dataset", "model", "variant", "seed", "features", "text", "torch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn provenance`."""
    parser.add_argument(
        "--runs", nargs="*", default=[], type=Path, help="config.json of the trained runs"
    )
    parser.add_argument(
        "--configuration", required=True, help="JSON: the configuration of the pipeline"
    )
    parser.add_argument("--markdown", required=True, type=Path, help="output")


def run(arguments: argparse.Namespace) -> None:
    """Read what the runs recorded and write the page."""
    try:
        configuration = load_json(arguments.configuration)
        if not isinstance(configuration, dict):
            raise ValueError("no mapping")
    except ValueError as error:
        raise UserError(
            "configuration cannot be read",
            where="--configuration",
            found=str(error),
            expected="the configuration as JSON",
        ) from error
    runs = [(path, read_run(path)) for path in arguments.runs]
    write_text(as_markdown(runs, configuration), arguments.markdown)
    print(f"{len(runs)} runs: {arguments.markdown}")


def read_run(path: Path) -> dict[str, Any]:
    """The `config.json` of a run. Raises UserError when the file is not one of `mktn train`."""
    try:
        found = read_sealed_json(path)
    except (OSError, ValueError) as error:
        raise UserError(
            "file cannot be read", where=path, found=str(error), expected="config.json of a run"
        ) from error
    missing = [key for key in KEYS if not isinstance(found, dict) or key not in found]
    if missing:
        raise UserError(
            "not the configuration of a run",
            where=path,
            found=f"no {missing[0]}",
            expected="config.json of mktn train",
            do="name that of a trained run",
        )
    return found


def as_markdown(
    runs: Sequence[tuple[Path, Mapping[str, Any]]], configuration: Mapping[str, Any]
) -> str:
    """Programs, trainings and configuration, a section each."""
    import yaml

    lines = [
        "# Provenance",
        "",
        f"**Source: {configuration.get('source')}.**",
        "",
        "What the results of this report were made with: the programs that wrote this page, what"
        " each training recorded of itself, and the configuration.",
        "",
        "## Programs",
        "",
        "| Program | Version |",
        "| --- | --- |",
        *(f"| {name} | {version} |" for name, version in programs().items()),
        "",
        "## Trainings",
        "",
        "*Epoch*: the one selected on validation. *Code*: hashes of what made the features and the"
        " text. *SHA-256*: of the run's config.json, which holds all its hyperparameters.",
        "",
    ]
    head = ("Training", "Dataset", "Seed", "Epoch", "PyTorch", "Features", "Code", "SHA-256")
    grid = [head, ("---",) * len(head), *(_row(path, found) for path, found in runs)]
    lines += [f"| {' | '.join(row)} |" for row in grid] if runs else ["No training."]
    shown = yaml.safe_dump(
        without_folders(dict(configuration)), default_flow_style=None, allow_unicode=True, width=96
    )
    lines += ["", "## Configuration", "", "```yaml", shown.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def programs() -> dict[str, str]:
    """Versions of what computes here, and the hash of this package's code."""
    found = {"Python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in PROGRAMS}
    return {**found, "code of mktn": code_sha256("")}


def without_folders(value: Any) -> Any:
    """A configuration with absolute paths cut to their last part, as `.../weights.pth`."""
    if isinstance(value, dict):
        return {key: without_folders(below) for key, below in value.items()}
    if isinstance(value, list):
        return [without_folders(below) for below in value]
    if isinstance(value, str) and (value.startswith("~") or Path(value).is_absolute()):
        return f".../{Path(value).name}"
    return value


def _row(path: Path, found: Mapping[str, Any]) -> tuple[str, ...]:
    features, text = found["features"], found["text"]
    codes = [str(one.get("code_sha256", "unknown"))[:8] for one in (features, text)]
    dataset = str(found["dataset"])
    return (
        f"{found['model']} `{found['variant']}`",
        DATASET_TITLES.get(dataset, dataset),
        str(found["seed"]),
        str(found.get("selected", "-")),
        str(found["torch"]),
        short_features(features, int(features.get("patches", 1))),
        ", ".join(codes),
        hashlib.sha256(path.read_bytes()).hexdigest()[:8],
    )
