#!/bin/bash
# Makes test keys and certificates with strongSwan's pki, once; prints the folder.
#   $LAB_CACHE/pki/KIND/{ca.pem,a.pem,b.pem}   certificates, PEM
#   $LAB_CACHE/pki/KIND/{a,b}.key              PKCS#8 PEM private keys
# KIND: rsa ecdsa ecdsa384 ed25519, and big (RSA-4096, intermediate CA in sub.pem,
# a leaf with many names: IKE_AUTH far above one MTU); expired (leaves that ended in 2020), revoked (with crl.pem).
. "$(dirname "$0")/lib.sh"
need pki openssl
P=$LAB_CACHE/pki
[ -f "$P/.done" ] && [ -f "$P/.done-bad" ] && { echo "$P"; exit 0; }
mkdir -p "$LAB_CACHE"; exec 9> "$LAB_CACHE/.lock-pki"; flock 9   # labs that share the cache make it once
[ -f "$P/.done" ] && [ -f "$P/.done-bad" ] && { echo "$P"; exit 0; }
set -e -o pipefail
umask 077
[ -f "$P/.done" ] || { rm -rf "$P"; mkdir -p "$P"; }
# only the plugins that matter here (the tpm plugin complains on every call)
export STRONGSWAN_CONF=$P/strongswan.conf
echo 'pki { load = openssl random pem pkcs1 pkcs8 x509 pubkey }' > "$STRONGSWAN_CONF"

key() { # FILE TYPE [SIZE]; PKCS#8, as most libraries want it
  pki --gen --type "$2" ${3:+--size $3} --outform pem | openssl pkcs8 -topk8 -nocrypt -out "$1"
}
selfsigned() { # DIR NAME
  pki --self --in "$1/$2.key" --ca --dn "C=CH, O=Lab, CN=$2 $(basename "$1")" \
    --lifetime 3650 --outform pem > "$1/$2.pem"
}
leaf() { # DIR CA NAME EXTRA...
  local d=$1 ca=$2 n=$3; shift 3
  pki --pub --in "$d/$n.key" --type priv | pki --issue --cacert "$d/$ca.pem" --cakey "$d/$ca.key" \
    --dn "C=CH, O=Lab, CN=$n.lab.test" --san "$n.lab.test" --san "$n@lab.test" "$@" \
    --flag serverAuth --flag clientAuth ${LIFE:---lifetime 3650} --outform pem > "$d/$n.pem"
}
bad() {
  local k d n
  for k in expired revoked; do
    d=$P/$k; rm -rf "$d"; mkdir "$d"
    key "$d/ca.key" ecdsa 256; selfsigned "$d" ca
    for n in a b; do
      key "$d/$n.key" ecdsa 256
      if [ $k = expired ]; then LIFE="--dateform %d.%m.%Y --not-before 01.01.2019 --not-after 01.01.2020" leaf "$d" ca $n; else leaf "$d" ca $n; fi
    done
  done
  pki --signcrl --cacert "$d/ca.pem" --cakey "$d/ca.key" --lifetime 3650 \
    --reason key-compromise --cert "$d/a.pem" --reason key-compromise --cert "$d/b.pem" --outform pem > "$d/crl.pem"
  touch "$P/.done-bad"
}
[ -f "$P/.done" ] && { bad; echo "$P"; exit 0; }
for k in "rsa rsa 2048" "ecdsa ecdsa 256" "ecdsa384 ecdsa 384" "ed25519 ed25519"; do
  set -- $k; d=$P/$1; mkdir "$d"
  key "$d/ca.key" "$2" "${3:-}"; selfsigned "$d" ca
  for n in a b; do key "$d/$n.key" "$2" "${3:-}"; leaf "$d" ca $n; done
done
d=$P/big; mkdir "$d"
for n in ca sub a b; do key "$d/$n.key" rsa 4096; done
selfsigned "$d" ca
pki --pub --in "$d/sub.key" --type priv | pki --issue --cacert "$d/ca.pem" --cakey "$d/ca.key" --ca \
  --dn "C=CH, O=Lab, CN=sub big" --lifetime 3650 --outform pem > "$d/sub.pem"
for n in a b; do
  leaf "$d" sub $n $(for i in $(seq 60); do echo "--san name-$i.of-many.$n.lab.test"; done)
done
touch "$P/.done"; bad; echo "$P"
