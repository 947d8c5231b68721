#!/bin/sh
# Has SLURM run a training and waits for it: submit.sh JOB_SCRIPT [ARGUMENTS].
# The run's folder has to be on a file system that the nodes share.
#
# The job is named by the training and its number is written down. A submission
# whose answer was lost is found by that name; a job that outlived its waiter (the
# login node went down) is waited for again, and its files are fetched.
set -eu

state=$HEIRLOOM_STATE_DIR
out=$HEIRLOOM_OUT_DIR
name=$HEIRLOOM_MODEL_NAME
pause=${HEIRLOOM_SLURM_PAUSE:-15}
again=75

job_state() {
	found=$(sacct -j "$1" -X --noheader --parsable2 --format=State 2>/dev/null | head -n 1)
	[ -n "$found" ] || found=$(squeue -h -j "$1" -o %T 2>/dev/null | head -n 1)
	echo "${found%% *}" # "CANCELLED by 1000"
}

forget() { rm -f "$state/remote_id" "$state/submitting"; }
stop() { # where no number is known yet, the next attempt finds the job by its name
	[ -z "$job" ] || { scancel "$job" && forget; }
	exit 143
}
job=
trap stop TERM INT
job=$(cat "$state/remote_id" 2>/dev/null || true)
if [ -z "$job" ] && [ -f "$state/submitting" ]; then
	job=$(squeue -h --me --name="$name" -o %A 2>/dev/null | head -n 1)
	[ -n "$job" ] || job=$(sacct -X --noheader --parsable2 --name="$name" --format=JobID 2>/dev/null | tail -n 1)
fi
if [ -z "$job" ]; then
	echo "$out" >"$state/submitting"
	job=$(sbatch --parsable --job-name="$name" --chdir="$out" --output="$out/slurm.out" --error="$out/slurm.err" --export=ALL "$@") || exit "$again"
	job=${job%%;*} # "number;cluster"
fi
echo "$job" >"$state/remote_id.part"
mv "$state/remote_id.part" "$state/remote_id"
from=$(cat "$state/submitting")
echo "job $job"

told=
while :; do
	now=$(job_state "$job")
	[ "$now" = "$told" ] || echo "it is ${now:-unknown}"
	told=$now
	case $now in
	COMPLETED) break ;;
	FAILED | OUT_OF_MEMORY | TIMEOUT | DEADLINE | CANCELLED)
		echo "the job $job ended as $now:" >&2
		tail -n 5 "$from/slurm.err" >&2 || true
		forget
		exit 1
		;;
	NODE_FAIL | PREEMPTED | BOOT_FAIL)
		echo "the job $job ended as $now" >&2
		forget
		exit "$again"
		;;
	esac
	sleep "$pause" &
	wait $! || true # a signal is heard at once
done
if [ "$from" != "$out" ]; then
	for f in "$from"/*; do
		case ${f##*/} in heirloom.* | stdout.log | stderr.log | request.json) ;; *) cp -R "$f" "$out/" ;; esac
	done
fi
