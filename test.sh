#!/usr/bin/env bash
# Installs what is missing, checks types, lint, imports and unused code, and runs the tests; those on a real Kubernetes come last.
# usage: ./test.sh [ROOM…]      for example: ./test.sh policy cas
#        "acceptance": tests that cross rooms; "cluster": tests on a real Kubernetes, whose programs are compiled the first time (20 to 40 minutes)
# environment: VOUCHSAFE_CLUSTER=skip leaves the cluster out; =kubeconfig takes that of KUBECONFIG (see test/cluster/suite.sh)
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-}" in -h | --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;; esac

rooms=() with_cluster=no
[ $# -gt 0 ] || with_cluster=yes
for room; do if [ "$room" = cluster ]; then with_cluster=yes; else rooms+=("$room"); fi; done
if [ $with_cluster = yes ] && reason=$(test/cluster/suite.sh why-not); then
  echo "note: tests on a real Kubernetes do not run: $reason" >&2
  with_cluster=no
fi
if [ $with_cluster = yes ] && [ "${VOUCHSAFE_CLUSTER:-}" = "" ]; then scripts/setup.sh cluster; else scripts/setup.sh test; fi
export PATH="$PWD/node_modules/.bin:/usr/sbin:/sbin:$PATH"

builder='' build_log=.cache/cluster-build.log
if [ $with_cluster = yes ] && [ "${VOUCHSAFE_CLUSTER:-}" = "" ]; then
  mkdir -p .cache
  setsid test/cluster/suite.sh build >$build_log 2>&1 & # beside the other tests, at low priority
  builder=$!
  trap 'kill -- -$builder 2>/dev/null || true' EXIT
fi
npm run --silent check
if [ $# -eq 0 ] || [ ${#rooms[@]} -gt 0 ]; then npm test --silent -- "${rooms[@]}"; fi
[ $with_cluster = yes ] || exit 0

if [ -n "$builder" ]; then
  was_compiled=no
  while kill -0 "$builder" 2>/dev/null; do
    [ $was_compiled = yes ] || echo "waiting for the programs of the test cluster (log: $build_log)" >&2
    was_compiled=yes
    for ((second = 0; second < 60; second++)); do kill -0 "$builder" 2>/dev/null || break; sleep 1; done
    grep -a ' is built$' $build_log | tail -n 1 >&2 || true
  done
  wait "$builder" || { tail -n 5 $build_log >&2; echo "error: the programs of the test cluster could not be compiled" >&2; exit 1; }
  trap - EXIT
  # Tests with an API server were skipped while it was being compiled.
  if [ $# -eq 0 ] && grep -aq 'kube-apiserver is built$' $build_log; then npm test --silent -- kubernetes; fi
fi
test/cluster/suite.sh run
