"""In the picture of the answers no moment hides another, and no text reads as one."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mktn.grounder.answers import Answer, EncodedVideo, Moment
from mktn.grounder.own_video import Resampled

figures = pytest.importorskip("matplotlib.figure")

# Within the best, over its edge, as short as a tenth of a second, and at both ends.
SPANS = ((5.0, 15.0), (7.0, 9.0), (12.0, 18.0), (19.9, 20.0), (0.0, 0.1))


def drawn(moments: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The axes of a video of 20 s and two sentences that have so many moments each."""
    from mktn.grounder.timeline import plot

    kept = []

    def keep(figure: Any, path: Path, **_: object) -> None:
        figure.draw_without_rendering()
        kept.append(figure)
        path.touch()

    monkeypatch.setattr(figures.Figure, "savefig", keep)
    video = EncodedVideo("v.mp4", None, Resampled(np.zeros((2, 2)), None, 20.0))
    spans = list(itertools.islice(itertools.cycle(SPANS), moments))
    answers = [
        Answer(sentence, "v.mp4", 20.0, tuple(Moment(*span, 0.5) for span in spans))
        for sentence in ("the red ball spins", "a box")
    ]
    plot([video], answers, folder / "p.png")
    (axes,) = kept[0].axes
    return axes


def bars(axes: Any) -> list[Any]:
    """The box of each bar, in pixels, in the order they are drawn."""
    return [
        path.get_extents(collection.get_transform())
        for collection in axes.collections
        for path in collection.get_paths()
    ]


def test_each_moment_has_a_lane_of_its_own_best_on_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = drawn(len(SPANS), tmp_path, monkeypatch)
    found = bars(axes)
    assert len(found) == 2 * len(SPANS)
    assert all(above.y0 > below.y1 for above, below in itertools.pairwise(found))
    within = axes.transData.inverted()
    for box, (start_s, end_s) in zip(found, 2 * SPANS, strict=True):
        (left, _), (right, _) = within.transform([(box.x0, box.y0), (box.x1, box.y1)])
        assert (left, right) == pytest.approx((start_s, end_s))


def test_seconds_stand_beside_the_bars_in_the_lane_of_their_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = drawn(len(SPANS), tmp_path, monkeypatch)
    said = [text for text in axes.texts if text.get_text().endswith(" s")]
    assert [text.get_text() for text in said] == 2 * [
        f"{rank}  {start_s:.1f}\N{EN DASH}{end_s:.1f} s"
        for rank, (start_s, end_s) in enumerate(SPANS, start=1)
    ]
    of_figure = axes.figure.bbox
    for text, bar in zip(said, bars(axes), strict=True):
        box = text.get_window_extent()
        assert box.x0 > axes.bbox.x1  # right of all bars
        assert box.x1 < of_figure.x1
        assert bar.y0 < (box.y0 + box.y1) / 2 < bar.y1
        assert text.get_bbox_patch() is None


def test_a_picture_of_very_many_moments_says_that_it_leaves_some_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = drawn(300, tmp_path, monkeypatch)
    assert len(bars(axes)) == 20
    said = [text.get_text() for text in axes.texts]
    assert "a box\nthe best 10 of 300 moments" in said
