"""One computation at a time, the others wait in line; the server goes on meanwhile."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mktn.errors import UserError

MOST = 16  # jobs in line

T = TypeVar("T")


class Cancelled(Exception):
    """Nobody waits for this job any more."""


class Ticket:
    """A place in line. share: done of the job, 0 to 1; `cancel` ends it, also while it runs."""

    def __init__(self) -> None:
        self.share = 0.0
        self._stop = threading.Event()

    def cancel(self) -> None:
        """Leave the line, or end at the next picture."""
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits any more."""
        return self._stop.is_set()

    def done(self, share: float) -> None:
        """Called by the job as it goes on. Raises Cancelled."""
        if self.cancelled:
            raise Cancelled
        self.share = min(max(share, self.share), 1.0)  # pictures come first, then sound


class Jobs:
    """Runs jobs one after the other in a thread of its own, in the order in which they came."""

    def __init__(self, most: int = MOST) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mktn-serve")
        self._turn = asyncio.Lock()  # whose waiters are served in order
        self._line: list[Ticket] = []
        self._most = most
        self._closed = False

    def before(self, ticket: Ticket) -> int:
        """Jobs that come first; 0 for the one that runs."""
        return self._line.index(ticket) if ticket in self._line else 0

    async def run(self, ticket: Ticket, work: Callable[[], T]) -> T:
        """What `work` gives, once it is its turn.

        Raises Cancelled where the ticket was, and UserError where the line is full.
        """
        if self._closed:
            raise Cancelled
        if len(self._line) >= self._most:
            raise UserError(f"{len(self._line)} questions are waiting already", do="try it later")
        self._line.append(ticket)
        try:
            async with self._turn:
                ticket.done(0.0)
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._line.remove(ticket)

    def close(self) -> None:
        """Cancel all jobs, and wait for the one that runs to notice."""
        self._closed = True
        for ticket in self._line:
            ticket.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)
