"""A byte that changes in any file of a run is seen, or changes nothing that is read."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet
import pytest
import safetensors.torch
import torch
import zarr

from mktn.checksums import (
    crc32c,
    file_crc32c,
    read_sealed_json,
    sealed,
    unverified,
    write_sealed_json,
)
from mktn.cli import main
from mktn.engine import resume
from mktn.engine.checkpoint import load, save
from mktn.engine.criterion import LossConfig
from mktn.errors import UserError
from mktn.features.pairs_file import read_table_of
from mktn.features.store import FeatureStore, ResampledStore
from mktn.features.text_store import TextStore
from mktn.features.writers import PartWriter, ResampledWriter
from mktn.models import build
from mktn.parquet import parquet_bytes, read_parquet, write_parquet
from mktn.report.results import read_run
from mktn.report.verify import verify
from mktn.seeds import named_rng
from tests.batches import SIZES
from tests.report.runs import write_run

POSITIONS = 300  # of a file, and both of its ends

TABLE = pl.DataFrame(
    {
        "pair_id": [f"test/v{i}#0" for i in range(60)],
        "part": pl.Series(["train", "val", "test"] * 20, dtype=pl.Enum(["train", "val", "test"])),
        "order": pl.Series(range(60), dtype=pl.Int16),
        "from_s": [None if i % 7 == 0 else i / 3 for i in range(60)],
        "words": [["a"] * (i % 4) for i in range(60)],
        "letter": pl.Series(["x", "y"] * 30, dtype=pl.Categorical),
    }
)


def flips(path: Path, positions: int = POSITIONS) -> list[tuple[int, int]]:
    """Positions of a file, first and last 40 among them, each with another value of its byte."""
    content = path.read_bytes()
    rng = named_rng(0, "flips", path.name)
    chosen = {*range(min(40, len(content))), *range(max(0, len(content) - 40), len(content))}
    chosen |= set(rng.integers(len(content), size=positions).tolist())
    return [(at, content[at] ^ int(rng.integers(1, 256))) for at in sorted(chosen)]


def seen_or_same(
    path: Path, read: Callable[[], Any], same: Callable[[Any, Any], bool], positions: int
) -> int:
    """Change a byte at a time; gives how often reading said so in one line that names the file."""
    good, expected, errors = path.read_bytes(), read(), 0
    for at, value in flips(path, positions):
        path.write_bytes(good[:at] + bytes([value]) + good[at + 1 :])
        found, line = expected, ""
        try:
            found = read()
        except UserError as error:
            line = str(error)
        errors += bool(line)
        assert same(found, expected), (path, at, value)
        assert not line or str(path) in line or str(path.parent) in line
        assert ("damaged file" in line) == ("and ask for it: snakemake" in line)
        assert "\n" not in line
    path.write_bytes(good)
    assert same(read(), expected)
    return errors


def same_table(found: pl.DataFrame, expected: pl.DataFrame) -> bool:
    return found.equals(expected) and found.schema == expected.schema


def same_arrays(found: Any, expected: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_known_sum() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C (iSCSI)
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283


def test_a_table_comes_back_as_it_was_and_others_can_read_it(tmp_path: Path) -> None:
    unverified()  # what other tests have read
    write_parquet(TABLE, tmp_path / "t.parquet")
    assert same_table(read_parquet(tmp_path / "t.parquet"), TABLE)
    assert read_parquet(tmp_path / "t.parquet", ["order"]).columns == ["order"]
    assert parquet_bytes(TABLE) == parquet_bytes(TABLE.clone())
    assert pl.read_parquet(tmp_path / "t.parquet").equals(TABLE)
    theirs = pyarrow.parquet.read_table(tmp_path / "t.parquet")
    assert theirs["pair_id"].to_pylist() == TABLE["pair_id"].to_list()
    assert not unverified()


def test_a_changed_byte_of_a_table_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_parquet(TABLE, path)
    errors = seen_or_same(path, lambda: read_table_of("pairs", path), same_table, POSITIONS)
    # All but those in the words before the digits, which make a file without a checksum.
    assert errors >= 0.9 * len(flips(path))


def test_a_file_without_a_checksum_is_read_and_told(tmp_path: Path) -> None:
    TABLE.write_parquet(tmp_path / "t.parquet")
    unverified()
    assert same_table(read_parquet(tmp_path / "t.parquet"), TABLE)
    assert unverified().startswith("1 read without a checksum")
    assert unverified() == ""


def test_a_place_for_the_checksum_must_be_one_and_empty() -> None:
    for text in (b"", b"mktn-crc32c:12345678", b"mktn-crc32c:00000000" * 2):
        with pytest.raises(ValueError, match="places for a checksum"):
            sealed(text)


def write_stores(folder: Path) -> dict[str, Callable[[], Any]]:
    """A part and a T store of several shards, and how to read all of each."""
    rng = named_rng(0, "checksums", "stores")
    values = rng.standard_normal((6, 5, 3)).astype(np.float16)
    with PartWriter(folder / "part-0.zarr", 0, 3, 0, 0) as part:
        for number, rows in enumerate(values):
            part.append(f"v{number}", rows, None, np.arange(10).reshape(5, 2), 5.0)
    with ResampledWriter(folder / "t.zarr", 6, 5, 3, 2, 4) as writer:
        for number, rows in enumerate(values):
            writer.append(f"v{number}", rows, rng.standard_normal((5, 2, 4)), 5.0)
        writer.fail("bad", "no stream")

    def read_part() -> Any:
        store = FeatureStore(folder)
        found = [store[name] for name in store.video_ids]
        return [np.array([*store.errors, *store.video_ids]),
                *(array for one in found for array in (one.features, one.span_s))]  # fmt: skip

    def read_t() -> Any:
        store = ResampledStore(folder / "t.zarr")
        return [np.array([*store.video_ids, *store.errors]), *store.load_all()]

    return {"part-0.zarr": read_part, "t.zarr": read_t}


@pytest.mark.parametrize("name", ["part-0.zarr", "t.zarr"])
def test_a_changed_byte_of_a_store_is_seen(tmp_path: Path, name: str) -> None:
    read = write_stores(tmp_path)[name]
    files = [path for path in sorted((tmp_path / name).rglob("*")) if path.is_file()]
    assert {"zarr.json", "manifest.parquet", "checksums.json", "0"} <= {p.name for p in files}
    for path in files:
        assert seen_or_same(path, read, same_arrays, 15) == len(flips(path, 15))


def test_a_changed_byte_of_a_text_store_is_seen(small_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "text.zarr"
    shutil.copytree(small_dataset / "text.zarr", folder)
    pair_ids = pl.read_parquet(small_dataset / "pairs.parquet")["pair_id"].to_list()

    def read() -> Any:
        store = TextStore(folder, pair_ids)
        return store.offsets, store.sentences, store.all_words

    for path in (path for path in sorted(folder.rglob("*")) if path.is_file()):
        assert seen_or_same(path, read, same_arrays, 4) == len(flips(path, 4))


def test_a_lost_file_is_named_with_the_store_to_delete(tmp_path: Path) -> None:
    write_stores(tmp_path)
    lost = tmp_path / "t.zarr" / "features" / "c" / "0" / "0" / "0"
    lost.unlink()
    store = ResampledStore(tmp_path / "t.zarr")
    with pytest.raises(UserError) as caught:
        store.read(["v0"])
    line = str(caught.value)
    assert line.startswith(f"{lost}: damaged file, found No such file or directory, expected")
    store = tmp_path / "t.zarr"
    assert line.endswith(f"; delete {store} and ask for it: snakemake --cores N {store}")


def test_a_changed_byte_of_a_run_is_seen(tmp_path: Path) -> None:
    torch.manual_seed(0)
    record = {"source": "synthetic", "dataset": "charades", "seed": 0, "features": {}, "text": {}}
    save(
        tmp_path, build("mktn", "full", SIZES), model="mktn", variant="full", config=SIZES,
        losses=LossConfig(), record={**record, "patches": "store"},
    )  # fmt: skip

    def same(found: Any, expected: Any) -> bool:
        states = found[0].state_dict(), expected[0].state_dict()
        return found[1] == expected[1] and all(
            torch.equal(states[0][name], states[1][name]) for name in states[1]
        )

    for name in ("model.safetensors", "config.json"):
        path = tmp_path / name
        errors = seen_or_same(path, lambda: load(tmp_path), same, 40)
        assert errors >= 0.85 * len(flips(path, 40))


def test_a_changed_byte_of_metrics_is_seen(tmp_path: Path) -> None:
    path, _ = write_run(tmp_path, "charades", "mktn", "full", 0)
    write_sealed_json(json.loads(path.read_text()), path)
    errors = seen_or_same(path, lambda: read_run(path), lambda a, b: bool(a == b), 100)
    assert errors >= 0.85 * len(flips(path, 100))


@pytest.mark.parametrize("end", [0, 0.5, -1])
@pytest.mark.parametrize("name", ["t.parquet", "config.json", "model.safetensors", "store"])
def test_verify_sees_a_file_that_was_cut_though_its_checksum_went_with_it(
    tmp_path: Path, name: str, end: float, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if name == "t.parquet":
        write_parquet(TABLE, path)
    elif name == "config.json":
        write_sealed_json({"a": list(range(100))}, path)
    elif name == "model.safetensors":
        safetensors.torch.save_file({"w": torch.arange(100)}, path)
    else:
        array = np.arange(4000, dtype=np.float32).reshape(100, 40)
        group = zarr.open_group(path, mode="w")
        group.create_array("features", data=array, chunks=(10, 40), shards=(100, 40))
    assert main(["verify", str(path)]) == 0
    cut = path
    if path.is_dir():
        cut = max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    size = cut.stat().st_size
    os.truncate(cut, {0: 0, 0.5: size // 2, -1: size - 1}[end])
    assert main(["verify", str(path)]) == 2
    assert "damaged file" in capsys.readouterr().out


def test_verify_names_each_damaged_file_and_counts_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write_stores(tmp_path / "data")
    table = Path("data/pairs.parquet")
    write_parquet(TABLE, table)
    TABLE.write_parquet("data/other.parquet")
    assert main(["verify"]) == 0
    said = capsys.readouterr().out
    files = [one for one in verify([Path("data")]) if one.known]
    assert f"{len(files)} files are as they were written, 0 are damaged" in said
    assert (
        "1 have no checksum, so that nothing says how they should be: data/other.parquet" in said
    )
    assert sum(one.count for one in files) == sum(one.path.stat().st_size for one in files)
    shard = Path("data/part-0.zarr/span_s/c/0/0")
    checkpoint = Path("data/resume.safetensors")
    resume.write(checkpoint, {"weights": torch.arange(64.0)}, {"epoch": 1})
    assert main(["verify", "data/resume.safetensors"]) == 0
    assert capsys.readouterr().out.startswith("1 files are as they were written, 0 are damaged")
    for path in (shard, table, checkpoint):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert main(["verify", "data"]) == 2
    out, err = capsys.readouterr()
    assert f"{shard}: damaged file" in out
    assert "delete data/part-0.zarr and ask for it: snakemake --cores N data/part-0.zarr" in out
    assert f"delete {table} and ask for it: snakemake --cores N {table}" in out
    assert f"{checkpoint}: the checkpoint is damaged" in out
    assert f"{len(files) - 2} files are as they were written, 3 are damaged" in out
    assert err.startswith("mktn verify: 3 damaged files")
    assert main(["verify", "absent"]) == 2
    assert "absent: no such file or folder" in capsys.readouterr().err


def test_a_large_file_is_summed_block_by_block(tmp_path: Path) -> None:
    content = named_rng(0, "blocks").bytes(3 * 2**20 + 17)
    (tmp_path / "x").write_bytes(content)
    assert file_crc32c(tmp_path / "x") == (len(content), crc32c(content))


def test_json_with_a_checksum_is_refused_after_an_edit(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_sealed_json({"queries": 24}, path)
    assert read_sealed_json(path) == {"queries": 24}
    path.write_text(path.read_text().replace("24", "25"))
    with pytest.raises(
        UserError, match=r"metrics\.json: damaged file, found crc32c \w+, expected"
    ):
        read_sealed_json(path)
