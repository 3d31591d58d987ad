#!/bin/bash
# Takes checks of authentication out of the sources, one at a time, in a copy, and shows that the walk (and the tests of
# published mistakes beside it) find each. Prints a line per check; fails when one goes unseen. About five minutes.
#   ike-proto/tests/walk/mutants.sh [NAME…]     (CARGO=cargo to use another program)
set -u
root=$(cd "$(dirname "$0")/../../.." && pwd)
copy=$(mktemp -d /tmp/ravelin-mutants.XXXXXX)
trap 'rm -rf "$copy"' EXIT
(cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -xf - -C "$copy"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/mutants}
cargo=${CARGO:-cargo}
cd "$copy" || exit 2
run() { RAVELIN_WALKS=${RAVELIN_WALKS:-300} "$cargo" test -q -p ravelin-ike-proto --test walk -- "$@" > "$copy/out" 2>&1; }
run || { tail -40 "$copy/out"; echo "the unchanged sources fail"; exit 1; }
echo "unchanged: passes"
rc=0
mutant() { # NAME FILE OLD NEW
  local name=$1 file=ike-proto/src/$2
  shift 2
  [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " == *" $name "* ]] || return
  cp "$file" "$copy/kept"
  python3 - "$file" "$1" "$2" <<'PY' || { echo "$name: the check is not where it was"; rc=1; return; }
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
sys.exit(1) if text.count(old) != 1 else open(path, "w").write(text.replace(old, new))
PY
  if run; then echo "$name: NOT FOUND"; rc=1
  elif grep -q '^error: could not compile' "$copy/out"; then grep -m3 -A5 '^error' "$copy/out"; echo "$name: does not compile"; rc=1
  else echo "$name: found by $(sed -n 's/^---- \(.*\) stdout ----$/\1/p' "$copy/out" | sort | tr '\n' ' ')"; fi
  cp "$copy/kept" "$file"
}
wanted=("$@")
mutant psk exchange/auth/proof.rs 'if !psk::verify(prf, &secret, &octets, &claim.auth.data) {' 'if false {'
mutant auth-after-eap exchange/auth/proof.rs '    if right {' '    if right || true {'
mutant auth-after-eap-not-asked exchange/auth/eap.rs 'proof::verify_key(core, Role::Initiator, &self.idi, auth, msk.as_ref())?;' 'let _ = auth;'
mutant raw-key auth/raw_key.rs 'pinned.iter().filter(named).take(MAX).cloned().collect()' '{ let _ = named; raw.iter().chain(pinned.iter().map(|p| p.as_slice()).collect::<Vec<_>>().iter()).map(|r| r.to_vec()).collect() }'
mutant exchanges-before-auth sa/inbound.rs 'self.is_half_open() && (exchange == ExchangeType::IKE_AUTH || intermediate)' '{ let _ = intermediate; self.life == Lifecycle::Opening }'
mutant early-eap-success eap/client.rs 'match self.running.as_ref().and_then(ClientMethod::outcome) {' 'match Some(self.running.as_ref().and_then(ClientMethod::outcome).flatten()) {'
mutant mschapv2-client eap/mschapv2/mod.rs 'if !bool::from(expected.ct_eq(nt)) {' 'if false {'
mutant mschapv2-server eap/mschapv2/mod.rs 'if bool::from(said.to_ascii_uppercase().ct_eq(proof.as_bytes())) {' 'if !said.is_empty() || said.is_empty() {'
mutant mschapv2-order eap/mschapv2/mod.rs 'if let Some(msk) = self.msk.take() {' 'if let Some(msk) = self.msk.take().or_else(|| (turn.data == [OP_SUCCESS]).then(|| Secret::new(Vec::new()))) {'
mutant identity exchange/auth/initiator.rs '    let peer = &core.profile;
    is_expected(peer, idr)?;' '    let peer = &core.profile;'
mutant ppk exchange/auth/ppk.rs 'if peer.ppk_required && !used {' 'if false && !used && peer.ppk_required {'
exit $rc
