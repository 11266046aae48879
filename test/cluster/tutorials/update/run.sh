#!/usr/bin/env bash
# Installs version N of one service as release N of the application. What the script of the software-update tutorial does.
# usage: run.sh REPOSITORY NUMBER
set -e -o pipefail

unset APP_NAMESPACE
source release.sh 2>/dev/null || true
export VERSION=${VERSION:-latest} CAS=${CAS:-cas} CAS_NAMESPACE=${CAS_NAMESPACE:-scone-system} RELEASE=${RELEASE:-update} ns=${ns:-default}
export APP_IMAGE_REPO=$1 number=$2
export APP_TAG=v$((2 - number % 2)) # v1 and v2 in turn
if [ -z "$APP_NAMESPACE" ]; then
  export APP_NAMESPACE="$RELEASE-$RANDOM-$RANDOM"
  echo "export APP_NAMESPACE=\"$APP_NAMESPACE\"" >>release.sh
fi
SCONE='$SCONE' envsubst <service.yaml.template >service-$APP_TAG.yaml
sconectl apply -f service-$APP_TAG.yaml --set-version "$VERSION"
source <(kubectl provision cas "$CAS" -n "$CAS_NAMESPACE" --print-public-keys)
export CAS_URL="$CAS.$CAS_NAMESPACE"
SCONE='$SCONE' envsubst <mesh.yaml.template >mesh-$APP_TAG.yaml
sconectl apply -f mesh-$APP_TAG.yaml --release "$RELEASE" --release-version "$number" --set-version "$VERSION"
helm upgrade --install --namespace "$ns" "$RELEASE" target/helm/
kubectl --namespace "$ns" rollout status deployment/"$RELEASE"-counter --timeout=150s
