# What each step asks of the machine, and nothing else: CPUs, memory, run time and GPUs, in this
# table alone. The cluster's own names (partitions, account, GPU type) are in
# workflow/profiles/slurm. No rule runs again when these numbers change.
import ast
from typing import NamedTuple

from mktn.models.variants import ONE_PROCESS


class Need(NamedTuple):
    """Of one job: megabytes of memory and minutes on the first attempt, each (synthetic, real).

    Memory includes some 200 MB of the Snakemake that runs inside each cluster job: below 300 the
    job is killed. Minutes stay above the warning that the SLURM profile asks for before the end.
    """

    mem_mb: tuple[int, int]
    minutes: tuple[int, int]
    gpu: bool = False  # it takes `device`
    torch: bool = False  # it takes `threads`
    cache: bool = False  # it may hold `loader.memory_gb` of features
    alone: bool = False  # it measures time: nothing else may run on its machine


NEEDS = {
    "download": Need((500, 500), (60, 60)),
    "download_file": Need((500, 500), (1440, 1440)),
    "synthesize": Need((1000, 1000), (30, 30)),
    "pairs": Need((1000, 1000), (10, 10)),
    "own_pairs": Need((2000, 2000), (240, 240)),
    "reannotations": Need((1000, 1000), (10, 10)),
    "pretrain": Need((4000, 4000), (60, 60), torch=True),
    "extract_video": Need((4000, 4000), (120, 240), gpu=True, torch=True),
    "import_features": Need((2000, 2000), (240, 240)),
    "simulate": Need((2000, 2000), (60, 60)),
    "resample": Need((2000, 2000), (60, 60)),
    "extract_text": Need((4000, 4000), (60, 60), torch=True),
    "relate": Need((3000, 3000), (30, 30), torch=True),
    "group": Need((2000, 2000), (30, 30)),
    "train": Need((3000, 3000), (240, 240), gpu=True, torch=True, cache=True),
    # The longest: one query at a time, each with its video encoded again.
    "evaluate": Need((3000, 3000), (60, 240), gpu=True, torch=True, cache=True),
    "evaluate_baseline": Need((3000, 3000), (30, 30)),
    "diagnose": Need((3000, 3000), (120, 120), gpu=True, torch=True, cache=True),
    "attention": Need((3000, 3000), (30, 30), gpu=True, torch=True),
    "efficiency": Need(
        (3000, 3000), (120, 240), gpu=True, torch=True, cache=True, alone=True
    ),
    "profile": Need(
        (3000, 3000), (30, 60), gpu=True, torch=True, cache=True, alone=True
    ),
    "efficiency_table": Need((1000, 1000), (10, 10)),
    "rescore": Need((1000, 1000), (10, 10)),
    "diagnostics": Need((2000, 2000), (10, 10)),
    "sensitivity": Need((2000, 2000), (10, 10)),
    "robustness": Need((2000, 2000), (10, 10)),
    "table": Need((2000, 2000), (10, 10)),
    "figure_data": Need((2000, 2000), (10, 10)),
    "figure": Need((1000, 1000), (10, 10)),
    "html_page": Need((500, 500), (10, 10)),
    "provenance": Need((1000, 1000), (10, 10)),
    "tables_page": Need((500, 500), (10, 10)),
    "test_sets": Need((1000, 1000), (10, 10)),
}
REAL = SOURCE != "synthetic"


def processes_of(step, model="mktn"):
    """How many run side by side, each with a GPU, CPUs and memory of its own."""
    shared = step == "train" and model not in ONE_PROCESS
    return config.get("processes", 1) if shared else 1


def cpus(step, model="mktn"):
    """`threads` of a rule: torch's, for each process, and those that decode videos beside it.

    A rule that measures time takes all cores of this machine, so that no other job runs meanwhile;
    on a cluster it asks for a node of its own instead.
    """
    if NEEDS[step].alone and not default_resource("slurm_partition"):
        return workflow.resource_settings.cores or config["threads"]
    each = config["threads"] if NEEDS[step].torch else 1
    if step in ("extract_video", "own_pairs"):
        return lambda w: each + of(w.dataset, "extract", "decode_workers")
    return each * processes_of(step, model)


def needs(step, model="mktn"):
    """`resources` of a rule. Memory and run time grow with the attempt."""
    need = NEEDS[step]
    processes = processes_of(step, model)

    def mem_mb(wildcards, attempt):
        cached = REAL and need.cache
        cache_mb = of(wildcards.dataset, "loader", "memory_gb") * 1000 if cached else 0
        return int(need.mem_mb[REAL] + cache_mb) * processes * attempt

    def runtime(wildcards, attempt):
        return need.minutes[REAL] * attempt

    asked = {"mem_mb": mem_mb, "runtime": runtime}
    if need.gpu and config["device"] != "cpu":
        # One node: SLURM may take the GPUs of a job from several.
        asked |= {"gpu": processes, "nodes": 1, **cluster_gpu()}
    if need.alone and default_resource("slurm_partition"):
        asked["slurm_extra"] = f"{default_resource('slurm_extra')} --exclusive".strip()
    return asked


def cluster_gpu():
    """Where jobs with a GPU go, and its type, as the profile's default resources say.

    Default resources are given to all jobs alike and their expressions do not know the rule, so
    the profile has these two under names of its own, and only jobs with a GPU take them.
    """
    names = {"gpu_partition": "slurm_partition", "gpu_type": "gpu_model"}
    return {
        resource: default_resource(name)
        for name, resource in names.items()
        if default_resource(name)
    }


def default_resource(name):
    """A default resource of the profile that is text, or nothing."""
    given = workflow.resource_settings.default_resources or {}
    return unquoted(given[name].raw or given[name].value) if name in given else ""


def unquoted(text):
    """Of a default resource: names that are Python's too (`all`) stand in quotes of their own."""
    try:
        value = ast.literal_eval(str(text))
    except (SyntaxError, ValueError):
        value = text
    return value if isinstance(value, str) else str(text)
