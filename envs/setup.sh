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

# All that this machine lacks, in one sentence and before anything is made or downloaded.
found=none
if command -v "$PYTHON" >/dev/null; then
    found=$("$PYTHON" --version 2>&1)
fi
lacking=() packages=()
if [ "$found" = none ] || ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    lacking+=("Python 3.11, 3.12 or 3.13 (as $PYTHON: $found)") packages+=(python3 python3-venv)
elif ! .venv/bin/python -m pip --version >/dev/null 2>&1 && ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    lacking+=("venv and pip of $PYTHON") packages+=(python3-venv)
fi
if ! command -v bedtools >/dev/null; then
    lacking+=(bedtools) packages+=(bedtools)
fi
if [ "${packages[*]}" = bedtools ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing bedtools from the distribution's packages"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends bedtools; } >/dev/null
elif [ ${#lacking[@]} -gt 0 ]; then
    for tool in git make; do # set-up needs neither, the commands of the README do
        command -v "$tool" >/dev/null || { lacking+=("$tool") && packages+=("$tool"); }
    done
    printf -v list '%s, ' "${lacking[@]}"
    echo "this machine lacks ${list%, }: install what is missing ('sudo apt-get install ${packages[*]}';" \
        "bedtools also with 'conda install -c bioconda bedtools', another Python with PYTHON=) and run this again." >&2
    exit 1
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
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
