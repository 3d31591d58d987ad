//! `docs/collisions.md`: the decision tables of `sa/collision.rs`, and what the matrix found.

use ravelin_ike_proto::sa::collision::{Answer, Asked, Child, Ended, Ike, Meanwhile, Next, answer, next};
use std::fmt::Write as _;

const HEAD: &str = "# Crossing exchanges\n
Both sides of an IKE SA may rekey or delete at the same time (RFC 7296 sections 2.8.1, 2.8.2 and 2.25). The decisions stand in
`ike-proto/src/sa/collision.rs` as pure functions; this page is written from them and from the test that plays every pair of
actions in every order in which the messages can cross (`ike-proto/tests/rekey/matrix.rs`). It is checked by that test and
written by `RAVELIN_WRITE_DOCS=1 cargo test -p ravelin-ike-proto --test rekey`.
";

const LEGEND: &str = "
Usual: as if nothing had crossed. Compare: as usual; when the answer to our own request comes, the new SA of the exchange with
the lowest of the four nonces goes, deleted by who made it. Yield: as usual, and our own request is forgotten. WithoutSpi: answered
without a Delete payload. Later: TEMPORARY_FAILURE. NotFound: CHILD_SA_NOT_FOUND.
";

const AFTER: &str = "
Begun: CREATE_CHILD_SA is over and IKE_FOLLOWUP_KE is due (RFC 9370 section 2.2.4). TakeOver: ours takes over, we delete the old SA. Win: the same, and the peer deletes its new one; an old IKE SA is deleted only after
that. Lose: the peer's takes over, we delete our new one. Stay: ours stays, there is no old one to delete. Follow: the peer's takes
over, of ours nothing was made. GoOn: IKE_FOLLOWUP_KE goes out. Stop: it does not, the peer's takes over. Forget: nothing is left to rekey. Retry: again after 10 to 20 s, for 5 minutes. StartAnew: drop it
and make a new one. Reauth: a new IKE SA from IKE_SA_INIT on.
";

const MATRIX: &str = "
## The matrix

The first side begins; the second begins at any point of the first one's exchange. Datagrams are delivered in every order; in the
runs with losses every one of them is lost once and sent again by its timer. Three seeds, so that either side wins by its nonces; one
of them with a window of two. After every step each outbound SA in use has its inbound SA with the same keys at the other end
(unless the IKE SA itself is deleted); in the end both sides hold the same SAs, as many as the last columns say, no SPI is left
reserved and no timer set.

| first | second | orders | with at most one loss | what happened without losses | IKE SAs left | Child SA pairs left |
|---|---|---|---|---|---|---|
";

const CHAINS: &str = "
## The matrix with additional key exchanges

The same with an additional key exchange in every CREATE_CHILD_SA, so that each new SA takes an IKE_FOLLOWUP_KE (RFC 9370 section
2.2.4). The exchange with the lowest nonce stops before its IKE_FOLLOWUP_KE; a rekeying that comes when ours is past CREATE_CHILD_SA
is answered TEMPORARY_FAILURE. `RAVELIN_FULL=1` plays it with losses too.

| first | second | orders | what happened | IKE SAs left | Child SA pairs left |
|---|---|---|---|---|---|
";

const ASKED: [Asked; 5] = [Asked::NewChild, Asked::RekeyChild, Asked::DeleteChild, Asked::RekeyIke, Asked::DeleteIke];
const IKES: [Ike; 7] =
    [Ike::Idle, Ike::Busy, Ike::Rekeying, Ike::Following, Ike::Awaiting, Ike::Replaced, Ike::Closing];
const CHILDREN: [Child; 7] =
    [Child::Absent, Child::Idle, Child::Rekeying, Child::Following, Child::Awaiting, Child::Replaced, Child::Deleting];
const ENDED: [Ended; 6] = [Ended::Made, Ended::Begun, Ended::Later, Ended::NotFound, Ended::NoMore, Ended::Refused];
const MEANWHILE: [Meanwhile; 4] =
    [Meanwhile::Nothing, Meanwhile::RivalAndOursLowest, Meanwhile::RivalAndTheirsLowest, Meanwhile::Gone];

fn row(out: &mut String, head: &str, cells: impl Iterator<Item = String>) {
    let _ = writeln!(out, "| {head} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn table(out: &mut String, corner: &str, columns: &[String]) {
    row(out, corner, columns.iter().cloned());
    let _ = writeln!(out, "|---|{}", "---|".repeat(columns.len()));
}

/// What stands in the document before the two matrices.
fn head() -> String {
    let mut out = HEAD.to_string();
    out += "\n## What a request is answered, by what we do with the IKE SA\n\nThe Child SA that it names is idle.\n\n";
    table(&mut out, "request", &IKES.map(|i| format!("{i:?}")));
    for asked in ASKED {
        row(&mut out, &format!("{asked:?}"), IKES.iter().map(|i| format!("{:?}", answer(asked, *i, Child::Idle))));
    }
    out += "\n## And by what we do with the Child SA\n\n";
    table(&mut out, "request", &CHILDREN.map(|c| format!("{c:?}")));
    for asked in [Asked::RekeyChild, Asked::DeleteChild] {
        row(&mut out, &format!("{asked:?}"), CHILDREN.iter().map(|c| format!("{:?}", answer(asked, Ike::Idle, *c))));
    }
    let busy: Answer = answer(Asked::RekeyChild, Ike::Busy, Child::Absent);
    let _ =
        writeln!(out, "\nRekeyChild of an absent one is answered {busy:?} while a request of ours may be making it.");
    out += LEGEND;
    out += "\n## What we do when our own request to rekey was answered\n\n";
    table(&mut out, "answer", &MEANWHILE.map(|m| format!("{m:?}")));
    for ended in ENDED {
        let cell = |m: &Meanwhile| -> Next { next(ended, *m) };
        row(&mut out, &format!("{ended:?}"), MEANWHILE.iter().map(|m| format!("{:?}", cell(m))));
    }
    out + AFTER
}

/// The first matrix, with the tables before it.
pub(crate) fn matrix(rows: &str, runs: usize, lossy: usize) -> String {
    let mut out = head() + MATRIX + rows;
    let _ = writeln!(out, "\n{runs} orders without losses and {lossy} with at most one loss were played.");
    out
}

/// The matrix with additional key exchanges.
pub(crate) fn chains(rows: &str, runs: usize) -> String {
    let mut out = CHAINS.to_string() + rows;
    let _ = writeln!(out, "\n{runs} orders were played.");
    out
}

/// Where the second matrix begins.
const CUT: &str = "\n## The matrix with additional key exchanges\n";

/// Compares a part of the document with the run, or writes it. The two tests run at the same time.
pub(crate) fn check(part: &str, fresh: &str) {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE.lock().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/collisions.md");
    let there = std::fs::read_to_string(path).unwrap_or_default();
    let (first, second) =
        there.split_once(CUT).map_or((there.as_str(), String::new()), |(a, b)| (a, format!("{CUT}{b}")));
    if std::env::var_os("RAVELIN_WRITE_DOCS").is_some() {
        let new = if part == "matrix" { format!("{fresh}{second}") } else { format!("{first}{fresh}") };
        std::fs::write(path, new).unwrap();
        return;
    }
    let same = if part == "matrix" { first == fresh } else { second == fresh };
    assert!(same, "docs/collisions.md is stale: run this test with RAVELIN_WRITE_DOCS=1 and --test-threads=1");
}
