"""What the tables hold: datasets, variants by their printed names, one row a number."""

from collections.abc import Iterable
from dataclasses import dataclass

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
DATASET_TITLES = {
    "activitynet": "ActivityNet Captions",
    "charades": "Charades-STA",
    "tacos": "TACoS",
}


def titles(datasets: Iterable[str]) -> dict[str, str]:
    """dataset -> its title, in printed order: the benchmarks, then a user's own by their names."""
    given = set(datasets)
    own = {name: name for name in sorted(given - set(DATASET_TITLES))}
    return {d: title for d, title in DATASET_TITLES.items() if d in given} | own


REFERENCE = "full"  # what every other variant is compared with


@dataclass(frozen=True)
class Printed:
    """A line of the paper's table: our variant, its name there, its name in reported.csv."""

    variant: str
    name: str
    reported: str


@dataclass(frozen=True)
class Layout:
    """What a table of the paper holds: its lines in printed order, and on which datasets."""

    paper: str
    title: str
    legend: str
    model: str
    datasets: tuple[str, ...]
    lines: tuple[Printed, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants, each once, in printed order."""
        return tuple(dict.fromkeys(line.variant for line in self.lines))


def _named(**names: str) -> tuple[Printed, ...]:
    """Lines whose names in reported.csv are the printed ones."""
    return tuple(Printed(variant, name, name) for variant, name in names.items())


def _switched(first: str, second: str, wo_first: str, wo_second: str) -> tuple[Printed, ...]:
    """Lines printed as two switches on and off: without the first, without the second, full."""
    lines = ((wo_first, 0, 1), (wo_second, 1, 0), ("full", 1, 1))
    names = {first: first.replace("_ssl", " feature"), second: second.replace("_ssl", " feature")}
    return tuple(
        Printed(
            variant,
            f"{names[first]} {'✗✓'[on_first]}, {names[second]} {'✗✓'[on_second]}",
            f"{first}={on_first};{second}={on_second}",
        )
        for variant, on_first, on_second in lines
    )


def _threshold(**names: str) -> tuple[Printed, ...]:
    return tuple(Printed(v, name, f"threshold={name}") for v, name in names.items())


TABLES = {
    3: Layout(
        paper="MKTN",
        title="Main ablation study",
        legend="CSM: cross-sentence semantic mining. OPM: object-phrase prototype matching."
        " APA: activity-sentence prototype alignment. AVM: adaptive video-query matching.",
        model="mktn",
        datasets=("activitynet", "charades", "tacos"),
        lines=_named(
            wo_csm="w/o CSM",
            wo_opm="w/o OPM",
            wo_apa="w/o APA",
            wo_avm="w/o AVM",
            full="Full",
        ),
    ),
    4: Layout(
        paper="MKTN",
        title="Ablation study on cross-sentence semantic mining",
        legend="Ours leaves out, in turn: the position among the video's queries; the attention"
        " among queries; words and phrases in the memory.",
        model="mktn",
        datasets=("activitynet",),
        lines=_named(
            wo_temporal="w/o Temporal relationship",
            wo_contextual="w/o Contextual relationship",
            wo_semantic="w/o Semantic relationship",
            full="Full",
        ),
    ),
    5: Layout(
        paper="MKTN",
        title="Ablation study on adaptive video-query matching",
        legend="Features: cross-modal contrast via self-supervision; ours leaves out a layer of"
        " the joint space and the hinge on negative videos (visual) or queries (textual)."
        " Threshold: ours is at its final value throughout, linear in the training's progress,"
        " or as configured. Full stands in both halves.",
        model="mktn",
        datasets=("activitynet",),
        lines=(
            *_switched("visual_ssl", "textual_ssl", "wo_visual_contrast", "wo_textual_contrast"),
            *_threshold(
                fixed_threshold="Fixed threshold",
                wo_cosine="w/o cos(p*pi + 1)",
                full="w/ cos(p*pi + 1)",
            ),
        ),
    ),
    6: Layout(
        paper="MKTN",
        title="Ablation study on object-phrase prototype matching",
        legend="CAP: constructing appearance prototypes; ours without it compares patches with"
        " words. OCA: object-phrase cross-modal alignment; ours without it has object prototypes"
        " but no phrases and no S_op.",
        model="mktn",
        datasets=("activitynet",),
        lines=_switched("CAP", "OCA", "wo_cap", "wo_oca"),
    ),
    7: Layout(
        paper="MKTN",
        title="Ablation study on activity-sentence prototype alignment",
        legend="BMP: building motion prototypes; ours without it has one activity, the mean"
        " frame. AA: activity-sentence alignment; ours without it has the prototypes but no"
        " S_es.",
        model="mktn",
        datasets=("activitynet",),
        lines=_switched("BMP", "AA", "wo_bmp", "wo_aa"),
    ),
}


@dataclass(frozen=True)
class Row:
    """A row of the csv.

    `value` and its interval in per cent, `reported` as printed or empty, `difference` to full
    in points with its interval, None for full itself, for baselines, and where full is absent.
    """

    model: str
    variant: str
    dataset: str
    key: Key
    value: Interval
    queries: int
    seeds: tuple[int, ...]
    reported: str
    source: str
    difference: Interval | None
    features: str  # where they came from, the short form

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
            *two_decimals(self.value),
            str(self.queries),
            str(len(self.seeds)),
            self.reported,
            self.source,
            *(two_decimals(self.difference) if self.difference else ("", "", "")),
            self.features,
        ]


def two_decimals(interval: Interval, sign: str = "-") -> list[str]:
    """Value, low and high with two decimals; `sign` "+" writes the sign of positive ones too."""
    numbers = (interval.value, interval.ci_low, interval.ci_high)
    # Adding 0.0 turns the -0.00 of a tiny negative number into 0.00.
    return [f"{round(number, 2) + 0.0:{sign}.2f}" for number in numbers]
