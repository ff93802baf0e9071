#!/bin/sh
# Prints where cargo builds to, whatever its settings are.
set -eu
cd "$(dirname "$0")/.."
cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
