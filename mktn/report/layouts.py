"""All tables by the names of `mktn tables --table`, and what ours deviate in."""

from mktn.report.ianet_layouts import IANET_TABLES
from mktn.report.lines import Layout
from mktn.report.mktn_layouts import MKTN_TABLES

TABLES: dict[str, Layout] = {**MKTN_TABLES, **IANET_TABLES}
DATASET_TITLES = {
    "activitynet": "ActivityNet Captions",
    "charades": "Charades-STA",
    "tacos": "TACoS",
}
REFERENCE = "full"  # of mktn: what every other variant of it is compared with
# What stands in the way of comparing a model's measured numbers with the reported ones, with
# published features too.
DEVIATIONS = {
    "mktn": "the paper leaves open what docs/equations.md says; comparable with its own row.",
    "ianet": "after its paper, not its released code; comparable with its own row, on TACoS only"
    " with `tacos_version: tall`.",
    "tan2d": "architecture and loss as published; comparable on ActivityNet Captions and TACoS,"
    " on Charades-STA only with VGG features, which its reported numbers are of.",
    "mmn": "GloVe words and a GRU in place of DistilBERT; not comparable.",
    "lcnet": "no code is public, a reimplementation from its paper; not comparable.",
}
