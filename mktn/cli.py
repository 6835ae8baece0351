"""The `mktn` command: one subcommand a step, each loaded only when it is called."""

import argparse
import importlib
import os
import signal
import stat
import sys
from pathlib import Path
from typing import NoReturn

from mktn.checksums import unverified
from mktn.errors import UserError
from mktn.job_log import run_logged, split_log, unsaid
from mktn.process import end_with_snakemake, flush_or_drop, sigterm_raises
from mktn.system_errors import refused

# subcommand -> (module with `add_arguments(parser)` and `run(arguments)`, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "download": ("mktn.datasets.download", "bring the published files of a dataset"),
    "synthesize": ("mktn.datasets.synthetic", "render a synthetic dataset in native formats"),
    "pairs": ("mktn.datasets.pairs", "annotation files to pairs.parquet and rejected.parquet"),
    "reannotations": (
        "mktn.datasets.reannotations",
        "moments that more annotators gave test queries",
    ),
    "pretrain": ("mktn.features.pretrain", "train a narrow video backbone on labelled clips"),
    "extract-video": ("mktn.features.extract", "videos to clip features, one Zarr part"),
    "import-features": ("mktn.features.importers", "published feature files to one Zarr part"),
    "resample": (
        "mktn.features.resample",
        "clip features to T frames a video, what training reads",
    ),
    "features": ("mktn.features.info", "`info DIR`: what features or text are, and where from"),
    "extract-text": ("mktn.features.text", "sentences to word and sentence vectors"),
    "simulate": ("mktn.features.simulate", "video features simulated from human labels"),
    "oracle": ("mktn.engine.simulated_oracle", "what simulated features answer untrained"),
    "relate": ("mktn.grouping.relations", "relations between queries"),
    "group": ("mktn.grouping.groups", "clusters of related videos with all their pairs"),
    "train": ("mktn.engine.train", "train one variant"),
    "evaluate": ("mktn.engine.evaluate", "predictions and metrics of a trained run or a baseline"),
    "score": ("mktn.engine.score", "anyone's predictions under the protocol, with intervals"),
    "rescore": ("mktn.engine.rescore", "predictions against several annotators, and these"),
    "status": ("mktn.report.status", "runs done, running and failed, with their best scores"),
    "diagnose": ("mktn.engine.diagnose", "order, single queries, seen sentences, retrieval"),
    "attention": ("mktn.engine.attention", "attention maps of a trained IA-Net on drawn pairs"),
    "diagnostics": ("mktn.report.diagnostics", "diagnoses of all runs as csv and Markdown"),
    "efficiency": (
        "mktn.engine.efficiency",
        "videos and queries a second, parameters, operations and memory of a model",
    ),
    "efficiency-table": (
        "mktn.report.efficiency",
        "all systems' efficiency as csv and Markdown",
    ),
    "profile": ("mktn.engine.profile", "where the time of a training step goes"),
    "bench": (
        "mktn.engine.bench",
        "speed, memory and accuracy, measured against a baseline in one run",
    ),
    "plan": ("mktn.report.plan", "jobs, bytes, hours and memory of a workload before it runs"),
    "tables": ("mktn.report.tables", "a results table from the runs' metrics and predictions"),
    "sensitivity": ("mktn.report.sensitivity", "full with one setting changed at a time"),
    "robustness": ("mktn.report.robustness", "trained runs asked in other ways"),
    "test-sets": ("mktn.report.test_sets", "scores of all test sets, as csv and Markdown"),
    "ground": ("mktn.grounder.ground", "moments of your own videos for your own sentences"),
    "serve": ("mktn.serve.serve", "a page on this machine for questions about videos"),
    "export": ("mktn.grounder.export", "a run and all it needs for new videos, in one folder"),
    "verify": ("mktn.report.verify", "checksums of stores, tables and runs; 2 where one differs"),
    "figure-data": (
        "mktn.report.figure_data",
        "the numbers that Figures 3a and 3b are drawn from",
    ),
    "figure": ("mktn.figures.figure", "a figure as SVG and PNG"),
    "html-page": ("mktn.report.html_page", "Markdown of tables as one HTML file, for the report"),
    "provenance": (
        "mktn.report.made_from",
        "programs, trainings and configuration that results were made with",
    ),
    "page": ("mktn.report.page", "results tables as one Markdown page"),
}


class OneLineParser(argparse.ArgumentParser):
    """Tells what is wrong with a command line in one line, as all mistakes are told."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(f"{self.prog}: {message}; see {self.prog} --help".split())
        self.exit(2, f"{line}\n")


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; the exit status is 2 for the user's mistakes, 1 for ours.

    What the machine refuses (a full disk, permissions, memory) is one line and 2 as well.
    """
    end_with_snakemake()
    if argv is None and "train" in sys.argv[1:]:
        # A scheduler's wish to save may come before training has begun, and must not end it.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    log, argv = split_log(sys.argv[1:] if argv is None else argv)
    if log is None:
        return run_command(argv)
    command = argv[0] if argv[:1] and argv[0] in COMMANDS else "--log"
    try:
        return run_logged(log, command, lambda: run_command(argv))
    except UserError as error:
        print(f"mktn {command}: {error}", file=sys.stderr)
        return 2


def run_command(argv: list[str]) -> int:
    """`main` without a log."""
    parser = OneLineParser(prog="mktn", description=__doc__)
    # Taken off before, as it must catch everything that is said; here for the help.
    parser.add_argument(
        "--log", metavar="FILE", help="all output into a file; on failure its end and its path"
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module_name, help_line) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_line, description=help_line)
        if argv[:1] == [name]:
            importlib.import_module(module_name).add_arguments(subparser)
    arguments = parser.parse_args(argv)
    module = importlib.import_module(COMMANDS[arguments.command][0])
    unverified()  # forget what an earlier command of this process has read
    try:
        with sigterm_raises():
            module.run(arguments)
        # Behind the work: an error is one line, and this is none.
        if line := unverified():
            print(f"mktn {arguments.command}: {line}", file=sys.stderr)
        unwritten = flush_or_drop("stdout")
        if unwritten is not None:
            raise unwritten
    except UserError as error:
        return _say(arguments.command, error, 2)
    except BrokenPipeError:
        # Of a reader that has gone, as `head`; else it is ours.
        if not stat.S_ISFIFO(os.fstat(1).st_mode):
            raise
        return 1
    except KeyboardInterrupt:
        return _say(arguments.command, "interrupted", 130)
    except Exception as error:
        of_machine = refused(error, arguments.command, _paths(arguments))
        if of_machine is None:
            raise
        return _say(arguments.command, of_machine, 2)
    return 0


def _paths(arguments: argparse.Namespace) -> list[Path]:
    """What the command was given to read and write, as far as it looks like a path."""
    values = (v if isinstance(v, list) else [v] for v in vars(arguments).values())
    found = [value for given in values for value in given if isinstance(value, str | Path)]
    return [Path(v) for v in found if os.sep in str(v) and len(str(v)) < 1000]


def _say(command: str, line: object, status: int) -> int:
    """One line on stderr, as far as there is room for it where stderr goes."""
    try:
        print(f"mktn {command}: {line}", file=sys.stderr)
    except OSError:
        unsaid.append(f"mktn {command}: {line}\n")
    for stream in ("stdout", "stderr"):
        flush_or_drop(stream)
    return status
