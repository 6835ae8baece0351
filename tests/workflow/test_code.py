"""The code that a rule names is the code that its command runs."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import mktn
from mktn.cli import COMMANDS
from mktn.step_code import STEP_CODE

PACKAGE = Path(mktn.__file__).parent
# What no number depends on, or is checked when it is read.
COMMON = {
    *("config.py", "errors.py", "files.py", "seeds.py", "provenance.py"),
    *(
        "cards.py",
        "checksums.py",
        "job_log.py",
        "parquet.py",
        "process.py",
        "step_code.py",
        "system_errors.py",
    ),
    *("documents.py", "limits.py", "contradictions.py", "models/config.py"),
    "datasets/video_ids.py",
    *("features/table_checks.py", "features/store_shapes.py"),
}
# step -> command, where they differ
OTHER = {
    "evaluate_baseline": "evaluate",
    "own_pairs": "pairs",
    "table": "tables",
    "tables_page": "page",
}
CRITERION = {
    *("engine/criterion.py", "losses/__init__.py"),
    *("engine/grounding/__init__.py", "engine/grounding/span.py"),
}
# step -> what its module imports and its numbers do not come from
UNUSED = {
    "pairs": {*STEP_CODE["own_pairs"]} - {*STEP_CODE["pairs"]},
    "evaluate": {"engine/baselines.py", *CRITERION},
    "evaluate_baseline": {
        *(f"engine/{name}.py" for name in ("checkpoint", "decode", "predict")),
        *CRITERION,
    },
    "efficiency": {"engine/baselines.py", "engine/metrics.py", "features/origin.py", *CRITERION},
    "attention": {
        *("engine/baselines.py", "engine/metrics.py", "features/origin.py"),
        *CRITERION,
    },
    "diagnose": {"engine/baselines.py", "features/origin.py", *CRITERION},
}
# Steps that read annotations; others have a name from a package that holds the readers.
READING = {"pairs", "own_pairs", "reannotations", "simulate"}


def imported(file: Path) -> set[Path]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mktn"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [n if source(n) else str(node.module) for n in names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("mktn")]
        found |= {path for name in names if (path := source(name))}
    return found


def source(name: str) -> Path | None:
    path = PACKAGE.parent / Path(*name.split("."))
    forms = (path.with_suffix(".py"), path / "__init__.py")
    return next((form for form in forms if form.is_file()), None)


def closure(file: Path) -> set[str]:
    seen: set[Path] = set()
    left = [file]
    while left:
        path = left.pop()
        if path not in seen:
            seen.add(path)
            # What the package itself offers is loaded when it is asked for, and no step asks.
            left += imported(path) if path != PACKAGE / "__init__.py" else set()
    return {path.relative_to(PACKAGE).as_posix() for path in seen} - {"__init__.py"}


@pytest.mark.parametrize("step", STEP_CODE)
def test_a_rule_names_all_that_its_command_imports(step: str) -> None:
    listed: set[str] = set()
    for name in STEP_CODE[step]:
        path = PACKAGE / name
        files = path.rglob("*.py") if path.is_dir() else [path]
        listed |= {file.relative_to(PACKAGE).as_posix() for file in files}
    command = OTHER.get(step, step.replace("_", "-"))
    module = importlib.import_module(COMMANDS[command][0])
    runs = closure(Path(str(module.__file__))) - COMMON - UNUSED.get(step, set())
    if step not in READING:
        runs = {name for name in runs if not re.match(r"datasets/(?!sentences|synth)", name)}
    shown = (
        "table",
        "test_sets",
        "diagnostics",
        "efficiency_table",
        "figure",
        "html",
        "provenance",
    )
    if step.startswith(shown):
        runs = {name for name in runs if name.startswith("report/")}
    assert runs <= listed, sorted(runs - listed)
