"""The oracle of simulated features finds what is planted, and says what the prior finds alone."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.engine.baselines import candidate_moments
from mktn.engine.simulated_oracle import evidence, likeliest, places_of

WORDS = ("knife", "plate", "carrot", "sink")


def test_evidence_is_greatest_for_the_window_that_stands_out() -> None:
    windows = candidate_moments(8)
    scores = np.zeros(16)
    scores[4:8] = 1.0
    found = evidence(scores, windows)
    assert windows[found.argmax()].tolist() == [0.25, 0.5]
    assert found[(windows == [0, 1]).all(axis=1)] == 0
    np.testing.assert_allclose(evidence(np.ones(16), windows), 0, atol=1e-9)


def test_without_evidence_the_prior_answers() -> None:
    hits = np.eye(3, dtype=np.float32)
    prior, found = np.log([0.2, 0.5, 0.3]), np.array([3.0, 0.0, 0.0])
    assert likeliest(found, prior, 0.0, hits) == 1
    assert likeliest(found, prior, 1.0, hits) == 0


def test_a_place_is_among_the_queries_of_its_video_and_split() -> None:
    rows = [("val", "a", 0), ("val", "a", 1), ("test", "a", 0), ("val", "b", 0)]
    pairs = pl.DataFrame(rows, schema=["split", "video_id", "order"], orient="row")
    assert places_of(pairs) == [(2, 0), (2, 4), (1, 0), (1, 0)]


@pytest.fixture
def simulated(tmp_path: Path) -> list[str]:
    """TACoS videos of four segments in any order, each described twice, seen without noise."""
    folder = tmp_path / "tacos"
    folder.mkdir()
    meta = ["video_id,split,fps_2dtan,duration_s_2dtan"]
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6), ("test", 6)):
        lines = []
        for number in range(count):
            meta.append(f"{split}{number},{split},10,40.0")
            for place, word in enumerate(rng.permutation(WORDS)):
                span = f"{place * 100}_{place * 100 + 100}"
                lines.append(f"{split}{number}.avi_{span}:He takes a {word}.#A {word} is seen.#")
        (folder / f"tall_{split}.txt").write_text("\n".join(lines) + "\n")
    (folder / "video_meta.csv").write_text("\n".join(meta) + "\n")
    pairs = ["--pairs", str(tmp_path / "pairs.parquet")]
    same = ["--dataset", "tacos", "--annotations", str(tmp_path)]
    rejected = ["--rejected", str(tmp_path / "rejected.parquet")]
    assert (
        main(["pairs", *same, *pairs, *rejected, "--settings", '{"tacos_version": "tall"}']) == 0
    )
    settings = (
        '{"frames": 16, "dimension": 64, "patches": 0, "missed": 0, "confused": 0, "jitter_s": 0,'
        ' "noise": 0.1, "occurrences": 5, "tacos_version": "tall"}'
    )
    store = str(tmp_path / "o.zarr")
    assert main(["simulate", *same, *pairs, "--out", store, "--settings", settings]) == 0
    return [*same, *pairs, "--features", store]


def test_it_answers_clean_features_and_the_prior_does_not(
    simulated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["oracle", *simulated, "--settings", '{"windows": 16, "ious": [0.5]}']) == 0
    out = capsys.readouterr().out
    assert "48 test queries" in out
    alone, features = map(float, re.findall(r"alone ([\d.]+), with features ([\d.]+)", out)[0])
    assert features > 90
    assert alone < 50


def test_features_of_another_dataset_are_refused_in_one_line(
    simulated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["activitynet" if option == "tacos" else option for option in simulated]
    assert main(["oracle", *asked]) == 2
    assert "found simulated tacos, expected simulated activitynet" in capsys.readouterr().err
