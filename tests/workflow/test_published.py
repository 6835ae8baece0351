"""`source: published` from nothing to the groups.

A mirror in the published layout, its videos extracted, and a feature file imported.
"""

import csv
import hashlib
import json
from pathlib import Path

import h5py
import polars as pl
import pytest

from mktn.cli import main
from mktn.datasets.registry import COLUMNS
from mktn.features.backbones import BackboneDescription, build, save
from mktn.features.preprocessing import Preprocessing
from mktn.features.store import FeatureStore, ResampledStore
from tests.workflow.test_pipeline import ROOT, TINY, jobs, refusals, snakemake

FPS = 8
CLIP, STRIDE = 16, 8
PUBLISHED = ("source=published", "variants=[full]")


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with annotations and videos in their published layout, weights and a registry."""
    folder = tmp_path_factory.mktemp("mirror")
    sizes = {"videos_train": 14, "videos_val": 3, "videos_test": 4, "duration_s": 12, "fps": FPS}
    given = [f"--annotations={folder}/charades_sta", f"--videos={folder}/videos"]
    given += [f"--actions={folder}/actions.parquet", f"--settings={json.dumps(sizes)}"]
    assert main(["synthesize", "--dataset=charades", *given]) == 0
    (folder / "videos" / "0B2DQ.mp4").write_bytes(b"no video")
    files = sorted(p for p in (folder / "charades_sta").rglob("*") if p.is_file())
    rows = []
    for number, path in enumerate(files):
        row = dict.fromkeys(COLUMNS, "") | {
            "name": f"file{number}", "dataset": "charades", "role": "annotations",
            "path": str(path.relative_to(folder)), "licence": "none stated", "form": "no",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "status": "local",
            "bytes": str(path.stat().st_size), "note": "made here", "source": "made here",
        }  # fmt: skip
        rows.append(row)
    with (folder / "sources.tsv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "schemas").mkdir()
    schema = ROOT / "workflow" / "schemas" / "sources.schema.yaml"
    (folder / "schemas" / schema.name).write_bytes(schema.read_bytes())
    recipe = Preprocessing(fps=FPS, crop=64, resize=(64,), clip=CLIP, stride=STRIDE)
    described = BackboneDescription("c3d", 4, 10, recipe)
    save(build(described), described, folder / "weights.safetensors")
    return folder


def run(directory: Path, mirror: Path, given: dict[str, object], *options: str) -> str:
    """Snakemake with `published` of the mirror, charades' features as given; its output."""
    per_dataset = {
        "charades": {
            "extract": {"decode_workers": 1},
            "features": {"backbone": "c3d", "parts": 2},
            "published": given,
        }
    }
    configuration = directory / "published.json"
    configuration.write_text(json.dumps({"per_dataset": per_dataset}))
    config = [*PUBLISHED, f"mirror={mirror}", f"registry={mirror}/sources.tsv"]
    files = [ROOT / "config.yaml", TINY, configuration]
    done = snakemake(
        directory, *options, "--show-failed-logs", "--configfile", *map(str, files),
        "--config", *config, "--", "data/published/groups/charades/groups.parquet",
    )  # fmt: skip
    return f"{done.returncode}\n{done.stdout}"


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Path:
    """A folder in which features of the mirror's videos were extracted, and groups made."""
    directory = tmp_path_factory.mktemp("published")
    given = {"features": "extracted", "videos": "videos", "weights": "weights.safetensors"}
    said = run(directory, mirror, given)
    assert said.startswith("0\n"), said[-5000:]
    assert "1 pairs rejected" in said or "pairs rejected, listed with reasons" in said
    return directory


