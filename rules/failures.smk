# What a person is told when jobs fail.
import sys
import time
from pathlib import Path

from mktn.job_log import failed_jobs

STARTED = time.time()


def print_failed_jobs():
    """The ends of the logs of jobs that did not tell it on this terminal."""
    if workflow.is_main_process:
        for text in failed_jobs(Path("logs"), STARTED, told=workflow.local_exec):
            print(text, end="", file=sys.stderr)
