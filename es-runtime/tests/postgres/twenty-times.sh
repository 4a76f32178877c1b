#!/usr/bin/env bash
# Runs the attacks on the PostgreSQL store twenty times in a row, or as often as the first argument
# says, and logs each run's seeds and what the machine could not do. Stops at the first failure:
# `ES_SEED` repeats its seed, `ES_ATTACK=nightly` makes everything larger.
set -euo pipefail
cd "$(dirname "$0")/../../.."

times=${1:-20}
folder=${CARGO_TARGET_DIR:-target}
log=$folder/attacks.log
output=$(mktemp)
export ES_SKIPPED="$output.skipped"
trap 'rm -f "$output" "$ES_SKIPPED"' EXIT

suite=(cargo test --package es-runtime --features postgres,testing --test postgres)
"${suite[@]}" --no-run
: >"$log"
say() { echo "$*" | tee -a "$log"; }

say "$(git rev-parse --short HEAD), ${ES_ATTACK:-short}, $times times"
for run in $(seq "$times"); do
  : >"$ES_SKIPPED"
  start=$SECONDS
  # Two at a time: each attack has a server, and some have more, to themselves.
  if "${suite[@]}" --quiet -- --nocapture --test-threads=2 >"$output" 2>&1; then
    result=passed
  else
    result=FAILED
  fi
  say "run $run: $result in $((SECONDS - start)) s, $(wc -l <"$ES_SKIPPED") skipped"
  grep -aoE 'seed [0-9]+( of [a-z0-9_:]+)?' "$output" | sort -k4 | sed 's/^/  /' >>"$log"
  sed 's/^/  skipped /' "$ES_SKIPPED" >>"$log"
  if [ "$result" = FAILED ]; then
    tail -n 200 "$output"
    exit 1
  fi
done
echo "the seeds are in $log"
