#!/usr/bin/env python3
"""Figures of bench.sh compare.
sample LABEL TEST IPERF.json TICKS U0 I0 U1 I1   prints one run as a line of JSON
report RESULTS.jsonl [FILE.md [PLOT.svg]]        prints medians as a table, and puts them between the marks of FILE.md
"""
import json, os, statistics, sys
from collections import defaultdict

HZ = os.sysconf("SC_CLK_TCK")


def sample(label, test, path, ticks, u0, i0, u1, i1):
    try:
        j = json.load(open(path))
        end = j["end"]
        if test == "TCP":
            s = end["sum_received"]
            octets, seconds, lost = s["bytes"], s["seconds"], 0
        else:
            s = end["sum"]
            octets = (s["packets"] - s["lost_packets"]) * j["start"]["test_start"]["blksize"]
            seconds, lost = s["seconds"], s["lost_percent"]
    except (OSError, ValueError, KeyError) as e:
        print(f"{label} {test}: {e!r}: {open(path).read()[:200]}", file=sys.stderr)
        return
    print(json.dumps(dict(label=label, test=test, octets=octets, seconds=seconds, lost=lost, tunnel=int(ticks) / HZ,
                          machine=(int(u1) - int(u0)) / HZ)))


def table(path):
    runs = defaultdict(list)
    for line in open(path):
        r = json.loads(line)
        if r["octets"]:
            runs[r["label"], r["test"]].append(r)
    labels = list(dict.fromkeys(label for label, _ in runs))
    rows = []
    for label in labels:
        row = dict(label=label)
        for test in ("TCP", "UDP"):
            rs = runs.get((label, test))
            if not rs:
                continue
            rates = [r["octets"] * 8 / r["seconds"] / 1e9 for r in rs]
            row[test] = dict(rate=statistics.median(rates), low=min(rates), high=max(rates),
                             lost=statistics.median(r["lost"] for r in rs),
                             tunnel=statistics.median(r["tunnel"] / r["octets"] * 1e9 for r in rs),
                             machine=statistics.median(r["machine"] / r["octets"] * 1e9 for r in rs), n=len(rs))
        rows.append(row)
    return rows


HEADS = ["", "TCP Gbit/s", "lowest to highest", "tunnel CPU s/GB", "machine CPU s/GB",
         "UDP Gbit/s", "lowest to highest", "tunnel CPU s/GB", "machine CPU s/GB", "lost"]


def cells(row):
    out = [row["label"]]
    for test in ("TCP", "UDP"):
        t = row.get(test)
        if t is None:
            out += ["-"] * (4 if test == "TCP" else 5)
            continue
        tunnel = f"{t['tunnel']:.2f}" if t["tunnel"] else "-"
        out += [f"{t['rate']:.2f}", f"{t['low']:.2f} to {t['high']:.2f}", tunnel, f"{t['machine']:.2f}"]
        if test == "UDP":
            out.append(f"{t['lost']:.0f} %")
    return out


def ratios(rows):
    ours = next((r for r in rows if r["label"].startswith("Ravelin")), None)
    said = []
    for r in rows:
        if ours is None or r["label"].startswith(("Ravelin", "veth")):
            continue
        both = [f"{ours[t]['rate'] / r[t]['rate']:.1f} x in {t}" for t in ("TCP", "UDP") if t in r and t in ours]
        said.append(f"{r['label']}: {', '.join(both)}")
    return said


def aligned(grid):
    widths = [max(len(r[i]) for r in grid) for i in range(len(grid[0]))]
    return "\n".join("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))) for r in grid)


def markdown(rows):
    n = max(t["n"] for r in rows for t in r.values() if isinstance(t, dict))
    lines = [f"Medians of {n} runs in turns, {os.cpu_count()} cores, Linux {os.uname().release.split('-')[0]}.", "", "| " + " | ".join(HEADS) + " |", "|---" + "|---:" * (len(HEADS) - 1) + "|"]
    lines += ["| " + " | ".join(cells(r)) + " |" for r in rows]
    lines += ["", "Ravelin with AES-128-GCM against"] + ["", *(f"* {s}" for s in ratios(rows))] if ratios(rows) else []
    return "\n".join(lines) + "\n"


def plot(rows):
    rows = [r for r in rows if r["label"] != "veth"]
    w, left, bar, gap = 760, 230, 16, 14
    top, step = 46, 2 * bar + gap
    most = max(r[t]["rate"] for r in rows for t in ("TCP", "UDP") if t in r)
    h = top + step * len(rows) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" font-size="12">'
           f'<rect width="{w}" height="{h}" fill="white"/>'
           f'<text x="10" y="20" font-size="15">Tunnel between two network namespaces, iperf3, Gbit/s (CPU seconds per GB of the tunnel)</text>'
           f'<rect x="{left}" y="28" width="12" height="10" fill="#1b6ca8"/><text x="{left + 16}" y="37">TCP, one stream</text>'
           f'<rect x="{left + 130}" y="28" width="12" height="10" fill="#e08e0b"/><text x="{left + 146}" y="37">UDP, 1,300 octets, overloaded</text>']
    for i, r in enumerate(rows):
        y = top + i * step
        out.append(f'<text x="{left - 8}" y="{y + bar + 4}" text-anchor="end">{r["label"]}</text>')
        for k, (t, colour) in enumerate((("TCP", "#1b6ca8"), ("UDP", "#e08e0b"))):
            if t not in r:
                continue
            length = (w - left - 130) * r[t]["rate"] / most
            out.append(f'<rect x="{left}" y="{y + k * bar}" width="{length:.1f}" height="{bar - 2}" fill="{colour}"/>'
                       f'<text x="{left + length + 5:.1f}" y="{y + k * bar + 12}">{r[t]["rate"]:.2f} ({r[t]["tunnel"]:.1f})</text>')
    return "\n".join(out) + "\n</svg>\n"


def report(path, into="", svg=""):
    rows = table(path)
    if not rows:
        sys.exit("no run succeeded")
    print(aligned([HEADS] + [cells(r) for r in rows]))
    print("\n".join(ratios(rows)))
    if into:
        begin, end = "<!-- end-to-end -->\n", "<!-- /end-to-end -->\n"
        text = open(into).read()
        before, rest = text.split(begin)
        _, after = rest.split(end)
        with open(into, "w") as f:
            f.write(before + begin + markdown(rows) + end + after)
    if svg:
        with open(svg, "w") as f:
            f.write(plot(rows))


{"sample": sample, "report": report}[sys.argv[1]](*sys.argv[2:])
