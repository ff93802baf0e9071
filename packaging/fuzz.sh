#!/bin/bash
# Runs each fuzz target of crates/xmpp/fuzz for SECONDS_EACH (60) seconds, or says why it does not.
set -euo pipefail
cd "$(dirname "$0")/../crates/xmpp"
each="${SECONDS_EACH:-60}"
PATH="$(cd ../.. && pwd)/target/tools/cargo-fuzz/bin:$PATH"

if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "Not fuzzed: there is no cargo-fuzz here; \`packaging/install.sh fuzz\` brings it." >&2
  exit 0
fi
if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "Not fuzzed: cargo-fuzz needs a nightly toolchain; \`rustup toolchain install nightly\` brings it." >&2
  exit 0
fi

# What is found is written beside the checked-in seeds' copy, not among them.
found="$(mktemp -d)"
trap 'rm -rf "$found"' EXIT
for target in stream sasl forms; do
  echo "Fuzzing $target for $each s" >&2
  mkdir "$found/$target"
  # There is no unsafe code of ours for a sanitizer to look at.
  cargo +nightly fuzz run --sanitizer none "$target" "$found/$target" "fuzz/corpus/$target" -- -max_total_time="$each" -max_len=4096
done
