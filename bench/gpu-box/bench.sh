#!/bin/sh
# Everything there is to measure on a machine that has a GPU driver and the Vulkan loader, and nothing else.
# Usage: ./bench.sh [--quick]     results: results/*.json, results/*.txt
set -eu
cd "$(dirname "$0")"
mkdir -p results
quick="${1:-}"
run() {
  name="$1"
  shift
  echo "== $name"
  # A part that fails must not keep the others from being measured; the last line counts it.
  if ./node "$@" >"results/$name.txt" 2>"results/$name.err"; then
    done_parts=$((done_parts + 1))
  else
    failed_parts="$failed_parts $name"
    tail -n 5 "results/$name.err" >&2
  fi
  cat "results/$name.txt"
}
done_parts=0
failed_parts=""
run doctor src/cli/main.js doctor
run conformance test/conformance/gpu-box.js
run kernels bench/run.js kernels $quick --out results/kernels.json
run train bench/run.js train $quick --out results/train.json
run load bench/run.js load $quick --out results/load.json
run objectives bench/run.js objectives $quick --out results/objectives.json
run compare bench/gpu-box/compare.js --out results/compare.json
echo "$done_parts parts measured.${failed_parts:+ Failed:$failed_parts}"
[ -z "$failed_parts" ]
