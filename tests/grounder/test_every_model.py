"""Whatever model a run is of, it answers about new videos; one that matches none says so."""

import dataclasses
from pathlib import Path

import pytest
import torch

from mktn.errors import UserError
from mktn.grounder.grounder import Grounder
from mktn.models import CLASSES, SIZES_OF, VARIANTS_OF, build

ASKED = ["the red ball spins", "a star flashes", "the box rolls"]
DATA_SIZES = ("frames", "dimension", "patch_dimension", "word_dimension", "sentence_dimension")


@pytest.mark.parametrize(
    ("model", "variant"), [(model, name) for model in CLASSES for name in VARIANTS_OF[model]]
)
def test_it_answers(grounder: Grounder, videos: list[Path], model: str, variant: str) -> None:
    config = grounder.parts.config
    sizes = {name: config["sizes"][name] for name in DATA_SIZES}
    small = {"width": 16, "layers": 1, "joint": 8, "hidden": 8}
    names = {field.name for field in dataclasses.fields(SIZES_OF[model])}
    sizes |= {name: value for name, value in small.items() if name in names}
    torch.manual_seed(0)
    network = build(model, variant, sizes)
    parts = dataclasses.replace(
        grounder.parts, network=network, config={**config, "model": model, "variant": variant}
    )
    other = Grounder(parts, device="cpu")
    seen = [other.encode(path) for path in videos[:3]]
    (answer, *_) = other.ground(seen[0], ASKED)
    assert 0 <= answer.moments[0].start_s < answer.moments[0].end_s <= answer.duration_s + 1e-5
    assert other.ground(videos[0], ASKED)[0].moments == answer.moments
    if other.similarities(seen, ASKED):
        assert {one.video for one in other.ground(seen, ASKED)} <= {one.name for one in seen}
    else:
        with pytest.raises(UserError, match="this model matches no videos with sentences"):
            other.ground(seen, ASKED)
