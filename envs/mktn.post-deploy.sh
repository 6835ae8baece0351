#!/usr/bin/env bash
# Snakemake runs this once in the new conda environment, from the working directory.
set -euo pipefail
uv pip install --python "$CONDA_PREFIX/bin/python" --require-hashes -r envs/requirements.lock
uv pip install --python "$CONDA_PREFIX/bin/python" --no-deps --no-build-isolation --editable .
