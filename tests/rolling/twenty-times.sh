#!/usr/bin/env bash
# Runs the migration of a read model, with programs of two releases, twenty times in a row, or as
# often as the first argument says, and logs each run's seeds. Stops at the first failure: `ES_SEED`
# repeats its seed.
set -euo pipefail
cd "$(dirname "$0")/../.."

times=${1:-20}
log=${CARGO_TARGET_DIR:-target}/migrations.log
output=$(mktemp)
trap 'rm -f "$output"' EXIT

suite=(cargo test --package es-rolling --test migration)
"${suite[@]}" --no-run
: >"$log"
say() { echo "$*" | tee -a "$log"; }

say "$(git rev-parse --short HEAD), $times times"
for run in $(seq "$times"); do
  start=$SECONDS
  result=passed
  "${suite[@]}" --quiet -- --nocapture >"$output" 2>&1 || result=FAILED
  say "run $run: $result in $((SECONDS - start)) s"
  grep -aE '^seed [0-9]+|deposits, ' "$output" | sed 's/^/  /' >>"$log"
  if [ "$result" = FAILED ]; then
    tail -n 200 "$output"
    exit 1
  fi
done
echo "the seeds are in $log"
