#!/bin/bash
# Is a GPU of this cluster ready? Eight minutes of checks and times, and a table at the end of the log:
#   sbatch slurm/check_gpu.sh [arguments for benchmarks/gpu.py]
# docs/cluster.md, "The first hour", says what the table means and what to set from it.
#SBATCH --job-name=prismflow-gpu
#SBATCH --output=check_gpu_%j.log
#SBATCH --nodes=1 --ntasks=1
#SBATCH --gres=gpu:1               # edit: your cluster's name for one GPU, e.g. gpu:h100:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32000                # MB
#SBATCH --time=00:20:00
##SBATCH --partition=gpu           # edit: remove one # and name your partition of GPUs
##SBATCH --account=my_account      # edit: remove one # and name your account
set -euo pipefail

cd "${SLURM_SUBMIT_DIR:-.}"
export OUT="${OUT:-$PWD/check_gpu_${SLURM_JOB_ID:-here}}"
exec "${PYTHON:-.venv/bin/python}" benchmarks/gpu.py "$@"
