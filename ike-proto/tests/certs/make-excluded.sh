#!/bin/bash
# Makes the certificates of the test of CVE-2026-35331 with openssl, once: a CA, a CA below it that may not name
# forbidden.test, and a leaf of that one with the name in another case. Only DER is kept. Run it in this folder.
set -e
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
make() { # NAME ISSUER EXTENSIONS
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$d/$1.key"
  tr ';' '\n' <<< "$3" | tr '|' ';' > "$d/ext"
  openssl req -new -key "$d/$1.key" -subj "/C=CH/O=Lab/CN=$1" -out "$d/csr" 2> /dev/null
  if [ "$2" = self ]; then by=(-key "$d/$1.key"); else by=(-CA "$d/$2.pem" -CAkey "$d/$2.key" -set_serial "0x$(openssl rand -hex 8)"); fi
  openssl x509 -req -in "$d/csr" "${by[@]}" -days 36500 -extfile "$d/ext" -out "$d/$1.pem" 2> /dev/null
  openssl x509 -in "$d/$1.pem" -outform DER -out "$1.der"
}
ca='basicConstraints=critical,CA:true;keyUsage=critical,keyCertSign,cRLSign;subjectKeyIdentifier=hash'
make excl-ca self "$ca"
make excl-sub excl-ca "$ca;nameConstraints=critical,excluded|DNS:forbidden.test,excluded|email:forbidden.test"
for n in lower:vpn.forbidden.test upper:VPN.Forbidden.TEST fine:vpn.allowed.test; do
  make "excl-${n%%:*}" excl-sub "basicConstraints=CA:false;keyUsage=digitalSignature;subjectAltName=DNS:${n#*:}"
done
make excl-mail excl-sub "basicConstraints=CA:false;keyUsage=digitalSignature;subjectAltName=email:one@Forbidden.TEST"
