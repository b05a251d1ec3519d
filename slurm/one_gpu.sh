#!/bin/bash
# Several runs at a time on one GPU, in one Slurm job: a model of 2-kb windows does not fill a large GPU.
#   RUNS_PER_GPU=4 sbatch slurm/one_gpu.sh [arguments for snakemake, e.g. --configfile config/demo.yaml]
# Snakemake itself runs in the job; submitted again after its end, it goes on where it was.
#SBATCH --job-name=prismflow
#SBATCH --output=one_gpu_%j.log
#SBATCH --nodes=1 --ntasks=1
#SBATCH --gres=gpu:1               # edit: your cluster's name for one GPU, e.g. gpu:h100:1
#SBATCH --cpus-per-task=16         # edit: run.train_threads for each of the runs
#SBATCH --mem=64000                # edit: MB; 8000 for each of the runs
#SBATCH --time=24:00:00            # edit: your cluster's limit
#SBATCH --signal=TERM@300          # told so many seconds before the end, trainings keep their state
##SBATCH --partition=gpu           # edit: remove one # and name your partition of GPUs
##SBATCH --account=my_account      # edit: remove one # and name your account
set -euo pipefail

runs_per_gpu="${RUNS_PER_GPU:-4}"
export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
exec srun snakemake "$@" --cores "$SLURM_CPUS_PER_TASK" --keep-going --show-failed-logs \
    --resources runs_per_gpu="$runs_per_gpu" mem_mb="$SLURM_MEM_PER_NODE" \
    --set-resources train:runs_per_gpu=1 evaluate:runs_per_gpu=1
