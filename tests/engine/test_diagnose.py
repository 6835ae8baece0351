"""Diagnoses: what is hidden is hidden, alone is alone, seen is counted, S is the model's own."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mktn.cli import main
from mktn.engine.decode import decode
from mktn.engine.diagnose import Answers, DiagnoseConfig, of_answers, of_matching
from mktn.engine.evaluate import variant_name
from mktn.engine.predict import predict
from mktn.engine.retrieval import similarities
from mktn.engine.train import model_config
from mktn.grouping.loader import LoaderConfig, PairData
from mktn.models import build

SIZES = {"width": 16, "heads": 2}
NAMES = ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr", "relations.parquet")
CPU = torch.device("cpu")


def data_of(folder: Path, **options) -> PairData:
    return PairData(*(folder / name for name in NAMES), LoaderConfig(queries=4, **options))


def network_of(data: PairData):
    torch.manual_seed(0)
    return build("mktn", "full", model_config(data, SIZES)).eval()


@pytest.fixture
def config() -> DiagnoseConfig:
    return DiagnoseConfig(
        "synthetic", "charades", (0.3, 0.5), 0.5, bootstraps=20, group_videos=3, seed=0
    )


@pytest.mark.parametrize("hidden", ["video", "text"])
def test_what_is_hidden_changes_no_answer(small_dataset: Path, hidden: str) -> None:
    data = data_of(small_dataset, hidden=hidden)
    network, rows = network_of(data), data.split("train")
    batch = data.batch(rows, related=True)
    with torch.no_grad():
        before = network(batch)["start_logits"]
    if hidden == "video":
        features, patches = data.store.load_all()
        data.reader.held = (features + 1, patches - 1)
        seen = dataclasses.replace(batch, sentences=batch.sentences + 1)
    else:
        data.text.all_words = data.text.all_words + 1
        data.text.sentences = data.text.sentences + 1
        data.order, data.nearest = data.order[::-1], data.nearest[::-1]
        seen = dataclasses.replace(batch, frames=batch.frames + 1)
    with torch.no_grad():
        assert torch.equal(network(data.batch(rows, related=True))["start_logits"], before)
        assert not torch.equal(network(seen)["start_logits"], before)


def test_a_blind_run_is_scored_blind_and_named_so(small_dataset: Path, tmp_path: Path) -> None:
    inputs = [f"--{o}={small_dataset / n}" for o, n in zip(
        ("pairs", "groups", "features", "text"), NAMES, strict=False)]  # fmt: skip
    settings = {"source": "synthetic", "dataset": "charades", "sizes": SIZES,
                "loader": {"hidden": "video"}, "train": {"epochs": 1}}  # fmt: skip
    relations = f"--relations={small_dataset / 'relations.parquet'}"
    given = [f"--run={tmp_path}", f"--settings={json.dumps(settings)}"]
    assert main(["train", *inputs, relations, *given]) == 0
    assert json.loads((tmp_path / "config.json").read_text())["loader"]["hidden"] == "video"
    (tmp_path / "rejected.parquet").write_bytes((small_dataset / "pairs.parquet").read_bytes())
    scored = {"source": "synthetic", "dataset": "charades", "ious": [0.5], "table_iou": 0.5}
    files = {"rejected": "rejected.parquet", "predictions": "p.parquet", "metrics": "m.json"}
    outputs = [f"--{option}={tmp_path / name}" for option, name in files.items()]
    given[1] = f"--settings={json.dumps(scored)}"
    assert main(["evaluate", *inputs, *outputs, *given]) == 0
    assert json.loads((tmp_path / "m.json").read_text())["variant"] == "query_only"
    given[1] = f"--settings={json.dumps(scored | {'bootstraps': 20})}"
    assert main(["diagnose", *inputs, *given, f"--out={tmp_path / 'd.json'}"]) == 0
    assert json.loads((tmp_path / "d.json").read_text())["variant"] == "query_only"
    assert variant_name({"variant": "wo_csm", "loader": {"hidden": "text"}}) == "wo_csm_video_only"
    assert variant_name({"variant": "full", "loader": {"hidden": None}}) == "full"


def test_alone_is_a_batch_of_one_query(small_dataset: Path) -> None:
    data = data_of(small_dataset)
    network, rows = network_of(data), data.split("val")
    options = {"device": CPU, "n": 1, "nms_thresholds": [0.5]}
    alone = predict(network, data, "val", alone=True, **options)[0.5]
    together = predict(network, data, "val", **options)[0.5]
    assert alone.pair_ids == together.pair_ids == [data.pair_ids[row] for row in rows]
    for place, row in enumerate(rows):
        batch = data.batch(np.array([row]))
        with torch.no_grad():
            outputs = network(batch)
        logits = outputs["start_logits"], outputs["end_logits"], outputs["offsets"]
        frames = batch.frame_mask.sum(dim=1)
        _, scores = decode(*logits, frames, batch.duration_s, 1, 0.5)
        np.testing.assert_allclose(alone.scores[place], scores[0], rtol=1e-5)
    # Queries of a video see each other, so these differ, or the diagnostic could not fail.
    assert not np.allclose(alone.scores, together.scores, rtol=1e-5)


def test_the_similarities_of_all_are_those_of_one_batch(small_dataset: Path) -> None:
    data = data_of(small_dataset)
    network = network_of(data)
    found, videos, rows = similarities(network, data, "train", CPU)
    assert len(data.packed("train")) > 1  # several blocks
    batch = data.batch(rows)
    with torch.no_grad():
        whole = network(batch)
    order = [batch.video_ids.index(name) for name in videos]
    for name, output in {"S": "s_avm", "S_op": "s_op", "S_es": "s_es"}.items():
        np.testing.assert_allclose(found[name], whole[output][order].numpy(), atol=1e-5)


def test_each_diagnosis_is_there_and_seen_sentences_are_counted(
    small_dataset: Path, config: DiagnoseConfig
) -> None:
    data = data_of(small_dataset)
    answers = Answers(network_of(data), data, "test", CPU, config)
    rows = [*of_answers(answers), *of_matching(answers)]
    settings = {(row["diagnostic"], row["setting"]) for row in rows}
    assert {s for d, s in settings if d == "order"} == {"annotation", "shuffled", "none"}
    assert {s for d, s in settings if d == "queries"} == {"all of a video", "one at a time"}
    training = {data.pairs["sentence"][int(row)] for row in data.split("train")}
    seen = sum(data.pairs["sentence"][int(row)] in training for row in data.split("test"))
    assert seen == 2  # of the two test sentences, both are told in training
    counted = {row["setting"]: row["queries"] for row in rows
               if row["diagnostic"] == "sentence" and row["metric"] == "R"}  # fmt: skip
    assert counted == {"seen": 2}
    (share,) = (row for row in rows if row["metric"] == "share of queries")
    assert (share["value"], share["queries"]) == (100, 2)
    same = next(
        r for r in rows if (r["diagnostic"], r["setting"]) == ("queries", "all of a video")
    )
    assert "difference" not in same
    alone = [row for row in rows if row["setting"] == "one at a time"]
    for row in alone:
        assert row["difference"][1] <= row["difference"][0] <= row["difference"][2]
    retrieval = [row for row in rows if row["diagnostic"] == "retrieval"]
    assert {row["setting"].split(",")[0] for row in retrieval} == {"S", "S_op", "S_es"}
    assert {row["n"] for row in retrieval} == {1, 5, 10}
    assert all(row["chance"] == 100 for row in retrieval)  # one test video
