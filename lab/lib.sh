# shellcheck shell=bash
# Common settings and functions of the lab scripts; sourced, not run.
# LAB names the lab (several may run side by side), LAB_STATE holds its files; LAB_CACHE what several labs
# may share: certificates, unpacked packages.
set -u
LAB=${LAB:-ikelab}
LAB_STATE=${LAB_STATE:-/tmp/$LAB}
LAB_CACHE=${LAB_CACHE:-$LAB_STATE}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

die()  { echo "$0: $*" >&2; exit 1; }
need() { local c; for c; do command -v "$c" >/dev/null || die "missing command '$c' (see README.md, packages)"; done; }
ns()   { echo "$LAB-$1"; }                       # namespace of side a, b or n
in_ns() { local s=$1; shift; ip netns exec "$(ns "$s")" "$@"; }
have_ns() { ip netns list | grep -qw "^$(ns "$1")"; }
other() { [ "$1" = a ] && echo b || echo a; }
topology() { cat "$LAB_STATE/topology" 2>/dev/null || echo none; }

# Outer (IKE) and inner (protected) addresses of a side in the current topology.
outer() {
  case "$(topology):$1" in
    v6:a) echo fd09::1;; v6:b) echo fd09::2;;
    nat:a) echo 192.168.77.2;;
    *:a) echo 10.9.0.1;; *:b) echo 10.9.0.2;;
  esac
}
inner()    { [ "$1" = a ] && echo 10.10.1.1 || echo 10.10.2.1; }
inner6()   { [ "$1" = a ] && echo fd10:1::1 || echo fd10:2::1; }
inner_ts() { [ "$1" = a ] && echo 10.10.1.0/24 || echo 10.10.2.0/24; }
inner_ts6() { [ "$1" = a ] && echo fd10:1::/64 || echo fd10:2::/64; }

alive() { [ -n "${1:-}" ] && [ -d "/proc/$1" ] && ! grep -qE '^[0-9]+ \(.*\) Z' "/proc/$1/stat" 2>/dev/null; }
# Ends one process that we started, by its pid file: TERM, then KILL after 5 s.
stop_pid() {
  local f=$1 p _
  [ -f "$f" ] || return 0
  p=$(cat "$f"); rm -f "$f"
  alive "$p" || return 0
  kill "$p" 2>/dev/null
  for _ in $(seq 50); do alive "$p" || return 0; sleep 0.1; done
  kill -9 "$p" 2>/dev/null
}
wait_for() { # SECONDS CMD...: polls until CMD succeeds
  local _ n=$(( $1 * 10 )); shift
  for _ in $(seq "$n"); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
  return 1
}
# Ends whatever peer holds a side; with "host" also its guest, which holds the side's addresses.
clear_side() { # SIDE KERNEL
  local p
  for p in strongswan libreswan iked; do "$HERE/$p-peer.sh" down "$1"; done
  if "$HERE/uml.sh" status "$1" > /dev/null; then
    if [ "$2" = host ]; then "$HERE/uml.sh" down "$1"; else "$HERE/xfrm-peer.sh" down "$1"; fi
  fi
}
# Runs CMD while no other lab that shares the cache makes the same thing.
once() { # NAME CMD...
  local f=$LAB_CACHE/.lock-$1; shift
  mkdir -p "$LAB_CACHE"; ( flock 9; "$@" ) 9> "$f"
}
