"""Damaged files are named by the step that reads them, and made again once deleted as told."""

import re
import shutil
from pathlib import Path

import pytest

from mktn.cli import main
from tests.workflow.test_pipeline import jobs, snakemake

DATA = Path("data/synthetic")
WEIGHTS = Path("runs/synthetic/charades/mktn/full/seed0/model.safetensors")
TABLE = "results/table3.csv"


def damage(path: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def told(output: str) -> dict[str, str]:
    """What the steps said: damaged file -> what to delete."""
    said = r"mktn [\w-]+: (\S+): damaged file, found .*; delete (\S+) and ask for it: snakemake"
    return dict(re.findall(said, output))


def delete(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def shard(folder: Path, array: str) -> Path:
    return min(path for path in (folder / array / "c").rglob("*") if path.is_file())


@pytest.mark.faults
@pytest.mark.timeout(1500)
def test_damaged_files_are_named_and_made_again(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    monkeypatch.chdir(folder)
    parts = DATA / "features" / "charades" / "i3d"
    resampled, text = parts.with_name("i3d-T12.zarr"), DATA / "text" / "charades.zarr"
    rejected = DATA / "groups" / "charades" / "rejected.parquet"
    expected = {
        shard(parts / "part-0.zarr", "features"): parts / "part-0.zarr",
        shard(text, "sentences"): text,
        shard(resampled, "features"): resampled,
        rejected: rejected,
        WEIGHTS: WEIGHTS,
    }
    assert main(["verify"]) == 0
    for path in expected:
        damage(path)
    assert main(["verify"]) == 2
    lines = capsys.readouterr().out
    for path, whole in expected.items():
        assert f"{path}: damaged file, found crc32c" in lines
        assert f"; delete {whole} and ask for it: snakemake --cores N {whole}" in lines

    # Those that evaluation reads: the weights of one variant, the store for the other, a table.
    text_shard, part_shard = shard(text, "sentences"), shard(parts / "part-0.zarr", "features")
    for path in (text_shard, part_shard):
        shutil.copy2(finished / path, path)
    forced = ("--forcerun", "evaluate", "evaluate_baseline")
    run = snakemake(folder, "-k", "--show-failed-logs", TABLE, *forced)
    assert run.returncode == 1
    found = told(run.stdout)
    assert found == {
        str(path): str(whole)
        for path, whole in expected.items()
        if path not in (text_shard, part_shard)
    }
    for path in found.values():
        delete(Path(path))

    # Those that stand before them: the T store that is gone needs the part.
    for path in (text_shard, part_shard):
        damage(path)
    again = ("-k", "--show-failed-logs", TABLE, "--forcerun", "relate")
    run = snakemake(folder, *again)
    assert run.returncode == 1
    found = told(run.stdout)
    assert found == {str(path): str(expected[path]) for path in (text_shard, part_shard)}
    for path in found.values():
        delete(Path(path))

    run = snakemake(folder, *again)
    assert run.returncode == 0, run.stdout[-5000:]
    assert jobs(run.stdout) == {
        "extract_video": 1, "extract_text": 1, "resample": 1, "relate": 1, "group": 1,
        "train_full": 1, "train_wo_opm": 1, "evaluate": 2, "evaluate_baseline": 2, "table": 1,
    }  # fmt: skip
    for name in (TABLE, "results/table3.md", WEIGHTS):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name
    assert main(["verify"]) == 0
