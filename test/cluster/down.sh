#!/usr/bin/env bash
# Stops the test cluster with everything that runs in it. Its state stays, unless:  down.sh --wipe
set -uo pipefail
# shellcheck source=settings.env
. "$(dirname "$0")/settings.env"

# Others change rules at the same time: wait for them instead of failing.
iptables() { command iptables -w 10 "$@"; }
stop() { # name: by the process id that up.sh wrote down
  local pid; pid=$(cat "$state/run/$1" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null
  for ((try = 0; try < 40; try++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
  kill -9 "$pid" 2>/dev/null
  rm -f "$state/run/$1"
}
stop kubelet # first, or it starts again what is stopped below
ctr=(ctr --address "$state/containerd/containerd.sock" --namespace k8s.io)
for task in $("${ctr[@]}" tasks list -q 2>/dev/null); do "${ctr[@]}" tasks kill --signal SIGKILL "$task" >/dev/null 2>&1; done
for program in "${programs[@]}"; do stop "$program"; done
for address in $dns_service $node_address; do ip address del "$address/32" dev lo 2>/dev/null; done
# Rules and address sets of network policies: the filter table's chains with these names, and what leads to them.
forget_policies() {
  local chain chains rule set
  for chain in INPUT FORWARD OUTPUT; do
    iptables -S $chain 2>/dev/null | sed -n "s/^-A \(.* -j KUBE-ROUTER-$chain\)$/\1/p" | while read -r rule; do
      xargs -n 256 iptables -w 10 -D <<<"$rule" # the rule holds a quoted comment
    done
  done
  chains=$(iptables -S 2>/dev/null | sed -n 's/^-N \(KUBE-\(ROUTER\|POD-FW\|NWPLCY\)-[A-Z0-9]*\)$/\1/p')
  for chain in $chains; do iptables -F "$chain"; done
  for chain in $chains; do iptables -X "$chain"; done
  for set in $(ipset list -n 2>/dev/null | grep '^KUBE-\(SRC\|DST\)-'); do ipset destroy "$set"; done
}
# What the kernel and the machine still hold of pods that were killed, not taken down.
forget_network() {
  local name chain number
  for name in $(ip -d link show master vouchsafe-pods 2>/dev/null | sed -n 's/.* link-netns \([^ ]*\).*/\1/p'); do ip netns del "$name"; done
  ip link del vouchsafe-pods 2>/dev/null
  "$bin/kube-proxy" --cleanup >/dev/null 2>&1
  forget_policies
  forget_addresses
  ip rule del iif vouchsafe-pods to $services priority 100 2>/dev/null
}
# A chain of the bridge plugin for each pod. One that has no rules belongs to nobody: a plugin was ended between its two steps.
forget_addresses() {
  local chain rules number
  for ((try = 0; try < 40; try++)); do pgrep -f '^/usr/lib/cni/' >/dev/null || break; sleep 0.25; done # plugins outlive containerd by a moment
  for chain in $(iptables -t nat -S 2>/dev/null | sed -n 's/^-N \(CNI-[0-9a-f]*\)$/\1/p'); do
    rules=$(iptables -t nat -S "$chain" | grep '^-A')
    [ -z "$rules" ] || grep -q 'name: \\"test\\" ' <<<"$rules" || continue
    while number=$(iptables -t nat -L POSTROUTING -n --line-numbers | awk -v chain="$chain" '$2 == chain { print $1; exit }') && [ -n "$number" ]; do
      iptables -t nat -D POSTROUTING "$number"
    done
    iptables -t nat -F "$chain" && iptables -t nat -X "$chain"
  done
}
if [ "${1:-}" = --wipe ]; then
  for shim in $(pgrep -f "^[^ ]*containerd-shim-runc-v2 .*-address $state/containerd/"); do kill -9 "$shim" 2>/dev/null; done
  forget_network
  awk -v state="$state/" 'index($2, state) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n1 umount -l
  rm -rf "$state"
fi
exit 0
