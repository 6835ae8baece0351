"""2D-TAN's network over the map on a CPU: by tiles, against plain convolutions in the same run.

Q queries, K valid moments, d channels.
"""

import dataclasses
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional

from mktn.models.config import check_map
from mktn.models.map_network import MapNetwork
from mktn.models.map_tiles import tile_of
from mktn.models.proposals import ProposalMap
from mktn.seeds import named_seed


@dataclasses.dataclass(frozen=True)
class MapSettings:
    """Sizes of the network, those of Charades-STA as published; `queries` are answered at once."""

    cells: int = 16
    counts: tuple[int, ...] = (16,)
    width: int = 512
    kernel: int = 5
    layers: int = 8
    queries: int = 8
    repeats: int = 5
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("width", "layers", "queries", "repeats", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        check_map(self.cells, self.counts)
        if not tile_of(self.kernel):
            raise ValueError(f"kernel {self.kernel}: there are tiles for 3, 5 and 7")


def run(settings: MapSettings) -> Iterator[dict[str, Any]]:
    """One row: pairs a second both ways, medians of repeats in which they take turns."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(named_seed(settings.seed, "bench", "map"))
    proposals = ProposalMap(settings.cells, settings.counts)
    network = MapNetwork(proposals, settings.width, settings.kernel, settings.layers).eval()
    for layer in network.convolutions:
        # Each layer's mean over what it sees then keeps the signal, as in a trained network.
        torch.nn.init.normal_(
            layer.get_parameter("weight"), std=settings.kernel * (2 / settings.width) ** 0.5
        )
    moments = len(proposals.cells)
    x = functional.normalize(torch.randn(settings.queries, moments, settings.width), dim=-1)
    ways = {"plain": network.plain, "tiles": network.by_tiles}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    with torch.inference_mode():
        for name, way in ways.items():  # the first time transforms the weights
            found[name] = way(x)
        for _ in range(settings.repeats):
            for name, way in ways.items():
                started = time.perf_counter()
                way(x)
                seconds[name].append(time.perf_counter() - started)
    pairs_per_s = {n: settings.queries / statistics.median(s) for n, s in seconds.items()}
    each = [plain / tiles for plain, tiles in zip(*seconds.values(), strict=True)]
    difference = (found["plain"] - found["tiles"]).abs().max() / found["plain"].abs().max()
    yield {
        **{
            name: value for name, value in dataclasses.asdict(settings).items() if name != "counts"
        },
        "counts": "+".join(map(str, settings.counts)),
        "moments": moments,
        "gmac_plain": round(plain_products(settings) / 1e9, 2),
        "gmac_tiles": round(tile_products(network) / 1e9, 2),
        "pairs_per_s_plain": round(pairs_per_s["plain"], 2),
        "pairs_per_s_tiles": round(pairs_per_s["tiles"], 2),
        "ratio": round(statistics.median(each), 2),
        "difference": float(difference),
    }


def plain_products(settings: MapSettings) -> int:
    """Multiplications a query of the convolutions over the padded map: arithmetic."""
    half, layers = settings.kernel // 2, settings.layers
    sides = [settings.cells + 2 * half * (layers - number) for number in range(1, layers + 1)]
    return sum(side**2 for side in sides) * (settings.kernel * settings.width) ** 2


def tile_products(network: MapNetwork) -> int:
    """Multiplications a query of the tiles, of their channels and of both transforms."""
    tiles = network.tiles()
    width = len(network.convolutions[0].get_parameter("bias"))
    count = sum(len(layer.weight) for layer in tiles.layers) // tiles.side**2
    transforms = tiles.to_products.numel() + tiles.to_outputs.numel()
    return count * width * (tiles.size**2 * width + transforms)


def summary(row: dict[str, Any]) -> str:
    """A row for a person."""
    return (
        f"{row['moments']} moments, kernel {row['kernel']}, {row['layers']} layers of "
        f"{row['width']}: {row['pairs_per_s_plain']} pairs/s plain ({row['gmac_plain']} GMAC), "
        f"{row['pairs_per_s_tiles']} by tiles ({row['gmac_tiles']}), {row['ratio']} x; "
        f"largest difference {row['difference']:.0e} of the largest number"
    )
