"""What a table or figure is made of: lines with our systems on them, and what they are beside."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mktn.errors import UserError

System = tuple[str, str]  # model, variant
Mode = Literal["origin", "cached", "multi_pair"]  # of an efficiency measurement


def name_of(system: System, among: Iterable[System]) -> str:
    """`full`; where `among` has several models, `mktn/full`."""
    models = {model for model, _ in among}
    return system[1] if models <= {system[0]} else "/".join(system)


@dataclass(frozen=True)
class Line:
    """A system of ours on a line of a table, and the reported numbers that stand beside it.

    `method` and `reported` are the line's method and variant in reported.csv; a line whose method
    the paper does not print there is measured alone. `mode`: in which its speed is taken.
    """

    model: str
    variant: str
    name: str  # as printed
    method: str
    reported: str = ""
    type: str = ""  # FS | WS | MP: fully, weakly supervised, multi-pair
    mode: Mode = "origin"
    group: str = ""  # of lines that the paper prints together

    @property
    def system(self) -> System:
        """Model and variant."""
        return self.model, self.variant


@dataclass(frozen=True)
class Quantity:
    """A measured efficiency that a table shows, under this metric in the csv."""

    metric: str
    title: str  # of its column
    lower: bool = False  # the lower the better


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a table or figure shows: lines in printed order, and on which of the benchmarks.

    `scored`: whether it shows scores of the test queries.
    """

    title: str
    datasets: tuple[str, ...]
    lines: tuple[Line, ...]
    scored: bool = True

    @property
    def systems(self) -> tuple[System, ...]:
        """Our systems, each once, in printed order."""
        return tuple(dict.fromkeys(line.system for line in self.lines))

    def holds(self, dataset: str, source: str) -> bool:
        """Whether it shows a dataset: one of the paper's, or any of a user's own."""
        return source == "own" or dataset in self.datasets

    def chosen(self, wanted: Sequence[str] | None) -> list[System]:
        """Those systems that are wanted, in printed order; all where none is named.

        They are named as `model/variant`, or where all are of one model by their variant. Raises
        UserError for others.
        """
        names = {"/".join(s): s for s in self.systems}
        names |= {name_of(s, self.systems): s for s in self.systems}
        for name in wanted or ():
            if name not in names:
                raise UserError(
                    "unknown variant",
                    where="--variants",
                    found=name,
                    expected=f"one of {', '.join(name_of(s, self.systems) for s in self.systems)}",
                )
        return [s for s in self.systems if not wanted or s in {names[name] for name in wanted}]


@dataclass(frozen=True, kw_only=True)
class Figure(Shown):
    """A figure whose numbers `mktn figure-data` gathers.

    `stem`: the name of its files. `made_of`: the options of `mktn figure-data` that it needs.
    `reported_in`: the tables that print its numbers. `baselines`: those that stand beside ours.
    """

    stem: str
    made_of: tuple[str, ...]
    reported_in: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layout(Shown):
    """A table of a paper.

    `reference`: what each system is compared with, a variant of its own model (`full`) or one
    system for all (`mktn/full`); `against`: its name in the head. `compares`: the paper's other
    methods stand in it too, in the paper's order, and the baselines below ours. `quantities`: of
    efficiency. `sizes`: those that its model's `full` must have for the lines to be true.
    `own_title`, `own_legend`: of a user's own dataset, where the paper's speak of its numbers.
    """

    paper: str  # MKTN | IA-Net
    number: int
    legend: str
    reference: str = "full"
    against: str = "Full"
    compares: bool = False
    quantities: tuple[Quantity, ...] = ()
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    own_title: str | None = None
    own_legend: str | None = None

    @property
    def stem(self) -> str:
        """The name of its files: table3, ianet_table4."""
        return f"{'' if self.paper == 'MKTN' else 'ianet_'}table{self.number}"

    def title_of(self, source: str) -> str:
        """What it shows: the paper's title, of a user's own dataset one without its claims."""
        return self.own_title if source == "own" and self.own_title is not None else self.title

    def legend_of(self, source: str) -> str:
        """What its names mean, of a user's own dataset without what the paper reports."""
        return self.own_legend if source == "own" and self.own_legend is not None else self.legend

    def heading_of(self, source: str) -> str:
        """`Table 3: ...`; of another paper than MKTN, `Table 4 of IA-Net: ...`.

        A table of a user's own dataset is none of that paper: `Table 4 after IA-Net: ...`.
        """
        of = f" {'after' if source == 'own' else 'of'} {self.paper}"
        return f"Table {self.number}{'' if self.paper == 'MKTN' else of}: {self.title_of(source)}"

    @property
    def typed(self) -> bool:
        """Whether the type of supervision is printed."""
        return any(line.type for line in self.lines)

    def reference_of(self, system: System) -> System | None:
        """What a system is compared with; None for that itself."""
        model, _, variant = self.reference.rpartition("/")
        found = (model or system[0], variant)
        return None if found == system else found
