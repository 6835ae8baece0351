"""Figure 3c as a reader sees it: the answers to the digit, and pairs that nobody chose."""

import csv
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import polars as pl
import pytest
from matplotlib.patches import Rectangle

from mktn.cli import main
from mktn.figures.figure import Inputs
from mktn.figures.style import SERIES, styled
from mktn.figures.timelines_figure import COLUMNS, draw
from mktn.figures.timelines_figure import table as rows
from mktn.report.layouts import TABLES
from tests.features.numbered import number_in, write_numbered
from tests.report.runs import VIDEOS, targets, write_run

SYSTEMS = ("mktn/full", "tan2d/origin", "mmn/origin")
DURATION_S = 60.0
EVERY_MS = 10_000  # a frame of the videos


def write_pairs(folder: Path, sentence: str, dataset: str = "charades") -> Path:
    pair_ids, video_ids, spans = targets(dataset)
    path = folder / f"{dataset}.parquet"
    pl.DataFrame(
        {
            "dataset": dataset,
            "split": "test",
            "video_id": video_ids,
            "pair_id": pair_ids,
            "sentence": [f"{sentence} {pair_id}" for pair_id in pair_ids],
            "order": [int(pair_id.rpartition("#")[2]) for pair_id in pair_ids],
            "start_s": spans[:, 0],
            "end_s": spans[:, 1],
            "duration_s": DURATION_S,
        }
    ).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def drawn_from(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Runs, pairs and videos of a small dataset, as `Inputs` takes them."""
    folder = tmp_path_factory.mktemp("timelines")
    runs = [write_run(folder, "charades", *system.split("/")) for system in SYSTEMS]
    videos = folder / "videos"
    videos.mkdir()
    one = write_numbered(folder / "v.mp4", list(range(0, int(DURATION_S) * 1000, EVERY_MS)))
    for number in range(VIDEOS):
        shutil.copy(one, videos / f"v{number}.mp4")
    return {
        "metrics": [metrics for metrics, _ in runs],
        "predictions": [predictions for _, predictions in runs],
        "pairs": [write_pairs(folder, "a ball costs $5 and $6, in my_room")],
        "videos": [f"charades={videos}"],
    }


def command(folder: Path, given: dict[str, Any], **settings: Any) -> int:
    words = ["figure", "--figure", "3c"]
    for option, values in given.items():
        words += [f"--{option}", *map(str, values)] if values else []
    for suffix in ("svg", "png", "csv"):
        words += [f"--{suffix}", str(folder / f"f.{suffix}")]
    return main([*words, "--settings", json.dumps(settings)])


def written(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "f.csv").open()))


def chosen(given: dict[str, Any], **settings: Any) -> list[str]:
    """The pairs, without drawing them."""
    place = list(COLUMNS).index("pair_id")
    return list(dict.fromkeys(str(row[place]) for row in rows(inputs(given, **settings))))


def inputs(given: dict[str, Any], **settings: Any) -> Inputs:
    paths = {option: [Path(str(value)) for value in values] for option, values in given.items()}
    return Inputs(**paths, settings=settings)


def drawing(given: dict[str, Any], **settings: Any) -> matplotlib.figure.Figure:
    with styled():
        return draw(inputs(given, **settings))


def bars(figure: matplotlib.figure.Figure) -> list[tuple[float, float]]:
    patches: Iterable[Any] = (patch for axes in figure.axes for patch in axes.patches)
    return [(p.get_x(), p.get_x() + p.get_width()) for p in patches if isinstance(p, Rectangle)]


def test_bars_are_the_answers_to_the_digit(drawn_from: dict[str, Any], tmp_path: Path) -> None:
    assert command(tmp_path, drawn_from) == 0
    rows = written(tmp_path)
    assert [row["system"] for row in rows] == 3 * ["ground truth", *SYSTEMS]
    spans = dict(zip(targets("charades")[0], targets("charades")[2].tolist(), strict=True))
    answers = {
        system: {
            pair_id: (start_s, end_s)
            for pair_id, start_s, end_s in pl.read_parquet(path)
            .filter(pl.col("rank") == 1)
            .select("pair_id", "start_s", "end_s")
            .iter_rows()
        }
        for system, path in zip(SYSTEMS, drawn_from["predictions"], strict=True)
    }
    for row in rows:
        truth = spans[row["pair_id"]]
        expected = answers[row["system"]][row["pair_id"]] if row["iou"] else tuple(truth)
        assert (float(row["start_s"]), float(row["end_s"])) == expected
        if row["iou"]:
            both = min(expected[1], truth[1]) - max(expected[0], truth[0])
            either = max(expected[1], truth[1]) - min(expected[0], truth[0])
            assert float(row["iou"]) == pytest.approx(max(both, 0) / either)
    for bar, row in zip(bars(drawing(drawn_from)), rows, strict=True):
        assert bar == pytest.approx((float(row["start_s"]), float(row["end_s"])), abs=1e-9)
    svg = (tmp_path / "f.svg").read_text()
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    for row in rows:
        assert f"{float(row['start_s']):z.1f}\u2013{float(row['end_s']):z.1f} s" in texts
        assert any(row["sentence"].split(" test/")[0] in text for text in texts)
        assert not row["iou"] or f"IoU {float(row['iou']):.2f}" in texts
    said = next(text for text in texts if text.startswith("source: synthetic"))
    assert "test pairs drawn at random, seed 0" in said
    assert {"MKTN (ours)", "2D-TAN", "MMN", "ground truth", "Charades-STA", "seconds"} <= {*texts}


def test_the_strip_shows_the_video_at_its_seconds(drawn_from: dict[str, Any]) -> None:
    (image_axes, *_) = drawing(drawn_from, pairs=1).axes
    assert len(image_axes.images) > 5
    for image in image_axes.images:
        start_s, end_s, *_ = image.get_extent()
        assert number_in(image.get_array()) == int(start_s * 1000 / EVERY_MS)
        assert end_s <= DURATION_S + 1e-9


def test_the_draw_repeats_and_does_not_look_at_answers(
    drawn_from: dict[str, Any], tmp_path: Path
) -> None:
    usual = chosen(drawn_from, pairs=3)
    assert len({pair_id.partition("#")[0] for pair_id in usual}) == 3
    assert chosen(drawn_from, pairs=5)[:3] == usual
    assert len(chosen(drawn_from, pairs=50)) == VIDEOS
    assert chosen(drawn_from, pairs=3, seed=1) != usual
    backwards = tmp_path / "backwards.parquet"
    pl.read_parquet(drawn_from["pairs"][0]).reverse().write_parquet(backwards)
    swapped = [*drawn_from["metrics"][1:], drawn_from["metrics"][0]]
    answers = [*drawn_from["predictions"][1:], drawn_from["predictions"][0]]
    given = {"metrics": swapped, "predictions": answers, "pairs": [backwards]}
    assert chosen(given, pairs=3) == usual
    system = list(COLUMNS).index("system")
    assert rows(inputs(given))[1][system] == "mktn/full"  # ours first, whatever the order


def test_named_pairs_stand_in_place_of_the_draw(
    drawn_from: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {"charades": ["test/v5#2", "test/v5#0"]}
    assert command(tmp_path, {**drawn_from, "videos": []}, named=named) == 0
    assert {row["pair_id"]: 0 for row in written(tmp_path)} == dict.fromkeys(named["charades"], 0)
    assert {row["chosen"] for row in written(tmp_path)} == {"named"}
    assert "test pairs named;" in (tmp_path / "f.svg").read_text()
    assert command(tmp_path, drawn_from, named={"charades": ["test/v5#9"]}) == 2
    assert "found 'test/v5#9', expected the pair_id of one" in capsys.readouterr().err
    assert command(tmp_path, drawn_from, named={"tacos": ["test/v5#0"]}) == 2
    assert "a dataset that is not shown, found tacos" in capsys.readouterr().err


def test_a_video_that_is_missing_or_broken_is_one_line(
    drawn_from: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(drawn_from["videos"][0].partition("=")[2], videos)
    given = {**drawn_from, "videos": [f"charades={videos}"]}
    name = chosen(drawn_from, pairs=1)[0].partition("#")[0].removeprefix("test/")
    whole = (videos / f"{name}.mp4").read_bytes()
    for content, said in (
        (whole[:300], rf"{name}\.mp4: video cannot be used, found .+"),
        (b"", "video cannot be used, found empty file"),
        (None, rf"videos: not one file of a video, found none, expected {name}\.mp4"),
    ):
        (videos / f"{name}.mp4").unlink()
        if content is not None:
            (videos / f"{name}.mp4").write_bytes(content)
        assert command(tmp_path, given) == 2
        (error,) = [
            line for line in capsys.readouterr().err.splitlines() if "checksum" not in line
        ]
        assert re.search(said, error)
    for folder, said in (("charades=none", "videos cannot be read"), ("x", "DATASET=FOLDER")):
        assert command(tmp_path, {**drawn_from, "videos": [folder]}) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("tacos=here", "--videos: videos of a dataset that is not shown, found tacos, expected"),
        ("charades=here", "--videos: two folders of videos, found charades"),
    ],
)
def test_videos_that_would_not_be_used_are_refused(
    drawn_from: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str,
    said: str,
) -> None:  # fmt: skip
    assert command(tmp_path, {**drawn_from, "videos": [more, *drawn_from["videos"]]}) == 2
    assert said in capsys.readouterr().err


def test_without_videos_it_says_so(drawn_from: dict[str, Any], tmp_path: Path) -> None:
    assert command(tmp_path, {**drawn_from, "videos": []}, pairs=1) == 0
    svg = (tmp_path / "f.svg").read_text()
    assert "without frames: no videos were given" in svg
    assert "<image" not in svg
    simulated = [tmp_path / path.name for path in drawn_from["metrics"]]
    for path, copy in zip(drawn_from["metrics"], simulated, strict=True):
        copy.write_text(path.read_text().replace("synthetic", "simulated"))
    assert command(tmp_path, {**drawn_from, "videos": [], "metrics": simulated}, pairs=1) == 0
    svg = (tmp_path / "f.svg").read_text()
    assert "features are simulated, there are no videos" in svg
    assert "source: simulated" in svg


def test_a_pair_that_only_one_system_answers_is_shown(
    drawn_from: dict[str, Any], tmp_path: Path
) -> None:
    pair_id = chosen(drawn_from)[0]
    fewer = tmp_path / "fewer.parquet"
    pl.read_parquet(drawn_from["predictions"][2]).filter(
        pl.col("pair_id") != pair_id
    ).write_parquet(fewer)
    given = {**drawn_from, "predictions": [*drawn_from["predictions"][:2], fewer]}
    assert command(tmp_path, {**given, "videos": []}, pairs=1) == 0
    row = written(tmp_path)[3]
    assert (row["system"], row["start_s"], row["iou"]) == ("mmn/origin", "", "")
    assert "no answer" in (tmp_path / "f.svg").read_text()


def test_long_sentences_and_short_moments_stay_inside(tmp_path: Path) -> None:
    """No text leaves the figure, and a moment of a tenth of a second in ten minutes is seen."""
    moments = {0.5: targets("charades")[2][:, None].repeat(5, 1) + np.array([0.0, -19.9])}
    runs = [write_run(tmp_path, "charades", "mktn", "full", moments=moments)]
    pairs = write_pairs(tmp_path, "a person in the $kitchen$ " * 12 + "x" * 150)
    pl.read_parquet(pairs).with_columns(duration_s=pl.lit(600.0)).write_parquet(pairs)
    given = {"metrics": [runs[0][0]], "predictions": [runs[0][1]], "pairs": [pairs]}
    figure = drawing(given, pairs=1)
    width, height = figure.get_size_inches() * figure.dpi
    canvas: Any = figure.canvas
    renderer = canvas.get_renderer() if hasattr(canvas, "get_renderer") else None
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    for text in (text for text in texts if text.get_text()):
        box = text.get_window_extent(renderer)
        assert 0 <= box.x0 < box.x1 <= width, text
        assert 0 <= box.y0 < box.y1 <= height, text
    assert len([t for t in texts if "kitchen" in t.get_text()]) in (3, 4)
    assert bars(figure)[1][1] - bars(figure)[1][0] == pytest.approx(0.1)


def test_more_systems_than_looks_are_drawn(tmp_path: Path) -> None:
    variants = [variant for model, variant in TABLES["3"].systems if variant != "full"]
    systems = [("mktn", v) for v in ("full", *variants)] + [
        (m, "origin") for m in ("mmn", "lcnet")
    ]
    systems.append(("ianet", "full"))
    runs = [write_run(tmp_path, "charades", *system) for system in systems]
    assert len(runs) > len(SERIES)
    pairs = write_pairs(tmp_path, "a ball")
    given = {
        "metrics": [m for m, _ in runs],
        "predictions": [p for _, p in runs],
        "pairs": [pairs],
    }
    assert command(tmp_path, given, pairs=1) == 0
    assert len(written(tmp_path)) == 1 + len(runs)


def test_several_seeds_of_training_are_refused(
    drawn_from: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics, predictions = write_run(tmp_path, "charades", "mktn", "full", 1)
    given = {
        "metrics": [drawn_from["metrics"][0], metrics],
        "predictions": [drawn_from["predictions"][0], predictions],
        "pairs": drawn_from["pairs"],
    }
    assert command(tmp_path, given) == 2
    assert "runs of several seeds of training, found 0, 1" in capsys.readouterr().err


def test_files_that_do_not_belong_together_are_one_line(
    drawn_from: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions = pl.read_parquet(drawn_from["predictions"][0])
    for frame, said in (
        (predictions.drop("rank"), "column is missing"),
        (predictions.with_columns(pair_id=pl.lit("x#") + pl.int_range(pl.len()).cast(pl.String)),
         "predictions of a pair that is not there, found x#"),
    ):  # fmt: skip
        frame.write_parquet(tmp_path / "p.parquet")
        given = {**drawn_from, "predictions": [tmp_path / "p.parquet"]}
        given["metrics"] = drawn_from["metrics"][:1]
        assert command(tmp_path, given) == 2
        assert said in capsys.readouterr().err
    assert command(tmp_path, {**drawn_from, "predictions": drawn_from["predictions"][:2]}) == 2
    assert "not one file of predictions for each of the metrics" in capsys.readouterr().err
