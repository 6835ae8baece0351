"""What a reader does between two commands of docs/own_data.md: writes a table, edits the copy.

python -m tests.docs.own
"""

from pathlib import Path

import polars as pl
import yaml

DATA = "data/synthetic"


def main() -> None:
    """kitchen.csv of the rendered videos, and kitchen.yaml that names them, small."""
    pairs = pl.read_parquet(f"{DATA}/pairs/charades/pairs.parquet")
    pairs.select("sentence", "start_s", "end_s", video="video_id").write_csv("kitchen.csv")
    path = Path("kitchen.yaml")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    kitchen = config["per_dataset"]["kitchen"]
    kitchen["own"]["videos"] = f"{DATA}/videos/charades"
    kitchen["own"]["fractions"] = {"train": 0.6, "val": 0.2, "test": 0.2}
    kitchen["features"]["frames"] = 12
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
