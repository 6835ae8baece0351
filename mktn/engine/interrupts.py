"""What a scheduler or a person asks of a training by signals."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Stopped(Exception):
    """A training was asked to stop and did, with its state saved; says how it goes on."""

    def __init__(self, line: str, by: signal.Signals) -> None:
        super().__init__(line)
        self.status = 128 + by  # as a shell tells of a process that a signal ended


class Interrupts:
    """While the block runs, signals are wishes: SIGUSR1 to save, SIGTERM and SIGINT to stop.

    A second SIGINT interrupts at once. The handlers from before are back after the block. In
    another thread than the main one signals stay as they are.
    """

    def __init__(self) -> None:
        self.save = False
        self.stop: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.save = True
        elif number == signal.SIGINT and self.stop == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            self.stop = signal.Signals(number)
