#!/bin/bash
# Makes the certificates of tests/certificates.rs with openssl, once; only DER and PKCS#8 are kept. Run it in this folder.
set -e
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out "$1.p8"; }
# NAME ISSUER SUBJECT EXTENSIONS
issue() {
  printf '%s\n' "$4" | tr ';' '\n' | tr '|' ';' > "$d/ext"
  openssl req -new -key "$1.p8" -keyform DER -subj "$3" -out "$d/$1.csr" 2> /dev/null
  if [ "$2" = self ]; then by=(-key "$1.p8" -keyform DER); else by=(-CA "$2.pem" -CAkey "$2.p8" -CAkeyform DER -set_serial "0x$(openssl rand -hex 8)"); fi
  openssl x509 -req -in "$d/$1.csr" "${by[@]}" -days 36500 -extfile "$d/ext" -out "$1.pem" 2> /dev/null
  openssl x509 -in "$1.pem" -outform DER -out "$1.der"
}
ca='basicConstraints=critical,CA:true;keyUsage=critical,keyCertSign,cRLSign;subjectKeyIdentifier=hash'
for n in ca sub narrow other node1 node2; do key $n; done
issue ca self '/C=CH/O=Lab/CN=ca' "$ca"
issue other self '/C=CH/O=Lab/CN=other' "$ca"
issue sub ca '/C=CH/O=Lab/CN=sub' "$ca"
issue narrow ca '/C=CH/O=Lab/CN=narrow' "$ca;nameConstraints=critical,permitted|DNS:example.org"
leaf='basicConstraints=CA:false;authorityKeyIdentifier=keyid'
issue node1 ca '/C=CH/O=Lab/CN=node1' "$leaf;keyUsage=digitalSignature;subjectAltName=DNS:node1.test,email:one@node1.test,IP:192.0.2.1"
issue node2 sub '/C=CH/O=Lab/CN=node2' "$leaf;keyUsage=digitalSignature;extendedKeyUsage=1.3.6.1.5.5.7.3.17;subjectAltName=DNS:node2.test"
alias_leaf() { cp node1.p8 "$1.p8"; issue "$@"; rm "$1.p8"; }
alias_leaf encipher ca '/C=CH/O=Lab/CN=node1' "$leaf;keyUsage=keyEncipherment;subjectAltName=DNS:node1.test"
alias_leaf coder ca '/C=CH/O=Lab/CN=node1' "$leaf;extendedKeyUsage=codeSigning;subjectAltName=DNS:node1.test"
alias_leaf stranger other '/C=CH/O=Lab/CN=node1' "$leaf;subjectAltName=DNS:node1.test"
alias_leaf below narrow '/C=CH/O=Lab/CN=node1' "$leaf;subjectAltName=DNS:node1.test"
alias_leaf bycrt node2 '/C=CH/O=Lab/CN=node1' "$leaf;subjectAltName=DNS:node1.test"
# a list that revokes node1
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/db\ncrlnumber=%s/n\ndefault_md=sha256\ndefault_crl_days=36000\n' "$d" "$d" > "$d/cnf"
: > "$d/db"; echo 01 > "$d/n"; openssl ec -inform DER -in ca.p8 -out "$d/ca.key" 2> /dev/null
openssl ca -config "$d/cnf" -gencrl -cert ca.pem -keyfile "$d/ca.key" -out "$d/empty.pem" 2> /dev/null
openssl ca -config "$d/cnf" -revoke node1.pem -cert ca.pem -keyfile "$d/ca.key" 2> /dev/null
openssl ca -config "$d/cnf" -gencrl -cert ca.pem -keyfile "$d/ca.key" -out "$d/crl.pem" 2> /dev/null
openssl crl -in "$d/empty.pem" -outform DER -out empty.crl
openssl crl -in "$d/crl.pem" -outform DER -out revoked.crl
# OpenSSL 3.0 writes the older form of EC keys
for n in node1 node2; do
  openssl pkcs8 -topk8 -nocrypt -inform DER -in $n.p8 -outform DER -out "$d/p8"; cp "$d/p8" $n.p8
done
rm -f ./*.pem ca.p8 sub.p8 narrow.p8 other.p8
