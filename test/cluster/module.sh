#!/usr/bin/env bash
# Writes go.mod and go.sum anew after a change of KUBERNETES_VERSION in versions.env.
# Kubernetes publishes its libraries as modules of their own (v0.X.Y for v1.X.Y) but names them "v0.0.0" in its go.mod, so whoever
# builds it as a dependency must say which version is meant.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=versions.env
. ./versions.env
libraries=${KUBERNETES_VERSION/#v1./v0.}
rm -f go.mod go.sum
go mod init vouchsafe.local/test-cluster
go mod edit -go=1.26
go mod download "k8s.io/kubernetes@$KUBERNETES_VERSION"
upstream=$(go env GOMODCACHE)/k8s.io/kubernetes@$KUBERNETES_VERSION/go.mod
go mod edit -json "$upstream" | sed -n 's/.*"Path": "\(k8s\.io\/[a-z-]*\)".*/\1/p' | sort -u | while read -r library; do
  if grep -q "$library => ./staging/" "$upstream"; then go mod edit -replace "$library=$library@$libraries"; fi
done
for command in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
  go get -tool "k8s.io/kubernetes/cmd/$command@$KUBERNETES_VERSION"
done
