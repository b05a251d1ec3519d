#!/usr/bin/env bash
# Make .venv and install everything: torch first (it is pinned but not in the lock, because its
# builds differ by platform), then the lock with hashes, then this package. Run again at any time.
#   PYTHON=python3.12        the interpreter to use (3.11, 3.12 or 3.13)
#   TORCH=cpu | cu128 | skip the build of torch: CPU, a CUDA version, or the one already installed
#   TORCH_INDEX=ADDRESS      a package index that has the build you want
set -euo pipefail
cd "$(dirname "$0")/.."
TORCH_VERSION=2.13.0
PYTHON=${PYTHON:-python3}
STAMP=.venv/.complete

wanted=$(cat envs/setup.sh envs/requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1)
if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$wanted" ] && command -v bedtools >/dev/null; then
    exit 0
fi

command -v "$PYTHON" >/dev/null || {
    echo "expected Python 3.11, 3.12 or 3.13 as $PYTHON, found none: install it" \
        "('sudo apt-get install python3 python3-venv') or set PYTHON= and run this again." >&2
    exit 1
}
"$PYTHON" -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else 1)' || {
    echo "expected Python 3.11, 3.12 or 3.13, found $("$PYTHON" --version); set PYTHON=" >&2
    exit 1
}
if ! command -v bedtools >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing bedtools from the distribution's packages"
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends bedtools; } >/dev/null
    else
        echo "bedtools is not on the PATH: install it ('sudo apt-get install bedtools' or" \
            "'conda install -c bioconda bedtools') and run this again." >&2
        exit 1
    fi
fi

if [ ! -x .venv/bin/python ]; then
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || {
        echo "expected a Python that makes environments, found $PYTHON without venv: install it" \
            "('sudo apt-get install python3-venv') and run this again." >&2
        exit 1
    }
    "$PYTHON" -m venv .venv
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }
case "${TORCH:-}" in
skip) echo "torch: using the one that is installed" ;;
'')
    if ! .venv/bin/python -c "import torch, sys; sys.exit(torch.__version__.split('+')[0] != '$TORCH_VERSION')" 2>/dev/null; then
        echo "torch $TORCH_VERSION: installing the default build (CPU builds are about 200 MB; on" \
            "Linux the default of the public index is a CUDA build of several GB: TORCH=cpu avoids it)"
        pip install "torch==$TORCH_VERSION"
    fi
    ;;
*)
    index=${TORCH_INDEX:-https://download.pytorch.org/whl/$TORCH}
    echo "torch $TORCH_VERSION: installing the build '$TORCH' (cpu: about 200 MB; CUDA: several GB)"
    pip install --index-url "$index" "torch==$TORCH_VERSION"
    ;;
esac
echo "installing the locked packages (about 300 MB)"
pip install --require-hashes --no-deps -r envs/requirements.lock
pip install --no-deps --no-build-isolation --editable .
echo "compiling the CPU kernels (about 15 s)"
.venv/bin/python -m prismflow.models.scan
.venv/bin/python -c "import prismflow, snakemake, torch; print('ready: prismflow', prismflow.__version__, 'torch', torch.__version__)"
echo "$wanted" >"$STAMP"
