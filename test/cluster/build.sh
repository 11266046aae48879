#!/usr/bin/env bash
# Compiles the programs of the test cluster from their published Go modules, once: 20 to 40 minutes on two cores, 2 GB of Go cache.
# What is already there is kept, so an interrupted build goes on where it stopped.
#
# They go to VOUCHSAFE_CLUSTER_BIN, by default ${XDG_CACHE_HOME:-~/.cache}/vouchsafe-cluster/bin.
set -euo pipefail
recipe=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=versions.env
. "$recipe/versions.env"
# shellcheck source=settings.env
. "$recipe/settings.env"
target=$bin
command -v go >/dev/null || { echo "error: the cluster is compiled with Go, which is not installed" >&2; echo "help: install Go 1.26 or newer, or set KUBECONFIG to a cluster of your own" >&2; exit 1; }
mkdir -p "$target"

# A program appears under its name only when it is complete: a killed build leaves no half-written file behind.
finish() { mv "$target/.building/$1" "$target/$1"; echo "$(date -u +%H:%M:%S) $1 is built"; }
mkdir -p "$target/.building"

tool() { # program module@version: a program that comes with its own go.mod
  [ -x "$target/$1" ] && return
  GOBIN=$target/.building go install -p 2 -trimpath -ldflags '-s -w' "$2"
  finish "$1"
}
component() { # one of Kubernetes' own commands
  [ -x "$target/$1" ] && return
  local version=k8s.io/component-base/version numbers=${KUBERNETES_VERSION#v}
  local major=${numbers%%.*} rest=${numbers#*.}
  (cd "$recipe" && go build -p 2 -trimpath -o "$target/.building/$1" \
    -ldflags "-s -w -X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=$major -X $version.gitMinor=${rest%%.*} -X $version.gitTreeState=clean" \
    "k8s.io/kubernetes/cmd/$1")
  finish "$1"
}

for program in "${compiled[@]}"; do
  case $program in
    helm) tool helm "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" ;;
    kube-router) tool kube-router "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router@$KUBE_ROUTER_VERSION" ;;
    coredns) tool coredns "github.com/coredns/coredns@$COREDNS_VERSION" ;;
    *) component "$program" ;;
  esac
done
rmdir "$target/.building"
