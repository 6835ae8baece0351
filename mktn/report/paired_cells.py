"""Cells of pages that show a score with its difference to another run on the same queries."""

from mktn.report.results import Interval, Key
from mktn.report.rows import two_decimals


def metric_name(key: Key) -> str:
    """R@1, IoU=0.5, or mIoU."""
    metric, n, iou = key
    return metric if n is None else f"{metric}@{n}, IoU={iou:g}"


def cell(value: Interval, difference: Interval | None) -> str:
    """The value with its interval; behind a semicolon the difference, bold where it excludes 0."""
    said = "{} [{}, {}]".format(*two_decimals(value))
    if difference is None:
        return said
    numbers = two_decimals(difference, sign="+")
    clear = float(numbers[1]) > 0 or float(numbers[2]) < 0  # as it is written
    bold = "**" if clear else ""
    return "{}; {}{} [{}, {}]{}".format(said, bold, *numbers, bold)
