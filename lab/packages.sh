#!/bin/bash
# Installs the lab's Debian packages, only those that are missing.
#   packages.sh [GROUP...]           groups of the file `packages`; default: core check
#   packages.sh missing [GROUP...]   prints what is missing, installs nothing; fails when something is
. "$(dirname "$0")/lib.sh"
only=; [ "${1:-}" = missing ] && { only=1; shift; }
missing=()
for g in "${@:-core check}"; do for g in $g; do
  grep -q "^$g:" "$HERE/packages" || die "no group '$g' (have: $(sed -n 's/^\([a-z]*\):.*/\1/p' "$HERE/packages" | sort -u | xargs))"
  for p in $(sed -n "s/^$g://p" "$HERE/packages"); do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
done; done
[ ${#missing[@]} = 0 ] && exit 0
[ -z "$only" ] || { echo "${missing[*]}"; exit 1; }
need apt-get
export DEBIAN_FRONTEND=noninteractive
apt-get install -q -y --no-install-recommends "${missing[@]}" ||
  { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; }
