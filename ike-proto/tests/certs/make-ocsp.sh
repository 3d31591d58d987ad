#!/bin/bash
# Makes the OCSP responses of tests/certificates.rs with openssl, once; only DER is kept. Run it in this folder.
# The responses hold from the day they are made for 100 years.
set -e
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
make() { # NAME ISSUER EXTENSIONS
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$d/$1.key"
  tr ';' '\n' <<< "$3" > "$d/ext"
  openssl req -new -key "$d/$1.key" -subj "/C=CH/O=Lab/CN=$1" -out "$d/csr" 2> /dev/null
  if [ "$2" = self ]; then by=(-key "$d/$1.key"); else by=(-CA "$d/$2.pem" -CAkey "$d/$2.key" -set_serial "0x$(openssl rand -hex 8)"); fi
  openssl x509 -req -in "$d/csr" "${by[@]}" -days 36500 -extfile "$d/ext" -out "$d/$1.pem" 2> /dev/null
}
leaf='basicConstraints=CA:false;keyUsage=digitalSignature'
make ca self 'basicConstraints=critical,CA:true;keyUsage=critical,keyCertSign,cRLSign;subjectKeyIdentifier=hash'
make leaf ca "$leaf;subjectAltName=DNS:leaf.test"
make other ca "$leaf;subjectAltName=DNS:other.test"
make delegate ca "$leaf;extendedKeyUsage=OCSPSigning"
make usurper ca "$leaf"
# One whose key is kept, to send its own response.
make stapled-ca self 'basicConstraints=critical,CA:true;keyUsage=critical,keyCertSign,cRLSign;subjectKeyIdentifier=hash'
make stapled stapled-ca "$leaf;subjectAltName=DNS:node1.test,DNS:node2.test"
openssl pkcs8 -topk8 -nocrypt -in "$d/stapled.key" -outform DER -out stapled.p8
serial() { openssl x509 -in "$d/$1.pem" -noout -serial | cut -d= -f2; }
index() { # STATUS: one line per certificate, tab-separated
  local c
  for c in leaf other stapled; do
    printf '%s\t21000101000000Z\t%s\t%s\tunknown\t/CN=%s\n' "$1" "$([ "$1" = R ] && echo 240101000000Z)" "$(serial $c)" $c
  done > "$d/index"
}
respond() { # FILE SIGNER ABOUT [CA]
  openssl ocsp -index "$d/index" -rsigner "$d/$2.pem" -rkey "$d/$2.key" -CA "$d/${4:-ca}.pem" -issuer "$d/${4:-ca}.pem" \
    -cert "$d/$3.pem" -ndays 36500 -respout "$1" -noverify > /dev/null 2>&1
}
index V; respond ocsp-good.der ca leaf; respond ocsp-delegated.der delegate leaf
respond stapled-good.der stapled-ca stapled stapled-ca
respond ocsp-usurper.der usurper leaf; respond ocsp-other.der ca other
index R; respond stapled-revoked.der stapled-ca stapled stapled-ca; respond ocsp-revoked.der ca leaf; respond ocsp-revoked-delegated.der delegate leaf
for n in ca leaf; do openssl x509 -in "$d/$n.pem" -outform DER -out "ocsp-$n.der"; done
for n in stapled-ca stapled; do openssl x509 -in "$d/$n.pem" -outform DER -out "$n.der"; done
