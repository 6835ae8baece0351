"""The profile of a step: whose time it is, and that none is lost."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import nn
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile

from mktn.cli import main
from mktn.engine.fit import Training
from mktn.engine.profile import PART, of_events, padding
from mktn.grouping.batch import PairBatch
from tests.batches import random_batch
from tests.engine.runs import command, settings


def test_time_is_put_to_the_part_that_asked_for_it_forward_and_backward() -> None:
    torch.set_num_threads(1)
    large, small = nn.Linear(400, 400), nn.Linear(4, 4)
    x, y = torch.randn(800, 400), torch.randn(8, 4)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        with record_function(PART + "large"):
            first = large(x).tanh().sum()
        with record_function(PART + "small"):
            second = small(y).exp().sum()
        (first + second).backward()
    events = profiler.events() or []
    found = of_events(events, 1, on_gpu=False)
    of = {
        (part, backward): {o.operation for o in found if (o.part, o.backward) == (part, backward)}
        for part in ("large", "small")
        for backward in (False, True)
    }
    assert "addmm" in of["large", False] & of["small", False]
    assert "tanh" in of["large", False]
    assert "tanh" not in of["small", False]
    assert {"TanhBackward0", "AddmmBackward0"} <= of["large", True]
    assert {"ExpBackward0", "AddmmBackward0"} <= of["small", True]
    assert "TanhBackward0" not in of["small", True]
    # The products of the backward pass lie in the call of addmm's derivative.
    assert "mm" in of["large", True]
    assert found[0].part == "large"
    everything = sum(e.self_cpu_time_total for e in events if not e.name.startswith(PART))
    assert sum(one.ms for one in found) == pytest.approx(everything / 1000)


def test_padding_is_what_the_operations_on_empty_words_are() -> None:
    batch = random_batch(queries=(3, 1, 2), words=6)
    real, cells = int(batch.word_mask.sum()), batch.word_mask.numel()
    assert 0 < real < cells
    word, frame = nn.Linear(batch.words.shape[-1], 5), nn.Linear(batch.frames.shape[-1], 7)

    def network(batch: PairBatch) -> None:
        word(batch.words)
        frame(batch.frames)

    training = SimpleNamespace(
        network=network,
        device=torch.device("cpu"),
        first_batches=lambda steps: (b for b in [batch]),
    )
    of_cells, of_operations = padding(cast(Training, training), 1)
    assert of_cells == pytest.approx(1 - real / cells)
    on_words, on_frames = word.weight.numel(), frame.weight.numel()
    everything = cells * on_words + batch.frame_mask.numel() * on_frames
    assert of_operations == pytest.approx((cells - real) * on_words / everything)


def test_the_page_names_the_ten_dearest_and_every_part(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command(small_dataset, tmp_path / "run", settings())
    data = [w for w in words[1:] if not w.startswith(("--run", "--checkpoint-minutes"))]
    page = tmp_path / "profile.md"
    assert main(["profile", *data, "--steps", "3", "--out", str(page)]) == 0
    text = page.read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert text.startswith("# A training step of mktn/full on charades\n\n**Source: synthetic.**")
    assert len(re.findall(r"(?m)^\| \d+ \| ", text)) == 10
    found = re.search(r"Padding: ([\d.]+) % of the cells of words, on which ([\d.]+) %", text)
    assert found
    assert 0 <= float(found[2]) <= float(found[1]) < 100
    table = text.partition("## Parts of the model")[2]
    parts = dict(re.findall(r"(?m)^\| (\S.*?) \| [\d.]+ \| [\d.]+ \| ([\d.]+) %", table))
    assert {"video", "text", "transfer.csm", "transfer.avm", "transfer.opm", "transfer.apa",
            "fusion", "head", "losses"} <= set(parts)  # fmt: skip
    assert sum(map(float, parts.values())) == pytest.approx(100, abs=1)
    assert not (tmp_path / "run").exists()
    assert main(["profile", *data, "--steps", "0", "--out", str(page)]) == 2
    assert "--steps: value refused, found 0, expected >= 1" in capsys.readouterr().err
