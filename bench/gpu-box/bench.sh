#!/bin/sh
# What there is to measure on a machine that has a GPU driver, and nothing else: no network, nothing installed.
#
#   ./bench.sh [--quick] [--device INDEX] [PHASE ...]       default: all phases
#
#   1  doctor, the choice of kernels, every conformance case
#   2  products and copies                 3  our 1B LoRA step, and where its time goes
#   4  the same step in PyTorch, eager, then compiled
#   5  attention, log-probs and the rest at the shapes of models
#   6  8B LoRA on weights in 8 and 4 bits
#
# A phase ends within 8 minutes, each part of it by force if it must. Rows are appended to results/*.jsonl as they are
# measured: what was measured before stays. 'npm run bench -- merge results' in a clone takes them over.
set -eu
cd "$(dirname "$0")"
mkdir -p results
quick=""
phases=""
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) quick="--quick" ;;
    --device)
      PREFGRAD_DEVICE="$2"
      export PREFGRAD_DEVICE
      shift
      ;;
    [1-6]) phases="$phases $1" ;;
    *)
      echo "bench.sh: there is no $1. Usage: ./bench.sh [--quick] [--device INDEX] [1 ... 6]" >&2
      exit 2
      ;;
  esac
  shift
done
# The machine's own Vulkan loader, else ours.
if ! /sbin/ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' && [ -e lib/libvulkan.so.1 ]; then
  export LD_LIBRARY_PATH="$PWD/lib"
fi
measured=0
failed=""
# part NAME SECONDS ARGUMENTS...: one part of a phase, in this Node.
part() {
  name="$1"
  limit="$2"
  shift 2
  echo "== $name"
  if timeout --kill-after=5 "$limit" ./node "$@" >"results/$name.txt" 2>"results/$name.err"; then
    measured=$((measured + 1))
  else
    failed="$failed $name"
    tail -n 5 "results/$name.err" >&2
  fi
  cat "results/$name.txt"
}
./node -e '
  const { commit } = JSON.parse(require("node:fs").readFileSync("package.json", "utf8"));
  console.log(JSON.stringify({ date: new Date().toISOString(), commit }));
' >results/box.json
for phase in ${phases:-1 2 3 4 5 6}; do
  case "$phase" in
    1)
      part 1-doctor 60 src/cli/main.js doctor
      ./node src/cli/main.js doctor --json >results/doctor.json || true
      part 1-tune 120 src/cli/main.js doctor --tune
      part 1-conformance 290 test/conformance/gpu-box.js results/1-conformance.jsonl $quick
      ;;
    2) part 2-products 470 bench/run.js kernels $quick --only products --lines results/2-products.jsonl ;;
    3) part 3-step 470 bench/run.js train $quick --only profile --lines results/3-step.jsonl ;;
    4)
      part 4-eager 230 bench/gpu-box/compare.js --lines results/4-pytorch.jsonl
      part 4-compiled 240 bench/gpu-box/compare.js --compiled --lines results/4-pytorch.jsonl
      ;;
    5) part 5-models 470 bench/run.js kernels $quick --only models --lines results/5-models.jsonl ;;
    6) part 6-quantized 470 bench/run.js train $quick --only quantized --lines results/6-quantized.jsonl ;;
  esac
done
echo "$measured parts measured.${failed:+ Failed:$failed}"
[ -z "$failed" ]
