"""What the tests share: where the real annotations are, and small data and runs."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import configuration, settings

# A shell that starts the suite in the background ignores these, and then so would each process
# that a test starts. A handler of ours is not inherited: they get the default.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)

# Generated input is the same in each run, and nothing of it comes into the repository.
configuration.set_hypothesis_home_dir("/dev/null/hypothesis")
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


# Fixtures that take long to make: in several processes, tests of one go to the same process.
MADE_ONCE = ("finished", "pipeline", "mirror", "extracted", "done", "uninterrupted", "shared")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = getattr(item, "fixturenames", ())
        if made := next((name for name in MADE_ONCE if name in names), None):
            item.add_marker(pytest.mark.xdist_group(made))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real annotations and vectors; the test is skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MKTN_SHARED_DATA", default))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real annotations are absent: {folder} (set MKTN_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny DAG has run, once for all tests that look at what it leaves."""
    from tests.workflow.test_pipeline import snakemake

    directory = tmp_path_factory.mktemp("tiny")
    run = snakemake(directory, "--show-failed-logs", "results/table3.csv")
    assert run.returncode == 0, run.stdout[-5000:]
    return directory


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of ten videos: pairs, groups of two videos, relations, features and text."""
    import numpy as np
    import polars as pl

    from mktn.features.text import TextSettings, extract_text
    from mktn.features.writers import ResampledWriter

    folder = tmp_path_factory.mktemp("small")
    frames = 5
    queries = {"train": [2, 3, 1, 4, 2, 2, 3], "val": [1, 2], "test": [2]}
    rows, groups = [], []
    for split, counts in queries.items():
        for video, count in enumerate(counts):
            name = f"{split}{video}"
            for order in range(count):
                pair_id = f"{split}/{name}#{order}"
                sentence = f"the {'red' if order else 'blue'} ball {['spins', 'falls'][video % 2]}"
                span = (order, order + 1.5)
                rows.append(("charades", split, name, pair_id, sentence, order, *span, 10.0))
                groups.append((split, video // 2 + 10 * len(split), name, pair_id))
    schema = ("dataset", "split", "video_id", "pair_id", "sentence", "order")
    pairs = pl.DataFrame(rows, (*schema, "start_s", "end_s", "duration_s"), orient="row")
    pairs.write_parquet(folder / "pairs.parquet")
    pl.DataFrame(groups, ("split", "group", "video_id", "pair_id"), orient="row").write_parquet(
        folder / "groups.parquet"
    )
    related = [("train/train0#0", "train/train2#0", "contextual", 1.0),
               ("train/train0#0", "train/train1#1", "semantic", 0.9),
               ("train/train0#0", "train/train0#1", "temporal", 0.5)]  # fmt: skip
    pl.DataFrame(related, ("pair_a", "pair_b", "kind", "weight"), orient="row").write_parquet(
        folder / "relations.parquet"
    )
    videos = pairs["video_id"].unique(maintain_order=True).to_list()
    with ResampledWriter(folder / "t.zarr", len(videos), frames, 3, 2, 4) as writer:
        for number, name in enumerate(videos):
            writer.append(name, np.full((frames, 3), number), np.full((frames, 2, 4), -number), 10)
    vectors = "".join(f"{w} {i} 1\n" for i, w in enumerate(["the", "red", "blue", "spins"]))
    (folder / "glove.txt").write_text(vectors)
    settings = {"steps": 1, "dimension": 4, "batch": 4}
    extract_text(
        pairs,
        folder / "glove.txt",
        folder / "models",
        folder / "text.zarr",
        TextSettings(skipthought=type(TextSettings().skipthought)(**settings)),
        lambda line: None,
    )
    return folder
