#!/bin/bash
# Installs the peers that Holdfast is measured beside, from Debian 12: ejabberd and Prosody, with what they need for PostgreSQL, and PostgreSQL itself.
# Their system services are neither started nor left enabled: the measurement starts processes of its own, with directories and ports of its own.
set -euo pipefail

packages=(
  ejabberd erlang-p1-pgsql
  prosody lua-dbi-postgresql
  postgresql
)

if ! command -v apt-get >/dev/null 2>&1; then
  echo "This needs Debian or Ubuntu. Elsewhere install ejabberd, Prosody and PostgreSQL 15 with this system's package manager." >&2
  exit 3
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null 2>&1 || { echo "Run this as root: it calls apt-get." >&2; exit 3; }
  as_root=(sudo)
fi

echo "Installing: ${packages[*]} (${as_root[*]:+sudo }apt-get install)" >&2

# Debian asks this file whether a package may start its service. One that is there already is put back afterwards.
policy=/usr/sbin/policy-rc.d
before=
if [ -e "$policy" ]; then
  before=$(mktemp)
  "${as_root[@]}" cp -a "$policy" "$before"
fi
restore() {
  if [ -n "$before" ]; then
    "${as_root[@]}" cp -a "$before" "$policy"
    "${as_root[@]}" rm -f "$before"
  else
    "${as_root[@]}" rm -f "$policy"
  fi
  "${as_root[@]}" rm -f "$no_cluster"
}
no_cluster=/etc/postgresql-common/createcluster.d/holdfast-peers.conf
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
"${as_root[@]}" chmod 755 "$policy"
# PostgreSQL's package shall not make a cluster of this machine's own.
"${as_root[@]}" mkdir -p "$(dirname "$no_cluster")"
echo "create_main_cluster = false" | "${as_root[@]}" tee "$no_cluster" >/dev/null

"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null

# Nor at the next start of the machine.
if [ -d /run/systemd/system ]; then
  "${as_root[@]}" systemctl disable --now ejabberd prosody epmd.socket >/dev/null 2>&1 || true
fi

dpkg-query -W -f '${Package} ${Version}\n' ejabberd prosody postgresql-15 2>/dev/null || true
