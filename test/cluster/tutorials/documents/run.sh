#!/usr/bin/env bash
# Builds two services into one target directory and joins them with a proxy, a database and a cache.
# usage: run.sh REPOSITORY
set -e -o pipefail

unset APP_NAMESPACE
source release.sh 2>/dev/null || true
export VERSION=${VERSION:-latest} CAS=${CAS:-cas} CAS_NAMESPACE=${CAS_NAMESPACE:-scone-system} RELEASE=${RELEASE:-documents} ns=${ns:-default}
export APP_IMAGE_REPO=$1
if [ -z "$APP_NAMESPACE" ]; then
  export APP_NAMESPACE="$RELEASE-$RANDOM-$RANDOM"
  echo "export APP_NAMESPACE=\"$APP_NAMESPACE\"" >>release.sh
fi
for part in api client; do
  SCONE='$SCONE' envsubst <$part.yaml.template >$part.yaml
  sconectl apply -f $part.yaml --set-version "$VERSION"
done
source <(kubectl provision cas "$CAS" -n "$CAS_NAMESPACE" --print-public-keys)
export CAS_URL="$CAS.$CAS_NAMESPACE"
SCONE='$SCONE' envsubst <mesh.yaml.template >mesh.yaml
sconectl apply -f mesh.yaml --release "$RELEASE" --set-version "$VERSION"
helm upgrade --install --namespace "$ns" "$RELEASE" target/helm/
for service in memcached mariadb api nginx client; do APP_NAME=$service ./check_pods.sh; done
kubectl get pod "$RELEASE-mariadb-0" --namespace "$ns"
