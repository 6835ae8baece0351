"""`python -m tests.features.forking_command`: runs `mktn` commands in forks of one process.

Each line of its input is the arguments as JSON; it prints the process id, then, when the process
has ended, its status. So that twenty commands load torch once. Nothing is computed before a fork.
"""

import json
import os
import sys
import traceback

if __name__ == "__main__":  # a decoding process imports this file again, and needs none of it
    import mktn.features.extract  # noqa: F401  (what takes long)
    from mktn.cli import main

    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            status = 1
            try:
                status = main(json.loads(line))
            except SystemExit as stopped:
                status = int(stopped.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
