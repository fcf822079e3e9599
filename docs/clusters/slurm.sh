#!/bin/bash
# An array job of Slurm: each task runs one shard.
#
#   sbatch --array=1-8 slurm.sh GRID PARTS 8
#   ember-bench merge results PARTS/part-*
#
# Only what is missing, after a task died: sbatch --array=3 slurm.sh GRID PARTS 8
#SBATCH --job-name=ember-bench
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=12:00:00
#SBATCH --requeue
# Five minutes before the end of its time the run is told to stop, and stores what it has.
#SBATCH --signal=B:TERM@300
set -euo pipefail
grid=$1 parts=$2 shards=$3

# `exec`, so that the signal reaches the run and not this shell.
exec ember-bench run "$grid" \
    --shard "$SLURM_ARRAY_TASK_ID/$shards" \
    --results "$parts/part-$SLURM_ARRAY_TASK_ID" \
    --quiet
