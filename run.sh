#!/usr/bin/env bash
# Builds the example application, protects it with policies, starts it and waits until it serves.
# Without a Kubernetes cluster it runs on this machine (the local engine); with one it is installed by Helm.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
example=$root/examples/patient-records
state=$root/release.sh

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then red=$'\e[31m' blue=$'\e[34m' orange=$'\e[33m' reset=$'\e[0m'; else red='' blue='' orange='' reset=''; fi
say() { printf '%s%s%s\n' "$blue" "$*" "$reset" >&2; }
warn() { printf '%swarning: %s%s\n' "$orange" "$*" "$reset" >&2; }
fail() {
  printf '%serror: %s%s\n' "$red" "$1" "$reset" >&2
  [ $# -lt 2 ] || printf 'help: %s\n' "$2" >&2
  exit 1
}

usage() {
  cat <<'EOT'
usage: ./run.sh [OPTIONS]

Builds and starts the example application (a Flask service that keeps patient records in Redis).
Without a Kubernetes cluster the local engine of this machine runs it, and every option may be left out.

  -i, --image_repo REPO     push the image to this repository (needed with a cluster)
  -r, --release NAME        name of the release (default: that of release.sh, else secure-doc-management)
  -n, --namespace NAME      Kubernetes namespace to install into (cluster only)
  -d, --debug               build and run in debug mode
      --cas NAME            name of the CAS (default: cas)
      --cas-namespace NAME  namespace of the CAS (default: scone-system)
  -v                        show every step in detail
      --help                this text

environment: SCONECTL_REPO, VERSION, CAS, CAS_NAMESPACE, APP_IMAGE_REPO, RELEASE, KUBECONFIG
             VOUCHSAFE_EVIDENCE=node|simulated:tdx|… names the kinds of evidence that the policies accept
             VOUCHSAFE_ENGINE=local|kubernetes chooses where to run, whatever is configured
state:       release.sh (release and policy namespace) and target/; to start afresh: rm -rf release.sh target

examples:
  ./run.sh
  ./run.sh -r clinic -v
  ./run.sh -i registry.example.org/clinic --release secure-doc-management -v
EOT
}

wrong_use() { usage >&2; fail "$1"; }
value_of() { [ -n "${2:-}" ] || wrong_use "option $1 needs a value"; printf '%s' "$2"; }

given_release=${RELEASE:-} image_repo=${APP_IMAGE_REPO:-} kubernetes_namespace='' verbose=() mode=() cas=${CAS:-cas} cas_namespace=${CAS_NAMESPACE:-scone-system}
unset APP_NAMESPACE RELEASE
if [ -f "$state" ]; then
  # Only assignments are read from the file: it is state, not a program.
  while IFS='=' read -r name value; do
    value=${value%\"} value=${value#\"}
    case $name in 'export APP_NAMESPACE') APP_NAMESPACE=$value ;; 'export RELEASE') RELEASE=$value ;; esac
  done <"$state"
fi
[ -z "$given_release" ] || RELEASE=$given_release
while [ $# -gt 0 ]; do
  case $1 in
    -i | --image_repo) value=$(value_of "$@"); image_repo=${image_repo:-$value}; shift 2 ;;
    -r | --release) RELEASE=$(value_of "$@"); shift 2 ;;
    -n | --namespace) kubernetes_namespace=$(value_of "$@"); shift 2 ;;
    --cas) cas=$(value_of "$@"); shift 2 ;;
    --cas-namespace) cas_namespace=$(value_of "$@"); shift 2 ;;
    -d | --debug) mode=(--mode=debug); shift ;;
    -v) verbose=(-vvvvvvvv); shift ;;
    -h | --help) usage; exit 0 ;;
    *) wrong_use "unknown option: $1" ;;
  esac
done
RELEASE=${RELEASE:-secure-doc-management}
[[ $RELEASE =~ ^[a-z]([a-z0-9.-]{0,51}[a-z0-9])?$ ]] || fail "release name '$RELEASE' is not valid" \
  "use at most 53 lower-case letters, digits, '-' and '.', starting with a letter"

"$root/scripts/setup.sh" run
export PATH="$root/packages/cli/bin:$root/node_modules/.bin:$PATH:/usr/sbin:/sbin"

engine=${VOUCHSAFE_ENGINE:-}
if [ -z "$engine" ]; then
  if [ -n "${KUBECONFIG:-}" ] || [ -f "$HOME/.kube/config" ]; then engine=kubernetes; else engine=local; fi
fi
case $engine in local | kubernetes) ;; *) fail "VOUCHSAFE_ENGINE is '$engine'" "set it to local or kubernetes" ;; esac

if [ -z "${APP_NAMESPACE:-}" ]; then
  APP_NAMESPACE=$RELEASE-$RANDOM-$RANDOM
