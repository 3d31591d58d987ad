#!/bin/bash
# Makes the PKCS#12 files of config/src/pkcs12.rs with openssl, once. Run it in this folder. Few iterations keep the test
# quick; a file of an operator's has thousands.
set -e
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
make() { # NAME ISSUER EXTENSIONS [ALGORITHM]
  openssl genpkey ${4:--algorithm EC -pkeyopt ec_paramgen_curve:P-256} -out "$d/$1.key"
  tr ';' '\n' <<< "$3" > "$d/ext"
  openssl req -new -key "$d/$1.key" -subj "/CN=${1/%-ed/}" -out "$d/csr" 2> /dev/null
  if [ "$2" = self ]; then by=(-key "$d/$1.key"); else by=(-CA "$d/$2.pem" -CAkey "$d/$2.key" -set_serial "0x$(openssl rand -hex 8)"); fi
  openssl x509 -req -in "$d/csr" "${by[@]}" -days 36500 -extfile "$d/ext" -out "$d/$1.pem" 2> /dev/null
}
ca='basicConstraints=critical,CA:true;keyUsage=critical,keyCertSign,cRLSign'
leaf='basicConstraints=CA:false;keyUsage=digitalSignature;subjectAltName=DNS:leaf.test'
make root self "$ca"; make sub root "$ca"; make leaf.test sub "$leaf"; make leaf.test-ed sub "$leaf" '-algorithm ED25519'
# The root stands first: order means nothing.
cat "$d/root.pem" "$d/sub.pem" > "$d/above"
p12() { # FILE KEY PASSWORD OPTION...
  openssl pkcs12 -export -out "$1" -inkey "$d/$2.key" -in "$d/$2.pem" -passout "pass:$3" -iter 3 "${@:4}"
}
p12 default.p12 leaf.test 'geheim ä' -certfile "$d/above"
p12 old.p12 leaf.test old -certfile "$d/above" -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1
echo old > old.password
p12 ed25519.p12 leaf.test-ed '' -certfile "$d/above"
p12 clear.p12 leaf.test '' -certfile "$d/above" -certpbe NONE -keypbe NONE -nomac
openssl pkcs12 -export -out no-key.p12 -nokeys -in "$d/leaf.test.pem" -passout pass: -iter 3
# A key beside somebody else's certificate, which openssl does not make.
p12 other.p12 leaf.test '' -certpbe NONE -keypbe NONE -nomac
der() { openssl pkcs8 -topk8 -nocrypt -in "$d/$1.key" -outform DER -out "$d/$1.p8"; }
der leaf.test; der sub
python3 - "$d" <<'PY'
import sys
mine, theirs = (open(f"{sys.argv[1]}/{n}.p8", "rb").read() for n in ("leaf.test", "sub"))
data = open("other.p12", "rb").read()
assert data.count(mine) == 1 and len(mine) == len(theirs)
open("other.p12", "wb").write(data.replace(mine, theirs))
PY
