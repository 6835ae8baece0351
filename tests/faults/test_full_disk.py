"""A full disk: one line, status 2, what stood there stands, and the same bytes after making room.

A disk is a tmpfs, mounted by root, or by a user in a namespace of his own.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.dag import ROOT, Dag, Reference, leftovers, outputs

PAGE = 4096
FILLER = "filler"
RUN = "runs/synthetic/charades/mktn/full/seed0"
IN_NAMESPACE = "MKTN_FAULTS_IN_NAMESPACE"
Mount = Callable[[Path, str], None]


def may_mount(folder: Path) -> bool:
    """Whether this process may mount a tmpfs."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True)
    if mounted.returncode == 0:
        subprocess.run(["umount", folder], check=True)
    return mounted.returncode == 0


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small disk of its own at a folder, in place of what is there."""
    (tmp_path / "probe").mkdir()
    if not may_mount(tmp_path / "probe"):
        pytest.skip("no right to mount here; the last test of this file does it in a namespace")
    mounted: list[Path] = []

    def at(folder: Path, size: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
        mounted.append(folder)

    yield at
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, free: int) -> None:
    """Leave so many bytes, whole pages, on the disk."""
    with (disk / FILLER).open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(PAGE))
        except OSError:
            filler.truncate(filler.tell() - free)


def run_command(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """A rule's command, what it says not in its log but here."""
    command = re.sub(r" > \S+ 2>&1$| --log \S+", "", command)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, shell=True, cwd=directory, env={**os.environ, "PATH": path},
        capture_output=True, text=True,
    )  # fmt: skip


# rule, folder that is a disk of its own, bytes free, what the line names, change of the command
FULL = {
    "parquet": ("pairs", "data/synthetic/pairs/charades", 0, "pairs.parquet", None),
    "text store": ("extract_text", "data/synthetic/text", 8 * PAGE, "charades.zarr", None),
    "text models": ("extract_text", "data/synthetic/text_models", 0, "charades", None),
    "weights of a backbone": ("pretrain", "data/synthetic/backbones", 0, "i3d.safetensors", None),
    "state of extraction": (
        *("extract_video", "data/synthetic/features/charades/i3d", 0), "part-", None
    ),
    "rows of extraction": (
        *("extract_video", "data/synthetic/features/charades/i3d", 16 * PAGE), "part-", None
    ),
    "store of T frames": (
        *("resample", "data/synthetic/features/charades", 10 * PAGE), "i3d-T12.zarr", None
    ),
    "lock of a run": ("train_full", RUN, 0, RUN, None),
    "checkpoint": ("train_full", RUN, 8 * PAGE, "model.safetensors", None),
    "weights": ("train_full", RUN, 8 * PAGE, "model.safetensors", ("minutes 0", "minutes 60")),
    "predictions": ("evaluate", RUN, 0, "predictions.parquet", None),
    "tables": ("table", "results", 0, "table3", None),
}  # fmt: skip


@pytest.mark.parametrize("case", FULL)
def test_a_full_disk_is_one_line_and_loses_nothing(
    case: str, reference: Reference, mount: Mount, tmp_path: Path
) -> None:
    rule, folder, free, named, change = FULL[case]
    dag = tmp_path / "dag"
    shutil.copytree(reference.directory, dag, symlinks=True)
    disk = dag / folder
    mount(disk, "16m")
    shutil.copytree(reference.directory / folder, disk, dirs_exist_ok=True)
    command = reference.command(rule, folder)
    fill(disk, free)
    failed = run_command(command.replace(*change) if change else command, dag)
    assert failed.returncode == 2, failed.stderr[-3000:]
    lines = failed.stderr.splitlines()
    said = [line for line in lines if line.startswith("mktn ") and "disk is full" in line]
    assert len(said) == 1, failed.stderr[-3000:]
    assert lines[-1] == said[0]
    assert named in said[0]
    assert re.search(r"found [\d.e-]+ MB free", said[0]), said
    assert "make room there, then run the same command again" in said[0]
    assert "Traceback" not in failed.stderr
    # A training goes on where its state cannot be kept.
    assert ("resume.safetensors: not saved" in failed.stderr) == (case == "checkpoint")
    (disk / FILLER).unlink()
    states = [p for p in outputs(dag) if ".resume/" in p or p.endswith("resume.safetensors")]
    assert {k: v for k, v in outputs(dag).items() if k not in states} == reference.outputs
    assert not [name for name in leftovers(dag) if name.endswith((".part", ".old"))]
    again = run_command(command, dag)
    assert again.returncode == 0, again.stderr[-3000:]
    assert outputs(dag) == reference.outputs
    assert leftovers(dag) == []


def test_a_training_whose_log_does_not_fit_goes_on(
    reference: Reference, mount: Mount, tmp_path: Path
) -> None:
    dag = tmp_path / "dag"
    shutil.copytree(reference.directory, dag, symlinks=True)
    disk = dag / RUN
    mount(disk, "16m")
    names = ("model.safetensors", "config.json", "log.parquet")
    pages = [-(-(reference.directory / RUN / name).stat().st_size // PAGE) for name in names]
    command = reference.command("train_full", RUN)
    fill(disk, (sum(pages) - 1 + 2) * PAGE)  # two for the lock and the state
    failed = run_command(command.replace("minutes 0", "minutes 60"), dag)
    assert failed.returncode == 2
    assert re.search(r"log\.parquet: the disk is full", failed.stderr), failed.stderr[-3000:]
    (disk / FILLER).unlink()
    again = run_command(command, dag)
    assert again.returncode == 0, again.stderr[-3000:]
    model = f"{RUN}/model.safetensors"
    assert outputs(dag)[model] == reference.outputs[model]
    assert leftovers(dag) == []


def test_snakemake_on_a_disk_that_grows_ends_with_the_same_bytes(
    reference: Reference, mount: Mount, tmp_path: Path
) -> None:
    dag = Dag(tmp_path / "dag")
    mount(dag.directory, "64m")
    whole = [path.lstat().st_size for path in reference.directory.rglob("*") if path.is_file()]
    needed = sum(-(-size // PAGE) * PAGE for size in whole)
    failures = 0
    for share in (0.35, 0.7, 0.95):
        (dag.directory / FILLER).unlink(missing_ok=True)
        used = sum(p.lstat().st_blocks * 512 for p in dag.directory.rglob("*") if p.is_file())
        fill(dag.directory, max(0, int((share * needed - used) // PAGE) * PAGE))
        run = dag.go_on()
        failures += run.wait() != 0
        made = {k: v for k, v in outputs(dag.directory).items() if "/." not in k}
        half = {k for k, v in made.items() if v != reference.outputs.get(k, v)}
        assert half <= {k for k in made if k.endswith("resume.safetensors")}
    assert failures >= 2
    (dag.directory / FILLER).unlink()
    run = dag.go_on()
    assert run.wait() == 0, run.said()[-5000:]
    assert outputs(dag.directory) == reference.outputs
    assert leftovers(dag.directory) == []


def test_the_above_in_a_namespace_of_the_users_own(tmp_path: Path) -> None:
    if os.environ.get(IN_NAMESPACE):
        pytest.skip("this is the namespace")
    if may_mount(tmp_path):
        pytest.skip("they were run as root")
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"neither root nor a user's namespace: {probe.stderr.strip()}")
    command = ["unshare", "-rm", sys.executable, "-m", "pytest", "-m", "faults", "-q", __file__]
    run = subprocess.run(command, cwd=ROOT, env={**os.environ, IN_NAMESPACE: "1"})
    assert run.returncode == 0
