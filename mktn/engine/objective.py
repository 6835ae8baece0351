"""What a training step differentiates: the network and the criterion as one module."""

from torch import Tensor, nn

from mktn.engine.criterion import Criterion
from mktn.engine.predict import autocast
from mktn.grouping.batch import PairBatch


class Objective(nn.Module):
    """All parameters that are trained stand in one module, as DistributedDataParallel needs."""

    def __init__(self, network: nn.Module, criterion: Criterion) -> None:
        super().__init__()
        self.network, self.criterion = network, criterion

    def forward(self, batch: PairBatch, progress: float) -> dict[str, Tensor]:
        """The criterion's terms of the network's outputs."""
        with autocast(batch.frames.device):
            outputs = self.network(batch)
        return self.criterion(outputs, batch, progress)
