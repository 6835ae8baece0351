"""Which runs and videos the figures of single test pairs are drawn from."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import yaml

from mktn.config import for_dataset
from mktn.engine.attention import AttentionConfig
from mktn.errors import UserError

ROOT = Path(__file__).parents[2]


def scope(source: str = "synthetic", extracted: tuple[str, ...] = (), **changes: Any) -> Any:
    """rules/pictured.smk as the rules see it, with the default configuration and its changes."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["figures"] |= changes.pop("figures", {})
    config |= {"source": source, **changes}

    def stop(error: UserError) -> None:
        raise error

    names: dict[str, Any] = {
        "config": config,
        "SOURCE": source,
        "DATASETS": config["datasets"],
        "DATA": f"data/{source}",
        "EXTRACTED": extracted,
        "GIVEN": "own" if source == "own" else "published",
        "stop": stop,
        "refuse_other_partitions": lambda what: None,
        "expand": lambda pattern, dataset: [pattern.format(dataset=d) for d in dataset],
        "given_path": lambda dataset, key: f"mirror/{dataset}/{key}",
        "of": lambda dataset, *keys: _inside(for_dataset(config, dataset), keys),
        "evaluation_settings": lambda wildcards: {
            **dict.fromkeys(("source", "dataset", "partition", "device", "threads"), 1),
            **{"seed": 0, "validation": "official", "loader": {}},
            **for_dataset(config, wildcards.dataset)["evaluation"],
        },
        "run_file": lambda name, dataset, system, seed: f"{dataset}/{'/'.join(system)}/{seed}",
    }
    exec((ROOT / "rules" / "pictured.smk").read_text(), names)
    return SimpleNamespace(**names)


def _inside(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = value[key]
    return value


def test_peers_of_models_that_are_not_configured_are_left_out() -> None:
    everyone = [("mktn", "full"), ("tan2d", "origin"), ("mmn", "origin")]
    assert scope().timeline_systems() == everyone
    assert scope(systems=["mktn", "mmn"]).timeline_systems() == [everyone[0], everyone[2]]
    assert scope(systems=["mktn"]).timeline_systems() == everyone[:1]
    files = scope(datasets=["tacos"], seeds=[3, 4]).timeline_files("metrics.json")(None)
    assert files == ["tacos/mktn/full/3", "tacos/tan2d/origin/3", "tacos/mmn/origin/3"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"systems": ["mmn"]}, r"figure 3c is of mktn/full, .*configuration, systems|systems: "),
        ({"variants": ["wo_csm"]}, r"configuration, variants: figure 3c is of mktn/full"),
        ({"figures": {"peers": ["mmn/none"]}}, r"figures\.peers: no such peer, found mmn/none"),
        ({"figures": {"peers": ["mktn/full"]}}, r"no such peer, found mktn/full"),
        (
            {"datasets": ["tacos"], "figures": {"named": {"charades": ["test/a#0"]}}},
            r"figures\.named: pairs are named of a dataset that is not configured, found charades",
        ),
    ],
)
def test_what_cannot_be_drawn_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        scope(**changes).timeline_systems()
    assert re.search(said, str(error.value)), error.value


def test_videos_are_those_that_features_were_extracted_from() -> None:
    two = {"datasets": ["charades", "tacos"]}
    assert scope(**two).video_folders(None) == [
        f"data/synthetic/videos/{d}" for d in two["datasets"]
    ]
    assert scope("simulated", **two).video_folders(None) == []
    published = scope("published", ("tacos",), **two)
    assert (published.filmed(), published.video_folders(None)) == (
        ["tacos"],
        ["mirror/tacos/videos"],
    )


def test_named_pairs_stand_in_place_of_the_draw() -> None:
    named = {"charades": ["test/a#0", "test/b#1"]}
    given = scope(figures={"named": named, "maps": 1, "seed": 7})
    assert given.draw_of("charades", "maps") == {"pairs": 1, "seed": 7, "named": ["test/a#0"]}
    assert given.draw_of("tacos", "pairs") == {"pairs": 3, "seed": 7, "named": []}


def test_maps_are_made_again_for_other_data_and_not_for_other_scores() -> None:
    scored = {"notes": ["another"], "bootstraps": 9, "ns": [1], "nms": 0.4, "comparison": ">="}
    of_tacos = SimpleNamespace(dataset="tacos")
    evaluation = scope().config["evaluation"]
    before = scope().attention_settings(of_tacos)
    assert scope(evaluation=evaluation | scored).attention_settings(of_tacos) == before
    assert scope(figures={"seed": 1}).attention_settings(of_tacos) != before
    AttentionConfig(**{name: value for name, value in before.items() if name != "draw"})


@pytest.mark.parametrize("named", [False, True])
def test_the_caption_says_which_pairs_are_not_drawn(named: bool) -> None:
    config = scope(figures={"named": {"charades": ["test/a#0"]} if named else {}}).config
    job = SimpleNamespace(output=SimpleNamespace(svg="results/figure3c.svg"), config=config)
    caption = jinja2.Template((ROOT / "workflow/report/figures.rst").read_text())
    said = " ".join(caption.render(snakemake=job).split())
    assert ("not picked by hand" in said) != named
    assert ("Queries of charades are named in the configuration" in said) == named
