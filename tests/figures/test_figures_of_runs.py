"""What is drawn is what the csv says, and a reader can tell it apart without colour."""

import csv
import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer

from mktn.cli import main
from mktn.figures import (
    ablations_figure,
    bins_figure,
    negatives_figure,
    points_figure,
    speeds_figure,
    training_figure,
)
from mktn.figures.figure import DRAWN, Inputs
from mktn.figures.style import SERIES, styled
from mktn.report.binned_scores import BINS
from mktn.report.layouts import ABLATIONS
from mktn.report.rows import COLUMNS
from mktn.report.speed_points import BARS, POINTS
from mktn.report.training_curves import CURVES

IOU = {"table_iou": {"activitynet": 0.5, "charades": 0.5}}


def written(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> Path:
    """A csv with these columns; what a row does not name is empty, its source synthetic."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*columns], restval="")
        writer.writeheader()
        writer.writerows({"source": "synthetic", **row} for row in rows)
    return path


def drawn(module: Any, path: Path, **settings: object) -> list[Axes]:
    """The panels of a figure."""
    with styled():
        figure = module.draw(Inputs(data=(path,), settings=settings))
        figure.draw_without_rendering()
    return list(figure.axes)


def errorbars(axes: Axes) -> list[ErrorbarContainer]:
    return [found for found in axes.containers if isinstance(found, ErrorbarContainer)]


def ends(bars: ErrorbarContainer, which: int) -> list[list[float]]:
    """Of each bar its two ends: along x where `which` is 0, along y where it is 1."""
    lines = bars.lines[2][which if len(bars.lines[2]) > 1 else 0]
    along = 0 if which == 0 or (len(bars.lines[2]) == 1 and bars.has_xerr) else 1
    return [sorted(segment[:, along].tolist()) for segment in lines.get_segments()]


def points(folder: Path, **changes: object) -> Path:
    rows = [
        {"method": "MKTN", "model": "mktn", "variant": "full", "mode": "multi_pair"},
        {"method": "MMN", "model": "mmn", "variant": "origin", "mode": "origin"},
        {"method": "MMN", "model": "mmn", "variant": "plus_mktn", "mode": "multi_pair"},
    ]
    numbers = {"ci_low": 30, "ci_high": 50, "qps_low": 90, "qps_high": 6000, "reported": 69.93}
    return written(
        folder / "figure3a.csv",
        POINTS,
        [
            {"dataset": "charades", "measured_on": "one machine", "busy": 0, "seeds": 2,
             **numbers, **row, "value": 40 + n, "qps": 100 * 10**n / 2, **changes}
            for n, row in enumerate(rows)
        ],
    )  # fmt: skip


def test_3a_has_a_point_a_system_with_intervals_in_both_directions(tmp_path: Path) -> None:
    (axes,) = drawn(points_figure, points(tmp_path, qps_low=20))
    assert axes.get_xscale() == "log"
    found = errorbars(axes)
    assert [bars.lines[0].get_xydata().tolist() for bars in found] == [
        [[50, 40]], [[500, 41]], [[5000, 42]],
    ]  # fmt: skip
    for bars in found:
        assert ends(bars, 0) == [[20, 6000]]
        assert ends(bars, 1) == [[30, 50]]
    faces = [bars.lines[0].get_markerfacecolor() == "white" for bars in found]
    assert faces == [False, True, False]
    (arrow,) = [text for text in axes.texts if text.arrow_patch]
    assert (arrow.xyann, arrow.xy) == ((500, 41), (5000, 42))
    # Reported R@1 has no speed, so it is no point.
    assert not any("69.93" in text.get_text() for text in axes.texts)


def test_3b_has_a_bar_a_row_and_reported_ones_in_a_panel_of_their_own(tmp_path: Path) -> None:
    rows = [
        {"method": "MMN", "variant": variant, "mode": mode, "value": value, "low": value - 1,
         "high": value + 2, "reported": reported, "dataset": "charades", "busy": 0,
         "measured_on": "one machine"}
        for variant, mode, value, reported in (
            ("origin", "origin", 3, 21.63), ("origin", "cached", 4, ""),
            ("origin", "multi_pair", 600, ""), ("plus_mktn", "multi_pair", 400, 48.38))
    ]  # fmt: skip
    measured, reported = drawn(speeds_figure, written(tmp_path / "b.csv", BARS, rows))
    # The model alone, answering all together too, stands beside +MKTN and not in its place.
    assert [bar.get_height() for bar in measured.patches] == [3, 4, 600, 400]
    assert [bar.get_height() for bar in reported.patches] == [21.63, 48.38]
    assert measured.get_yscale() == "log"
    assert reported.get_yscale() == "linear"
    assert "reported" in reported.get_title()
    assert len({bar.get_hatch() for bar in measured.patches}) == 4


@pytest.mark.parametrize(("seeds", "said"), [(1, "over videos, one seed"), (3, "and 3 seeds")])
def test_3a_says_whose_intervals_these_are(tmp_path: Path, seeds: int, said: str) -> None:
    with styled():
        figure = points_figure.draw(Inputs(data=(points(tmp_path, seeds=seeds),)))
    assert said in " ".join(figure.get_supxlabel().split())


def test_the_counts_and_bounds_of_many_bins_do_not_touch(tmp_path: Path) -> None:
    rows = [
        {"method": "MKTN", "model": "mktn", "variant": "full", "dataset": "charades",
         "by": by, "bin": at, "low": at / 30, "high": (at + 1) / 30, "metric": "R", "n": 1,
         "iou": 0.5, "value": 50, "ci_low": 40, "ci_high": 60, "queries": 100, "videos": 9,
         "seeds": 1}
        for by in ("start_share", "end_share")
        for at in range(30)
    ]  # fmt: skip
    for axes in drawn(bins_figure, written(tmp_path / "l.csv", BINS, rows)):
        for minor in (False, True):
            labels = axes.get_xticklabels(minor=minor)
            boxes = [label.get_window_extent() for label in labels if label.get_text()]
            gaps = [b.x0 - a.x1 for a, b in itertools.pairwise(boxes)]
            assert min(gaps) > 0


@pytest.mark.parametrize("busy", [0, 1])
def test_a_speed_beside_which_something_else_ran_is_named_on_the_figure(
    tmp_path: Path, busy: int
) -> None:
    with styled():
        figure = points_figure.draw(Inputs(data=(points(tmp_path, busy=busy),)))
    said = " ".join(figure.get_supxlabel().split())
    assert ("while these were measured: MKTN, MMN, MMN +MKTN" in said) == bool(busy)


def curve_rows(seeds: Iterable[str], epochs: int, *quantities: str) -> list[dict[str, object]]:
    return [
        {"model": "mktn", "variant": "full", "dataset": dataset, "seed": seed, "epoch": epoch,
         "quantity": quantity, "value": 10 * n + epoch, "validation": "held_out",
         "selected": int(epoch == epochs - 1 and seed != "mean")}
        for dataset in ("tacos", "charades")
        for quantity in quantities
        for n, seed in enumerate(seeds)
        for epoch in range(epochs)
    ]  # fmt: skip


@pytest.mark.parametrize("epochs", [1, 4])
def test_training_has_a_row_a_dataset_and_marks_the_selected_epoch(
    tmp_path: Path, epochs: int
) -> None:
    rows = curve_rows(("0", "1", "mean"), epochs, "span", "val_mIoU")
    panels = drawn(training_figure, written(tmp_path / "t.csv", CURVES, rows))
    assert [axes.get_ylabel() for axes in panels] == ["Charades-STA", "", "TACoS", ""]
    assert panels[1].get_title() == "validation mIoU, %"
    for axes in panels:
        lines = {tuple(line.get_ydata()): line for line in axes.lines if line.get_marker() != "o"}
        curves = [lines[tuple(10.0 * n + e for e in range(epochs))] for n in range(3)]
        assert curves[0].get_linewidth() < curves[2].get_linewidth()
        assert curves[0].get_color() != curves[2].get_color()
        # One epoch alone makes no line.
        assert all((line.get_marker() == ".") == (epochs == 1) for line in curves)
        marked = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]
        assert marked == [[[epochs - 1, 10 * n + epochs - 1]] for n in (0, 1)]


def test_every_row_of_training_counts_whole_epochs_and_every_term_is_named(tmp_path: Path) -> None:
    rows = curve_rows(("0",), 1, "span", "csm")
    rows = [row for row in rows if (row["dataset"], row["quantity"]) != ("charades", "csm")]
    panels = drawn(training_figure, written(tmp_path / "t.csv", CURVES, rows))
    shown = [axes for axes in panels if axes.get_visible()]
    # A term that the first dataset does not have is named where it is first.
    assert [axes.get_title() for axes in shown] == [
        r"$L_\mathrm{span}$", "", r"$L_\mathrm{csm}$",
    ]  # fmt: skip
    for axes in shown:
        assert all(float(at).is_integer() for at in axes.get_xticks())


def test_negatives_have_phi_above_and_the_set_below(tmp_path: Path) -> None:
    names = ("threshold", "negative_share", "negatives")
    path = written(tmp_path / "n.csv", CURVES, curve_rows(("0",), 3, *names))
    panels = drawn(negatives_figure, path)
    assert [axes.get_title() for axes in panels] == ["Charades-STA", "TACoS", "", ""]
    assert [len(axes.lines) for axes in panels] == [2, 2, 1, 1]
    above = panels[0].lines
    assert above[0].get_linestyle() != above[1].get_linestyle()
    assert panels[2].lines[0].get_xydata().tolist() == [[0, 0], [1, 1], [2, 2]]


def test_bins_stand_between_their_bounds_with_their_counts(tmp_path: Path) -> None:
    rows = [
        {"method": method, "model": method.lower(), "variant": "v", "dataset": "charades",
         "by": by, "bin": at, "low": low, "high": high, "metric": "R", "n": 1, "iou": 0.5,
         "value": value, "ci_low": "" if at else 5, "ci_high": "" if at else 95,
         "queries": queries, "videos": 1, "seeds": 1}
        for method in ("MKTN", "MMN")
        for by in ("length_s", "length_share")
        for at, low, high, value, queries in ((0, 0.1, 0.5, 50, 7), (1, 0.5, 0.8, "", 0),
                                              (2, 0.8, 1, 0, 3))
    ]  # fmt: skip
    seconds, shares = drawn(bins_figure, written(tmp_path / "l.csv", BINS, rows))
    assert [text.get_text() for text in seconds.get_xticklabels()] == ["0.1", "0.5", "0.8", "1"]
    assert [text.get_text() for text in shares.get_xticklabels()] == ["10", "50", "80", "100"]
    counts = [text.get_text() for text in seconds.get_xticklabels(minor=True)]
    assert counts == ["n=7", "n=0", "n=3"]
    for number, bars in enumerate(errorbars(seconds)):
        at, values = bars.lines[0].get_data()
        assert list(values) == [50, 0]
        assert [round(float(x)) for x in at] == [0, 2]
        assert (at[0] < 0) == (number == 0)
        # A bin without an interval has none drawn.
        assert [low == high for low, high in ends(bars, 1)] == [False, True]
        assert ends(bars, 1)[0] == [5, 95]
    bottom, top = seconds.get_ylim()
    assert bottom < 0
    assert top > 95


@pytest.mark.parametrize("systems", [1, 2, 7])
def test_points_stand_near_the_centre_of_their_bin_with_its_borders_drawn(
    tmp_path: Path, systems: int
) -> None:
    rows = [
        {"method": f"M{system}", "model": f"m{system}", "variant": "v", "dataset": "charades",
         "by": by, "bin": at, "low": f"{at / 5:.3f}", "high": f"{(at + 1) / 5:.3f}",
         "metric": "R", "n": 1, "iou": 0.5, "value": 50, "ci_low": 40, "ci_high": 60,
         "queries": 9, "videos": 9, "seeds": 1}
        for system in range(systems)
        for by in ("start_share", "end_share")
        for at in range(5)
    ]  # fmt: skip
    start, _ = drawn(bins_figure, written(tmp_path / "l.csv", BINS, rows))
    at = [bars.lines[0].get_xdata() for bars in errorbars(start)]
    assert len({x[0] for x in at}) == systems
    off = max(abs(float(x) - k) for xs in at for k, x in enumerate(xs))
    assert off <= (0.04 if systems <= 2 else 1 / 6)
    borders = start.get_xgridlines()
    assert [line.get_xdata()[0] for line in borders] == [k - 0.5 for k in range(6)]
    assert all(line.get_visible() and to_rgb(line.get_color())[0] < 0.75 for line in borders)


@pytest.mark.parametrize(("edges", "said"), [((0, 1 / 3, 2 / 3, 1), False), ((0, 2, 9), True)])
def test_an_axis_of_bins_of_other_widths_says_that_it_is_not_to_scale(
    tmp_path: Path, edges: tuple[float, ...], said: bool
) -> None:
    rows = [
        {"method": "M", "model": "m", "variant": "v", "dataset": "charades", "by": "length_s",
         "bin": at, "low": f"{low:.3f}", "high": f"{high:.3f}", "metric": "R", "n": 1,
         "iou": 0.5, "value": 50, "queries": 9, "videos": 9, "seeds": 1}
        for at, (low, high) in enumerate(itertools.pairwise(edges))
    ]  # fmt: skip
    (axes,) = drawn(bins_figure, written(tmp_path / "l.csv", BINS, rows))
    assert ("not to scale" in axes.get_xlabel()) == said


def ablation_rows(names: Iterable[str]) -> list[dict[str, object]]:
    variants = {line.variant: None for name in names for line in ABLATIONS[name].lines}
    return [
        {"model": "mktn", "variant": variant, "dataset": "activitynet", "metric": "R", "n": n,
         "iou": iou, "seeds": 1,
         **({} if variant == "full" else
            {"difference": -at, "difference_low": -2 * at, "difference_high": 3 - at})}
        for at, variant in enumerate(variants)
        for n in (1, 5)
        for iou in (0.3, 0.5)
    ]  # fmt: skip


def test_ablations_have_a_line_a_variant_filled_where_zero_is_excluded(tmp_path: Path) -> None:
    rows = ablation_rows(["3", "4", "5", "6", "7"])
    panels = drawn(ablations_figure, written(tmp_path / "t.csv", COLUMNS, rows), **IOU)
    assert [axes.get_title(loc="left") for axes in panels] == [
        "ActivityNet Captions: R@1, IoU=0.5", "R@5, IoU=0.5",
    ]  # fmt: skip
    # A line before the variants of each further table.
    assert sum(list(line.get_xdata()) == [0, 1] for line in panels[0].lines) == 4
    names = [text.get_text() for text in panels[0].get_yticklabels()]
    assert len(names) == 15
    assert names[:4] == ["w/o CSM", "w/o OPM", "w/o APA", "w/o AVM"]
    assert "Full" not in names
    variants = {row["variant"]: row for row in rows if row["variant"] != "full"}
    for axes in panels:
        found = sorted(errorbars(axes), key=lambda bars: bars.lines[0].get_ydata()[0])
        for at, (bars, row) in enumerate(zip(found, variants.values(), strict=True)):
            assert bars.lines[0].get_xydata().tolist() == [[row["difference"], at]]
            assert ends(bars, 0) == [[row["difference_low"], row["difference_high"]]]
            excludes = row["difference_high"] < 0 or row["difference_low"] > 0
            assert (bars.lines[0].get_markerfacecolor() != "white") == excludes
        assert any(list(line.get_xdata()) == [0, 0] for line in axes.lines)


@pytest.mark.parametrize(
    ("seeds", "said"), [(1, "videos, 1 seed a"), (3, "and of seeds, 3 seeds")]
)
def test_ablations_say_what_their_intervals_are_of(tmp_path: Path, seeds: int, said: str) -> None:
    rows = [row | {"seeds": seeds} for row in ablation_rows(["3"])]
    path = written(tmp_path / "t.csv", COLUMNS, rows)
    with styled():
        figure = ablations_figure.draw(Inputs(data=(path,), settings=IOU))
    text = " ".join(figure.get_supxlabel().split())
    assert "95 % intervals of a paired bootstrap over" in text
    assert said in text


def test_series_differ_in_grey() -> None:
    greys = sorted(
        0.299 * red + 0.587 * green + 0.114 * blue
        for red, green, blue in (to_rgb(look.color) for look in SERIES)
    )
    assert min(b - a for a, b in itertools.pairwise(greys)) > 0.05
    assert len({look.marker for look in SERIES}) == len({look.hatch for look in SERIES}) == 7


@pytest.mark.parametrize("name", ["3a", "training", "negatives", "lengths", "ablations"])
def test_misuse_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    columns = {"3a": POINTS, "lengths": BINS, "ablations": COLUMNS}.get(name, CURVES)
    outputs = ("--svg", str(tmp_path / "f.svg"), "--png", str(tmp_path / "f.png"))
    settings = ("--settings", '{"table_iou": {"charades": 0.5}}') if name == "ablations" else ()

    def draw(path: Path, *more: str) -> str:
        words = ("--figure", name, "--data", str(path), *outputs, *(more or settings))
        assert main(["figure", *words]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    bars = written(tmp_path / "bars.csv", BARS, [{"value": 1}])
    assert "bars.csv" in draw(bars)
    empty = written(tmp_path / "empty.csv", columns, [])
    assert "empty.csv" in draw(empty)
    number = "difference" if name == "ablations" else "value"
    numbers = dict.fromkeys(columns, 1)
    words = {**numbers, "source": "synthetic", number: "high"}
    text = written(tmp_path / "text.csv", columns, [words])
    assert f"text.csv, line 2, {number}: no number, found 'high'" in draw(text)
    if name != "ablations":  # full has no difference
        bare = written(tmp_path / "bare.csv", columns, [{"dataset": "charades"}])
        assert "bare.csv, line 2, " in draw(bare)
    two = [
        {**numbers, "source": source, "dataset": "charades"}
        for source in ("synthetic", "published")
    ]
    mixed = written(tmp_path / "two.csv", columns, two)
    assert "two.csv, line 3: figure of several sources, found published" in draw(mixed)
    assert "settings.bogus: unknown key" in draw(mixed, "--settings", '{"bogus": 1}')
    assert not (tmp_path / "f.svg").exists()


def test_ablations_without_a_difference_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ("--svg", str(tmp_path / "f.svg"), "--png", str(tmp_path / "f.png"))

    def draw(rows: list[dict[str, object]], iou: str) -> str:
        path = written(tmp_path / "t.csv", COLUMNS, rows)
        settings = f'{{"table_iou": {iou}}}'
        words = ("--figure", "ablations", "--data", str(path), "--settings", settings)
        assert main(["figure", *words, *outputs]) == 2
        return capsys.readouterr().err

    rows = ablation_rows("3")
    alone = [row for row in rows if row["variant"] == "full"]
    assert "t.csv: no difference to Full" in draw(alone, '{"activitynet": 0.5}')
    assert "no IoU of a dataset's table" in draw(rows, "{}")
    other = [{**row, "variant": "padding_0"} for row in rows[4:]]
    assert "variant is in no table of ablations, found padding_0" in draw(
        other, '{"activitynet": 0.5}'
    )


def test_every_figure_is_text_says_its_source_and_is_the_same_each_time(tmp_path: Path) -> None:
    files = {
        "3a": points(tmp_path),
        "negatives": written(
            tmp_path / "n.csv", CURVES, curve_rows(("0",), 3, "threshold", "negatives")
        ),
        "ablations": written(tmp_path / "t.csv", COLUMNS, ablation_rows("3")),
    }
    for name, path in files.items():
        settings = '{"table_iou": {"activitynet": 0.5}}' if name == "ablations" else "{}"
        for copy in "ab":
            svg, png = (tmp_path / f"{name}{copy}.{kind}" for kind in ("svg", "png"))
            words = ("--figure", name, "--data", str(path), "--settings", settings)
            assert main(["figure", *words, "--svg", str(svg), "--png", str(png)]) == 0
        first, second = (tmp_path / f"{name}{copy}.svg" for copy in "ab")
        assert first.read_bytes() == second.read_bytes()
        texts = re.findall(r"<text[^>]*>([^<]+)</text>", first.read_text())
        assert any(text.startswith("source: synthetic") for text in texts)
        assert any(text.startswith(("Charades-STA", "ActivityNet Captions")) for text in texts)
    assert {*files} < {*DRAWN}
