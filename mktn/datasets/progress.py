"""How far a download is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Any

from mktn.datasets.registry import megabytes


class Progress:
    """Called with the bytes there are and the total, None where it is not known."""

    def __init__(self, name: str, report_s: float) -> None:
        self.name, self.report_s = name, report_s
        self.since = time.monotonic()
        self.bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(desc=name, unit="B", unit_scale=True, leave=False)

    def __call__(self, have: int, total: int | None) -> None:
        if self.bar is not None:
            if self.bar.total != total:
                self.bar.total = total
            self.bar.update(have - self.bar.n)
            return
        if time.monotonic() - self.since >= self.report_s:
            self.since = time.monotonic()
            of = f" of {megabytes(total)}" if total else ""
            print(f"{self.name}: {megabytes(have)}{of}", flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
