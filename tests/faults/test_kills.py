"""SIGKILL again and again: what is made in the end is what an uninterrupted run makes."""

import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.dag import Dag, Reference, Run, leftovers, outputs

KILLS = 30
KILLS_A_DAG = 10
# In the order in which the DAG runs them.
RULES = (
    *("synthesize", "pairs", "pretrain", "extract_text", "extract_video", "relate", "resample"),
    *("group", "evaluate_baseline", "train_full", "train_wo_opm", "evaluate", "table"),
)
# A file that says that a long job has something to go on from.
UNDER_WAY = {
    "extract_video": "data/synthetic/features/charades/i3d/.part-*.zarr.resume/tail/0*.npz",
    "train_full": "runs/synthetic/charades/mktn/full/seed0/resume.safetensors",
    "train_wo_opm": "runs/synthetic/charades/mktn/wo_opm/seed0/resume.safetensors",
}
# Said in the log of a job that goes on.
GOES_ON = {
    "going on where a job was interrupted": "extract_video",
    "goes on at epoch": "train",
}
ORPHANS_S = 60.0  # within which they must have ended


def moments(chain: int) -> list[tuple[str, bool, float, str]]:
    """The kills of a chain: the rule, whether it is to be under way, share of its time, how."""
    rng = random.Random(f"kills {chain}")
    must = ("extract_video", ("train_full", "train_wo_opm")[chain % 2], "evaluate")
    others = rng.sample([rule for rule in RULES if rule not in must], KILLS_A_DAG - len(must))
    rules = sorted((*must, *others), key=RULES.index)
    kinds = itertools.cycle(("machine", "snakemake") if chain % 2 else ("snakemake", "machine"))
    return [
        (rule, rule in must and rule in UNDER_WAY, rng.random(), kind)
        for rule, kind in zip(rules, kinds, strict=False)
    ]


def wait_for(run: Run, dag: Dag, rule: str, under_way: bool, delay_s: float) -> None:
    """Until the moment has come, or the run has ended."""
    # Or one after it, where an earlier run has done it all.
    run.wait_until(lambda: any(run.started(name) for name in RULES[RULES.index(rule) :]))
    if under_way:
        sign = UNDER_WAY[rule]
        ended = lambda: run.started(rule) and rule not in run.running()  # noqa: E731
        run.wait_until(lambda: any(dag.directory.glob(sign)) or ended())
    until = time.monotonic() + delay_s
    run.wait_until(lambda: time.monotonic() >= until)


def test_thirty_kills_change_no_byte(reference: Reference, tmp_path: Path) -> None:
    hit: Counter[str] = Counter()
    went_on: Counter[str] = Counter()
    killed = 0
    for chain in itertools.count():
        if killed >= KILLS:
            break
        dag = Dag(tmp_path / f"chain-{chain}")
        dag.directory.mkdir()
        run = dag.start()
        orphans: list[Run] = []
        for rule, under_way, share, kind in moments(chain):
            delay_s = share * (0.3 if under_way else reference.rule_s[rule])
            wait_for(run, dag, rule, under_way, delay_s)
            if run.process.poll() is not None or killed == KILLS:
                break
            running = run.running()
            if kind == "machine":
                run.kill_all()
            else:
                run.kill_snakemake()
                orphans.append(run)
            killed += 1
            hit.update(running)
            print(f"{killed}: {kind} killed {delay_s:.1f} s after {rule}, during {running}")
            went_on.update(in_logs(dag))
            run = dag.go_on()
        # A moment may come after the last job; then the run before has ended well.
        assert run.wait() == 0, run.said()[-5000:]
        went_on.update(in_logs(dag))
        until = time.monotonic() + ORPHANS_S
        while any(orphan.left() for orphan in orphans) and time.monotonic() < until:
            time.sleep(0.2)
        assert [orphan.left() for orphan in orphans] == [[] for _ in orphans]
        assert outputs(dag.directory) == reference.outputs
        assert leftovers(dag.directory) == []
        again = dag.start("-n", "results/table3.csv")
        assert again.wait() == 0
        assert "Nothing to be done" in again.said()
    print(dict(hit), dict(went_on))
    assert killed == KILLS
    assert hit["extract_video"] >= 1
    assert hit["train_full"] + hit["train_wo_opm"] >= 1
    assert hit["evaluate"] >= 1
    assert went_on["extract_video"] >= 1
    assert went_on["train"] >= 1


def in_logs(dag: Dag) -> set[str]:
    """The steps whose logs say that they went on where an earlier job stopped."""
    texts = [path.read_text(errors="replace") for path in (dag.directory / "logs").rglob("*.log")]
    return {step for line, step in GOES_ON.items() if any(line in text for text in texts)}


@pytest.mark.parametrize("kind", ["machine", "snakemake"])
def test_after_a_kill_snakemake_says_how_to_go_on(tmp_path: Path, kind: str) -> None:
    dag = Dag(tmp_path / "dag")
    dag.directory.mkdir()
    store = "data/synthetic/text/charades.zarr"

    def killed_when(run: Run, sign: Callable[[], bool]) -> None:
        assert run.wait_until(sign)
        run.kill_all() if kind == "machine" else run.kill_snakemake()
        assert Run(dag.directory, ["--unlock"]).wait() == 0

    first = Run(dag.directory, [store])
    killed_when(first, lambda: first.started("pairs"))
    # No flag is needed where the killed job had put none of its outputs in place. This one makes
    # the folder of its models before it trains them.
    second = Run(dag.directory, [store])
    killed_when(second, (dag.directory / "data/synthetic/text_models/charades").exists)
    third = Run(dag.directory, [store])
    assert third.wait() == 1
    assert not third.started("extract_text")
    flag = re.search(r"the (--[a-z-]+)\s+flag", third.said())
    assert flag is not None, third.said()[-3000:]
    fourth = Run(dag.directory, [flag[1], store])
    assert fourth.wait() == 0, fourth.said()[-3000:]
    assert leftovers(dag.directory) == []
