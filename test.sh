#!/usr/bin/env bash
# Installs what is missing, checks types, lint, imports and unused code, and runs the tests; those on a real Kubernetes come last.
# usage: ./test.sh [ROOM…]      for example: ./test.sh policy cas
#        "acceptance": tests that cross rooms; "cluster": tests on a real Kubernetes, whose programs are compiled the first time (20 to 40 minutes)
# environment: VOUCHSAFE_CLUSTER=skip leaves the cluster out; =kubeconfig takes that of KUBECONFIG (see test/cluster/suite.sh)
#              VOUCHSAFE_CLUSTER_BUILD_MINUTES=N leaves the cluster out, and says so, where its programs are not compiled within N minutes
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-}" in -h | --help) sed -n '2,6s/^# //p' "$0"; exit 0 ;; esac

rooms=() with_cluster=no
[ $# -gt 0 ] || with_cluster=yes
for room; do if [ "$room" = cluster ]; then with_cluster=yes; else rooms+=("$room"); fi; done
if [ $with_cluster = yes ] && reason=$(test/cluster/suite.sh why-not); then
  echo "note: tests on a real Kubernetes do not run: $reason" >&2
  with_cluster=no
fi
if [ $with_cluster = yes ] && [ "${VOUCHSAFE_CLUSTER:-}" = "" ]; then scripts/setup.sh cluster; else scripts/setup.sh test; fi
export PATH="$PWD/node_modules/.bin:/usr/sbin:/sbin:$PATH"

npm run --silent check
if [ $# -eq 0 ] || [ ${#rooms[@]} -gt 0 ]; then npm test --silent -- "${rooms[@]}"; fi
[ $with_cluster = yes ] || exit 0

# After the other tests, not beside them: a compiler on every core would make their time limits meaningless.
if [ "${VOUCHSAFE_CLUSTER:-}" = "" ] && ! test/cluster/suite.sh is-built; then
  build_status=0
  test/cluster/suite.sh build || build_status=$?
  if [ $build_status = 124 ]; then
    echo "note: tests on a real Kubernetes did not run: its programs were not compiled within VOUCHSAFE_CLUSTER_BUILD_MINUTES; the next run goes on where this one stopped" >&2
    exit 0
  fi
  [ $build_status = 0 ] || { echo "error: the programs of the test cluster could not be compiled" >&2; exit 1; }
  # Tests with an API server were skipped before it was compiled.
  if [ $# -eq 0 ]; then npm test --silent -- kubernetes; fi
fi
test/cluster/suite.sh run
