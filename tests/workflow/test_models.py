"""The sections of models in the configurations are sizes and losses that the models take."""

from pathlib import Path

import pytest
import yaml

from mktn.config import fill, for_dataset
from mktn.engine.grounding import grounding_loss
from mktn.models import SIZES_OF

ROOT = Path(__file__).parents[2]
DATA = {"dimension": 8, "patch_dimension": 0, "word_dimension": 8, "sentence_dimension": 8}


@pytest.mark.parametrize("name", [None, "simulated", "published", "own"])
def test_each_model_takes_its_sections(name: str | None) -> None:
    from snakemake.utils import update_config

    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    if name is not None:
        over = ROOT / "workflow" / "configs" / f"{name}.yaml"
        update_config(config, yaml.safe_load(over.read_text()))
    assert "ianet" in config["models"]
    for dataset in config["datasets"]:
        own = for_dataset(config, dataset)
        for model, section in own["models"].items():
            data = DATA | {"frames": own["features"]["frames"]}
            sizes = fill(SIZES_OF[model], data | section["sizes"], f"{dataset}.{model}.sizes")
            assert sizes.frames == own["features"]["frames"]
            loss = grounding_loss(model, section.get("grounding", {}))
            assert (loss is None) == (model == "mktn")


def test_the_papers_sizes_of_ianet_are_those_of_published_features() -> None:
    from snakemake.utils import update_config

    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(config, yaml.safe_load((ROOT / "workflow/configs/published.yaml").read_text()))
    found = {}
    for dataset in ("activitynet", "charades", "tacos"):
        own = for_dataset(config, dataset)
        section = own["models"]["ianet"]
        sizes = fill(SIZES_OF["ianet"], DATA | {"frames": own["features"]["frames"]}
                     | section["sizes"])  # fmt: skip
        assert (sizes.width, sizes.padding, sizes.heads, sizes.blocks) == (512, 3, 4, 3)
        assert section["grounding"]["positive_iou"] == 0.45
        assert sizes.window_sizes() == sizes.windows
        found[dataset] = (
            *(sizes.frames, sizes.stride, list(sizes.windows)),
            *(section["grounding"]["w_boundary"], section["train"]["learning_rate"]),
        )
    assert found == {
        "activitynet": (200, 0.5, [16, 32, 64, 96, 128, 160, 192], 0.001, 8e-4),
        "charades": (64, 0.125, [16, 24, 32, 40], 0.005, 4e-4),
        "tacos": (200, 0.125, [8, 16, 32, 64, 128], 0.005, 3e-4),
    }
