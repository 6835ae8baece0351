"""A row of a table's csv, and how its numbers are written."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mktn.report.lines import Layout
from mktn.report.results import Interval, Key

COLUMNS = (
    "model",
    "variant",
    "dataset",
    "metric",
    "n",
    "iou",
    "value",
    "ci_low",
    "ci_high",
    "queries",
    "seeds",
    "reported",
    "source",
    "difference",
    "difference_low",
    "difference_high",
    "features",
)
# Of tables that hold more than one model; `method` is the paper's name.
METHOD_COLUMNS = ("method", "type")
PER_CENT = ("R", "mIoU")


@dataclass(frozen=True)
class Row:
    """A row of the csv.

    `value` and its interval in per cent where they are scores, the median and its quartiles where
    they are speeds, without an interval where they are exact, None where nothing is measured;
    `reported` as printed or empty; `difference` to the reference in points with its interval,
    None for the reference itself, for baselines, for what is no score, and where the reference
    is absent. A method that the paper alone has numbers of has no model and no variant.
    """

    method: str
    type: str
    model: str
    variant: str
    dataset: str
    key: Key
    value: Interval | None
    queries: int | None
    seeds: int
    reported: str
    source: str
    difference: Interval | None
    features: str  # where they came from, the short form

    def cells(self, layout: Layout) -> list[str]:
        """The fields in the order of `columns_of`; scores with two decimals."""
        metric, n, iou = self.key
        return [
            *((self.method, self.type) if has_methods(layout) else ()),
            self.model,
            self.variant,
            self.dataset,
            metric,
            "" if n is None else str(n),
            "" if iou is None else f"{iou:g}",
            *(self.numbers() if self.value else ("", "", "")),
            "" if self.queries is None else str(self.queries),
            str(self.seeds) if self.value else "",
            self.reported,
            self.source,
            *(two_decimals(self.difference) if self.difference else ("", "", "")),
            self.features,
        ]

    def numbers(self) -> list[str]:
        """The measured value, low and high as they are written."""
        if self.value is None:
            return []
        if self.key[0] in PER_CENT:
            return two_decimals(self.value)
        three = (self.value.value, self.value.ci_low, self.value.ci_high)
        return [significant(number) for number in three]


def has_methods(layout: Layout) -> bool:
    """Whether a table's csv says of which method of the paper a row is."""
    return layout.compares or layout.typed


def columns_of(layout: Layout) -> tuple[str, ...]:
    """The columns of a table's csv."""
    return (*(METHOD_COLUMNS if has_methods(layout) else ()), *COLUMNS)


def two_decimals(interval: Interval, sign: str = "-") -> list[str]:
    """Value, low and high with two decimals; `sign` "+" writes the sign of positive ones too."""
    numbers = (interval.value, interval.ci_low, interval.ci_high)
    # Adding 0.0 turns the -0.00 of a tiny negative number into 0.00.
    return [f"{round(number, 2) + 0.0:{sign}.2f}" for number in numbers]


def significant(number: float, digits: int = 3) -> str:
    """A number of at least 0 with so many significant digits, whole digits kept; NaN is empty."""
    if math.isnan(number):
        return ""
    magnitude = math.floor(math.log10(number)) if number > 0 else 0
    return f"{number:.{max(0, digits - 1 - magnitude)}f}"


def as_csv(rows: Sequence[Row], layout: Layout) -> str:
    """The tidy csv with its header; lines end in a line feed on every machine."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns_of(layout))
    writer.writerows(row.cells(layout) for row in rows)
    return text.getvalue()
