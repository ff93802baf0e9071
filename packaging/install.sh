#!/bin/bash
# Installs what is missing for a build (`build`), for the tests of the PostgreSQL store (`postgres`), for the browser tests (`browser`), for the tests with
# XMPP clients (`xmpp`), for those of shares at Azure (`azure`) or for fuzzing (`fuzz`), and says what it does.
# On Debian and Ubuntu it calls apt-get, as root or through sudo; elsewhere it names what is missing.
set -euo pipefail

missing=()
need() { # command package
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

# The tests look in the same places, in the same order.
has_postgres() {
  # Whoever names the place answers for it.
  [ -z "${HOLDFAST_PG_BIN:-}" ] || return 0
  local bin version
  for bin in /usr/lib/postgresql/*/bin/postgres "$(command -v postgres || true)"; do
    [ -x "$bin" ] || continue
    version=$("$bin" --version | grep -oE '[0-9]+' | head -n 1)
    [ "$version" -lt 15 ] || return 0
  done
  return 1
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
  postgres)
    has_postgres || missing+=(postgresql)
    ;;
  browser)
    [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium)
    ;;
  xmpp)
    need python3 python3
    # Debian's Python has it apart.
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    need profanity profanity
    need go-sendxmpp go-sendxmpp
    need tmux tmux
    ;;
  azure)
    if ! command -v node >/dev/null 2>&1; then missing+=(nodejs npm)
    elif ! command -v npm >/dev/null 2>&1; then missing+=(npm); fi
    ;;
  fuzz)
    need c++ build-essential
    ;;
  *)
    echo "usage: $0 build|postgres|browser|xmpp|azure|fuzz" >&2
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
  if [ "${1:-build}" = postgres ]; then
    # The tests start their own: Debian's package shall not make a cluster of this machine's own.
    "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
    no_cluster=/etc/postgresql-common/createcluster.d/holdfast-tests.conf
    echo "create_main_cluster = false" | "${as_root[@]}" tee "$no_cluster" >/dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  # Whoever installs another one later may want a cluster.
  [ "${1:-build}" != postgres ] || "${as_root[@]}" rm -f "$no_cluster"
fi

if [ "${1:-build}" = xmpp ]; then
  # slixmpp from PyPI, for this checkout alone.
  tools="$(dirname "$0")/../target/tools/xmpp"
  wanted="$(dirname "$0")/../tests/xmpp/requirements.txt"
  if ! cmp -s "$wanted" "$tools/installed"; then
    echo "Installing $(tr '\n' ' ' <"$wanted")into target/tools/xmpp (pip)" >&2
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
    cp "$wanted" "$tools/installed"
  fi
fi

if [ "${1:-build}" = azure ]; then
  # Microsoft's emulator from npm, for this checkout alone.
  tools="$(dirname "$0")/../target/tools/azurite"
  if ! [ -x "$tools/node_modules/.bin/azurite-blob" ]; then
    echo "Installing Azurite into target/tools/azurite (npm)" >&2
    mkdir -p "$tools"
    npm install --prefix "$tools" --no-audit --no-fund --silent --ignore-scripts azurite@3.37.0
  fi
fi

if [ "${1:-build}" = fuzz ]; then
  # For this checkout alone. Instrumenting needs a nightly compiler, which rustup has; where Rust came another way, fuzz.sh says what is missing.
  tools="$(dirname "$0")/../target/tools/cargo-fuzz"
  if ! [ -x "$tools/bin/cargo-fuzz" ]; then
    echo "Installing cargo-fuzz into target/tools/cargo-fuzz (cargo install)" >&2
    cargo install --quiet --locked --root "$tools" --target-dir "$tools/build" cargo-fuzz@0.13.2
    rm -rf "$tools/build"
  fi
  if command -v rustup >/dev/null 2>&1 && ! cargo +nightly --version >/dev/null 2>&1; then
    echo "Installing a nightly Rust (rustup toolchain install)" >&2
    rustup toolchain install nightly --profile minimal >/dev/null
  fi
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
