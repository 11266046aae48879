#!/usr/bin/env bash
# Runs the tests on a real Kubernetes, and stops everything it started, also after a failure.
#
# usage: suite.sh why-not     prints why they cannot run here, and succeeds; fails when they can
#        suite.sh is-built    succeeds when all of the cluster's programs are compiled
#        suite.sh build       compiles those that are missing: 20 to 40 minutes, once. Exit status 124: not finished in time (see below)
#        suite.sh run         starts the cluster, runs the tests, wipes the cluster
#
# environment: VOUCHSAFE_CLUSTER=skip         leaves these tests out
#              VOUCHSAFE_CLUSTER_BUILD_MINUTES=N   ends the compilation after N minutes; what is compiled by then is kept
#              VOUCHSAFE_CLUSTER=kubeconfig   takes the cluster of KUBECONFIG. The tests install the platform there and make namespaces of
#                                             their own. VOUCHSAFE_CLUSTER_REGISTRY, …_REGISTRY_USER and …_REGISTRY_PASSWORD name a registry
#                                             that this machine may push to and the cluster may pull from.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=settings.env
. "$here/settings.env"

is_own_cluster() { [ "${VOUCHSAFE_CLUSTER:-}" = kubeconfig ]; }
missing_programs() {
  local program
  for program in "${compiled[@]}"; do [ -x "$bin/$program" ] || echo "$program"; done
}
why_not() {
  case ${VOUCHSAFE_CLUSTER:-} in
    skip) echo "VOUCHSAFE_CLUSTER=skip says so" ;;
    kubeconfig)
      if [ -z "${KUBECONFIG:-}" ]; then echo "VOUCHSAFE_CLUSTER=kubeconfig, but KUBECONFIG names no cluster"
      elif ! command -v kubectl >/dev/null || ! command -v helm >/dev/null; then echo "VOUCHSAFE_CLUSTER=kubeconfig needs kubectl and helm"
      else return 1; fi ;;
    "")
      if [ "$(id -u)" != 0 ]; then echo "the test cluster needs root (or VOUCHSAFE_CLUSTER=kubeconfig and a cluster of your own)"
      elif [ "$(uname -m)" != x86_64 ]; then echo "the platform's images are for x86-64"
      elif [ -n "$(missing_programs)" ] && ! command -v go >/dev/null; then
        echo "its programs are compiled with Go 1.26, which is not installed (or VOUCHSAFE_CLUSTER=kubeconfig and a cluster of your own)"
      else return 1; fi ;;
    *) echo "VOUCHSAFE_CLUSTER is '$VOUCHSAFE_CLUSTER': expected skip, kubeconfig, or nothing" ;;
  esac
}
run() {
  export PATH="$here/../../node_modules/.bin:$bin:$PATH:/usr/sbin:/sbin"
  if ! is_own_cluster; then
    local was_running=no
    [ ! -f "$state/run/kubelet" ] || was_running=yes
    # A cluster that somebody started before is left as it was found.
    [ "$was_running" = yes ] || trap '"$here/down.sh" --wipe' EXIT
    echo "starting a Kubernetes of one node ..." >&2
    "$here/up.sh" >&2
  fi
  node "$here/../../scripts/test.ts" cluster
}

case ${1:-} in
  why-not) why_not ;;
  is-built) [ -z "$(missing_programs)" ] ;;
  build)
    [ -n "$(missing_programs)" ] || exit 0
    echo "compiling $(missing_programs | paste -sd ' ') for the test cluster: 20 to 40 minutes, once; kept in $bin" >&2
    limit=() # a process group of its own, which the limit ends as a whole; without a limit Ctrl-C must still reach the compiler
    [ -z "${VOUCHSAFE_CLUSTER_BUILD_MINUTES:-}" ] || limit=(timeout "${VOUCHSAFE_CLUSTER_BUILD_MINUTES}m")
    "${limit[@]}" nice -n 10 "$here/build.sh" >&2 ;;
  run) run ;;
  *) sed -n '4,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
