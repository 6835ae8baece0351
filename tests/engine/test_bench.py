"""The benchmarks run, say what they measured, and the memory of one step is bounded."""

import csv
import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mktn.cli import main
from mktn.engine import map_bench, similarity_bench
from mktn.engine.similarity_bench import SimilaritySettings
from mktn.models.map_network import MapNetwork
from mktn.models.proposals import ProposalMap

PHASES = ("decode_only", "model_only", "end_to_end")
SMALL = {
    **{"queries_per_video": [1, 3], "queries": 6, "repeats": 2, "frames": 8, "patches": 2},
    **{"dimension": 16, "word_dimension": 8, "sentence_dimension": 8, "width": 16, "heads": 2},
}


def bench(what: str, settings: dict, out: Path) -> list[dict[str, str]]:
    assert main(["bench", what, f"--out={out}", f"--settings={json.dumps(settings)}"]) == 0
    return list(csv.DictReader(out.open()))


def test_every_mode_is_measured_in_both_phases(tmp_path: Path) -> None:
    rows = bench("multipair", SMALL, tmp_path / "m.csv")
    assert len(rows) == 2 * 2 * 3
    assert {row["mode"] for row in rows} == {"grouped", "encoded again", "cached"}
    for row in rows:
        assert float(row["queries_per_s"]) > 0
        own = {"encoded again": "ratio_to_encoded_again", "cached": "ratio_to_cached"}
        if row["mode"] in own:
            assert float(row[own[row["mode"]]]) == 1
        assert (row["videos"], row["queries"]) == (
            "6" if row["queries_per_video"] == "1" else "2",
            "6",
        )


def test_a_checkpoint_is_measured_beside_the_step_that_it_delays(tmp_path: Path) -> None:
    sizes = {name: value for name, value in SMALL.items() if name != "queries_per_video"}
    (row,) = bench("checkpoint", {**sizes, "device": "cpu", "minutes": 5}, tmp_path / "c.csv")
    # Weights, the best weights and AdamW's two moments, each a float32.
    tensors_mb = 4 * 4 * int(row["parameters"]) / 1e6
    assert tensors_mb < float(row["file_mb"]) < tensors_mb + 0.2
    assert min(float(row[name]) for name in ("step_s", "write_s", "read_s")) > 0
    assert float(row["share_of_time"]) == pytest.approx(float(row["write_s"]) / 300)


def test_extraction_is_measured_end_to_end(tmp_path: Path) -> None:
    """That it runs and adds up; its figure is that of a quiet machine."""
    small = {"count": 2, "seconds_s": 3.0, "height": 64, "width": 96, "repeats": 1, "batch": 4}
    (row,) = bench("extraction", {**small, "cases": ["balanced"]}, tmp_path / "e.csv")
    assert row["clips"] == "10"  # 48 samples of 3 s: 5 clips in each of 2 videos
    rates = [float(row[f"{phase}_clips_per_s"]) for phase in PHASES]
    assert min(rates) > 0
    share = rates[2] / min(rates[:2])
    assert float(row["share_of_slower"]) == pytest.approx(share, rel=0.01)


def test_the_memory_of_one_step_is_bounded() -> None:
    """The sizes of one step on ActivityNet: 48 videos x 192 queries of 200 frames."""
    rows = {row["similarity"]: row for row in similarity_bench.run(SimilaritySettings())}
    assert rows.keys() == {"S", "S_op", "S_es"}
    for row in rows.values():
        assert row["peak_mb"] <= 256, row


def test_what_is_measured_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from mktn.models import similarity

    # In one block the whole tensor of scores is made, and the measurement must see it.
    settings = SimilaritySettings(videos=16, queries=64, width=32)
    monkeypatch.setattr(similarity, "BLOCK_ELEMENTS", 10**9)
    whole = similarity_bench.measure("S", settings)
    assert whole["peak_mb"] > 0.8 * whole["whole_tensor_mb"] > 15


def test_a_size_below_one_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--out={tmp_path / 'x.csv'}", '--settings={"queries_per_video": [0]}']
    assert main(["bench", "multipair", *given]) == 2
    assert "queries_per_video (0,): expected 1 or more" in capsys.readouterr().err


def test_an_import_holds_one_video_and_one_shard(tmp_path: Path) -> None:
    rows = bench("import", {"megabytes": 400, "folder": str(tmp_path)}, tmp_path / "i.csv")
    row = {key: float(value) for key, value in rows[0].items() if key not in ("compression",)}
    assert row["input_mb"] >= 400
    # The whole file would take 200 MB in float16 alone, beside the buffers.
    assert row["peak_mb"] - row["before_mb"] <= 200
    assert row["mb_per_s"] > 0
    assert row["h5py_mb_per_s"] > row["mb_per_s"]
    assert [path.name for path in tmp_path.iterdir()] == ["i.csv"]


def test_the_map_network_is_measured_both_ways(tmp_path: Path) -> None:
    small = {"cells": 8, "counts": [4, 2], "width": 16, "layers": 2, "queries": 2, "repeats": 3}
    (row,) = bench("map", small, tmp_path / "m.csv")
    assert (row["moments"], row["counts"]) == ("29", "4+2")
    assert min(float(row[name]) for name in ("pairs_per_s_plain", "pairs_per_s_tiles")) > 0
    assert float(row["difference"]) < 3e-5


def test_the_products_of_the_map_network_are_those_that_torch_counts() -> None:
    settings = map_bench.MapSettings(cells=8, counts=(4, 2), width=16, layers=2)
    network = MapNetwork(ProposalMap(8, (4, 2)), 16, 5, 2).eval()
    x = torch.randn(1, 29, 16)
    for way, expected in (
        (network.plain, map_bench.plain_products(settings)),
        (network.by_tiles, map_bench.tile_products(network)),
    ):
        with torch.no_grad():
            way(x)  # the weights' own transform is made once
            with FlopCounterMode(display=False) as counted:
                way(x)
        assert counted.get_total_flops() == 2 * expected


def test_its_help_says_what_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    assert "speed, memory and accuracy" in " ".join(capsys.readouterr().out.split())
