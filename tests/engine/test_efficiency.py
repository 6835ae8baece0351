"""What is timed answers the queries, and what is written is what was measured."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mktn.cli import main
from mktn.engine import efficiency, measuring
from mktn.engine.answering import Answering, TextPlayback, Workload, packed
from mktn.engine.efficiency import sampled
from mktn.engine.efficiency_format import MODES
from mktn.engine.measuring import EfficiencyConfig, measure
from mktn.engine.predict import predict
from mktn.engine.run_config import model_config
from mktn.engine.turns import Taken
from mktn.grouping.loader import LoaderConfig, PairData
from mktn.models import build
from mktn.models.plugged import Plugged
from mktn.report.efficiency_files import read_efficiency
from tests.batches import SIZES as MKTN_SIZES
from tests.batches import random_batch
from tests.engine.runs import NAMES, command, settings
from tests.models.test_plugged import CONFIG, FULL, Halves

CPU = torch.device("cpu")
SIZES = {"width": 16, "heads": 2}
SETTINGS = {
    **{"source": "synthetic", "dataset": "charades", "batch_queries": 5, "repeats": 3},
    **{"warm_up_batches": 4, "device": "cpu"},
}
TRAIN_QUERIES = [2, 3, 1, 4, 2, 2, 3]  # of each training video of the small dataset


def inputs(folder: Path) -> list[str]:
    options = ("pairs", "groups", "relations", "features", "text")
    given = dict(zip(options, NAMES, strict=True))
    return [f"--{name}={folder / given[name]}" for name in options if name != "relations"]


def measured(folder: Path, out: Path, *what: str, **changes: Any) -> int:
    given = json.dumps({**SETTINGS, **changes})
    where = [f"--out={out}", f"--settings={given}"]
    return main(["efficiency", *what, *inputs(folder), *where])


RANDOM = ("--model=mktn", "--variant=full")


@pytest.fixture
def data(small_dataset: Path) -> PairData:
    paths = [small_dataset / name for name in (NAMES[0], NAMES[1], NAMES[3], NAMES[4])]
    return PairData(*paths, config=LoaderConfig(queries=5))


@pytest.fixture
def answering(data: PairData) -> Answering:
    torch.manual_seed(0)
    network = build("mktn", "full", model_config(data, SIZES)).eval()
    work = Workload.read(data, sampled(data, "train", None), 5, CPU)
    return Answering(network, work, 5, 0.5)


def spans(answers: list[tuple[torch.Tensor, torch.Tensor]]) -> np.ndarray:
    return torch.cat([spans for spans, _ in answers]).numpy()


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_answers_what_predict_does(
    data: PairData, answering: Answering, mode: str
) -> None:
    """All queries of a video together, or each alone, as the mode says."""
    found = predict(answering.network, data, "train", device=CPU, n=5, nms_thresholds=[0.5],
                    alone=mode != "multi_pair")[0.5]  # fmt: skip
    order = [data.pair_ids[row] for rows in sampled(data, "train", None) for row in rows]
    place = [found.pair_ids.index(pair_id) for pair_id in order]
    np.testing.assert_allclose(spans(answering.run(mode)), found.spans_s[place], atol=1e-4)


@pytest.mark.parametrize(
    ("mode", "encoded", "calls"),
    [("origin", 17, 17), ("cached", 7, 17), ("batched", 17, 4), ("multi_pair", 7, 4)],
)
def test_a_video_is_encoded_as_often_as_the_mode_says(
    answering: Answering, mode: str, encoded: int, calls: int
) -> None:
    videos, queries = [], []
    answering.network.video.register_forward_hook(lambda m, a, o: videos.append(len(o[0])))
    answering.network.text.register_forward_hook(lambda m, a, o: queries.append(len(o[1])))
    answering.run(mode)
    assert sum(videos) == encoded
    assert (len(queries), sum(queries)) == (calls, 17)
    assert answering.work.batches(mode) == calls
    assert max(queries) == (1 if mode in ("origin", "cached") else 5)


def test_a_batch_holds_whole_videos_and_no_more_queries_than_it_may() -> None:
    videos = [np.arange(count) for count in (2, 3, 1, 9, 2)]
    assert [[len(v) for v in batch] for batch in packed(videos, 5)] == [[2, 3], [1], [9], [2]]


@pytest.mark.parametrize("kind", ["mktn", "pluggable", "plugged"])
def test_text_that_is_played_back_answers_the_same_without_its_encoder(kind: str) -> None:
    torch.manual_seed(0)
    made = {
        "mktn": lambda: build("mktn", "full", MKTN_SIZES),
        "pluggable": lambda: Halves(CONFIG),
        "plugged": lambda: Plugged(Halves(CONFIG), CONFIG, FULL),
    }
    network: Any = made[kind]().eval()
    answering = Answering(network, Workload.of(random_batch()), 2, 0.5)
    for mode in MODES:
        playback = TextPlayback(network)
        with playback.recording():
            before = spans(answering.run(mode))
        with playback.playing():
            np.testing.assert_array_equal(spans(answering.run(mode)), before)
        assert playback.name not in vars(playback.owner)
        np.testing.assert_array_equal(spans(answering.run(mode)), before)


def test_the_text_encoder_computes_nothing_while_it_is_played_back(answering: Answering) -> None:
    playback, steps = TextPlayback(answering.network), []
    answering.network.text.word.register_forward_hook(lambda *_: steps.append(1))
    with playback.recording():
        answering.run("multi_pair")
    assert len(steps) == 4
    with playback.playing():
        answering.run("multi_pair")
    assert len(steps) == 4


def test_what_is_timed_is_warm_and_answers_every_query(
    small_dataset: Path, tmp_path: Path, data: PairData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[Any, np.ndarray] = {}
    calls: list[str] = []
    run = Answering.run

    def spied(self: Answering, mode: str, batches: int | None = None) -> Any:
        answers = run(self, mode, batches)
        calls.extend([mode] * len(answers))
        return answers

    def in_turn(
        works: Mapping[Any, Callable[[], Any]], *given: Any, **options: Any
    ) -> dict[Any, list[Taken]]:
        assert {calls.count(mode) >= 4 for mode in MODES} == {True}
        seen.update({name: spans(work()) for name, work in works.items()})
        return {name: [Taken(2.0, 1.0), Taken(4.0, 3.0)] for name in works}

    monkeypatch.setattr(Answering, "run", spied)
    monkeypatch.setattr(measuring, "in_turn", in_turn)
    out = tmp_path / "e.json"
    assert measured(small_dataset, out, *RANDOM, "--split=val", sizes=SIZES) == 0
    assert set(seen) == {(mode, text) for mode in MODES for text in ("in", "out")}
    torch.manual_seed(efficiency.named_seed(0, "efficiency", "weights"))
    network = build("mktn", "full", model_config(data, SIZES))
    for (mode, _), found in seen.items():
        expected = predict(network, data, "val", device=CPU, n=5, nms_thresholds=[0.5],
                           alone=mode != "multi_pair")[0.5]  # fmt: skip
        np.testing.assert_allclose(found, expected.spans_s, atol=1e-4)
    # 2 videos and 3 queries in 3 s, the median of 2 and 4.
    result = read_efficiency(out)
    figures = result.modes["origin", "in"]
    assert (result.videos, result.queries, result.split_queries) == (2, 3, 3)
    assert figures.seconds_query.value == pytest.approx(1.0)
    assert figures.vps.value == pytest.approx((2 / 2 + 2 / 4) / 2)
    assert figures.qps.value == pytest.approx((3 / 2 + 3 / 4) / 2)
    assert figures.cpu_share == pytest.approx((0.5 + 0.75) / 2)


def test_a_trained_run_is_measured(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings(variant="wo_apa", seed=3, train={"epochs": 1})
    assert main(command(small_dataset, tmp_path / "run", given)) == 0
    out = tmp_path / "run" / "efficiency.json"
    assert measured(small_dataset, out, f"--run={tmp_path / 'run'}") == 0
    result = read_efficiency(out)
    assert (result.model, result.variant, result.seed) == ("mktn", "wo_apa", 3)
    assert (result.weights, result.device, result.repeats) == ("trained", "cpu", 3)
    assert len(result.load_average_before) == 3
    parts = result.parameters_by_part
    assert set(parts) == {"video", "text", "transfer", "fusion", "head"}
    assert sum(parts.values()) == result.parameters
    assert result.weights_mb == pytest.approx(4 * result.parameters / 1e6)
    gflops = {mode: result.modes[mode, "in"].gflops_query for mode in MODES}
    assert gflops["cached"] == pytest.approx(gflops["origin"], rel=0.5)
    assert gflops["multi_pair"] <= gflops["batched"]
    assert all(f.vps.low <= f.vps.value <= f.vps.high for f in result.modes.values())
    assert "mktn wo_apa (trained weights)" in capsys.readouterr().out
    # A run of something else is not measured on this.
    assert measured(small_dataset, out, f"--run={tmp_path / 'run'}", source="published") == 2
    assert "the run was trained on another source" in capsys.readouterr().err


def test_another_variant_takes_turns_with_it(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "e.json"
    assert measured(small_dataset, out, *RANDOM, "--beside=wo_csm", sizes=SIZES) == 0
    assert "x origin of mktn wo_csm" in capsys.readouterr().out
    other = read_efficiency(out).beside
    assert other is not None
    assert (other.variant, other.weights) == ("wo_csm", "random")
    written = json.loads(out.read_text())
    for name in ("source", "dataset"):
        assert written["beside"][name] == written[name]
    assert {key[0] for key in other.ratios} == set(MODES)
    assert {key[2] for key in other.ratios} == {"origin", "cached"}
    assert all(ratio.value > 0 for ratio in other.ratios.values())
    assert measured(small_dataset, out, *RANDOM, "--beside=best") == 2
    assert "unknown variant, found 'best'" in capsys.readouterr().err


def test_a_ratio_to_the_other_is_of_its_time(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_turn(works: Mapping[Any, Any], *_: Any, **__: Any) -> dict[Any, list[Taken]]:
        seconds = {"beside": 12.0, "in": 2.0, "out": 3.0}
        return {name: [Taken(seconds[name[-1]], 1.0)] for name in works}

    monkeypatch.setattr(measuring, "in_turn", in_turn)
    config = EfficiencyConfig("synthetic", "charades", warm_up_batches=1)
    found = measure(answering.network, answering.work, config, CPU, answering.network)
    values = {(row["mode"], row["text"], row["against"]): row["value"]
              for row in found["ratios_beside"]}  # fmt: skip
    assert values["multi_pair", "in", "origin"] == values["origin", "in", "cached"] == 6.0
    assert values["multi_pair", "out", "cached"] == 4.0
    assert {row["value"] for row in found["ratios"]} == {1.0}


def test_a_sample_has_as_many_queries_a_video_as_the_split(data: PairData) -> None:
    videos = sampled(data, "train", None)
    assert [len(rows) for rows in videos] == TRAIN_QUERIES
    found = sampled(data, "train", 3)
    assert sum(map(len, found)) == 7  # 1, 2 or 3, and 4 or 3; the split has 2.4 a video
    names = [data.video_ids[rows[0]] for rows in found]
    assert names == sorted(names)
    assert [rows.tolist() for rows in sampled(data, "train", 8)] == [r.tolist() for r in videos]


@pytest.mark.parametrize(
    ("what", "changes", "said"),
    [
        (("--run=nowhere",), {}, "nowhere: not a trained run"),
        (("--model=mktn",), {}, "--variant is of --model"),
        (("--run=nowhere", "--variant=full"), {}, "--variant is of --model"),
        (("--model=mktn", "--variant=best"), {}, "unknown variant, found 'best'"),
        (RANDOM, {"device": "tpu"}, "device cannot be used, found 'tpu'"),
        (RANDOM, {"videos": 0}, "videos 0"),
        (RANDOM, {"repeats": 0}, "repeats 0"),
        (RANDOM, {"dataset": "tacos"}, "the pairs are of another dataset"),
        (RANDOM, {"sizes": {"depth": 3}}, "settings.sizes.depth: unknown key"),
        (RANDOM, {"sizes": {"frames": 3}}, "settings.sizes.frames: key follows from the data"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    what: tuple[str, ...], changes: dict[str, Any], said: str,
) -> None:  # fmt: skip
    assert measured(small_dataset, tmp_path / "e.json", *what, **changes) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "e.json").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(small_dataset, tmp_path / "e.json", *RANDOM, device="cuda") == 2
    assert "device cannot be used, found 'cuda'" in capsys.readouterr().err
