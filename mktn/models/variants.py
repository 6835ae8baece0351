"""The frozen tables of variants, one a model: for mktn full and the ablations of Tables 3 to 7.

Table names, Snakemake rule names and tests all read it; it loads without torch.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

# OPM. prototypes: the module. objects: object prototypes without phrases or S_op.
# raw: patches and words in place of prototypes. projected: patches alone, no S_op.
ObjectMode = Literal["prototypes", "objects", "raw", "projected"]
# APA. prototypes: the module. unaligned: without S_es. pooled: one activity, the pooled frames.
ActivityMode = Literal["prototypes", "unaligned", "pooled"]


@dataclasses.dataclass(frozen=True)
class Variant:
    """What of MKTN is built. None: the module is left out."""

    tables: tuple[int, ...]
    csm: bool = True
    temporal: bool = True
    contextual: bool = True
    semantic: bool = True
    avm: bool = True
    visual_contrast: bool = True
    textual_contrast: bool = True
    threshold: Literal["linear", "fixed"] | None = None  # None: as configured
    objects: ObjectMode = "prototypes"
    activities: ActivityMode | None = "prototypes"


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "full": Variant(tables=(3, 4, 5, 6, 7)),
        "wo_csm": Variant(tables=(3,), csm=False),
        "wo_opm": Variant(tables=(3,), objects="projected"),
        "wo_apa": Variant(tables=(3,), activities=None),
        "wo_avm": Variant(tables=(3,), avm=False),
        "wo_temporal": Variant(tables=(4,), temporal=False),
        "wo_contextual": Variant(tables=(4,), contextual=False),
        "wo_semantic": Variant(tables=(4,), semantic=False),
        "wo_visual_contrast": Variant(tables=(5,), visual_contrast=False),
        "wo_textual_contrast": Variant(tables=(5,), textual_contrast=False),
        "fixed_threshold": Variant(tables=(5,), threshold="fixed"),
        "wo_cosine": Variant(tables=(5,), threshold="linear"),
        "wo_cap": Variant(tables=(6,), objects="raw"),
        "wo_oca": Variant(tables=(6,), objects="objects"),
        "wo_bmp": Variant(tables=(7,), activities="pooled"),
        "wo_aa": Variant(tables=(7,), activities="unaligned"),
    }
)


@dataclasses.dataclass(frozen=True)
class PluggedVariant:
    """A model alone, or with knowledge transfer; without `span` nothing learns from timestamps."""

    transfer: Variant | None = None
    span: bool = True


def _plugged(span: bool = True) -> Mapping[str, PluggedVariant]:
    full = PluggedVariant(VARIANTS["full"], span)
    return MappingProxyType({"origin": PluggedVariant(), "plus_mktn": full})


@dataclasses.dataclass(frozen=True)
class IANetVariant:
    """What of IA-Net is built, of Table 4 of its paper. None: as configured."""

    calibrate_inter: bool = True
    intra: bool = True
    calibrate_intra: bool = True
    padding: int | None = None  # K
    heads: int | None = None  # H
    blocks: int | None = None  # l


IANET: Mapping[str, IANetVariant] = MappingProxyType(
    {
        "full": IANetVariant(),  # model D; K = 3, H = 4, l = 3
        "model_a": IANetVariant(calibrate_inter=False, intra=False, calibrate_intra=False),
        "model_b": IANetVariant(intra=False, calibrate_intra=False),
        "model_c": IANetVariant(calibrate_intra=False),
        **{f"padding_{k}": IANetVariant(padding=k) for k in (0, 1, 2, 4)},
        **{f"heads_{h}": IANetVariant(heads=h) for h in (1, 2, 8)},
        **{f"blocks_{n}": IANetVariant(blocks=n) for n in (1, 2, 4)},
    }
)


# Of each model, by name.
VARIANTS_OF: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "mktn": VARIANTS,
        "ianet": IANET,
        "tan2d": _plugged(),
        "mmn": _plugged(),
        "lcnet": _plugged(span=False),
    }
)

# Their losses compare all videos of a batch, so that no several processes share it.
ONE_PROCESS = frozenset({"mmn", "lcnet"})


def transfer_of(model: str, variant: str) -> Variant | None:
    """The knowledge transfer in a model's variant; None where it has none."""
    found = VARIANTS_OF[model][variant]
    return found if isinstance(found, Variant) else getattr(found, "transfer", None)


# `full` trained blind, as a diagnostic: name -> what the loader hides from it.
BLIND: Mapping[str, Literal["video", "text"]] = MappingProxyType(
    {"query_only": "video", "video_only": "text"}
)
