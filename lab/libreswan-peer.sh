#!/bin/bash
# Libreswan (pluto) as an IKEv2 peer.
#   libreswan-peer.sh up psk|cert|ppk [SIDE]
#   libreswan-peer.sh initiate|status|log|down [SIDE]
#   libreswan-peer.sh whack SIDE ARGS...      e.g. whack b --rekey-ike --name t --asynchronous
# LAB_KERNEL=uml (default)  in a user-mode-linux guest: full tunnels
#            host           on this kernel: IKE SA only where the kernel lacks ESP
# LAB_IKE, LAB_ESP   proposals in libreswan's syntax
# LAB_CERT           rsa (default) or ecdsa
# LAB_REMOTE         the peer's address in the configuration; %any for MOBIKE
# LAB_CONN           more lines for the connection: "type=transport; esn=yes; encapsulation=yes"
# LAB_IMPAIR         faults to inject, e.g. "jacob-two-two corrupt-encrypted" (whack SIDE --impair help)
# Debian's package conflicts with strongSwan's, so it is unpacked, not installed.
. "$(dirname "$0")/lib.sh"
usage() { sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2; }
cmd=${1:-}; shift || usage
case $cmd in up) scenario=${1:?scenario}; side=${2:-b};; *) side=${1:-b};; esac
[ "$side" = a ] || [ "$side" = b ] || usage
D=$LAB_STATE/libreswan-$side L=$LAB_CACHE/libreswan
kernel=${LAB_KERNEL:-uml}
[ "$cmd" = up ] || kernel=$(cat "$D/kernel" 2>/dev/null || echo uml)
if [ "$kernel" = uml ]; then
  R=/run/pluto
  inside() { "$HERE/uml.sh" exec "$side" "$*"; }
else
  R=$D/run
  inside() { in_ns "$side" bash -c "$*"; }
fi
whack() { inside "$L/usr/libexec/ipsec/whack --rundir $R $*"; }

unpack() {
  if [ ! -x "$L/usr/libexec/ipsec/pluto" ]; then
    mkdir -p "$L/deb"
    (cd "$L/deb" && apt-get download -o APT::Sandbox::User=root -q libreswan > /dev/null && dpkg -x libreswan_*.deb "$L") ||
      die "cannot fetch the package libreswan"
  fi
  ! ldd "$L/usr/libexec/ipsec/pluto" | grep 'not found' || die "libraries are missing (see README.md, packages)"
}

case $cmd in
up)
  need ip certutil pk12util openssl
  have_ns "$side" || die "no namespace $(ns "$side"): run net.sh up first"
  clear_side "$side" "$kernel"; once libreswan unpack || exit 1
  peer=$(other "$side"); cert=${LAB_CERT:-rsa}
  rm -rf "$D"; mkdir -p "$D/ipsec.d" "$D/nss" "$D/run"; echo "$kernel" > "$D/kernel"
  certutil -N -d "sql:$D/nss" --empty-password
  case $scenario in
    psk)  auth="authby=secret";;
    ppk)  auth="authby=secret
	ppk=insist";;
    cert)
      auth="authby=$([ "$cert" = ecdsa ] && echo ecdsa || echo rsasig)
	leftcert=me
	leftsendcert=always
	rightca=%same"
      pki=$("$HERE/pki.sh")/$cert
      openssl pkcs12 -export -in "$pki/$side.pem" -inkey "$pki/$side.key" -certfile "$pki/ca.pem" -name me -passout pass:x -out "$D/me.p12"
      pk12util -i "$D/me.p12" -d "sql:$D/nss" -W x > /dev/null
      certutil -M -n "$(certutil -L -d "sql:$D/nss" | awk '/,,/ && !/^me / {sub(/ +[a-zA-Z]*,[a-zA-Z]*,[a-zA-Z]* *$/,""); print; exit}')" -t CT,, -d "sql:$D/nss"
      ;;
    *) die "no scenario '$scenario'";;
  esac
  cat > "$D/ipsec.conf" <<CONF
config setup
	nssdir=$D/nss
	ipsecdir=$D/ipsec.d
	secretsfile=$D/ipsec.secrets
	dnssec-enable=no
	plutodebug=${LAB_DEBUG:-none}

conn t
	ikev2=insist
	$auth
	left=$(outer "$side")
	leftid=@$side.lab.test
	right=${LAB_REMOTE:-$(outer "$peer")}
	rightid=@$peer.lab.test
$(case "${LAB_CONN:-}" in
  *transport*) ;;
  *addresspool*) printf '\tleftsubnet=%s' "${LAB_MY_TS:-$(inner_ts "$side")}";; # the peer's selector is its leased address
  *) printf '\tleftsubnet=%s\n\trightsubnet=%s' "${LAB_MY_TS:-$(inner_ts "$side")}" "${LAB_PEER_TS:-$(inner_ts "$peer")}";;
esac)
	ike=${LAB_IKE:-aes_gcm128-sha2_256-dh19}
	esp=${LAB_ESP:-aes_gcm128}
	auto=add
$(tr ';' '\n' <<< "${LAB_CONN:-}" | sed 's/^ *\(.\)/\t\1/')
CONF
  cat > "$D/ipsec.secrets" <<SECRETS
@$side.lab.test @$peer.lab.test : PSK "labsecret-psk-0123456789"
@$side.lab.test @$peer.lab.test : PPKS "lab-ppk" 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
SECRETS
  chmod 600 "$D/ipsec.secrets"
  # pluto runs other programs by fixed paths below /usr
  cat > "$D/start" <<START
mount -t overlay -o ro,lowerdir=$L/usr:/usr overlay /usr || exit 1
mkdir -p $R /run/pluto
echo \$\$ > $R/lab.pid
exec /usr/libexec/ipsec/pluto --config $D/ipsec.conf --rundir $R --nofork --stderrlog > $D/pluto.log 2>&1
START
  if [ "$kernel" = uml ]; then
    "$HERE/uml.sh" status "$side" > /dev/null || "$HERE/uml.sh" up "$side" || exit 1
    inside "mkdir -p $R; unshare -m bash $D/start &"
  else
    ip netns exec "$(ns "$side")" unshare -m bash "$D/start" 2> "$D/stderr" &
    echo $! > "$D/pid"
  fi
  wait_for 60 grep -q 'loading secrets' "$D/pluto.log" || { tail -5 "$D/pluto.log" >&2; die "pluto did not start"; }
  for i in ${LAB_IMPAIR:-}; do whack --impair "$i"; done
  echo "libreswan on side $side, scenario $scenario: $(outer "$side") $("$L/usr/libexec/ipsec/pluto" --version | cut -d" " -f1-2)"
  ;;
initiate) whack --initiate --name t;;
status)   whack --briefstatus && whack --trafficstatus;;
whack)    shift; whack "$@";;
log)      cat "$D/pluto.log";;
down)
  stop_pid "$D/pid"
  if [ "$kernel" = uml ] && "$HERE/uml.sh" status "$side" > /dev/null && inside test -e $R/lab.pid; then
    inside "p=\$(cat $R/lab.pid); rm $R/lab.pid; kill \$p; for i in \$(seq 50); do kill -0 \$p || break; sleep 0.1; done" > /dev/null 2>&1
  fi
  ;;
*) usage;;
esac
