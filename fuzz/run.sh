#!/usr/bin/env bash
# Runs every fuzz target for so many seconds, JOBS of them at a time, and prints what came of it. A target's log is
# logs/TARGET.log, an input that it failed on lies in artifacts/TARGET. Built before with
# RUSTC_BOOTSTRAP=1 cargo fuzz build.
#
#   bash fuzz/run.sh SECONDS [JOBS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:?how many seconds a target: bash fuzz/run.sh SECONDS [JOBS]}
jobs=${2:-2}
host=$(rustc -vV | sed -n 's/^host: //p')
built=target/$host/release
targets=$(for source in fuzz_targets/*.rs; do basename "$source" .rs; done)

for target in $targets; do
    if [[ ! -x $built/$target ]]; then
        echo "$built/$target is not there: RUSTC_BOOTSTRAP=1 cargo fuzz build" >&2
        exit 1
    fi
done
[[ -d corpus ]] || python3 seeds.py
mkdir -p logs

fuzz() {
    local status=0
    mkdir -p "corpus/$1" "artifacts/$1"
    "$built/$1" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="artifacts/$1/" "corpus/$1" >"logs/$1.log" 2>&1 || status=$?
    echo "exit status: $status" >>"logs/$1.log"
}
export -f fuzz
export built seconds
# A thread each: JOBS says how many run.
export OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1
xargs -P "$jobs" -I{} bash -c 'fuzz {}' <<<"$targets"

failed=0
printf '%-20s %12s  %s\n' target executions crashed
for target in $targets; do
    # What was fuzzed may stand in the log too, and need not be text.
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "logs/$target.log" | tail -n 1)
    crashed=no
    if [[ $(tail -n 1 "logs/$target.log") != "exit status: 0" ]]; then
        crashed="yes: logs/$target.log"
        failed=1
    fi
    printf '%-20s %12s  %s\n' "$target" "${runs:--}" "$crashed"
done
exit $failed
