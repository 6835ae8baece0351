"""On a GPU: an update that must not be is left out by the device, and the host hears of it later.

Looking at the loss before each update would make the host wait for the device in every step.
"""

import collections
import dataclasses

import torch
from torch import Tensor

from mktn.grouping.batch import PairBatch

MOST = 8  # steps that the host is ahead at most; their batches are kept


@dataclasses.dataclass(frozen=True)
class Step:
    """A step that was asked for, and what an account of it needs."""

    terms: dict[str, Tensor]
    gradient_norm: Tensor
    batch: PairBatch
    place: tuple[int, int]  # epoch, step
    progress: float


class LateCheck:
    """Guards a fused optimizer's updates.

    Once a loss or a gradient was not finite, no update after it changes anything, that one
    included: the parameters and the moments stay as they were before it.

    `together`: whether other processes do the same steps. They account for a broken one by
    exchanges and must all hear of it at the same step: none asks its device what is done already.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, device: torch.device, together: bool = False
    ) -> None:
        self.optimizer, self.device, self.together = optimizer, device, together
        self.broken = torch.zeros((), device=device)
        self._asked: collections.deque[tuple[Step, Tensor, torch.cuda.Event | None]]
        self._asked = collections.deque()

    def guard(self, step: Step) -> None:
        """To be called before `optimizer.step`."""
        finite = torch.isfinite(step.terms["total"]) & torch.isfinite(step.gradient_norm)
        self.broken = torch.maximum(self.broken, (~finite).to(self.broken.dtype))
        # What gradient scalers tell a fused optimizer: 1 leaves out the update on the device.
        self.optimizer.found_inf = self.broken  # type: ignore[attr-defined]
        event = None
        if self.device.type == "cuda":
            flag = torch.empty_like(self.broken, device="cpu", pin_memory=True)
            flag.copy_(self.broken, non_blocking=True)
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(self.device))
        else:
            flag = self.broken.clone()
        self._asked.append((step, flag, event))

    def first_broken(self, wait: bool = False) -> Step | None:
        """The first step that was not finite, of those that the device has done.

        `wait`: of all that were asked for. Otherwise the host waits only where it is MOST steps
        ahead; where processes stand together those steps are not looked at before.
        """
        while self._asked:
            step, flag, event = self._asked[0]
            early = not wait and len(self._asked) <= MOST
            if early and self.together:
                return None
            if event is not None and not event.query():
                if early:
                    return None
                event.synchronize()
            if flag:
                return step
            self._asked.popleft()
        return None
