#!/usr/bin/env python3
"""Mutation check: are the tests able to fail?

usage: fuzz/mutants/run.py [--check | --build | --run] [--near] [--only AREA] [--dir DIR] [--target DIR] [--table FILE]

Every line of list.txt changes one expression. All changes are compiled at once, in a copy of the tree, each behind
`mutant(N)`, which reads the environment; then the tests run once for each N, the crate's own first. A mutation that no
test notices is a survivor. --check only looks whether each line still fits the sources (the ordinary test run does that). --build and --run do half of it. The
target folder is one of its own: cargo would take what was built from the copy for the tree's.
"""
import argparse, json, os, pathlib, re, shutil, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
CRATES_ALL = ["ravelin-crypto", "ravelin-sa-db", "ravelin-esp", "ravelin-ike-proto", "ravelin-testkit"]
CRATES = {"crypto": "ravelin-crypto", "sa-db": "ravelin-sa-db", "esp": "ravelin-esp", "ike-proto": "ravelin-ike-proto"}
# What is run for a mutation in a crate, in this order, until something fails.
TESTS = {
    "crypto": ["ravelin-crypto"],
    "sa-db": ["ravelin-sa-db", "ravelin-ike-proto"],
    "esp": ["ravelin-esp"],
    "ike-proto": ["ravelin-ike-proto", "ravelin-testkit"],
}
# With --near only the tests of the area: program, and words that the tests' names hold.
NEAR = {
    "auth": {"ravelin_ike_proto": ["auth", "keys"], "pair": [], "authentication": [], "post_quantum": []},
    "seal": {"all": ["secret"], "ravelin_ike_proto": ["seal", "codec", "sa::"], "pair": [], "scenarios": ["hostile", "bad_network", "liveness"]},
    "replay": {"ravelin_esp": ["replay", "inbound", "plane::tests"], "ravelin_ike_proto": ["window"], "pair": [], "scenarios": ["hostile", "strangers", "liveness"]},
    "collision": {"ravelin_ike_proto": ["collision"], "rekey": []},
    "selectors": {"ravelin_ike_proto": ["selectors"], "ravelin_esp": ["selectors"], "ravelin_sa_db": ["selector"], "pair": []},
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
    """Rewrites the sources below `tree`; mutations of one expression nest. Returns complaints."""
    wrong, places = [], {}
    for row in rows:
        text = (tree / row["path"]).read_text() if row["path"] not in places else places[row["path"]][0]
        plain = row["before"] + row["old"] + row["after"]
        found, key = text.count(plain), (row["path"], plain, row["old"])
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
        if not wrong:
            (tree / path).write_text(text) if tree != ROOT else None
    return wrong

def build(tree, target):
    env = dict(os.environ, CARGO_TARGET_DIR=str(target))
    binaries = {}
    for crate, features in [("ravelin-crypto", []), ("ravelin-sa-db", []), ("ravelin-esp", []), ("ravelin-ike-proto", ["--features", "x509"]), ("ravelin-testkit", [])]:
        cargo = os.environ.get("CARGO", "cargo").split()
        cmd = cargo + ["test", "-q", "-p", crate, "--no-run", "--message-format=json"] + features
        out = subprocess.run(cmd, cwd=tree, env=env, stdout=subprocess.PIPE, text=True)
        if out.returncode:
            for line in out.stdout.splitlines():
                m = json.loads(line)
                if m.get("reason") == "compiler-message" and m["message"]["level"] == "error":
                    print(m["message"]["rendered"])
            sys.exit(f"{crate} does not build")
        for line in out.stdout.splitlines():
            m = json.loads(line)
            # A test that links nothing of the changed crates notices nothing.
            if m.get("reason") == "compiler-artifact" and m.get("executable") and m["profile"]["test"]:
                folder = pathlib.Path(m["manifest_path"]).parent
                if b"RAVELIN_MUTANT" not in pathlib.Path(m["executable"]).read_bytes():
                    continue
                binaries.setdefault(crate, []).append((m["executable"], folder, m["target"]["kind"][0] != "lib"))
    for crate in binaries:
        binaries[crate].sort(key=lambda b: b[2])
    return binaries

def run(binaries, crates, n, limit, near=None):
    for crate in crates:
        for exe, folder, _ in binaries.get(crate, []):
            name = pathlib.Path(exe).name.rsplit("-", 1)[0]
            if name == "layers":  # it reads the sources, and `crate::mutant` is no room
                continue
            if near is not None and name not in near:
                continue
            env = dict(os.environ, RAVELIN_MUTANT=str(n), CARGO_MANIFEST_DIR=str(folder), PROPTEST_FAILURE_PERSISTENCE="off")
            # Of the cryptography only what mutations are about: third-party vectors take their time.
            skip = ["secret"] if crate == "ravelin-crypto" else ["--skip", "scapy", "--skip", "loom"]
            skip += (near or {}).get(name, [])
            try:
                done = subprocess.run([exe, "-q"] + skip, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit)
            except subprocess.TimeoutExpired:
                return f"{name}: does not end"
            if done.returncode:
                failed = re.findall(r"^    ([\w:]+)$", done.stdout, re.M)
                return f"{name}: {failed[0] if failed else 'aborted'}"
    return None

def prepare(a, rows):
    tree = pathlib.Path(a.dir) / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.parent.mkdir(parents=True, exist_ok=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode().split("\0")
    for f in filter(None, files):
        if (ROOT / f).is_file():
            (tree / f).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / f, tree / f)
    wrong = apply(tree, rows)
    if wrong:
        sys.exit("\n".join(wrong))
    for crate in CRATES:
        lib = tree / crate / "src/lib.rs"
        lib.write_text(lib.read_text() + SWITCH)
    return build(tree, a.target or pathlib.Path(a.dir) / "target")

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--check", action="store_true")
    p.add_argument("--build", action="store_true")
    p.add_argument("--run", action="store_true")
    p.add_argument("--near", action="store_true")
    p.add_argument("--only")
    p.add_argument("--dir", default=str(ROOT / "target/mutants"))
    p.add_argument("--target", default=None)
    p.add_argument("--table")
    a = p.parse_args()
    rows = load()
    if a.check:
        wrong = apply(ROOT, rows)
        print("\n".join(wrong) if wrong else f"{len(rows)} mutations fit the sources")
        sys.exit(bool(wrong))
    saved = pathlib.Path(a.dir) / "binaries.json"
    if not a.run:
        binaries = prepare(a, rows)
        saved.write_text(json.dumps(binaries, default=str))
        if a.build:
            return
    binaries = json.loads(saved.read_text())
    t = time.time()
    for crates in [] if a.near else TESTS.values():
        start = time.time()
        bad = run(binaries, crates, 0, 600)
        if bad:
            sys.exit(f"without any mutation the tests fail: {bad}")
        print(f"without any mutation: {', '.join(crates)} pass in {time.time() - start:.0f} s", flush=True)
    if a.near:
        for area, near in NEAR.items():
            bad = run(binaries, CRATES_ALL, 0, 600, near)
            if bad:
                sys.exit(f"without any mutation the tests of {area} fail: {bad}")
    whole = time.time() - t
    survivors, lines = 0, ["| n | area | where | mutation | noticed by |", "|---|---|---|---|---|"]
    for row in rows:
        if a.only and row["area"] != a.only:
            continue
        limit = max(60, 3 * whole)
        if a.near:
            by = run(binaries, CRATES_ALL, row["n"], limit, NEAR[row["area"]])
        else:
            by = run(binaries, TESTS[row["path"].split("/")[0]], row["n"], limit)
        survivors += by is None
        code = lambda s: "`" + s.replace("|", "\\|") + "`"
        lines.append(f"| {row['n']} | {row['area']} | {row['path']} | {code(row['old'])} becomes {code(row['new'])} | {by or '**survived**'} |")
        print(f"{row['n']:3} {row['area']:10} {by or 'SURVIVED'}   {row['old']} -> {row['new']}", flush=True)
    print(f"{len(lines) - 2} mutations, {survivors} survived")
    if a.table:
        pathlib.Path(a.table).write_text("\n".join(lines) + "\n")
    sys.exit(survivors > 0)

main()
