#!/bin/bash
# What the C boundary costs: ESP bursts from C and from Rust by turns, on one core; medians of nanoseconds per packet
# (sealed and opened), and their ratio.   bench.sh [rounds]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
(cd "$here" && cargo build --release -p ravelin-c --example esp_bench)
"$here/../../bindings/c/install.sh" --prefix "$work" > /dev/null
target=$(cd "$here" && cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export PKG_CONFIG_PATH=$work/lib/pkgconfig LD_LIBRARY_PATH=$work/lib
# shellcheck disable=SC2046
cc -std=c11 -O2 "$here/esp_bench.c" $(pkg-config --cflags --libs ravelin) -o "$work/c"
cp "$target/release/examples/esp_bench" "$work/rust"
median() { sort -n "$1" | sed -n "$(( ($(wc -l < "$1") + 1) / 2 ))p"; }
pin=(); command -v taskset > /dev/null && pin=(taskset -c 0)
rounds=${1:-9}
printf '%8s %6s %10s %10s %8s\n' octets burst C Rust C/Rust
for shape in "64 32" "576 32" "1400 32" "1400 1" "64 1"; do
  read -r octets burst <<< "$shape"
  rm -f "$work"/*.ns
  for _ in $(seq "$rounds"); do
    for who in c rust; do "${pin[@]}" "$work/$who" "$octets" "$burst" $((64000 / burst + 129)) >> "$work/$who.ns"; done
  done
  c=$(median "$work/c.ns") rust=$(median "$work/rust.ns")
  printf '%8s %6s %10s %10s %8s\n' "$octets" "$burst" "$c" "$rust" "$(awk "BEGIN { printf \"%.3f\", $c / $rust }")"
done
