#!/usr/bin/env python3
"""Mutation check: are the tests able to fail?

usage: fuzz/mutants/run.py [--check | --build | --run] [--rows 2,5-9] [--only AREA] [--minutes M] [--dir DIR] [--target DIR] [--table FILE]

Every line of list.txt changes one expression. All changes are compiled at once, in a copy of the tree, each behind
`mutant(N)`, which reads the environment; then the tests run once for each N until one fails: those of the area first, then
everything else of the crate and what is built on it, then the fuzz targets. A mutation that nothing of all that notices is a
survivor. --check only looks whether each line still fits the sources (the ordinary test run does that). --build and --run
do half of it. --minutes stops after so long; the next --run goes on where it stopped (results.json in DIR; a new --build
forgets them). The target folder is one of its own: cargo would take what was built from the copy for the tree's.
"""
import argparse, json, os, pathlib, re, shutil, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
CRATES = {"crypto": "ravelin-crypto", "sa-db": "ravelin-sa-db", "esp": "ravelin-esp", "ike-proto": "ravelin-ike-proto"}
BUILT = {
    "ravelin-crypto": "crypto",
    "ravelin-sa-db": "sa-db",
    "ravelin-esp": "esp",
    "ravelin-ike-proto": "ike-proto",
    "ravelin": "",
    "ravelin-testkit": "testkit",
    "ravelin-fuzz-targets": "fuzz/targets",
}
# What is run for a mutation in a crate, in this order, until something fails.
TESTS = {
    "crypto": ["ravelin-crypto", "ravelin-ike-proto"],
    "sa-db": ["ravelin-sa-db", "ravelin-esp", "ravelin-ike-proto", "ravelin", "ravelin-testkit", "ravelin-fuzz-targets"],
    "esp": ["ravelin-esp", "ravelin", "ravelin-testkit", "ravelin-fuzz-targets"],
    "ike-proto": ["ravelin-ike-proto", "ravelin", "ravelin-testkit", "ravelin-fuzz-targets"],
}
# What runs first, because it is likely to notice: program, and words that the tests' names hold.
NEAR = {
    "auth": {"ravelin_ike_proto": ["auth", "keys"], "known": [], "pair": [], "authentication": [], "post_quantum": []},
    "seal": {"all": ["secret"], "ravelin_ike_proto": ["seal", "codec", "sa::"], "known": [], "pair": [], "scenarios": ["hostile", "bad_network", "liveness", "ivs"]},
    "replay": {"ravelin_esp": ["replay", "inbound", "plane::tests", "plane::run"], "ravelin_ike_proto": ["window"], "pair": [], "scenarios": ["hostile", "strangers", "liveness"]},
    "collision": {"ravelin_ike_proto": ["collision"], "rekey": []},
    "selectors": {"ravelin_ike_proto": ["selectors"], "ravelin_esp": ["selectors"], "ravelin_sa_db": ["selector"], "pair": []},
    "spd": {"ravelin_sa_db": ["spd"]},
    "gate": {"ravelin_ike_proto": ["gate", "puzzle"], "scenarios": ["strangers", "retries", "puzzles", "hostile"]},
}
SWITCH = """
/// The mutation that is on.
#[doc(hidden)]
pub fn mutant(n: u32) -> bool {
    extern crate std;
    static ON: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var("RAVELIN_MUTANT").ok().and_then(|v| v.parse().ok()).unwrap_or(0)) == n
}
"""

