"""`mktn status`: each run as it is, whatever lies in the folder, and nothing is written."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main
from mktn.engine.run_state import NAME, RunState, StateFile
from mktn.report.run_status import all_statuses, duration
from mktn.report.status import configured_runs, short, table
from tests.report.runs import write_run

ROOT = Path(__file__).resolve().parents[2]
CHARADES = "synthetic/charades/mktn"
LOG = [{"epoch": i, "val_mIoU": s, "seconds": 60.0} for i, s in enumerate((20.0, 31.5, 30.0))]


def trained(runs: Path, name: str, epochs: int = 8) -> Path:
    """A run as `mktn train` leaves it, before there was a state.json."""
    run = runs / name
    run.mkdir(parents=True)
    (run / "model.safetensors").write_bytes(b"weights")
    (run / "config.json").write_text(json.dumps({"train": {"epochs": epochs}}))
    pl.DataFrame(LOG).write_parquet(run / "log.parquet")
    return run


def told(runs: Path, name: str, **changes) -> Path:
    """A run of which there is a state.json alone: of a process that is gone, unless changed."""
    run = runs / name
    run.mkdir(parents=True)
    now = time.time()
    state = RunState("running", 8, 3, 0.5, 31.5, 1, 60.0, now - 210, now, socket.gethostname())
    state = dataclasses.replace(state, **changes)
    (run / NAME).write_text(json.dumps(dataclasses.asdict(state)))
    return run


def status(runs: Path) -> dict[str, object]:
    return {run.variant: run for run in all_statuses(runs, time.time())}


def test_a_run_from_before_there_was_a_state_is_done_by_its_files(tmp_path: Path) -> None:
    trained(tmp_path, f"{CHARADES}/full/seed0")
    run = status(tmp_path)["full"]
    assert (run.state, run.epoch, run.epochs, run.best, run.best_epoch) == ("done", 3, 8, 31.5, 1)


def test_scores_make_it_evaluated_baselines_and_annotators_too(tmp_path: Path) -> None:
    trained(tmp_path, f"{CHARADES}/full/seed0")
    metrics, _ = write_run(tmp_path, "charades", "mktn", "full")
    run = tmp_path / CHARADES / "full" / "seed0"
    os.replace(metrics, run / "metrics.json")
    folder = tmp_path / "synthetic/charades/random/baseline/seed0"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text((run / "metrics.json").read_text())
    folder = tmp_path / "synthetic/charades/annotators/leave-one-out/seed0"
    folder.mkdir(parents=True)
    (folder / "metrics-human.json").write_text("{}")
    found = {run.model: run for run in all_statuses(tmp_path / "synthetic", time.time())}
    assert {run.state for run in found.values()} == {"evaluated"}
    rows = json.loads((run / "metrics.json").read_text())["metrics"]
    expected = {f"{r['iou']:g}": r["value"] for r in rows if (r["metric"], r["n"]) == ("R", 1)}
    assert found["mktn"].recall == found["random"].recall == expected
    assert list(expected) == ["0.3", "0.5", "0.7"]
    text = "\n".join(table([found["mktn"]]))
    assert "R@1 at 0.3/0.5/0.7" in text
    assert "/".join(f"{value:.1f}" for value in expected.values()) in text


def test_a_running_one_has_its_process_and_an_estimate(tmp_path: Path) -> None:
    with StateFile(tmp_path / CHARADES / "full" / "seed0", 8) as state:
        state.follow(LOG, 0.5)
        run = status(tmp_path)["full"]
    assert run.state == "running"
    assert run.left_s == pytest.approx(4.5 * 60)
    assert run.where == f"{socket.gethostname()} pid {os.getpid()}"
    assert run.note is None


def test_a_killed_one_is_interrupted(tmp_path: Path) -> None:
    code = "import sys, time; from mktn.engine.run_state import StateFile\n"
    code += "with StateFile(sys.argv[1], 8): print('in', flush=True); time.sleep(60)"
    run = tmp_path / CHARADES / "full" / "seed0"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    assert status(tmp_path)["full"].state == "running"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = status(tmp_path)["full"]
    assert found.state == "interrupted"
    assert "its process is gone" in found.note


def test_one_that_was_stopped_and_one_on_a_silent_host(tmp_path: Path) -> None:
    told(tmp_path, f"{CHARADES}/full/seed0", state="interrupted")
    past = time.time() - 3 * 3600
    told(tmp_path, f"{CHARADES}/wo_csm/seed0", host="elsewhere", updated=past, slurm_job="77")
    told(tmp_path, f"{CHARADES}/wo_apa/seed0", host="elsewhere", slurm_job="78")
    found = status(tmp_path)
    assert found["full"].state == found["wo_csm"].state == "interrupted"
    assert found["wo_csm"].note == "no sign for 3 h"
    assert found["wo_csm"].where == "elsewhere job 77"
    assert found["wo_apa"].state == "running"


def test_a_failed_one_shows_its_error_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "full.log"
    log.write_text("epoch 2: ...\nmktn train: broken\nmktn train: exit status 2 after 1.0 s, t\n")
    told(tmp_path, f"{CHARADES}/full/seed0", state="failed", error="broken", log=str(log))
    # It could not write how it ended.
    told(tmp_path, f"{CHARADES}/wo_csm/seed0", log=str(log))
    found = status(tmp_path)
    assert (found["full"].state, found["full"].error) == ("failed", "broken")
    assert (found["wo_csm"].state, found["wo_csm"].error) == ("failed", "mktn train: broken")
    with contextlib.chdir(tmp_path):
        lines = [*table([found["full"]])]
    assert lines[3:5] == ["      broken", "      log: full.log"]


def test_a_training_that_failed_over_a_whole_run_is_told(tmp_path: Path) -> None:
    run = trained(tmp_path, f"{CHARADES}/full/seed0")
    with pytest.raises(ValueError, match="no"), StateFile(run, 8):
        raise ValueError("no")
    os.utime(run / "model.safetensors", (1, 1))
    found = status(tmp_path)["full"]
    assert (found.state, found.note) == ("done", "a later training here: failed")


def test_a_checkpoint_alone_is_an_interrupted_run_and_an_empty_folder_is_said(
    tmp_path: Path,
) -> None:
    for variant in ("full", "wo_csm"):
        (tmp_path / CHARADES / variant / "seed0").mkdir(parents=True)
    (tmp_path / CHARADES / "full/seed0/resume.safetensors").write_bytes(b"")
    found = status(tmp_path)
    assert (found["full"].state, found["wo_csm"].state) == ("interrupted", "empty")


JUNK = [b"", b"{", b"[]", b"\xff\xfe", b'{"metrics": 3, "train": 4}', b'{"metrics": [1, {}]}']


@pytest.mark.parametrize("junk", JUNK)
def test_no_file_of_others_breaks_it_and_nothing_is_written(
    tmp_path: Path, junk: bytes, capsys
) -> None:
    for seed in (0, 1):
        run = trained(tmp_path, f"{CHARADES}/full/seed{seed}")
        (run / "metrics.json").write_bytes(junk)
        (run / NAME).write_bytes(junk)
        (run / "config.json").write_bytes(junk)
    (run / "log.parquet").write_bytes(junk)
    (tmp_path / "notes.txt").write_bytes(junk)
    (tmp_path / CHARADES / "seedling").mkdir()
    (tmp_path / "seed3").mkdir()
    odd = tmp_path / CHARADES / "od\x1bd" / "seed0"
    odd.mkdir(parents=True)
    (tmp_path / "circle").symlink_to(tmp_path)
    before = listing(tmp_path)
    assert main(["status", str(tmp_path / "synthetic")]) == 0
    assert main(["status", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "log.parquet cannot be read" in text
    assert main(["status", str(tmp_path), "--json"]) == 0
    json.loads(capsys.readouterr().out)
    assert listing(tmp_path) == before


def listing(folder: Path) -> dict[str, float]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_the_table_is_narrow_sorted_and_counted(tmp_path: Path, capsys) -> None:
    for seed in (10, 2):
        trained(tmp_path, f"{CHARADES}/wo_textual_contrast/seed{seed}", epochs=120)
    told(tmp_path, f"{CHARADES}/full/seed0", state="failed", error="long " * 80)
    told(tmp_path, f"{CHARADES}/wo_csm/seed0", host="elsewhere", started=time.time() - 86_000)
    assert main(["status", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "synthetic / charades / mktn"
    named = [line.split()[:2] for line in lines[2:-1] if line[2:3].strip()]
    contrast = "wo_textual_contrast"
    assert named == [["full", "0"], ["wo_csm", "0"], [contrast, "2"], [contrast, "10"]]
    assert lines[-1] == "4 runs: 2 done, 1 running, 1 failed"


def test_the_runs_that_the_configuration_needs_and_are_not_there(tmp_path: Path, capsys) -> None:
    trained(tmp_path, f"{CHARADES}/full/seed0")
    files = [str(ROOT / "config.yaml"), str(ROOT / "tests/workflow/tiny.yaml")]
    assert main(["status", str(tmp_path), "--json", "--config", *files]) == 0
    states = {
        Path(run["path"]).relative_to(tmp_path).as_posix(): run["state"]
        for run in json.loads(capsys.readouterr().out)
    }
    assert states == {
        f"{CHARADES}/full/seed0": "done",
        f"{CHARADES}/wo_opm/seed0": "not started",
        "synthetic/charades/random/baseline/seed0": "not started",
        "synthetic/charades/train-prior/baseline/seed0": "not started",
    }


def test_the_configured_runs_are_those_that_the_tables_show() -> None:
    import yaml

    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    runs = configured_runs(config)
    # Table 3's five variants on three datasets, eleven more on ActivityNet, two baselines a set.
    assert len(runs) == 5 * 3 + 11 + 2 * 3
    assert "synthetic/charades/mktn/wo_cap/seed0" not in runs
    config["pairs"]["partition"], config["seeds"] = "cd", [3, 4]
    assert f"{'synthetic-cd'}/charades/mktn/wo_cap/seed4" in configured_runs(config)


def test_configured_tables_of_other_models_need_their_runs_once() -> None:
    import yaml

    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    # Five models on three datasets; +MKTN of three; 13 ablations of IA-Net; baselines.
    config["tables"] = [1, 2, "ianet1", "ianet4"]
    runs = configured_runs(config)
    assert len(runs) == len(set(runs)) == 5 * 3 + 3 + 13 + 2 * 3
    config["tables"], config["systems"] = [1], ["mktn", "mmn"]
    assert len(configured_runs(config)) == 2 * 3 + 2 * 3
    assert "synthetic/tacos/mmn/origin/seed0" in configured_runs(config)


def test_models_stand_in_blocks_of_their_own(tmp_path: Path, capsys) -> None:
    trained(tmp_path, "synthetic/charades/mmn/plus_mktn/seed0")
    told(tmp_path, f"{CHARADES}/full/seed0", state="interrupted")
    assert main(["status", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if " / " in line]
    assert heads == ["synthetic / charades / mktn", "synthetic / charades / mmn"]
    assert lines[-1] == "2 runs: 1 done, 1 interrupted"


def test_what_is_no_folder_or_no_configuration_is_one_line(tmp_path: Path, capsys) -> None:
    assert main(["status", str(tmp_path / "absent")]) == 2
    (tmp_path / "odd.yaml").write_text("source: 3")
    assert main(["status", str(tmp_path), "--config", str(tmp_path / "odd.yaml")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "no folder of runs" in lines[0]
    assert "not the configuration of a workflow" in lines[1]


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ("logs", "no training has begun; logs: logs\n"),
        (".snakemake", "no training has begun; and there are no logs yet\n"),
    ],
)
def test_before_the_first_training_it_says_so_and_where_the_logs_are(
    there: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 2  # nothing works here
    (tmp_path / there).mkdir()
    assert main(["status", "elsewhere"]) == 2
    capsys.readouterr()
    assert main(["status"]) == 0
    assert capsys.readouterr().out == says
    assert main(["status", "--json"]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out), said.err) == ([], says)


def test_durations_are_short() -> None:
    said = [duration(s) for s in (-3, 45, 720, 10_800, 12_000, 190_000)]
    assert said == ["0 s", "45 s", "12 min", "3 h", "3 h 20 min", "2 d 4 h"]
    assert [short(12_000), short(720)] == ["3h20m", "12m"]
