"""The tiny pipeline through the SLURM profile, with SLURM's own records of it."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm.pipeline import HERE, Job, Training, caught, records, snakemake, until

# Seven to ten minutes on two cores with a load of 5 to 8; waits have room for more.
pytestmark = pytest.mark.timeout(2400)
TABLE = ("results/table3.csv", "results/table3.md")
RUNS = "runs/synthetic/charades/mktn"
FULL0, FULL1 = f"{RUNS}/full/seed0", f"{RUNS}/full/seed1"
OPM0, OPM1 = f"{RUNS}/wo_opm/seed0", f"{RUNS}/wo_opm/seed1"
# A checkpoint after each step, for trainings to be met with one.
SETTINGS = ("--config", "checkpoint_minutes=0", "seeds=[0,1]")

Disturbance = Callable[[Training, Mapping[str, str]], None]


@dataclass(frozen=True)
class Finished:
    """Folders of the same pipeline on the cluster and on this machine alone.

    On the cluster each training was met in its middle by something else; `met` are these.
    """

    cluster: Path
    local: Path
    met: dict[str, Training]


@pytest.fixture(scope="module")
def finished(cluster: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The tiny pipeline from nothing to the table, there and here."""
    folder = tmp_path_factory.mktemp("finished")
    done = Finished(folder / "cluster", folder / "local", {})
    plan: dict[str, Disturbance] = {
        FULL0: cancel, FULL1: over_the_limit, OPM0: warned, OPM1: preempt
    }  # fmt: skip
    problems: list[BaseException] = []

    def disturb(run: str, how: Disturbance) -> None:
        try:
            done.met[run] = caught(done.cluster, run, there, 1200)
            how(done.met[run], cluster)
        except BaseException as error:
            problems.append(error)

    there = snakemake(done.cluster, cluster, *HERE, *SETTINGS, "--", TABLE[0])
    here = snakemake(done.local, cluster, "--cores", "1", *SETTINGS, "--", TABLE[0])
    threads = [threading.Thread(target=disturb, args=item, daemon=True) for item in plan.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, (problems, end_of(done.cluster))
    assert here.wait(600) == 0, end_of(done.local)
    assert there.wait(600) == 0, end_of(done.cluster)
    return done


def end_of(folder: Path) -> str:
    return (folder / "run.out").read_text()[-6000:]


def scontrol(env: Mapping[str, str], *words: str) -> None:
    subprocess.run(["scontrol", *words], env=env, check=True)


def cancel(training: Training, env: Mapping[str, str]) -> None:
    """As an administrator, or a mistake. SLURM wakes a held process to let it end."""
    subprocess.run(["scancel", training.job], env=env, check=True)


def record(training: Training, env: Mapping[str, str]) -> Job:
    return next(j for j in records(env, training.run.parents[5]) if j.id == training.job)


def over_the_limit(training: Training, env: Mapping[str, str]) -> None:
    """Held until the time is over, before a warning is due; SLURM wakes it to let it end."""
    until(lambda: record(training, env).seconds > 60 or None, 120, "a minute of the job")
    scontrol(env, "update", f"JobId={training.job}", "TimeLimit=1")


def warned(training: Training, env: Mapping[str, str]) -> None:
    """Held between one and two minutes before its limit, till the profile's warning wakes it."""
    limit = (record(training, env).seconds + 119) // 60
    scontrol(env, "update", f"JobId={training.job}", f"TimeLimit={limit}")


def preempt(training: Training, env: Mapping[str, str]) -> None:
    """What PreemptMode=REQUEUE does to a job; then it need not wait its two minutes."""
    scontrol(env, "requeue", training.job)
    start_again(training.job, env)


def start_again(job: str, env: Mapping[str, str]) -> None:
    def pending() -> bool | None:
        state = subprocess.check_output(
            ["squeue", "-h", "-j", job, "-o", "%T"], env=env, text=True
        )
        return state.strip() == "PENDING" or None

    until(pending, 60, f"job {job} back in the queue")
    scontrol(env, "update", f"JobId={job}", "StartTime=now")


def by_rule(env: Mapping[str, str], folder: Path) -> dict[str, list[Job]]:
    """Jobs of each rule or group: its name is what the comment begins with."""
    found: dict[str, list[Job]] = {}
    for job in records(env, folder):
        name = re.sub(r"^rule_|^rule_group_|_wildcards_.*$", "", job.rule)
        found.setdefault(name, []).append(job)
    return found


def test_training_asks_for_a_gpu_and_for_what_the_table_says(
    cluster: Mapping[str, str], finished: Finished
) -> None:
    jobs = by_rule(cluster, finished.cluster)
    for name in ("train_full", "train_wo_opm"):
        for job in jobs[name][:2]:
            assert (job.fields["Partition"], job.fields["NodeList"], job.gpus) == ("gpu", "g1", 1)
            assert (job.mem_mb, job.fields["NumCPUs"]) == (3000, "1")
    # The limits of others were changed from outside.
    assert [j.minutes for j in jobs["train_full"] if j.id == finished.met[FULL0].job] == [240]
    for name in ("extract_video", "evaluate"):
        assert {(j.fields["Partition"], j.gpus) for j in jobs[name]} == {("gpu", 1)}, name
    for name in ("synthesize", "pretrain", "extract_text", "evaluate_baseline"):
        assert {(j.fields["Partition"], j.gpus) for j in jobs[name]} == {("cpu", 0)}, name


def test_small_jobs_stay_on_the_login_node_or_share_one_and_the_rest_is_spread(
    cluster: Mapping[str, str], finished: Finished
) -> None:
    jobs = by_rule(cluster, finished.cluster)
    assert not {"pairs", "table", "resample", "relate", "group"} & set(jobs)
    (grouped,) = (job for name in jobs if "grouping" in name for job in jobs[name])
    assert grouped.minutes == 90
    assert len(jobs["extract_video"]) == 2
    # Two seeds, or two variants, or more of both: as many as there are GPUs.
    trained = sorted(
        (job.fields["StartTime"], job.fields["EndTime"])
        for name in ("train_full", "train_wo_opm")
        for job in jobs[name]
    )
    assert any(next_start < end for (_, end), (next_start, _) in itertools.pairwise(trained))


def test_what_is_finished_is_not_run_again_with_other_resources_nor_without_the_cluster(
    cluster: Mapping[str, str], finished: Finished
) -> None:
    for options in ((*HERE, "--set-resources", "train_full:mem_mb=9000"), ("--cores", "2")):
        last = (*SETTINGS, "--dry-run", "--", TABLE[0])
        again = snakemake(finished.cluster, cluster, *options, *last)
        assert again.wait(300) == 0
        assert "Nothing to be done" in end_of(finished.cluster), options


def after(env: Mapping[str, str], folder: Path, training: Training) -> list[Job]:
    """The job of the training, and those that came after it for the same run."""
    first = next(job for job in records(env, folder) if job.id == training.job)
    return [j for j in records(env, folder, first.rule) if int(j.id) >= int(first.id)]


@pytest.mark.parametrize(
    ("run", "states"),
    [(FULL0, ("CANCELLED",)), (FULL1, ("TIMEOUT",)), (OPM0, ("FAILED",))],
    ids=["scancel", "over the time limit", "warned of the time limit"],
)
def test_a_killed_training_is_asked_for_again_with_more(
    cluster: Mapping[str, str], finished: Finished,
    run: str, states: tuple[str, ...],
) -> None:  # fmt: skip
    jobs = after(cluster, finished.cluster, finished.met[run])
    assert [job.state for job in jobs] == [*states, "COMPLETED"]
    if run == OPM0:
        assert jobs[0].seconds < 60 * jobs[0].minutes
    again = jobs[-1]
    assert (again.fields["Partition"], again.gpus) == ("gpu", 1)
    assert (again.mem_mb, again.minutes) == (6000, 480)


def test_a_preempted_training_goes_back_to_the_queue_as_the_same_job(
    cluster: Mapping[str, str], finished: Finished
) -> None:
    (job,) = after(cluster, finished.cluster, finished.met[OPM1])
    assert (job.state, job.fields["Restarts"], job.mem_mb) == ("COMPLETED", "1", 3000)


@pytest.mark.parametrize("run", [FULL0, FULL1, OPM0, OPM1])
def test_a_killed_training_goes_on_from_its_last_checkpoint(finished: Finished, run: str) -> None:
    _, variant, seed = run.rsplit("/", 2)
    log = (finished.cluster / f"logs/synthetic/train/charades-{variant}-{seed}.log").read_text()
    assert re.search(r"goes on at .*resume\.safetensors", log), log
    assert not (finished.cluster / run / "resume.safetensors").exists()


def test_nothing_of_it_is_seen_in_the_models_and_tables(finished: Finished) -> None:
    for name in (*TABLE, *(f"{run}/model.safetensors" for run in finished.met)):
        assert (finished.cluster / name).read_bytes() == (finished.local / name).read_bytes(), name


def test_a_node_that_dies_gives_its_training_to_the_queue_and_it_goes_on(
    cluster: Mapping[str, str], finished: Finished
) -> None:
    before = (finished.cluster / FULL0 / "model.safetensors").read_bytes()
    options = (*HERE, *SETTINGS, "--forcerun", "train_full", "--", f"{FULL0}/model.safetensors")
    there = snakemake(finished.cluster, cluster, *options)
    training = caught(finished.cluster, FULL0, there)
    kill_node(cluster, training)
    scontrol(cluster, "update", "NodeName=g1", "State=down", "Reason=died")
    until(lambda: node_state(cluster) == "down" or None, 30, "a dead node")
    revive_node(cluster)
    start_again(training.job, cluster)
    assert there.wait(600) == 0, end_of(finished.cluster)
    jobs = after(cluster, finished.cluster, training)
    assert (jobs[0].fields["Restarts"], jobs[-1].state) == ("1", "COMPLETED")
    log = (finished.cluster / "logs/synthetic/train/charades-full-seed0.log").read_text()
    assert "goes on at" in log
    assert (finished.cluster / FULL0 / "model.safetensors").read_bytes() == before


def kill_node(env: Mapping[str, str], training: Training) -> None:
    """SIGKILL to the daemon of node g1, then to all that runs in the training's job."""
    dying = [int((Path(env["SLURM_LOCAL_DIR"]) / "slurmd-g1.pid").read_text())]
    inside = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            variables = (process / "environ").read_text().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if command.startswith(f"slurmstepd: [{training.job}."):
            dying.append(int(process.name))
        elif f"SLURM_JOB_ID={training.job}" in variables:
            inside.append(int(process.name))
    # Those that would tell the controller how the job ended go first: a dead node tells nothing.
    for pid in (*dying, *inside):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def revive_node(env: Mapping[str, str]) -> None:
    """The daemon of g1 again; the node is used once that answers, or jobs would fail to start."""
    pid = Path(env["SLURM_LOCAL_DIR"]) / "slurmd-g1.pid"
    pid.unlink(missing_ok=True)
    up = subprocess.Popen([env["MKTN_LOCAL_CLUSTER"], "up"], env=env, stdout=subprocess.DEVNULL)
    until(lambda: pid.exists() or None, 30, "the daemon of g1")
    subprocess.run(["scontrol", "update", "NodeName=g1", "State=resume"], env=env, check=False)
    assert up.wait(60) == 0


def node_state(env: Mapping[str, str]) -> str:
    text = subprocess.check_output(["sinfo", "-h", "-n", "g1", "-o", "%T"], env=env, text=True)
    return text.strip().rstrip("*")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            ("--default-resources", "slurm_partition=nowhere"),
            "invalid partition specified: nowhere",
        ),
        (("--set-resources", "synthesize:mem_mb=999999"), "Memory specification can not be satis"),
    ],
    ids=["partition", "memory"],
)
def test_what_the_cluster_does_not_have_is_said_in_its_own_words(
    cluster: Mapping[str, str], tmp_path: Path, option: tuple[str, ...], message: str
) -> None:
    target = "data/synthetic/pairs/charades/pairs.parquet"
    run = snakemake(tmp_path / "run", cluster, *HERE, *option, "--retries", "0", "--", target)
    assert run.wait(300) == 1
    assert message in end_of(tmp_path / "run")
