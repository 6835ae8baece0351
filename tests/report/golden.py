"""Table 2 of made-up runs, as read by eye: `python -m tests.report.golden` writes it anew."""

import tempfile
from pathlib import Path

from tests.report.runs import efficiencies, tables, write_runs

GOLDEN = Path(__file__).with_name("golden_table2.md")


def table_2(folder: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Its runs and their efficiency."""
    return write_runs(folder / "runs", "2"), efficiencies(folder / "runs", "2")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        runs, speeds = table_2(Path(name))
        tables(Path(name), runs, *speeds, table="2")
        GOLDEN.write_text((Path(name) / "table2.md").read_text())