def test_videos_are_extracted_with_the_weights_of_the_mirror(
    extracted: Path, mirror: Path
) -> None:
    store = FeatureStore(extracted / "data/published/features/charades/c3d")
    pairs = pl.read_parquet(extracted / "data/published/pairs/charades/pairs.parquet")
    assert {*store.video_ids} | {*store.errors} == {*pairs["video_id"]}
    weights = (mirror / "weights.safetensors").read_bytes()
    assert store.attributes["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert (store.attributes["clip"], store.attributes["stride"]) == (CLIP, STRIDE)
    resampled = ResampledStore(extracted / "data/published/features/charades/c3d-T12.zarr")
    assert resampled.attributes["source"] == "published"
    assert resampled.attributes["weights_sha256"] == store.attributes["weights_sha256"]


def test_a_feature_file_is_imported(extracted: Path, mirror: Path, tmp_path: Path) -> None:
    store = FeatureStore(extracted / "data/published/features/charades/c3d")
    with h5py.File(mirror / "features.hdf5", "w") as file:
        for video_id in store.video_ids[1:]:
            file[video_id] = store[video_id].features.astype("float32")
    how = {"dimension": 256, "clip": CLIP, "stride": STRIDE, "fps": FPS}
    given = {"features": "imported", "file": "features.hdf5", "import": how}
    said = run(tmp_path, mirror, given)
    assert said.startswith("0\n"), said[-5000:]
    assert jobs(said)["import_features"] == 2
    assert "extract_video" not in jobs(said)
    imported = FeatureStore(tmp_path / "data/published/features/charades/c3d")
    assert {*imported.video_ids} == {*store.video_ids[1:]}
    assert "not in the file" in imported.errors[store.video_ids[0]]
    for video_id in imported.video_ids:
        assert (imported[video_id].features == store[video_id].features).all()
        assert abs(imported[video_id].span_s - store[video_id].span_s).max() < 0.2

    mislabelled = given | {"import": how | {"fps": 25.0}}
    again = tmp_path / "again"
    again.mkdir()
    said = run(again, mirror, mislabelled)
    assert not said.startswith("0\n")
    assert "rows/s" in said


def test_what_is_not_there_is_said_in_one_line(mirror: Path, tmp_path: Path) -> None:
    said = run(tmp_path, mirror, {"features": "imported", "file": "nowhere.hdf5"}, "-n")
    assert "nowhere.hdf5: file is missing" in said
    assert "Traceback" not in said
    said = run(tmp_path, mirror, {"features": "extracted", "videos": "videos"}, "-n")
    assert "per_dataset.charades.published.weights: path is missing" in said


def test_without_a_mirror_files_of_the_registry_are_downloaded(tmp_path: Path) -> None:
    given = {"features": {"backbone": "vgg"}, "published": {
        "file": "charades_sta/features/Charades_v1_features_rgb.tar.gz",
        "import": {"preset": "charades-vgg"},
    }}  # fmt: skip
    said = planned(tmp_path, given, "-np")
    assert jobs(said)["download"] == 1
    assert jobs(said)["download_file"] == 1
    assert "--only charades-vgg-txt" in said
    place = "--place 'MIRROR/{path}, and give --config mirror=MIRROR'"
    assert said.count(place) == 2


@pytest.mark.parametrize(
    ("file", "words", "with_mirror"),
    [
        ("vgg_rgb_features.hdf5", "it needs a form, an account or a browser", False),
        ("i3d", "get the archive charades-i3d-npy (i3d_vslnet.zip), or charades-i3d-lgi", True),
    ],
)
def test_what_only_a_person_can_get_stops_before_any_job(
    tmp_path: Path, mirror: Path, file: str, words: str, with_mirror: bool
) -> None:
    path = f"charades_sta/features/{file}"
    given = {"published": {"file": path, "import": {"preset": "charades-vgg"}}}
    said = planned(tmp_path, given, "-n", *([f"mirror={mirror}"] if with_mirror else []))
    (line,) = refusals(said)
    assert "file is missing" in line
    assert words in line
    place = (
        f"{mirror}/{path}" if with_mirror else f"MIRROR/{path}, and give --config mirror=MIRROR"
    )
    assert line.endswith(f"at {place}")
    assert "Job stats" not in said
    assert "Traceback" not in said


def planned(directory: Path, given: dict[str, object], how: str, *config: str) -> str:
    """What Snakemake says that it would do, for charades as given and the real registry."""
    configuration = directory / "given.json"
    configuration.write_text(json.dumps({"per_dataset": {"charades": given}}))
    files = [ROOT / "config.yaml", TINY, configuration]
    return snakemake(
        directory, how, "--configfile", *map(str, files), "--config", *PUBLISHED, *config,
        "--", "data/published/groups/charades/groups.parquet",
    ).stdout  # fmt: skip


def test_only_an_edit_of_its_rows_runs_a_download_again(mirror: Path, tmp_path: Path) -> None:
    registry = tmp_path / "sources.tsv"
    schemas = tmp_path / "schemas"
    schemas.symlink_to(mirror / "schemas")
    text = (mirror / "sources.tsv").read_text()

    def download(*options: str, rows: str = text, with_mirror: Path = mirror) -> str:
        registry.write_text(rows)
        config = [*PUBLISHED, f"registry={registry}", f"mirror={with_mirror}"]
        target = "data/published/annotations/charades"
        return snakemake(
            tmp_path, *options, "--configfile", *map(str, (ROOT / "config.yaml", TINY)),
            "--config", *config, "--", target,
        ).stdout  # fmt: skip

    said = download()
    assert (tmp_path / "data/published/annotations/charades").is_dir(), said
    assert "Nothing to be done" in download("-n", rows=text.replace("made here", "a note"))
    assert "Nothing to be done" in download("-n", with_mirror=tmp_path / "other")
    first = text.splitlines()[1].split("\t")
    other = text.replace(first[COLUMNS.index("sha256")], "0" * 64)
    assert jobs(download("-n", rows=other))["download"] == 1


def test_what_no_place_gives_is_to_be_put_in_the_mirror(mirror: Path, tmp_path: Path) -> None:
    target = "data/published/annotations/charades"
    done = snakemake(
        tmp_path, "--configfile", *map(str, (ROOT / "config.yaml", TINY)),
        "--config", *PUBLISHED, f"registry={mirror}/sources.tsv", "--", target,
    )  # fmt: skip
    assert done.returncode != 0
    log = (tmp_path / "logs/published/download/charades.log").read_text()
    assert "; put it at MIRROR/charades_sta/" in log
    assert ", and give --config mirror=MIRROR" in log
    # A file put among the outputs would be taken for made, or removed.
    assert target not in log


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ("kitchen/", "kitchen.csv: file is missing, expected a csv or JSON table of videos,"
         " sentences and spans, as per_dataset.kitchen.own.table names it;"
         " put it there or name another"),
        ("kitchen/ kitchen.csv", "default source:"
         " snakemake --cores 2 -- data/synthetic/backbones/c3d.safetensors"),
    ],
)  # fmt: skip
def test_what_a_dataset_of_one_s_own_lacks_is_named_with_what_to_do(
    there: str, says: str, tmp_path: Path
) -> None:
    for name in there.split():
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    files = [ROOT / "config.yaml", ROOT / "workflow/configs/own.yaml"]
    run = snakemake(tmp_path, "-n", "--configfile", *map(str, files))
    (line,) = refusals(run.stdout)
    assert line.endswith(says)
    assert "download --list" not in line