def load():
    rows = []
    for line in (HERE / "list.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        area, path, rest = line.split(" | ", 2)
        # Both halves may hold a bar; the replacement begins after the bar that follows the line's piece.
        end = rest.index("»")
        cut = rest.index(" | ", end)
        piece, new = rest[:cut], rest[cut + 3:]
        before, old, after = re.fullmatch(r"(.*)«(.*)»(.*)", piece).groups()
        rows.append(dict(n=len(rows) + 1, area=area, path=path, before=before, old=old, after=after, new=new))
    return rows

def apply(tree, rows):
    """The sources below `tree` with all mutations, by path, and complaints; mutations of one expression nest."""
    wrong, places, changed = [], {}, {}
    for row in rows:
        text = (tree / row["path"]).read_text() if row["path"] not in places else places[row["path"]][0]
        plain = row["before"] + row["old"] + row["after"]
        found = text.count(plain)
        if found != 1:
            wrong.append(f"{row['n']}: {row['path']}: found {found} times: {plain}")
            continue
        places.setdefault(row["path"], [text, {}])[1].setdefault((plain, row["before"], row["old"]), []).append(row)
    for path, (text, spots) in places.items():
        edits = []
        for (plain, before, old), group in spots.items():
            at = text.index(plain) + len(before)
            expression = old
            for row in group:
                expression = f"(if crate::mutant({row['n']}) {{ {row['new']} }} else {{ {expression} }})"
            edits.append((at, at + len(old), expression))
        edits.sort(reverse=True)
        for (a, b, new), following in zip(edits, [None] + edits):
            if following and b > following[0]:
                wrong.append(f"{path}: two mutations overlap at {text[a:b]}")
            text = text[:a] + new + text[b:]
        changed[path] = text
    return changed, wrong

def build(tree, target):
    env, binaries = dict(os.environ, CARGO_TARGET_DIR=str(target)), {}
    names = {str(tree / folder / "Cargo.toml"): crate for crate, folder in BUILT.items()}
    # In one call, so that each crate is compiled once, with what any of them needs.
    cmd = os.environ.get("CARGO", "cargo").split() + ["test", "-q", "--no-run", "--message-format=json"]
    cmd += [f"-p={crate}" for crate in BUILT] + ["--features=ravelin-ike-proto/x509,ravelin-testkit/fault-injection"]
    out = subprocess.run(cmd, cwd=tree, env=env, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]
    if out.returncode:
        print("\n".join(m["message"]["rendered"] for m in messages if m.get("reason") == "compiler-message" and m["message"]["level"] == "error"))
        sys.exit("the mutated tree does not build")
    for m in messages:
        # A test that links nothing of the changed crates notices nothing.
        if m.get("reason") == "compiler-artifact" and m.get("executable") and m["profile"]["test"]:
            if b"RAVELIN_MUTANT" in pathlib.Path(m["executable"]).read_bytes():
                folder = pathlib.Path(m["manifest_path"]).parent
                binaries.setdefault(names[m["manifest_path"]], []).append((m["executable"], folder, m["target"]["kind"][0] != "lib"))
    for crate in binaries:
        binaries[crate].sort(key=lambda b: b[2])
    return binaries

def programs(binaries, row, near):
    """(program, folder, name, words) of what may notice a mutation."""
    for crate in BUILT if near else TESTS[row["path"].split("/")[0]]:
        for exe, folder, _ in binaries.get(crate, []):
            name = pathlib.Path(exe).name.rsplit("-", 1)[0]
            # `layers` reads the sources, and `crate::mutant` is no room; scapy's side takes long and reads no mutation.
            if name in ("layers", "scapy") or (near and name not in NEAR[row["area"]]):
                continue
            # Of the cryptography only what mutations are about: third-party vectors take their time.
            words = ["secret"] if crate == "ravelin-crypto" else ["--skip", "loom"] + (NEAR[row["area"]][name] if near else [])
            yield exe, folder, name, words

def fails(n, exe, folder, name, words, limit):
    env = dict(os.environ, RAVELIN_MUTANT=str(n), CARGO_MANIFEST_DIR=str(folder), PROPTEST_FAILURE_PERSISTENCE="off")
    try:
        done = subprocess.run([exe, "-q"] + words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=limit)
    except subprocess.TimeoutExpired:
        return f"{name}: does not end"
    if done.returncode:
        failed = re.findall(r"^    ([\w:]+)$", done.stdout, re.M)
        return f"{name}: {failed[0] if failed else 'aborted'}"
    return None

def notices(binaries, row, usual):
    """The first test that notices the mutation, or None. `usual` keeps how long each program takes without any."""
    for near in (True, False):
        for exe, folder, name, words in programs(binaries, row, near):
            key = " ".join([exe] + words)
            if key not in usual:
                start = time.time()
                bad = fails(0, exe, folder, name, words, 900)
                if bad:
                    sys.exit(f"without any mutation the tests fail: {bad}")
                usual[key] = time.time() - start
            bad = fails(row["n"], exe, folder, name, words, 20 + 6 * usual[key])
            if bad:
                return bad
    return None

def prepare(a, rows):
    tree = pathlib.Path(a.dir) / "tree"
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    files = [f for f in out.stdout.decode().split("\0") if f and (ROOT / f).is_file()]
    changed, wrong = apply(ROOT, rows)
    if wrong:
        sys.exit("\n".join(wrong))
    for crate in CRATES:
        lib = f"{crate}/src/lib.rs"
        changed[lib] = changed.get(lib, (ROOT / lib).read_text()) + SWITCH
    for f in files:
        new, to = changed[f].encode() if f in changed else (ROOT / f).read_bytes(), tree / f
        # What is as it was keeps its time, so that cargo builds little anew.
        if not to.is_file() or to.read_bytes() != new:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(new)
            shutil.copymode(ROOT / f, to)
    known = set(files)
    for old in [p for p in tree.rglob("*") if p.is_file()]:
        if str(old.relative_to(tree)) not in known:
            old.unlink()
    return build(tree, a.target or pathlib.Path(a.dir) / "target")

def numbers(text):
    ends = [[int(x) for x in part.split("-")] for part in text.split(",")]
    return {n for e in ends for n in range(e[0], e[-1] + 1)}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--check", action="store_true")
    p.add_argument("--build", action="store_true")
    p.add_argument("--run", action="store_true")
    p.add_argument("--rows")
    p.add_argument("--minutes", type=float)
    p.add_argument("--only")
    p.add_argument("--dir", default=str(ROOT / "target/mutants"))
    p.add_argument("--target", default=None)
    p.add_argument("--table")
    a = p.parse_args()
    rows = load()
    if a.check:
        wrong = apply(ROOT, rows)[1]
        print("\n".join(wrong) if wrong else f"{len(rows)} mutations fit the sources")
        sys.exit(bool(wrong))
    saved, kept = pathlib.Path(a.dir) / "binaries.json", pathlib.Path(a.dir) / "results.json"
    if not a.run:
        binaries = prepare(a, rows)
        saved.write_text(json.dumps(binaries, default=str))
        kept.unlink(missing_ok=True)
        if a.build:
            return
    binaries = json.loads(saved.read_text())
    state = json.loads(kept.read_text()) if kept.exists() else {"usual": {}, "by": {}}
    wanted = numbers(a.rows) if a.rows else {r["n"] for r in rows if a.only in (None, r["area"])}
    end = time.time() + 60 * a.minutes if a.minutes else None
    for row in rows:
        n = str(row["n"])
        if row["n"] not in wanted or n in state["by"]:
            continue
        if end and time.time() > end:
            print(f"not finished: {len(wanted) - len(wanted & {int(k) for k in state['by']})} to go; call --run again")
            sys.exit(3)
        state["by"][n] = by = notices(binaries, row, state["usual"])
        kept.write_text(json.dumps(state))
        print(f"{row['n']:3} {row['area']:10} {by or 'SURVIVED'}   {row['old']} -> {row['new']}", flush=True)
    code = lambda s: "`" + s.replace("|", "\\|") + "`"
    lines = ["| n | area | where | mutation | noticed by |", "|---|---|---|---|---|"]
    done = [r for r in rows if r["n"] in wanted]
    for row in done:
        by = state["by"][str(row["n"])]
        lines.append(f"| {row['n']} | {row['area']} | {row['path']} | {code(row['old'])} becomes {code(row['new'])} | {by or '**survived**'} |")
    survivors = [r["n"] for r in done if not state["by"][str(r["n"])]]
    print(f"{len(done)} mutations, {len(survivors)} survived: {survivors}")
    if a.table:
        pathlib.Path(a.table).write_text("\n".join(lines) + "\n")
    sys.exit(bool(survivors))

main()
