"""What rules ask of the machine: one table, scaled with the attempt; where a cluster runs it."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from mktn.engine.grounding import grounding_loss
from mktn.models.variants import ONE_PROCESS, VARIANTS_OF

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "rules").glob("*.smk"))
PROFILE = ROOT / "workflow" / "profiles" / "slurm" / "config.yaml"
STEPS = ("train", "extract_video", "evaluate", "pairs", "table")
CHARADES = SimpleNamespace(dataset="charades")


def table(
    source: str = "synthetic", given: Any = None, cores: int | None = None, **config: Any
) -> dict[str, Any]:
    """rules/resources.smk as the rules see it. `given`: the profile's default resources."""
    scope: dict[str, Any] = {
        "SOURCE": source,
        "config": {"device": "auto", "threads": 2, **config},
        "of": lambda dataset, *keys: {"loader": 12.5, "extract": 3}[keys[0]],
        "workflow": SimpleNamespace(
            resource_settings=SimpleNamespace(default_resources=given, cores=cores)
        ),
    }
    exec((ROOT / "rules" / "resources.smk").read_text(), scope)
    return scope


def asked(step: str, attempt: int = 1, **options: Any) -> dict[str, Any]:
    values = table(**options)["needs"](step)
    return {k: v(CHARADES, attempt) if callable(v) else v for k, v in values.items()}


def test_each_rule_takes_its_cpus_and_resources_from_the_table() -> None:
    known = table()["NEEDS"]
    seen = set()
    for path in RULES:
        for text in re.split(r"(?m)^(?= *(?:use )?rule\b)", path.read_text())[1:]:
            if re.match(r" *use rule", text):
                assert not re.search(r"^ *(resources|threads):", text, re.M), text
                continue
            (step,) = re.findall(
                r"^ *resources:\n *\*\*needs\(\"(\w+)\"(?:, model)?\),\n(?! *\w+=)", text, re.M
            )
            of = ", model" if step == "train" else ""
            assert re.findall(r"^ *threads: (.*)$", text, re.M) == [f'cpus("{step}"{of})'], text
            assert step in known
            seen.add(step)
    assert seen == set(known)


@pytest.mark.parametrize("step", sorted(table()["NEEDS"]))
@pytest.mark.parametrize("source", ["synthetic", "published"])
def test_memory_and_time_grow_with_the_attempt_from_more_than_snakemake_itself_needs(
    step: str, source: str
) -> None:
    first, second = (asked(step, attempt, source=source) for attempt in (1, 2))
    assert first["mem_mb"] >= 500
    assert first["runtime"] >= 10
    assert (second["mem_mb"], second["runtime"]) == (2 * first["mem_mb"], 2 * first["runtime"])


def test_features_in_memory_count_where_they_are_large() -> None:
    assert asked("train")["mem_mb"] == 3000
    assert asked("train", source="published")["mem_mb"] == 3000 + 12500


@pytest.mark.parametrize("step", ["train", "extract_video", "evaluate", "diagnose", "efficiency"])
def test_a_gpu_is_asked_for_by_what_takes_a_device_unless_that_is_the_cpu(step: str) -> None:
    assert asked(step)["gpu"] == 1
    assert not {"gpu", "nodes"} & set(asked(step, device="cpu"))
    assert "gpu" not in asked("pretrain")


def test_processes_multiply_what_a_training_has() -> None:
    one, two = asked("train"), asked("train", processes=2)
    assert (two["gpu"], two["nodes"], two["mem_mb"]) == (2, 1, 2 * one["mem_mb"])
    assert two["runtime"] == one["runtime"]
    assert (table()["cpus"]("train"), table(processes=2)["cpus"]("train")) == (2, 4)
    assert table(processes=2)["cpus"]("evaluate") == 2
    assert table(processes=2)["cpus"]("train", "tan2d") == 4
    assert table()["cpus"]("extract_video")(CHARADES) == 5


@pytest.mark.parametrize("model", VARIANTS_OF)
def test_a_loss_of_the_whole_batch_is_of_one_process(model: str) -> None:
    loss = grounding_loss(model, {})
    whole = loss is not None and not loss.shares
    assert (model in ONE_PROCESS) == whole
    assert table(processes=2)["cpus"]("train", model) == (2 if whole else 4)
    assert table(processes=2)["processes_of"]("train", model) == (1 if whole else 2)


def test_what_measures_time_has_the_machine_for_itself() -> None:
    """All cores of this machine; on a cluster a node, and no more cores than torch takes."""
    known = table()["NEEDS"]
    assert [step for step in known if known[step].alone] == ["efficiency", "profile"]
    assert table(cores=8)["cpus"]("efficiency") == 8
    assert table(cores=8)["cpus"]("evaluate") == 2
    assert "slurm_extra" not in asked("efficiency", cores=8)
    given = {
        "slurm_partition": SimpleNamespace(raw="cpu", value=None),
        "slurm_extra": SimpleNamespace(raw="'--signal=TERM@120'", value=None),
    }
    assert table(given=given, cores=8)["cpus"]("efficiency") == 2
    extra = asked("efficiency", given=given)["slurm_extra"]
    assert extra == "--signal=TERM@120 --exclusive"
    assert "slurm_extra" not in asked("evaluate", given=given)


def test_the_profile_of_a_cluster_sends_jobs_with_a_gpu_to_their_partition() -> None:
    given = {
        "slurm_partition": SimpleNamespace(raw="cpu", value=None),
        "gpu_partition": SimpleNamespace(raw="gpu", value=None),
        "gpu_type": SimpleNamespace(raw="a100", value=None),
    }
    values = asked("train", given=given)
    assert (values["slurm_partition"], values["gpu_model"]) == ("gpu", "a100")
    # As a partition must be given whose name Python knows too.
    quoted = given | {"gpu_partition": SimpleNamespace(raw="'all'", value=None)}
    assert asked("train", given=quoted)["slurm_partition"] == "all"
    assert not {"slurm_partition", "gpu_model"} & set(asked("pairs", given=given))
    assert not {"slurm_partition", "gpu_model"} & set(asked("train", given=given, device="cpu"))


def test_the_profile_of_a_cluster_steers_round_what_is_known_to_lose_jobs() -> None:
    profile = yaml.safe_load(PROFILE.read_text())
    assert profile["slurm-status-command"] in ("sacct", "squeue")
    assert profile["retries"] >= 2
    assert profile["rerun-incomplete"] is profile["slurm-requeue"] is True
    assert profile["slurm-status-attempts"] >= 100
    assert "slurm-array-jobs" not in profile
    assert profile["default-resources"]["mem_mb"] >= 300
    for path in RULES:
        assert not re.search(r"^ *retries:", path.read_text(), re.M), path


def test_snakemake_reads_both_profiles(tmp_path: Path) -> None:
    tiny = ROOT / "tests" / "workflow" / "tiny.yaml"
    for name, expected in (("slurm", "slurm_partition=gpu"), ("local", "gpu=1")):
        command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
        command += ["--directory", tmp_path, "--configfile", ROOT / "config.yaml", tiny]
        command += ["--workflow-profile", PROFILE.parents[1] / name, "--dry-run", "--"]
        run = subprocess.run(
            [str(part) for part in [*command, "results/table3.csv"]],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr[-3000:]
        (block,) = re.findall(r"rule train_full:\n(.*?)\n\[", run.stdout + run.stderr, re.S)
        assert expected in block
