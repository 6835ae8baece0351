"""What the tables hold: datasets, variants by their printed names, one row a number."""

from dataclasses import dataclass

from mktn.report.results import Key

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
)
DATASET_TITLES = {
    "activitynet": "ActivityNet Captions",
    "charades": "Charades-STA",
    "tacos": "TACoS",
}


@dataclass(frozen=True)
class Layout:
    """What a table of the paper holds: variants in printed order, by their names there."""

    paper: str
    title: str
    model: str
    variants: dict[str, str]


TABLES = {
    3: Layout(
        paper="MKTN",
        title="Main ablation study",
        model="mktn",
        variants={
            "wo_csm": "w/o CSM",
            "wo_opm": "w/o OPM",
            "wo_apa": "w/o APA",
            "wo_avm": "w/o AVM",
            "full": "Full",
        },
    ),
}


@dataclass(frozen=True)
class Row:
    """A row of the csv; `value` and interval in per cent, `reported` as printed or empty."""

    model: str
    variant: str
    dataset: str
    key: Key
    value: float
    ci_low: float
    ci_high: float
    queries: int
    seeds: tuple[int, ...]
    reported: str
    source: str

    def cells(self) -> list[str]:
        """The fields in the order of `COLUMNS`; numbers with two decimals."""
        metric, n, iou = self.key
        return [
            self.model,
            self.variant,
            self.dataset,
            metric,
            "" if n is None else str(n),
            "" if iou is None else f"{iou:g}",
            *(f"{number:.2f}" for number in (self.value, self.ci_low, self.ci_high)),
            str(self.queries),
            str(len(self.seeds)),
            self.reported,
            self.source,
        ]
