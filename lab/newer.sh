#!/bin/bash
# Unpacks strongSwan of a newer Debian suite (with all it needs) below $LAB_CACHE, once; prints the folder.
#   newer.sh [SUITE]             forky (default): 6.1.0, with ML-KEM;  trixie: 6.0.1
#   newer.sh SUITE PACKAGE...    other packages, in a folder of their own
# strongswan-peer.sh does this for LAB_SUITE=forky. Needs mmdebstrap; 46 MB, 5 s.
. "$(dirname "$0")/lib.sh"
need mmdebstrap
suite=${1:-forky}; shift || true
name=$suite${1:+-$1} R=$LAB_CACHE/root-$suite${1:+-$1}
packages=${*:-charon-systemd strongswan-swanctl libcharon-extra-plugins libcharon-extauth-plugins libstrongswan-extra-plugins}
unpack() {
  [ ! -f "$R/.done" ] || return 0
  rm -rf "$R"
  # a mirror's Release file may be older than it says it may be
  mmdebstrap --quiet --aptopt='Acquire::Check-Valid-Until "false"' --variant=extract \
    "--include=base-files,${packages// /,}" \
    "$suite" "$R" >&2 || die "mmdebstrap failed"
  touch "$R/.done"
}
once "root-$name" unpack || exit 1
echo "$R"
