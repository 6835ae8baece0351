"""`python -m mktn` is `mktn`, also where a launcher such as torchrun starts it."""

import sys

from mktn.cli import main

if __name__ == "__main__":
    sys.exit(main())
