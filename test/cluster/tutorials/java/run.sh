#!/usr/bin/env bash
# Builds, protects and installs one Java program with chart templates of its own. What the script of the Java tutorial does.
set -e -o pipefail

usage() { echo "usage: $0 -i REPOSITORY [-r RELEASE] [-n NAMESPACE] [--cas NAME] [--cas_namespace NAME] [-v]"; }
error_exit() { echo "$1" >&2; exit 1; }

unset APP_IMAGE_REPO APP_NAMESPACE # the repository comes from -i only
source release.sh 2>/dev/null || true
export VERSION=${VERSION:-latest} CAS=${CAS:-cas} CAS_NAMESPACE=${CAS_NAMESPACE:-scone-system}
export RELEASE=${RELEASE:-javaapp} JAVA_VERSION=${JAVA_VERSION:-java21}
verbose="" ns=${ns:-default}
while [ $# -gt 0 ]; do
  case $1 in
    -i) export APP_IMAGE_REPO=$2; shift 2 ;;
    -r) export RELEASE=$2; shift 2 ;;
    -n) ns=$2; shift 2 ;;
    --cas) export CAS=$2; shift 2 ;;
    --cas_namespace) export CAS_NAMESPACE=$2; shift 2 ;;
    -v) verbose=-vvvvvvvv; shift ;;
    *) usage; exit 1 ;;
  esac
done
[ -n "$APP_IMAGE_REPO" ] || { usage; exit 1; }
if [ -z "$APP_NAMESPACE" ]; then
  export APP_NAMESPACE="$RELEASE-$RANDOM-$RANDOM"
  echo "export APP_NAMESPACE=\"$APP_NAMESPACE\"" >>release.sh
fi
if ! kubectl provision --help >/dev/null; then
  $(error_exit "the plugin kubectl provision is missing") # in a substitution the exit ends nothing
fi

rm -rf target
SCONE='$SCONE' envsubst <service.yaml.template >service.yaml
sconectl apply -f service.yaml --helm-template templates-genservice $verbose --set-version "$VERSION"
source <(kubectl provision cas "$CAS" -n "$CAS_NAMESPACE" --print-public-keys || exit 1)
export CAS_URL="$CAS.$CAS_NAMESPACE"
SCONE='$SCONE' envsubst <mesh.yaml.template >mesh.yaml
sconectl apply -f mesh.yaml --release "$RELEASE" $verbose --set-version "$VERSION"
helm upgrade --install --namespace "$ns" "$RELEASE" target/helm/
export ns RELEASE
APP_NAME=javaapp ./check_pods.sh
