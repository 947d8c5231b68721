#!/bin/sh
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=02:00:00
# What one node runs. SLURM copies this file, so paths beside it come by
# HEIRLOOM_DIR, the folder of the experiment.
exec python3 "$HEIRLOOM_DIR/../peft/train_sft.py" "$@"