fi
export APP_NAMESPACE RELEASE CAS=$cas CAS_NAMESPACE=$cas_namespace CAS_URL=$cas.$cas_namespace VERSION=${VERSION:-latest}
export NAMESPACE=$kubernetes_namespace

if [ "$engine" = local ]; then
  export VOUCHSAFE_EVIDENCE=${VOUCHSAFE_EVIDENCE:-node} SCONECTL_REPO=${SCONECTL_REPO:-vouchsafe.local/platform}
  APP_IMAGE_REPO=${image_repo:-vouchsafe.local/apps}
else
  [ -n "$image_repo" ] || fail "no image repository is given" "name one that you may push to and that the cluster can pull from: ./run.sh -i REPO"
  [ -n "${SCONECTL_REPO:-}" ] || fail "SCONECTL_REPO is not set" "export SCONECTL_REPO with the repository of the platform images (see: vouchsafe publish --help)"
  APP_IMAGE_REPO=$image_repo
  host_prefix=${RELEASE//./-} # as the chart names its objects
fi
export APP_IMAGE_REPO
pull=()
[ "$engine" = local ] && [ -z "$image_repo" ] && pull=(--no-pull) # images that are on this machine only

say "Checking prerequisites ($engine engine) ..."
doctor=(vouchsafe doctor --quiet)
[ "$engine" = local ] || doctor+=(--cluster --cas "$cas" --cas-namespace "$cas_namespace")
"${doctor[@]}" >&2 || fail "a prerequisite is missing" "see above; '${doctor[*]}' repeats the check"
if [ "$engine" = kubernetes ] && [ -z "${VOUCHSAFE_EVIDENCE:-}" ]; then
  kinds=$(kubectl get las -o 'jsonpath={.items[*].status.nodes.*.evidence[*]}')
  case " $kinds " in
    *" sgx "* | *" tdx "* | *" snp "* | *" tpm "* | *" nitro "*) ;;
    *) fail "no node of this cluster has a TEE (evidence: ${kinds:-none})" \
      "export VOUCHSAFE_EVIDENCE=node to accept what the node agents say, which proves nothing about hardware (docs/security.md)" ;;
  esac
fi
if [ -n "$kubernetes_namespace" ]; then
  kubectl get namespace "$kubernetes_namespace" >/dev/null 2>&1 || fail "the namespace $kubernetes_namespace does not exist" \
    "kubectl create namespace $kubernetes_namespace, and give it the registry's login: kubectl -n $kubernetes_namespace create secret docker-registry sconeapps ..."
fi

# Shows what the cluster and the pods themselves say, then ends.
why_not_ready() {
  local pods=(-l "app.kubernetes.io/instance=$RELEASE") pod
  kubectl "${where[@]}" get pods "${pods[@]}" >&2
  for pod in $(kubectl "${where[@]}" get pods "${pods[@]}" -o 'jsonpath={range .items[?(@.status.containerStatuses[0].ready!=true)]}{.metadata.name}{"\n"}{end}'); do
    printf '\n%s%s:%s\n' "$orange" "$pod" "$reset" >&2
    kubectl "${where[@]}" get events --field-selector "involvedObject.name=$pod,type=Warning" -o 'jsonpath={range .items[*]}  {.reason}: {.message}{"\n"}{end}' | sort -u >&2
    kubectl "${where[@]}" logs "$pod" --all-containers --tail=10 2>/dev/null | sed 's/^/  /' >&2
  done
  fail "the application did not become ready" "the reason stands above; $0 again repeats the installation, helm ${where[*]+${where[*]} }uninstall $RELEASE removes it"
}

# The one certificate that users of the application need. The CAS is verified by its certificate, which `kubectl provision` attested.
fetch_certificate() {
  local log port='' values tries
  log=$(mktemp)
  kubectl port-forward -n "$cas_namespace" "svc/$cas" :8081 >"$log" 2>&1 &
  local forward=$!
  for ((tries = 0; tries < 50; tries++)); do
    port=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/\1/p' "$log")
    [ -z "$port" ] || break
    sleep 0.2
  done
  values=$(curl -sS --fail --cacert <(printf '%s\n' "$CAS_CERT") --resolve "$CAS_URL:$port:127.0.0.1" "https://$CAS_URL:$port/v1/values/session=$APP_NAMESPACE/flask") || true
  kill "$forward" 2>/dev/null || true
  rm -f "$log"
  mkdir -p target/public/flask
  node -e 'process.stdout.write(JSON.parse(process.argv[1]).values.api_ca_cert.value)' "$values" >target/public/flask/api_ca_cert.pem 2>/dev/null ||
    fail "the public certificate could not be fetched from the CAS $CAS_URL" "kubectl describe cas $cas -n $cas_namespace"
}

printf 'export APP_NAMESPACE="%s"\nexport RELEASE="%s"\n' "$APP_NAMESPACE" "$RELEASE" >"$state"

