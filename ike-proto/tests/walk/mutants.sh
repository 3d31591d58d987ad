#!/bin/bash
# Takes checks of authentication away, one at a time, and shows that the walk (and the tests of published mistakes beside
# it) find each, but for two that have another check behind them. Prints a line per check; fails when one goes unseen. A
# copy of the sources is compiled once, with all checks made to ask whether RAVELIN_REMOVED names them; some minutes.
#   ike-proto/tests/walk/mutants.sh [NAME…]     (CARGO=cargo to use another program, RAVELIN_WALKS=300)
set -u
root=$(cd "$(dirname "$0")/../../.." && pwd)
# A folder of its own: cargo names what it builds by the path inside the workspace, so the copy's would pass for the tree's.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/walk-mutants} RAVELIN_WALKS=${RAVELIN_WALKS:-300}
copy=$CARGO_TARGET_DIR/mutants
rm -rf "$copy"
mkdir -p "$copy"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - 2> /dev/null) | tar -xf - -C "$copy"
cargo=${CARGO:-cargo}
cd "$copy" || exit 2
cat >> ike-proto/src/lib.rs <<'RS'

/// The check that this run goes without.
pub(crate) fn removed(name: &str) -> bool {
    extern crate std;
    std::env::var("RAVELIN_REMOVED").is_ok_and(|n| n == name)
}
RS
names=() rc=0
declare -A harmless
mutant() { # NAME FILE OLD NEW; in NEW, GONE is true in the run without this check
  names+=("$1")
  python3 - "ike-proto/src/$2" "$3" "${4//GONE/crate::removed(\"$1\")}" <<'PY' || { echo "$1: the check is not where it was"; exit 1; }
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
sys.exit(1) if text.count(old) != 1 else open(path, "w").write(text.replace(old, new))
PY
}
equivalent() { # WHY NAME FILE OLD NEW: another check stands behind this one, so that no walk may get in
  harmless[$2]=$1
  mutant "${@:2}"
}
mutant psk exchange/auth/proof.rs '|prf: &dyn Prf, o: &[&[u8]]| psk::verify(prf, secret.expose(), o, &claim.auth.data);' '|prf: &dyn Prf, o: &[&[u8]]| GONE || psk::verify(prf, secret.expose(), o, &claim.auth.data);'
mutant auth-after-eap exchange/auth/proof.rs 'if auth.method == WireMethod::SHARED_KEY && with_octets(core, keys, role, id, check)? {' 'if GONE || auth.method == WireMethod::SHARED_KEY && with_octets(core, keys, role, id, check)? {'
mutant auth-after-eap-not-asked exchange/auth/eap.rs 'proof::verify_key(core, keys, Role::Initiator, &self.idi, auth, msk.as_ref())?;' 'if !GONE { proof::verify_key(core, keys, Role::Initiator, &self.idi, auth, msk.as_ref())?; }'
mutant raw-key auth/raw_key.rs 'pinned.iter().filter(named).take(MAX).cloned().collect()' 'if GONE { raw.iter().map(|r| r.to_vec()).collect() } else { pinned.iter().filter(named).take(MAX).cloned().collect() }'
mutant exchanges-before-auth sa/inbound.rs 'self.is_half_open() && (exchange == ExchangeType::IKE_AUTH || intermediate)' 'GONE || self.is_half_open() && (exchange == ExchangeType::IKE_AUTH || intermediate)'
mutant early-eap-success eap/client.rs 'match self.running.as_ref().and_then(ClientMethod::outcome) {' 'match self.running.as_ref().and_then(ClientMethod::outcome).or(GONE.then_some(None)) {'
mutant gtc eap/gtc.rs 'if bool::from(p.expose().ct_eq(turn.data)) =>' 'if bool::from(p.expose().ct_eq(turn.data)) || GONE =>'
equivalent 'the key is made of the password, and AUTH by it is checked' mschapv2-client eap/mschapv2/mod.rs 'if !bool::from(expected.ct_eq(nt)) {' 'if !bool::from(expected.ct_eq(nt)) && !GONE {'
equivalent 'the key is made of the password, and its AUTH is checked' mschapv2-server eap/mschapv2/mod.rs 'if bool::from(said.to_ascii_uppercase().ct_eq(proof.as_bytes())) {' 'if bool::from(said.to_ascii_uppercase().ct_eq(proof.as_bytes())) || GONE {'
mutant mschapv2-order eap/mschapv2/mod.rs 'if let Some(msk) = self.msk.take() {' 'if let Some(msk) = self.msk.take().or_else(|| (GONE && turn.data == [OP_SUCCESS]).then(|| Secret::new(Vec::new()))) {'
mutant identity exchange/auth/initiator.rs '    let peer = &core.profile;
    is_expected(peer, idr)?;' '    let peer = &core.profile;
    if !GONE { is_expected(peer, idr)?; }'
mutant ppk exchange/auth/ppk.rs 'if peer.ppk_required && !used {' 'if peer.ppk_required && !used && !GONE {'
mutant second-authentication exchange/auth/responder.rs 'if follows != peer.second.remote.is_some() {' 'if follows != peer.second.remote.is_some() && !GONE {'
mutant second-of-responder exchange/auth/rounds.rs 'proof::verify(cx, core, &core.keys, &core.profile, claim)?;' 'if !GONE { proof::verify(cx, core, &core.keys, &core.profile, claim)?; }'

run() { RAVELIN_REMOVED=$1 "$cargo" test -q -p ravelin-ike-proto --test walk > "$copy/out" 2>&1; }
"$cargo" test -q -p ravelin-ike-proto --test walk --no-run || { echo "it does not compile"; exit 1; }
run '' || { tail -40 "$copy/out"; echo "the unchanged sources fail"; exit 1; }
echo "unchanged: passes"
for name in "${names[@]}"; do
  [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
  if run "$name"; then
    [ -n "${harmless[$name]-}" ] && { echo "$name: nobody gets in: ${harmless[$name]}"; continue; }
    echo "$name: NOT FOUND"; rc=1
  else
    found=$(sed -n 's/^---- \(.*\) stdout ----$/\1/p' "$copy/out" | sort | tr '\n' ' ')
    [ -n "$found" ] || { tail -5 "$copy/out"; rc=1; }
    echo "$name: found by ${found:-nobody}"
  fi
done
exit $rc
