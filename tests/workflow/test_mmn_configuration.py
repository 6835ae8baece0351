"""MMN's sections of the configurations are sizes and losses that it takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from mktn.config import fill, for_dataset
from mktn.engine.grounding.mmn import MutualLoss
from mktn.models.config import MMNConfig
from mktn.models.proposals import sparse_cells

ROOT = Path(__file__).parents[2]
DATA = {"dimension": 8, "patch_dimension": 0, "word_dimension": 8, "sentence_dimension": 8}


def sections(name: str | None) -> dict[str, tuple[MMNConfig, MutualLoss, dict[str, Any]]]:
    """Of each dataset the sizes, the loss and the training of MMN, as a configuration has them."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    if name is not None:
        over = ROOT / "workflow" / "configs" / f"{name}.yaml"
        update_config(config, yaml.safe_load(over.read_text()))
    found = {}
    for dataset in ("activitynet", "charades", "tacos"):
        own = for_dataset(config, dataset)
        section = own["models"]["mmn"]
        given = DATA | {"frames": own["features"]["frames"]} | section["sizes"]
        sizes = fill(MMNConfig, given, f"{dataset}.sizes")
        found[dataset] = (sizes, fill(MutualLoss, section["grounding"]), section["train"])
    return found


@pytest.mark.parametrize("name", [None, "simulated", "published"])
def test_mmn_takes_its_sections(name: str | None) -> None:
    for sizes, _, _ in sections(name).values():
        assert sizes.cells <= sizes.frames  # no cell of the map without a frame of its own


def test_the_published_settings_are_those_of_published_features() -> None:
    found = {}
    for dataset, (sizes, loss, train) in sections("published").items():
        assert (sizes.width, sizes.joint, loss.temperature) == (512, 256, 0.1)
        map_network = (sizes.cells, sizes.kernel, sizes.layers, sizes.power)
        moments = len(sparse_cells(sizes.cells, sizes.counts))
        constants = (loss.w_mutual, loss.margin, loss.t_min, loss.t_max, loss.positives)
        found[dataset] = (*map_network, moments, *constants, train["learning_rate"])
    assert found == {
        "activitynet": (64, 9, 4, 0.5, 1104, 0.1, 0.3, 0.5, 1.0, 1, 8e-4),
        "charades": (16, 5, 8, 0.5, 136, 0.05, 0.4, 0.5, 1.0, 1, 1e-4),
        "tacos": (128, 5, 8, 0.3, 2548, 0.1, 0.1, 0.3, 0.7, 3, 1.5e-3),
    }
