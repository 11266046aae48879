#!/usr/bin/env bash
# Builds, protects and installs the Flask and Redis application. What the tutorial's script does, step by step.
set -eE -o pipefail

RED='\e[31m' BLUE='\e[34m' ORANGE='\e[33m' NC='\e[0m'
note() { printf "${BLUE}%s${NC}\n" "$1"; }
hint() { printf "${ORANGE}%s${NC}\n" "$1"; }
failed() { printf "${RED}%s${NC}\n" "$1" >&2; }
trap 'status=$?; [ $status -eq 0 ] || failed "failed with status $status: $BASH_COMMAND"' EXIT

usage() {
  cat <<TEXT
usage: $0 [-i REPOSITORY] [-r RELEASE] [-n NAMESPACE] [-v] [-d] [--cas NAME] [--cas-namespace NAME]

  -i, --image_repo REPOSITORY  where the image of the service is pushed (APP_IMAGE_REPO)
  -r, --release RELEASE        name of the Helm release (RELEASE)
  -n, --namespace NAMESPACE    Kubernetes namespace for Helm
      --cas NAME               name of the CAS (CAS)
      --cas-namespace NAME     namespace of the CAS (CAS_NAMESPACE)
  -v                           verbose
  -d, --debug                  debug mode
      --help                   this text
TEXT
}
wrong() { usage; failed "$1"; exit 1; }

# 1. What an earlier run left. A namespace from outside does not count.
unset APP_NAMESPACE
source release.sh 2>/dev/null || true

export VERSION="${VERSION:-latest}"
export CAS_VERSION="${CAS_VERSION:-$VERSION}"
export SCONECTL_REPO="${SCONECTL_REPO:-registry.scontain.com/sconectl}"
export CAS="${CAS:-cas}"
export CAS_NAMESPACE="${CAS_NAMESPACE:-scone-system}"
export APP_IMAGE_REPO="${APP_IMAGE_REPO:-}"
export RELEASE="${RELEASE:-}"
verbose="" debug="" kubernetes_namespace=""

# 2.
repository=""
while [ $# -gt 0 ]; do
  case $1 in
    -i | --image_repo) [ -n "$2" ] || wrong "$1 needs a repository"; repository=$2; shift 2 ;;
    -r | --release) [ -n "$2" ] || wrong "$1 needs a name"; export RELEASE=$2; shift 2 ;;
    -n | --namespace) [ -n "$2" ] || wrong "$1 needs a name"; kubernetes_namespace="--namespace $2"; shift 2 ;;
    --cas) [ -n "$2" ] || wrong "$1 needs a name"; export CAS=$2; shift 2 ;;
    --cas-namespace) [ -n "$2" ] || wrong "$1 needs a name"; export CAS_NAMESPACE=$2; shift 2 ;;
    -v) verbose="-vvvvvvvv"; shift ;;
    -d | --debug) debug="--mode=debug"; shift ;;
    --help) usage; exit 0 ;;
    *) wrong "unknown option: $1" ;;
  esac
done
[ -n "$APP_IMAGE_REPO" ] || export APP_IMAGE_REPO=$repository
[ -n "$APP_IMAGE_REPO" ] || { failed "no image repository: give -i REPOSITORY"; exit 1; }

# 3. The namespace of the policies is random, and stays.
if [ -z "${APP_NAMESPACE:-}" ]; then
  export APP_NAMESPACE="$RELEASE-$RANDOM-$RANDOM"
  printf 'export APP_NAMESPACE="%s"\n\n' "$APP_NAMESPACE" >>release.sh
fi

# 4.
[ -n "$RELEASE" ] || { failed "no release: give -r RELEASE"; exit 1; }

# 5.
for ((try = 1; ; try++)); do
  if ./check_prerequisites.sh; then break; fi
  [ $try -lt 10 ] || { failed "prerequisites are missing"; exit 1; }
  hint "trying again in 10 s"
  sleep 10
done

# 6.
if ! docker inspect "$SCONECTL_REPO/sconecli:$VERSION" >/dev/null 2>&1; then
  docker pull "$SCONECTL_REPO/sconecli:$VERSION" || { failed "no access to $SCONECTL_REPO/sconecli:$VERSION"; exit 1; }
fi

# 7, 8.
note "building the image of the service"
SCONE='$SCONE' envsubst <service.yaml.template >service.yaml
sconectl apply -f service.yaml $verbose $debug --set-version "$VERSION" ||
  { failed "failed: sconectl apply -f service.yaml $verbose $debug --set-version $VERSION"; exit 1; }

# 9. A failure inside of the substitution is not seen.
note "reading the keys of the CAS"
source <(VERSION="$CAS_VERSION" kubectl provision cas "$CAS" -n "$CAS_NAMESPACE" --print-public-keys)
export CAS_URL="$CAS.$CAS_NAMESPACE"

# 10, 11.
note "writing policies and chart"
SCONE='$SCONE' envsubst <mesh.yaml.template >mesh.yaml
sconectl apply -f mesh.yaml --release "$RELEASE" $verbose $debug --set-version "$VERSION"

# 12, 13.
helm uninstall $kubernetes_namespace "$RELEASE" 2>/dev/null || true
note "installing"
helm install $kubernetes_namespace "$RELEASE" target/helm/

# 14.
export RELEASE
APP_NAME=redis ./check_pods.sh
APP_NAME=flask ./check_pods.sh
note "the application runs"
