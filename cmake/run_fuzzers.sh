#!/bin/sh
# Runs each fuzz target for some seconds, on top of what earlier runs found (BUILD/corpus) and the seeds in the tree.
# usage: run_fuzzers.sh BUILD SECONDS
set -eu
build=$1
seconds=$2
found=0
for source in tests/fuzz/*_fuzz.cc; do
  [ -e "$source" ] || continue
  found=1
  name=$(basename "$source" .cc)
  corpus=$build/corpus/$name
  mkdir -p "$corpus"
  seeds=tests/fuzz/corpus/$name
  [ -d "$seeds" ] || seeds=
  echo "== $name: $seconds s"
  # shellcheck disable=SC2086
  "$build/bin/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/$name-" "$corpus" $seeds 2>"$build/$name.log" || {
    tail -n 60 "$build/$name.log"
    echo "$name: a finding; reproduce with  $build/bin/$name <the file named above>" >&2
    exit 1
  }
  # Of the whole program, the parts that this target can't reach included.
  edges=$(sed -n 's/.*(\([0-9]*\) inline 8-bit counters).*/\1/p' "$build/$name.log" | head -n 1)
  reached=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$build/$name.log" | tail -n 1)
  echo "coverage: $reached of $edges edges"
  grep -E 'number_of_executed_units|peak_rss_mb' "$build/$name.log" || true
done
[ $found = 1 ] || echo "no fuzz targets"
