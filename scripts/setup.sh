#!/usr/bin/env bash
# Installs what the project needs and is missing: the npm packages (with Node 26 among them) and Debian packages.
# usage: scripts/setup.sh [run|test|cluster]     run: what ./run.sh needs; test: also what only the tests need; cluster: also what the
#                                                tests on a real Kubernetes need
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-run}

need() { printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2; exit 1; }
command -v npm >/dev/null || need "npm is missing" "install Node.js (20 or newer) with npm, for example: apt-get install nodejs npm"

# npm packages: only when the lock file changed since the last install.
stamp=node_modules/.vouchsafe-lock
# A linked node_modules belongs to another work tree: never replaced from here.
if [ ! -L node_modules ] && { ! cmp -s package-lock.json "$stamp" 2>/dev/null || [ ! -x node_modules/.bin/node ]; }; then
  echo "installing npm packages ..." >&2
  npm ci --no-fund --no-audit --loglevel=error >&2
  # No package runs a script of its own (.npmrc), but the one that brings Node.
  npm rebuild node --ignore-scripts=false --loglevel=error >&2
  cp package-lock.json "$stamp"
fi

# Debian packages, by the command that shows they are there.
declare -A package_of=([curl]=curl [openssl]=openssl [xz]=xz-utils [zstd]=zstd [ip]=iproute2 [dpkg-deb]=dpkg [unshare]=util-linux [newuidmap]=uidmap [python3]=python3 [envsubst]=gettext-base [dpkg-query]=dpkg)
if [ "$purpose" != run ]; then
  package_of+=([redis-server]=redis-server [redis-cli]=redis-tools [swtpm]=swtpm [swtpm_setup]=swtpm-tools [tpm2_quote]=tpm2-tools [psql]=postgresql [docker-registry]=docker-registry [skopeo]=skopeo [htpasswd]=apache2-utils [strace]=strace [jq]=jq [gcc]=gcc [gpg]=gnupg [chromium]=chromium)
fi
# By the command as well: a containerd from elsewhere serves, and Debian's package would conflict with it.
if [ "$purpose" = cluster ]; then
  package_of+=([etcd]=etcd-server [containerd]=containerd [runc]=runc [iptables]=iptables [ipset]=ipset [conntrack]=conntrack
    [podman]=podman [/usr/lib/cni/bridge]=containernetworking-plugins [/usr/include/stdlib.h]=libc6-dev)
fi
missing=()
for command in "${!package_of[@]}"; do
  [[ $command == /* && -e $command ]] || command -v "$command" >/dev/null 2>&1 || [ -x "/usr/sbin/$command" ] || [ -x "/sbin/$command" ] || missing+=("${package_of[$command]}")
done
if [ ${#missing[@]} -gt 0 ]; then
  readarray -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing Debian packages: ${missing[*]} ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    # A package must not start its service on this machine: the tests start their own, on their own ports.
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
    apt-get -qq update >&2
    apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
  else
    need "missing: ${missing[*]}" "run as root: apt-get install ${missing[*]}"
  fi
fi
