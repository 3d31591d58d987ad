#!/bin/bash
# What the C boundary costs: ESP bursts from C and from Rust, sealed and opened, on one core; per packet, and their ratio.
#   bench.sh [--build-only | --no-build] [--instructions] [rounds]
# Time: by turns, medians of nanoseconds over the rounds (default 9), and the quickest of each. --instructions: counted by
# valgrind's cachegrind instead, which no neighbour on the machine disturbs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=yes run=yes by=time rounds=9
for arg; do
  case $arg in
    --build-only) run='';; --no-build) build='';; --instructions) by=instructions;;
    [1-9]*) rounds=$arg;; *) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2;;
  esac
done
target=$(cd "$here" && cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$target/c-bench
export PKG_CONFIG_PATH=$work/lib/pkgconfig LD_LIBRARY_PATH=$work/lib
if [ -n "$build" ]; then
  mkdir -p "$work"
  (cd "$here" && cargo build --release -p ravelin-c --example esp_bench)
  cp "$target/release/examples/esp_bench" "$work/rust"
  "$here/../../bindings/c/install.sh" --prefix "$work" > /dev/null
  # shellcheck disable=SC2046
  cc -std=c11 -O2 "$here/esp_bench.c" $(pkg-config --cflags --libs ravelin) -o "$work/c"
fi
[ -n "$run" ] || exit 0

counts=$(mktemp -d); trap 'rm -rf "$counts"' EXIT
median() { sort -n "$1" | sed -n "$(( ($(wc -l < "$1") + 1) / 2 ))p"; }
least() { sort -n "$1" | head -n 1; }
ratio() { awk "BEGIN { printf \"%.3f\", $1 / $2 }"; }
instructions() { # WHO OCTETS BURST BURSTS
  valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$work/$1" "$2" "$3" "$4" 2>&1 > /dev/null |
    sed -n 's/.*I *refs: *//p' | tr -d ,
}
per_packet() { # what more bursts cost, so that the start does not count
  echo $((($(instructions "$1" "$2" "$3" 641) - $(instructions "$1" "$2" "$3" 129)) / (512 * $3)))
}
pin=(); command -v taskset > /dev/null && pin=(taskset -c 0)
[ $by = time ] && printf '%8s %6s %10s %10s %8s %12s\n' octets burst C Rust C/Rust 'least/least' ||
  printf '%8s %6s %10s %10s %8s\n' octets burst C Rust C/Rust
for shape in "64 32" "576 32" "1400 32" "64 1" "1400 1"; do
  read -r octets burst <<< "$shape"
  if [ $by = instructions ]; then
    c=$(per_packet c "$octets" "$burst") rust=$(per_packet rust "$octets" "$burst")
    printf '%8s %6s %10s %10s %8s\n' "$octets" "$burst" "$c" "$rust" "$(ratio "$c" "$rust")"
    continue
  fi
  rm -f "$counts"/*.ns
  for _ in $(seq "$rounds"); do
    for who in c rust; do "${pin[@]}" "$work/$who" "$octets" "$burst" $((64000 / burst + 129)) >> "$counts/$who.ns"; done
  done
  c=$(median "$counts/c.ns") rust=$(median "$counts/rust.ns")
  printf '%8s %6s %10s %10s %8s %12s\n' "$octets" "$burst" "$c" "$rust" "$(ratio "$c" "$rust")" \
    "$(ratio "$(least "$counts/c.ns")" "$(least "$counts/rust.ns")")"
done
