"""The numbers that a paper reports in one table, from reported.csv."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mktn.datasets.annotations import read_csv
from mktn.errors import UserError
from mktn.report.layouts import DATASET_TITLES
from mktn.report.lines import Layout, System
from mktn.report.results import Key

COLUMNS = ("paper", "table", "dataset", "method", "type", "variant", "metric", "iou", "value")


@dataclass(frozen=True)
class Reported:
    """As printed, in printed order; an empty number is a dash in the paper."""

    of_system: Mapping[tuple[str, System, Key], str]  # by dataset, of our lines
    of_method: Mapping[tuple[str, str, str, Key], str]  # by dataset, by method and variant
    types: Mapping[tuple[str, str], str]  # (dataset, method): FS | WS | MP
    keys: Mapping[str, tuple[Key, ...]]  # by dataset, the metrics that the table prints

    def methods(self, dataset: str) -> list[str]:
        """The methods printed for a dataset, in printed order."""
        return [method for at, method in self.types if at == dataset]


def read_reported(path: Path, layout: Layout) -> Reported:
    """The numbers of one table; a system that the paper prints on several lines has one number.

    Raises UserError where there is none, or one stands twice and differs.
    """
    system_of = {(line.method, line.reported): line.system for line in layout.lines}
    dataset_of = {title: dataset for dataset, title in DATASET_TITLES.items()}
    of_system: dict[tuple[str, System, Key], str] = {}
    of_method: dict[tuple[str, str, str, Key], str] = {}
    types: dict[tuple[str, str], str] = {}
    keys: dict[str, dict[Key, None]] = {}
    for line_number, row in read_csv(path, COLUMNS):
        if (row["paper"], row["table"]) != (layout.paper, str(layout.number)):
            continue
        system = system_of.get((row["method"], row["variant"]))
        if row["dataset"] not in dataset_of or not (system or layout.compares):
            continue
        dataset = dataset_of[row["dataset"]]
        key, printed = _number(row, f"{path}, line {line_number}")
        types.setdefault((dataset, row["method"]), row["type"])
        keys.setdefault(dataset, {})[key] = None
        known = of_method.setdefault((dataset, row["method"], row["variant"], key), printed)
        if system:
            known = of_system.setdefault((dataset, system, key), known)
        if known != printed:
            raise UserError(
                "a number is published twice and differs",
                where=f"{path}, line {line_number}",
                found=printed,
                expected=known,
            )
    if not keys:
        raise UserError(
            "no published numbers",
            where=path,
            expected=f"rows of {layout.paper}, table {layout.number}",
        )
    return Reported(of_system, of_method, types, {d: tuple(of) for d, of in keys.items()})


def _number(row: Mapping[str, str], where: str) -> tuple[Key, str]:
    metric, _, n = row["metric"].partition("@")
    try:
        key = (metric, int(n) if n else None, float(row["iou"]) if row["iou"] else None)
        if row["value"]:
            float(row["value"])
    except ValueError as error:
        raise UserError("broken number", where=where, found=error) from error
    return key, row["value"]
