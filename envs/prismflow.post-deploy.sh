#!/usr/bin/env bash
# Runs in the activated conda environment, from the workflow's working directory.
set -euo pipefail
python -m pip install --quiet --no-deps --no-build-isolation --editable .
