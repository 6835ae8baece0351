"""Evaluation says what its numbers were made from, and refuses a run trained on something else."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest

from mktn.cli import main
from mktn.engine.evaluate import EvaluationConfig
from mktn.engine.trained_on import check_same
from mktn.errors import UserError
from mktn.features.store_checksums import write_checksums
from mktn.report.results import INPUTS

NAMES = ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr", "relations.parquet")


def test_metrics_say_what_they_were_made_from_and_other_features_are_refused(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = dict(zip(("pairs", "groups", "features", "text", "relations"), NAMES, strict=True))
    paths = {option: small_dataset / name for option, name in inputs.items()}
    settings = '{"source": "synthetic", "dataset": "charades", %s}'
    short = settings % '"train": {"epochs": 1}, "sizes": {"width": 16, "heads": 2}'
    given = [f"--{option}={path}" for option, path in paths.items()]
    assert main(["train", *given, f"--run={tmp_path}", f"--settings={short}"]) == 0
    pl.DataFrame({"split": ["test"]}).write_parquet(tmp_path / "rejected.parquet")
    del paths["relations"]

    scored = settings % '"ious": [0.5], "table_iou": 0.5, "bootstraps": 5'

    def evaluate(*what: str) -> int:
        return main([
            "evaluate", *what, *(f"--{option}={path}" for option, path in paths.items()),
            f"--rejected={tmp_path / 'rejected.parquet'}", f"--metrics={tmp_path / 'm.json'}",
            f"--predictions={tmp_path / 'p.parquet'}",
            f"--settings={scored}",
        ])  # fmt: skip

    said, answers = [], {}
    for what in ((f"--run={tmp_path}",), ("--baseline=random",)):
        assert evaluate(*what) == 0
        metrics = json.loads((tmp_path / "m.json").read_text())
        answers[what[0]] = pl.read_parquet(tmp_path / "p.parquet")
        assert metrics["alone"] is False
        assert metrics["features"].endswith("2 patches, origin unknown")
        assert metrics["word_vectors"].startswith("glove.txt")
        assert metrics["sentence_vectors"] == "skip-thought 4 trained on the training captions"
        said.append({name: metrics[name] for name in INPUTS})
    assert said[0] == said[1]

    # One query at a time is another question: CSM has no other query to read.
    together = answers[f"--run={tmp_path}"]
    scored = scored.removesuffix("}") + ', "alone": true}'
    assert evaluate(f"--run={tmp_path}") == 0
    assert json.loads((tmp_path / "m.json").read_text())["alone"] is True
    alone = pl.read_parquet(tmp_path / "p.parquet")
    assert set(alone["pair_id"]) == set(together["pair_id"])
    best = [a.filter(rank=1).sort("pair_id")["score"] for a in (alone, together)]
    assert (best[0] - best[1]).abs().max() > 1e-6

    shutil.copytree(small_dataset / "t.zarr", tmp_path / "t.zarr")
    paths["features"] = tmp_path / "t.zarr"
    metadata = json.loads((tmp_path / "t.zarr" / "zarr.json").read_text())
    metadata["attributes"]["weights_sha256"] = "1a2b3c4d" * 8
    (tmp_path / "t.zarr" / "zarr.json").write_text(json.dumps(metadata))
    write_checksums(tmp_path / "t.zarr")
    capsys.readouterr()
    assert evaluate(f"--run={tmp_path}") == 2
    error = capsys.readouterr().err
    assert "weights_sha256: the run was trained on other features, found '1a2b3c4d" in error
    assert error.count("\n") == 1
    assert evaluate("--baseline=random") == 0
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert metrics["features_sha256"] != said[0]["features_sha256"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clip": 8}, "run, clip: the run was trained on other features, found 8, expected 16;"),
        ({"clip": None}, "run, clip: the run was trained on other features, found None"),
        (
            {"extra": 1},
            "run, extra: the run was trained on other features, found 1, expected None",
        ),
        (
            {"settings": {"noise": 2.0, "sole": {"missed": 0.1}}},
            "run, settings.noise: the run was trained on other features, found 2.0, expected 3.0",
        ),
        (
            {"settings": {"noise": 3.0, "sole": {"missed": 0.2}}},
            "run, settings.sole.missed: the run was trained on other features, found 0.2",
        ),
        ({"statement": "x" * 500}, f"found '{'x' * 119}..., expected None"),
    ],
)
def test_a_refusal_names_the_attribute_that_differs(changes: dict[str, Any], said: str) -> None:
    features = {"clip": 16, "settings": {"noise": 3.0, "sole": {"missed": 0.1}}}
    trained = {"features": features, "text": {}, "source": "synthetic", "dataset": "charades"}
    config = EvaluationConfig("synthetic", "charades", (0.5,), 0.5)

    def data(attributes: dict[str, Any]) -> Any:
        stores = (SimpleNamespace(attributes=of) for of in (attributes, {}))
        return cast(Any, SimpleNamespace(**dict(zip(("store", "text"), stores, strict=True))))

    check_same(trained, config, data(features), "run")
    with pytest.raises(UserError) as caught:
        check_same(trained, config, data({**features, **changes}), "run")
    assert said in str(caught.value)
