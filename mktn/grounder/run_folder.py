"""A run's folder among the pipeline's own: what stands beside it, and what is mistaken for it."""

import json
import os
from pathlib import Path

from mktn.errors import UserError
from mktn.features.backbones import description_path

# Of runs/SOURCE/DATASET/MODEL/VARIANT/seedN, the last folders; their number grows with the depth.
BELOW = ("seed*", "*/seed*", "*/*/seed*", "*/*/*/seed*", "*/*/*/*/seed*")
SHOWN = 6


def data_folder(run: Path) -> Path | None:
    """`data/{source}` beside `runs/{source}/...`, where the run stands in the pipeline's place."""
    # As it is named first: `runs` may be a link to another disk.
    for place in (Path(os.path.abspath(run)), run.resolve()):
        parents = place.parents
        if len(parents) > 5 and parents[4].name == "runs":
            return parents[5] / "data" / parents[3].name
    return None


def refuse_folder_of_runs(folder: Path) -> None:
    """Raise UserError where no run is in the folder; it names those that are below."""
    if (folder / "config.json").exists() or (folder / "model.safetensors").exists():
        return
    for pattern in BELOW:
        runs = sorted(path.parent for path in folder.glob(f"{pattern}/model.safetensors"))
        if runs:
            names = [str(run.relative_to(folder)) for run in runs]
            more = f" and {len(names) - SHOWN} more" if names[SHOWN:] else ""
            raise UserError(
                "a folder of runs, and no run", where=folder,
                found=", ".join(names[:SHOWN]) + more, expected="one run",
                do=f"name it: {folder / names[0]}",
            )  # fmt: skip
    raise UserError(
        "not a trained run", where=folder, found="neither config.json nor model.safetensors",
        expected="a bundle, or the folder of a run",
        do="name it: runs/SOURCE/DATASET/MODEL/VARIANT/seedN",
    )  # fmt: skip


def backbone_weights(data: Path, backbone: str, weights_sha256: str | None) -> Path:
    """The weights that the pipeline has of a backbone: the source's own, else those of another
    source with this hash (`own.weights` may name them), else where the source's own would be."""
    own = data / "backbones" / f"{backbone}.safetensors"
    if own.is_file():
        return own
    for other in sorted(data.parent.glob(f"*/backbones/{backbone}.safetensors")):
        try:
            described = json.loads(description_path(other).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(described, dict) and described.get("weights_sha256") == weights_sha256:
            return other
    return own
