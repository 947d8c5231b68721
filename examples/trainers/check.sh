#!/bin/sh
# Runs a lineage of two generations of real models end to end: a tiny base is
# made, every generation is trained by peft/train_sft.py and sampled from
# peft/serve.py. Needs Python with torch, transformers, peft and tokenizers, and
# fetches nothing.
#
#   examples/trainers/check.sh HEIRLOOM [FOLDER]
#
# HEIRLOOM is the built program, FOLDER (a fresh one unless given) is kept.
# STEPS=800 sets the training of the base, PYTHON=python3 the interpreter.
set -eu

heirloom=$(CDPATH='' cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
repository=$(CDPATH='' cd -- "$here/../.." && pwd)
python=${PYTHON:-python3}
work=${2:-$(mktemp -d)}
mkdir -p "$work"
work=$(CDPATH='' cd -- "$work" && pwd)
say() { printf '\n== %s: %s\n' "$(date +%H:%M:%S)" "$*"; }

if ! "$python" -c 'import torch, transformers, peft, tokenizers' 2>"$work/imports.log"; then
	say "skipped: $python has not all of torch, transformers, peft and tokenizers"
	tail -n 1 "$work/imports.log"
	exit 0
fi
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
say "the machine"
"$python" -c 'import torch, transformers, peft, tokenizers, sys
print("python", sys.version.split()[0], "torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__, "tokenizers", tokenizers.__version__)
print("device", torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu")'

cd "$work"
failed() {
	say "FAILED: $1; what there is of logs:"
	for f in tiny.heirloom/trainings/*/stderr.log tiny.heirloom/trainings/*/stdout.log tiny.heirloom/servers/*.log run*.log; do
		[ -f "$f" ] && printf -- '--- %s\n' "$f" && tail -n 30 "$f"
	done
	exit 1
}

say "the base model"
"$python" "$here/peft/make_tiny.py" "$work/tiny" "$repository/sim/catalogue/web/everyday.jsonl" \
	"$repository/sim/catalogue/trauma-narrative/neutral.jsonl" --steps "${STEPS:-800}" || failed "make_tiny.py"

cp "$here/peft/tiny.yaml" "$here/peft/train_sft.py" "$here/peft/serve.py" .
set -- --set "line.backend.base=$work/tiny"
if [ "$python" != python3 ]; then
	sed "s|\[python3,|[$python,|" "$here/peft/tiny.yaml" >tiny.yaml
fi

say "the lineage"
"$heirloom" run tiny.yaml "$@" >run.log 2>&1 || failed "heirloom run"
cat run.log

say "the same again: nothing is made twice"
"$heirloom" run tiny.yaml "$@" >run-again.log 2>&1 || failed "heirloom run, the second time"
cat run-again.log
grep -q ' 0 made now' run-again.log || failed "the second run made something"

say "what was trained"
for f in tiny.heirloom/trainings/*/result.json; do
	printf '%s %s\n' "$f" "$(cat "$f")"
done
cat tiny.heirloom/trainings/*/adapter_model.safetensors | wc -c
adapters=$(sha256sum tiny.heirloom/trainings/*/adapter_model.safetensors | cut -d' ' -f1 | sort -u | wc -l)
echo "$adapters different adapters"
[ "$adapters" -ge 4 ] || failed "there are $adapters different adapters, and 4 models"
grep -h 'loaded hl-' tiny.heirloom/servers/*.log || failed "the server loaded no adapter"

say "a run that is killed while it trains is taken up again"
set -- "$@" --set line.publish.size=20
"$heirloom" run tiny.yaml "$@" --set name=killed --set generations=1 >run-killed.log 2>&1 &
run=$!
tries=0
until ls killed.heirloom/trainings/*.attempt-1/metrics.jsonl >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ "$tries" -lt 1200 ] || failed "no training began within two minutes"
	sleep 0.1
done
kill -9 "$run"
wait "$run" || true
"$heirloom" run tiny.yaml "$@" --set name=killed --set generations=1 >run-after.log 2>&1 || failed "the run after it"
grep -h 'still runs' run-after.log || echo "it had finished in between"
if ls killed.heirloom/trainings/*.attempt-* >/dev/null 2>&1; then failed "a training was begun twice"; fi

say "a server that ignores adapters is found out"
sed 's|serve.py", |serve.py", --ignore-adapters, |' tiny.yaml >ignoring.yaml
if "$heirloom" run ignoring.yaml "$@" --set name=ignoring >ignoring.log 2>&1; then
	failed "a run with a server that ignores its adapters ended well"
fi
grep -o 'adapter not applied[^;]*' ignoring.log | head -n 1 || { cat ignoring.log; failed "the error does not say that adapters are not applied"; }

say "the table"
"$heirloom" report tiny.heirloom --csv table.csv
cat table.csv
say "done: everything is in $work"
