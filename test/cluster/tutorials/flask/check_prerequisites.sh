#!/usr/bin/env bash
# Checks what the tutorial needs before it starts.
RED='\e[31m' NC='\e[0m'
stop() { printf "${RED}%s${NC}\n" "$1" >&2; exit 1; }

if ! command -v sconectl >/dev/null; then
  command -v cargo >/dev/null || stop "sconectl is missing, and so is a Rust toolchain to install it with"
  cargo install sconectl || stop "sconectl cannot be installed"
fi
command -v docker >/dev/null || stop "docker is missing"
for _ in 1 2; do
  docker run --platform linux/amd64 --rm hello-world >/dev/null || { docker version; stop "docker does not work"; }
done
docker pull --platform linux/amd64 "$SCONECTL_REPO/check_cpufeatures:$VERSION" >/dev/null || stop "no access to the images in $SCONECTL_REPO"
docker run --platform linux/amd64 -e SCONE_PRODUCTION=0 -e SCONE_NO_TIME_THREAD=1 --rm "$SCONECTL_REPO/check_cpufeatures:$VERSION" ||
  echo "this processor lacks features; images may be built here, but not run"
for program in kubectl helm envsubst; do command -v $program >/dev/null || stop "$program is missing"; done
mkdir -p "$HOME/.scone" || stop "$HOME/.scone cannot be made"
chmod 0777 "$HOME/.scone" || stop "$HOME/.scone cannot be opened"
kubectl get pods >/dev/null || stop "the cluster does not answer"
kubectl get las | grep HEALTHY >/dev/null || stop "no healthy LAS"
kubectl get sgxplugin | grep HEALTHY >/dev/null || stop "no healthy SGX plugin"
kubectl get cas "$CAS" -n "$CAS_NAMESPACE" >/dev/null || stop "there is no CAS $CAS in $CAS_NAMESPACE: kubectl provision cas $CAS $CAS_NAMESPACE"
state=$(kubectl get cas "$CAS" -n "$CAS_NAMESPACE" --output=json | jq '.status.state')
[ "$state" = '"HEALTHY"' ] || stop "the CAS $CAS in $CAS_NAMESPACE is $state"
VERSION="$CAS_VERSION" kubectl provision cas "$CAS" -n "$CAS_NAMESPACE" --is-provisioned || stop "the CAS $CAS has no owner"
exit 0
