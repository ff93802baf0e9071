#!/bin/bash
# Installs what is missing for a build (`build`) or for the browser tests (`browser`), and says what it does.
# On Debian and Ubuntu it calls apt-get, as root or through sudo; elsewhere it names what is missing.
set -euo pipefail

missing=()
need() { # command package
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

case "${1:-build}" in
  build)
    need cc build-essential
    need make make
    need curl curl
    need git git
    if ! command -v node >/dev/null 2>&1; then missing+=(nodejs npm)
    elif ! command -v npm >/dev/null 2>&1; then missing+=(npm); fi
    ;;
  browser)
    [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium)
    ;;
  *)
    echo "usage: $0 build|browser" >&2
    exit 2
    ;;
esac

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing: ${missing[*]}. Install them with this system's package manager, and run this again." >&2
    exit 3
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
      echo "Missing: ${missing[*]}. Run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
      exit 3
    }
    as_root=(sudo)
  fi
  echo "Installing Debian packages: ${missing[*]} (${as_root[*]:+sudo }apt-get install)" >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ "${1:-build}" = build ]; then
  # Debian's Rust is too old; rustup.rs is the way that Rust itself recommends.
  if ! command -v cargo >/dev/null 2>&1; then
    if [ -x "$HOME/.cargo/bin/cargo" ]; then
      echo "cargo is in ~/.cargo/bin, which is not in PATH: run \`. ~/.cargo/env\`, and then this again." >&2
      exit 3
    fi
    echo "Installing Rust for this user with rustup (https://rustup.rs)" >&2
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c clippy -c rustfmt >/dev/null
    echo "Rust is installed. Run \`. ~/.cargo/env\`, and then this again." >&2
    exit 3
  fi
  # The web client's build needs Node.js 20.19; Debian 12 has 18. npm can bring a newer one, for this checkout alone.
  if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
    echo "Node.js $(node --version) is too old for the web client's build; installing Node.js 22 into target/tools (npm)" >&2
    npm install --prefix "$(dirname "$0")/../target/tools" --no-audit --no-fund --silent node@22
  fi
fi
