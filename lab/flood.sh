#!/bin/bash
# What legitimate peers get while a responder is attacked: ours and strongSwan's, by the same attacks in namespaces of
# their own. Root only; bounded in rate and time.
#   lab/flood.sh [ATTACK...]      none forged real cookies fragments auth esp info (default: all)
# FLOOD_RATE packets per second (5000), FLOOD_SECONDS of each attack (8, at most 30), FLOOD_TRIES handshakes (12)
# GATEWAY: the binary (default target/release/gateway, else target/debug/gateway). TARGETS: "ravelin strongswan".
# The attacker is 10.9.0.3 or forged; the legitimate peer is 10.9.0.1. Prints a table in Markdown: attack, responder, legitimate handshakes that completed (within 5 s), their median time,
# memory high-water mark before and after, pings through a tunnel that was up before the attack began.
cd "$(dirname "$0")" || exit 2
export LAB=${LAB:-rvflood$$} LAB_STATE=${LAB_STATE:-/tmp/rvflood$$}
. ./lib.sh
need ip swanctl charon-systemd python3
rate=${FLOOD_RATE:-5000} seconds=${FLOOD_SECONDS:-8} tries=${FLOOD_TRIES:-12}
[ "$seconds" -le 30 ] || die "FLOOD_SECONDS is at most 30"
gateway=${GATEWAY:-../target/release/gateway}; [ -x "$gateway" ] || gateway=../target/debug/gateway
[ -x "$gateway" ] || die "build the gateway first: cargo build --release -p gateway"
attacks=${*:-none forged real cookies fragments auth esp info}
export LAB_IKE=aes128gcm16-prfsha256-ecp256 LAB_ESP=aes128gcm16
gw= ; clean() { [ -z "$gw" ] || kill "$gw" 2>/dev/null; ./strongswan-peer.sh down a; ./strongswan-peer.sh down b; ./net.sh down; rm -rf "$LAB_STATE"; }
trap clean EXIT; trap "exit 1" INT TERM

start_ravelin() {
  cat > "$LAB_STATE/gateway.toml" <<TOML
[gateway]
control = "$LAB_STATE/gateway.sock"

[[peer]]
name = "t"
remote = "10.9.0.1"
local_id = "b.lab.test"
remote_id = "a.lab.test"
psk = "labsecret-psk-0123456789"
ike = "$LAB_IKE"
dpd_delay = "off"

[[peer.child]]
name = "net"
local_ts = "10.10.2.0/24"
remote_ts = "10.10.1.0/24"
esp = "$LAB_ESP"
start = "none"

[[peer]]
name = "others"
remote = "any"
local_id = "b.lab.test"
remote_id = "flood.lab.test"
psk = "labsecret-psk-0123456789"
ike = "$LAB_IKE"
dpd_delay = "off"

[[peer.child]]
name = "flood"
local_ts = "10.10.2.0/24"
remote_ts = "10.10.9.0/24"
esp = "$LAB_ESP"
start = "none"
TOML
  ip netns exec "$(ns b)" "$gateway" run "$LAB_STATE/gateway.toml" --log warn > "$LAB_STATE/gateway.log" 2>&1 & gw=$!
  wait_for 10 test -S "$LAB_STATE/gateway.sock" || die "the gateway does not start: $(tail -n 3 "$LAB_STATE/gateway.log")"
  pid=$gw
}
start_strongswan() {
  LAB_CHARON="threads = 16" ./strongswan-peer.sh up psk b > /dev/null || die "strongSwan does not start"
  # A connection for the authenticated attacker, beside that of the legitimate peer.
  sed -e 's/^  t : lab.conn {/  f : lab.conn {\n    remote_addrs = %any/; s/id = a.lab.test/id = flood.lab.test/' "$LAB_STATE/strongswan-b/swanctl/swanctl.conf" > "$LAB_STATE/extra"
  sed -i 's/10.10.1.0/10.10.9.0/' "$LAB_STATE/extra"
  grep -v '^include' "$LAB_STATE/extra" | sed '/^secrets/,$d' >> "$LAB_STATE/strongswan-b/swanctl/swanctl.conf"
  ./strongswan-peer.sh ctl b --load-all > /dev/null 2>&1
  pid=$(cat "$LAB_STATE"/strongswan-b/pid 2>/dev/null || in_ns b pgrep -x charon-systemd | head -n 1)
}
memory() { sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$pid/status" 2>/dev/null; }
handshakes() { # tries on connection t, deleting each; prints "done median-ms"
  local n done=0 t0 t1 times=()
  for n in $(seq "$tries"); do
    t0=$(date +%s%3N)
    if timeout 5 ./strongswan-peer.sh ctl a --initiate --child net --timeout 5 > /dev/null 2>&1; then
      t1=$(date +%s%3N); done=$((done + 1)); times+=($((t1 - t0)))
      [ "$n" = "$tries" ] || timeout 5 ./strongswan-peer.sh ctl a --terminate --ike t --timeout 2 > /dev/null 2>&1
    else
      timeout 5 ./strongswan-peer.sh ctl a --terminate --ike t --force --timeout 1 > /dev/null 2>&1
    fi
  done
  echo "$done $(printf '%s\n' "${times[@]}" | sort -n | sed -n "$(( done / 2 + 1 ))p")"
}

echo "| attack | responder | handshakes of $tries | median, ms | VmHWM before, kB | VmHWM after, kB | pings of 20 | attacker |"
echo "|---|---|---|---|---|---|---|---|"
for attack in $attacks; do
  for target in ${TARGETS:-ravelin strongswan}; do
    ./net.sh up direct > /dev/null || die "no namespaces"
    # Forged sources are routed back to the attacker, who answers nothing.
    ip -n "$(ns a)" addr add 10.9.0.3/24 dev eth0
    ip -n "$(ns b)" route add 10.66.0.0/16 via 10.9.0.1
    in_ns b sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
    "start_$target"
    LAB_CHARON="retransmit_timeout = 1" ./strongswan-peer.sh up psk a > /dev/null
    ./strongswan-peer.sh ctl a --initiate --child net --timeout 5 > /dev/null 2>&1
    before=$(memory VmHWM) pings=-
    if [ "$attack" = none ]; then sleep 0.1; else
      FLOOD_FROM=10.9.0.3 in_ns a python3 "$HERE/flood.py" 10.9.0.2 "$attack" "$rate" "$seconds" > "$LAB_STATE/flood.out" 2>&1 & flood=$!
      sleep 0.5
    fi
    if [ "$attack" = esp ] || [ "$attack" = none ] || [ "$attack" = info ]; then
      pings=$(in_ns a ping -c 20 -i 0.05 -W 1 -I 10.10.1.1 10.10.2.1 2>/dev/null | sed -n 's/.* \([0-9]*\) received.*/\1/p')
    fi
    ./strongswan-peer.sh ctl a --terminate --ike t --timeout 2 > /dev/null 2>&1
    read -r ok median < <(handshakes)
    after=$(memory VmHWM)
    [ "$attack" = none ] || { kill "$flood" 2>/dev/null; wait "$flood" 2>/dev/null; }
    # Stopped or at its end, it says how much it sent.
    said=$(tail -n 1 "$LAB_STATE/flood.out" 2>/dev/null)
    echo "| $attack | $target | $ok | ${median:--} | ${before:-?} | ${after:-?} | ${pings:-0} | ${said:-running} |"
    [ -z "$gw" ] || { kill "$gw"; wait "$gw" 2>/dev/null; gw=; }
    ./strongswan-peer.sh down a; ./strongswan-peer.sh down b
    rm -f "$LAB_STATE/flood.out"
    ./net.sh down
  done
done
