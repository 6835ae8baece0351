"""efficiency.json is read strictly, and systems stand beside each other only where they may."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mktn.checksums import write_sealed_json
from mktn.cli import main
from mktn.engine.efficiency_format import BASELINES, MODES, TEXT
from mktn.errors import UserError
from mktn.report.efficiency import COLUMNS
from mktn.report.efficiency_files import Spread, read_efficiency

SPEED = dict(zip(MODES, (10.0, 16.0, 20.0, 50.0), strict=True))  # videos a second


def spread(value: float) -> dict[str, float]:
    return {"value": value, "low": 0.75 * value, "high": 1.5 * value}


def of(model: str = "mktn", variant: str = "full", **changes: Any) -> dict[str, Any]:
    """An efficiency.json of 3 queries a video; without the text encoder it is twice as fast."""
    modes: list[dict[str, Any]] = []
    for text in TEXT:
        for mode in MODES:
            vps = SPEED[mode] * (2 if text == "out" else 1)
            inside = text == "in"
            modes.append(
                {"mode": mode, "text": text, "batches": 4, "vps": spread(vps),
                 "qps": spread(3 * vps), "seconds_query": spread(1 / (3 * vps)), "cpu_share": 0.98,
                 "gflops_query": 0.25 if inside else None, "peak_mb": 12.5 if inside else None}
            )  # fmt: skip
    return {
        **{"format": 1, "source": "simulated", "dataset": "charades", "partition": "standard"},
        **{"model": model, "variant": variant, "seed": 0, "weights": "trained", "sizes": {}},
        **{"split": "test", "videos": 20, "queries": 60, "split_videos": 40, "split_queries": 110},
        **{"device": "cpu", "device_name": "Processor", "cpus": 2, "dtype": "float32"},
        **{"threads": 1, "torch": "2.9", "batch_queries": 56, "warm_up_batches": 10},
        **{"repeats": 7, "n": 5, "nms": 0.5, "load_average_before": [0.1, 0.2, 0.3]},
        **{"load_average_after": [1, 1, 1], "text_out": "played", "operations": "products"},
        **{"memory": "resident", "parameters": 1500, "weights_mb": 0.006, "modes": modes},
        "parameters_by_part": {"video": 1000, "text": 500},
        "ratios": [
            {"mode": mode, "text": text, "against": other, **spread(SPEED[mode] / SPEED[other])}
            for mode in MODES for text in TEXT for other in BASELINES if mode != other
        ],
        **changes,
    }  # fmt: skip


def written(folder: Path, **changes: Any) -> Path:
    value = of(**changes)
    path = folder / f"{value['dataset']}-{value['model']}-{value['variant']}-{len(changes)}.json"
    write_sealed_json(value, path)
    return path


def tabled(folder: Path, *paths: Path) -> int:
    outputs = [f"--csv={folder / 'e.csv'}", f"--markdown={folder / 'e.md'}"]
    return main(["efficiency-table", "--efficiency", *map(str, paths), *outputs])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = read_efficiency(written(tmp_path))
    assert (found.model, found.queries, found.nms, found.cpus) == ("mktn", 60, 0.5, 2)
    figures = found.modes["multi_pair", "in"]
    assert (figures.vps, figures.qps.value) == (Spread(50.0, 37.5, 75.0), 150.0)
    assert (figures.gflops_query, figures.peak_mb) == (0.25, 12.5)
    assert found.modes["multi_pair", "out"].gflops_query is None
    assert found.ratios["multi_pair", "in", "origin"].value == 5.0
    assert found.parameters_by_part == {"video": 1000, "text": 500}


def test_another_system_beside_it_is_read_and_told(tmp_path: Path) -> None:
    ratios = [{"mode": "multi_pair", "text": "in", "against": "origin", **spread(4.0)}]
    other = {"model": "mmn", "variant": "origin", "seed": 0, "weights": "trained"}
    path = written(tmp_path, model="mmn", variant="plus_mktn", beside={**other, "ratios": ratios})
    found = read_efficiency(path).beside
    assert found is not None
    assert found.ratios["multi_pair", "in", "origin"] == Spread(4.0, 3.0, 6.0)
    assert tabled(tmp_path, path) == 0
    said = "Its `multi_pair` is 4 [3, 6] x `origin` of mmn `origin`, which took turns"
    assert said in (tmp_path / "e.md").read_text()
    assert (
        "multi_pair,in,cpu,Processor,float32,1,56,speed_over_origin_of_mmn_origin,4,3,6"
        in (tmp_path / "e.csv").read_text()
    )
    broken = written(tmp_path, beside={**other, "weights": "lost", "ratios": ratios})
    with pytest.raises(UserError, match=r"beside\.weights: missing or wrong key"):
        read_efficiency(broken)


def first_mode(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["modes"][0].update(changes)


SPOILED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another version": (lambda v: v.update(format=2), "unknown format.*found 2.*again"),
    "an unknown source": (lambda v: v.update(source="real"), "unknown source"),
    "an unknown device": (lambda v: v.update(device="tpu"), "unknown device"),
    "no queries": (lambda v: v.pop("queries"), "queries: missing or wrong key"),
    "a negative count": (lambda v: v.update(parameters=-1), "parameters: missing or wrong key"),
    "text for a number": (lambda v: v.update(nms="peer"), "nms: missing or wrong key"),
    "a boolean for a count": (lambda v: v.update(threads=True), "threads: missing or wrong"),
    "two load averages": (lambda v: v.update(load_average_after=[1, 1]), "load_average_after"),
    "no mode": (lambda v: v["modes"].pop(), "a mode is missing.*multi_pair and text out"),
    "a mode twice": (lambda v: v["modes"].append(v["modes"][0]), "stands twice.*origin, in"),
    "an unknown mode": (first_mode(mode="fast"), r"modes\[0\].mode.*found 'fast'"),
    "no quartile": (first_mode(vps={"value": 1, "low": 1}), r"modes\[0\].vps.high"),
    "no peak": (lambda v: v["modes"][0].pop("peak_mb"), r"modes\[0\].peak_mb"),
    "a mode that is text": (lambda v: v["modes"].insert(0, "origin"), r"modes\[0\].mode"),
    "a ratio to nothing": (lambda v: v["ratios"][0].update(against="batched"), "against"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_file_is_refused(name: str, tmp_path: Path) -> None:
    spoil, said = SPOILED[name]
    value = of()
    spoil(value)
    write_sealed_json(value, tmp_path / "e.json")
    with pytest.raises(UserError, match=said):
        read_efficiency(tmp_path / "e.json")


def test_a_changed_byte_or_an_absent_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace('"queries": 60', '"queries": 61'))
    with pytest.raises(UserError, match="damaged file"):
        read_efficiency(path)
    with pytest.raises(UserError, match="efficiency cannot be read"):
        read_efficiency(tmp_path / "none.json")
    path.write_text("[]")
    with pytest.raises(UserError, match="unknown format, found list"):
        read_efficiency(path)


def test_each_number_of_each_file_is_in_the_csv(tmp_path: Path) -> None:
    paths = [
        written(tmp_path),
        written(tmp_path, model="tan2d", variant="plus_mktn"),
        written(tmp_path, dataset="activitynet"),
    ]
    assert tabled(tmp_path, *paths) == 0
    rows = list(csv.DictReader((tmp_path / "e.csv").open()))
    assert tuple(rows[0]) == COLUMNS
    found = {(r["dataset"], r["model"], r["mode"], r["text"], r["metric"]): r for r in rows}
    assert len(found) == len(rows)
    assert [row["dataset"] for row in rows[:1]] == ["activitynet"]
    own = found["charades", "tan2d", "multi_pair", "in", "VPS"]
    assert (own["value"], own["low"], own["high"]) == ("50", "37.5", "75")
    assert own["variant"] == "plus_mktn"
    assert found["charades", "mktn", "cached", "out", "QPS"]["value"] == "96"
    assert found["charades", "mktn", "multi_pair", "in", "speed_over_cached"]["value"] == "3.125"
    assert found["charades", "mktn", "", "", "parameters"]["value"] == "1500"
    assert found["charades", "mktn", "origin", "in", "gflops_query"]["value"] == "0.25"
    assert ("charades", "mktn", "origin", "out", "gflops_query") not in found
    # 2 + 2 parts, 8 modes of 3 speeds, 12 ratios, 4 of operations and 4 of memory.
    assert len(rows) == 3 * (4 + 24 + 12 + 8)
    page = (tmp_path / "e.md").read_text()
    assert page.index("## ActivityNet") < page.index("## Charades-STA, Processor")
    assert "20 of 40 test videos, 60 queries (3.00 a video; 2.75 in the whole split)" in page
    assert "tan2d `plus_mktn` | `multi_pair` | 50 [37.5, 75] | 100 [75, 150] |" in page
    assert "1,500 parameters (video 1,000, text 500)" in page
    assert "Something else ran" not in page


def test_a_measurement_that_was_disturbed_says_so(tmp_path: Path) -> None:
    value = of()
    value["modes"][3]["cpu_share"] = 0.5
    write_sealed_json(value, tmp_path / "e.json")
    assert tabled(tmp_path, tmp_path / "e.json") == 0
    assert (
        "**Something else ran beside it**: in a mode it had 0.50"
        in (tmp_path / "e.md").read_text()
    )


def test_memory_that_could_not_be_measured_is_left_out(tmp_path: Path) -> None:
    value = of(memory="not measured: expected Linux")
    for row in value["modes"]:
        row["peak_mb"] = None
    write_sealed_json(value, tmp_path / "e.json")
    assert tabled(tmp_path, tmp_path / "e.json") == 0
    assert "peak_mb" not in (tmp_path / "e.csv").read_text()
    assert "not measured: expected Linux" in (tmp_path / "e.md").read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "a system stands twice, found mktn full"),
        ({"variant": "wo_csm", "videos": 21}, "efficiencies of one dataset and device differ in"),
        ({"variant": "wo_csm", "threads": 2}, "differ in threads, found 2, expected 1"),
        ({"variant": "wo_csm", "source": "published"}, "of one table differ in source"),
        ({"dataset": "didemo"}, "unknown dataset, found didemo"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    paths = [written(tmp_path), written(tmp_path / "other", **changes)]
    assert tabled(tmp_path, *paths) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "e.csv").exists()


def test_the_same_system_on_two_devices_is_two_sections(tmp_path: Path) -> None:
    gpu = {"device": "cuda", "device_name": "Card", "dtype": "float32, TF32 in cuDNN"}
    assert tabled(tmp_path, written(tmp_path), written(tmp_path, **gpu)) == 0
    page = (tmp_path / "e.md").read_text()
    assert page.count("## Charades-STA") == 2
