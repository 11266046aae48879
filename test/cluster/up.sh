#!/usr/bin/env bash
# Starts a Kubernetes of one node on this machine, with a private registry, and waits until the node is ready. Starting it twice is harmless.
# Needs root, the programs of build.sh, and the Debian packages that the check below names.
#
# usage: up.sh      then:  export KUBECONFIG=/var/tmp/vouchsafe-test-cluster/admin.conf
set -euo pipefail
# shellcheck source=settings.env
. "$(dirname "$0")/settings.env"

fail() { printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "the test cluster needs root" "run it as root, or set KUBECONFIG to a cluster of your own"
export PATH="$bin:$PATH"
for program in "${compiled[@]}"; do
  [ -x "$bin/$program" ] || fail "$bin/$program is missing" "run test/cluster/build.sh first (20 to 40 minutes, once)"
done
packages=(etcd:etcd-server containerd:containerd runc:runc iptables:iptables ipset:ipset conntrack:conntrack docker-registry:docker-registry
  htpasswd:apache2-utils cc:gcc openssl:openssl /usr/lib/cni/bridge:containernetworking-plugins)
missing=()
for package in "${packages[@]}"; do command -v "${package%%:*}" >/dev/null || missing+=("${package##*:}"); done
[ ${#missing[@]} -eq 0 ] || fail "missing programs" "apt-get install --no-install-recommends ${missing[*]} libc6-dev"

mkdir -p "$state"/{pki,log,run,etcd,kubelet,registry,cni,images,pods} "$state/containerd/hosts/$registry"
for address in $node_address $dns_service; do ip address replace "$address/32" dev lo; done
# The kernel forwards between pods, and from node ports to services bound to loopback.
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1 2>/dev/null || true
# Network policies apply between pods of one bridge as well.
modprobe br_netfilter 2>/dev/null || true
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true

launch() { # name program argument…: in its own session, so that it outlives this script
  local name=$1; shift
  if [ -f "$state/run/$name" ] && kill -0 "$(cat "$state/run/$name")" 2>/dev/null; then return; fi
  # Files that the caller has open, a lock among them, must not stay open for as long as the cluster runs.
  (exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec setsid "$@") </dev/null >>"$state/log/$name" 2>&1 &
  echo $! >"$state/run/$name"
}
await() { # what, program argument…: up to two minutes
  local what=$1; shift
  for ((try = 0; try < 240; try++)); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.5; done
  fail "$what did not become ready" "read the logs in $state/log"
}

# --- identities: one certificate authority, a certificate for each component -------------------------------------------------
pki=$state/pki
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=test-cluster \
    -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
}
identity() { # file, subject, extended key usage, alternative names
  local extensions="extendedKeyUsage=$3"
  [ -z "${4:-}" ] || extensions+=$'\n'"subjectAltName=$4"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 365 \
    -extfile <(echo "$extensions") -out "$pki/$1.crt" 2>/dev/null
}
login() { # component: a kubeconfig with the certificate inside
  local file=$state/$1.conf
  kubectl --kubeconfig "$file" config set-cluster test --server="$api" --certificate-authority="$pki/ca.crt" --embed-certs >/dev/null
  kubectl --kubeconfig "$file" config set-credentials "$1" --client-certificate="$pki/$1.crt" --client-key="$pki/$1.key" --embed-certs >/dev/null
  kubectl --kubeconfig "$file" config set-context test --cluster=test --user="$1" >/dev/null
  kubectl --kubeconfig "$file" config use-context test >/dev/null
}
if [ ! -f "$pki/complete" ]; then
  authority
  kubernetes_names=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
  identity server /CN=kube-apiserver serverAuth "$kubernetes_names,IP:$node_address,IP:$api_service"
  identity to-kubelet /O=system:masters/CN=kube-apiserver clientAuth
  identity kubelet "/O=system:nodes/CN=system:node:$node" clientAuth,serverAuth "DNS:$node,IP:$node_address"
  identity admin /O=system:masters/CN=admin clientAuth
  identity coredns /O=system:masters/CN=coredns clientAuth
  identity kube-proxy /CN=system:kube-proxy clientAuth
  for component in kube-controller-manager kube-scheduler; do identity $component "/CN=system:$component" clientAuth; done
  openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$pki/accounts.key" 2>/dev/null ||
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$pki/accounts.key" 2>/dev/null
  openssl pkey -in "$pki/accounts.key" -pubout -out "$pki/accounts.pub"
  for component in admin coredns kubelet kube-proxy kube-controller-manager kube-scheduler; do login $component; done
  touch "$pki/complete"
fi

# --- registry with a password, without TLS since it listens on loopback only --------------------------------------------------
htpasswd -Bbn "$VOUCHSAFE_CLUSTER_REGISTRY_USER" "$VOUCHSAFE_CLUSTER_REGISTRY_PASSWORD" >"$state/registry.users"
cat >"$state/registry.yml" <<YAML
version: 0.1
http: { addr: "$registry" }
storage: { filesystem: { rootdirectory: "$state/registry" }, delete: { enabled: true } }
auth: { htpasswd: { realm: test-cluster, path: "$state/registry.users" } }
YAML
launch registry docker-registry serve "$state/registry.yml"
printf 'server = "http://%s"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$registry" "$registry" >"$state/containerd/hosts/$registry/hosts.toml"

# --- container runtime --------------------------------------------------------------------------------------------------------
cat >"$state/cni/10-test.conflist" <<JSON
{ "cniVersion": "0.4.0", "name": "test", "plugins": [
    { "type": "bridge", "bridge": "vouchsafe-pods", "isGateway": true, "hairpinMode": true, "ipMasq": true,
      "ipam": { "type": "host-local", "dataDir": "$state/addresses", "ranges": [[{ "subnet": "$pods" }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
    { "type": "portmap", "capabilities": { "portMappings": true } }
] }
JSON
# oom_score and restrict_oom_score_adj: inside a container of its own this machine may not raise the priority of processes.
cat >"$state/containerd.toml" <<TOML
version = 2
root = "$state/containerd/root"
state = "$state/containerd/state"
oom_score = 0
[grpc]
address = "$state/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "vouchsafe.local/pause:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$state/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "$state/containerd/hosts"
TOML
# With an address of its own: a bridge otherwise takes that of a member, and changes it, unknown to the pods, when that pod ends.
ip link show vouchsafe-pods >/dev/null 2>&1 || ip link add vouchsafe-pods address 02:00:0a:f4:00:01 type bridge
# What a pod sends to a service that has no pod ready is refused, as kube-proxy means it to be: kube-router accepts such packets before kube-proxy's rule
# sees them, and they would leave the machine. Whatever answers there would be taken for the service.
# (Read to its end: a pipe that `grep -q` leaves early counts as a failure.)
ip rule show | grep "to $services iif vouchsafe-pods unreachable" >/dev/null || ip rule add iif vouchsafe-pods to $services priority 100 unreachable
launch containerd containerd --config "$state/containerd.toml"
ctr() { command ctr --address "$state/containerd/containerd.sock" --namespace k8s.io "$@"; }
await containerd ctr version

# The container that holds a pod's namespaces: a program that waits for its end. Built here, so that nothing is pulled from elsewhere.
pause_image() {
  local work; work=$(mktemp -d "$state/images/pause.XXXXXX")
  mkdir "$work/root" "$work/image"
  cat >"$work/pause.c" <<'C'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void leave(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) { signal(SIGTERM, leave); signal(SIGINT, leave); signal(SIGCHLD, reap); for (;;) pause(); }
C
  cc -static -O2 -s -o "$work/root/pause" "$work/pause.c"
  tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$work/root" -cf "$work/image/layer.tar" pause
  local layer config
  layer=$(sha256sum "$work/image/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$layer" >"$work/image/config.json"
  config=$(sha256sum "$work/image/config.json" | cut -d' ' -f1)
  mv "$work/image/config.json" "$work/image/$config.json"
  printf '[{"Config":"%s.json","RepoTags":["vouchsafe.local/pause:1"],"Layers":["layer.tar"]}]' "$config" >"$work/image/manifest.json"
  tar -C "$work/image" -cf "$work/pause.tar" manifest.json layer.tar "$config.json"
  ctr images import "$work/pause.tar" >/dev/null
  rm -rf "$work"
}
ctr images list -q | grep -x vouchsafe.local/pause:1 >/dev/null || pause_image

# --- control plane ------------------------------------------------------------------------------------------------------------
launch etcd etcd --data-dir "$state/etcd" --unsafe-no-fsync --log-level error \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380
launch kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
  --bind-address=$node_address --advertise-address=$node_address --secure-port=6443 --service-cluster-ip-range=$services \
  --allow-privileged=true --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
  --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" \
  --kubelet-client-certificate="$pki/to-kubelet.crt" --kubelet-client-key="$pki/to-kubelet.key" --kubelet-preferred-address-types=InternalIP \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$pki/accounts.pub" --service-account-signing-key-file="$pki/accounts.key"
export KUBECONFIG=$state/admin.conf
await "the API server" kubectl get --raw /readyz
launch kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$state/kube-controller-manager.conf" --bind-address=127.0.0.1 \
  --leader-elect=false --pvclaimbinder-sync-period=1s --use-service-account-credentials --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/accounts.key"
launch kube-scheduler "$bin/kube-scheduler" --kubeconfig="$state/kube-scheduler.conf" --bind-address=127.0.0.1 --leader-elect=false

# --- node ---------------------------------------------------------------------------------------------------------------------
printf 'nameserver %s\nsearch svc.cluster.local cluster.local\noptions ndots:5\n' $dns_service >"$state/resolv.conf"
cat >"$state/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_address
authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: $pki/ca.crt } }
authorization: { mode: Webhook }
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
containerRuntimeEndpoint: unix://$state/containerd/containerd.sock
clusterDomain: cluster.local
clusterDNS: [$dns_service]
resolvConf: $state/resolv.conf
staticPodPath: ""
podLogsDir: $state/pods
failSwapOn: false
# How often pods learn that a ConfigMap of theirs changed: a minute or two elsewhere.
syncFrequency: 10s
# Works where the machine itself is a container with the old control groups; harmless elsewhere.
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
oomScoreAdj: 0
YAML
launch kubelet "$bin/kubelet" --config="$state/kubelet.yaml" --kubeconfig="$state/kubelet.conf" --root-dir="$state/kubelet" \
  --hostname-override=$node --node-ip=$node_address
launch kube-proxy "$bin/kube-proxy" --kubeconfig="$state/kube-proxy.conf" --hostname-override=$node --proxy-mode=iptables --cluster-cidr=$pods \
  --bind-address=$node_address --healthz-bind-address=127.0.0.1:10256 --oom-score-adj=0 \
  --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s
cat >"$state/Corefile" <<CORE
. {
  bind $dns_service
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $state/coredns.conf test
  }
  forward . /etc/resolv.conf
}
CORE
launch coredns "$bin/coredns" -conf "$state/Corefile"
node_is_ready() { [ "$(kubectl get node $node -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]; }
await "the node" node_is_ready
# Network policies alone: services are kube-proxy's, and there is no second node to route to. It ends where its node is not registered yet.
launch kube-router "$bin/kube-router" --kubeconfig="$state/admin.conf" --hostname-override=$node --run-firewall=true --run-router=false \
  --run-service-proxy=false --run-loadbalancer=false --service-cluster-ip-range=$services --health-port=0 --metrics-port=0
await "the control of network policies" iptables -S KUBE-ROUTER-FORWARD
await "the default service account" kubectl get serviceaccount default
kubectl get nodes
echo "export KUBECONFIG=$KUBECONFIG   # registry $registry, user $VOUCHSAFE_CLUSTER_REGISTRY_USER, password $VOUCHSAFE_CLUSTER_REGISTRY_PASSWORD"