render() { SCONE='$SCONE' envsubst <"$1" >"$2.new" && mv "$2.new" "$2"; }
cd "$example"

say "Building the image of the service ..."
render service.yaml.template service.yaml
sconectl apply -f service.yaml -t "$root/target" "${verbose[@]}" "${mode[@]}" --set-version "$VERSION" >&2

say "Fetching the keys of the CAS ..."
if [ "$engine" = local ]; then
  vouchsafe cas start >&2
  CAS_KEY=$(vouchsafe cas show-identification -c)
  CAS_SESSION_ENCRYPTION_KEY=$(vouchsafe cas show-identification --session-encryption-key)
else
  keys=$(kubectl provision cas "$cas" -n "$cas_namespace" --print-public-keys) || fail "the keys of CAS $cas could not be fetched" "kubectl provision cas $cas -n $cas_namespace"
  eval "$keys"
fi
export CAS_KEY CAS_SESSION_ENCRYPTION_KEY

say "Writing the policies and the chart ..."
render mesh.yaml.template mesh.yaml
sconectl apply -f mesh.yaml -t "$root/target" --release "$RELEASE" "${pull[@]}" "${verbose[@]}" "${mode[@]}" --set-version "$VERSION" >&2
cd "$root"

if [ "$engine" = local ]; then
  say "Starting the application ..."
  vouchsafe up -t "$root/target" --release "$RELEASE" >&2
  vouchsafe ps --release "$RELEASE" >&2
  address=$(vouchsafe ps --release "$RELEASE" --json | node -e '
    const chunks = []; process.stdin.on("data", (chunk) => chunks.push(chunk)).on("end", () => {
      const services = JSON.parse(Buffer.concat(chunks).toString()).services;
      console.log(services.find((service) => service.name === "flask").published[0].address);
    });')
else
  say "Installing the application ..."
  where=()
  [ -z "$kubernetes_namespace" ] || where=(--namespace "$kubernetes_namespace")
  helm upgrade --install "${where[@]}" "$RELEASE" target/helm/ >&2 || fail "Helm could not install the release $RELEASE" \
    "see above; helm ${where[*]+${where[*]} }status $RELEASE shows what is there, helm ${where[*]+${where[*]} }rollback $RELEASE goes back"
  for deployment in $(kubectl "${where[@]}" get deployments -l "app.kubernetes.io/instance=$RELEASE" -o name); do
    kubectl "${where[@]}" rollout status --timeout=300s "$deployment" >&2 || why_not_ready
  done
  say "Fetching the application's public certificate from the CAS ..."
  fetch_certificate
  address=127.0.0.1:4996
fi

printf '\n%sThe application is running.%s\n' "$blue" "$reset"
ca=target/public/flask/api_ca_cert.pem
if [ "$engine" = kubernetes ]; then
  cat <<EOT

Reach it from here, in another terminal:
  kubectl ${where[*]+${where[*]} }port-forward svc/$host_prefix-flask 4996:4996
EOT
fi
cat <<EOT

Try it (TLS is verified against the certificate that the policy made):
  curl --cacert $ca --resolve api:${address##*:}:${address%:*} https://api:${address##*:}/patient/ward-12 \\
    -d fname=Noor -d lname=Haddad -d address=Mill -d city=Ghent -d state=OVL -d ssn=900-55-0001 -d email=noor@example.org \\
    -d dob=1984-11-30 -d contactphone=+3295550100 -d drugallergies=none -d preexistingconditions=none \\
    -d dateadmitted=2026-02-01 -d insurancedetails=none
  curl --cacert $ca --resolve api:${address##*:}:${address%:*} https://api:${address##*:}/patient/ward-12
  curl --cacert $ca --resolve api:${address##*:}:${address%:*} https://api:${address##*:}/score/ward-12
EOT
if [ "$engine" = local ]; then
  cat <<EOT

See it:      packages/cli/bin/vouchsafe ps --release $RELEASE
Its logs:    packages/cli/bin/vouchsafe logs --release $RELEASE [-f] [SERVICE]
Stop it:     packages/cli/bin/vouchsafe down --release $RELEASE
Start again: rm -rf release.sh target; ./run.sh
EOT
else
  cat <<EOT

See it:      kubectl ${where[*]+${where[*]} }get pods -l app.kubernetes.io/instance=$RELEASE
Its logs:    kubectl ${where[*]+${where[*]} }logs deployment/$host_prefix-flask
Check it:    helm ${where[*]+${where[*]} }test $RELEASE
Go back:     helm ${where[*]+${where[*]} }rollback $RELEASE
Stop it:     helm ${where[*]+${where[*]} }uninstall $RELEASE
Start again: rm -rf release.sh target; ./run.sh -i $image_repo
EOT
fi
