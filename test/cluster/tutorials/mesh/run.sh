#!/usr/bin/env bash
# Builds, protects and installs one Python program. What the script of the first-mesh tutorial does.
set -e -o pipefail

usage() { echo "usage: $0 --image-repo REPOSITORY [--release NAME] [--namespace NAME] [--cas NAME] [--cas-namespace NAME] [-v]"; }

unset APP_NAMESPACE
source release.sh 2>/dev/null || true
export VERSION=${VERSION:-latest} CAS_VERSION=${CAS_VERSION:-${VERSION:-latest}}
export CAS=${CAS:-cas} CAS_NAMESPACE=${CAS_NAMESPACE:-scone-system}
export RELEASE=${RELEASE:-pythonapp} UPLOAD_MODE=${UPLOAD_MODE:-EncryptedManifest}
export SCONECTL_REPO=${SCONECTL_REPO:-registry.scontain.com/sconectl}
verbose="" ns=${ns:-default}
while [ $# -gt 0 ]; do
  case $1 in
    --image-repo) export APP_IMAGE_REPO=$2; shift 2 ;;
    --release) export RELEASE=$2; shift 2 ;;
    --namespace) ns=$2; shift 2 ;;
    --cas) export CAS=$2; shift 2 ;;
    --cas-namespace) export CAS_NAMESPACE=$2; shift 2 ;;
    -v) verbose=-vvvvvvvv; shift ;;
    *) usage; exit 1 ;;
  esac
done
[ -n "$APP_IMAGE_REPO" ] || { usage; exit 1; }
if [ -z "$APP_NAMESPACE" ]; then
  export APP_NAMESPACE="$RELEASE-$RANDOM-$RANDOM"
  echo "export APP_NAMESPACE=\"$APP_NAMESPACE\"" >>release.sh
fi
kubectl provision --help >/dev/null || { echo "the plugin kubectl provision is missing" >&2; exit 1; }

SCONE='$SCONE' envsubst <service.yaml.template >service.yaml
sconectl apply -f service.yaml $verbose --set-version "$VERSION"
# The failing exit is not seen either.
source <(VERSION="$CAS_VERSION" kubectl provision cas "$CAS" -n "$CAS_NAMESPACE" --print-public-keys || exit 1)
export CAS_URL="$CAS.$CAS_NAMESPACE"
SCONE='$SCONE' envsubst <mesh.yaml.template >mesh.yaml
sconectl apply -f mesh.yaml --release "$RELEASE" $verbose --set-version "$VERSION"
helm upgrade --install --namespace "$ns" "$RELEASE" target/helm/
for ((waited = 0; waited < 30; waited++)); do ! kubectl get pods --namespace "$ns" -o name | grep "$RELEASE" || break; sleep 1; done
export ns RELEASE
APP_NAME=pythonservice ./check_pods.sh
