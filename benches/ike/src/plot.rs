//! An SVG without a library: bars of handshakes per second.

use crate::rate::{Row, rate};
use std::fmt::Write as _;

const W: f64 = 760.0;
const LEFT: f64 = 290.0;
const BAR: f64 = 22.0;

/// One bar for each row: over memory, with a line where cryptography alone would be.
pub fn bars(rows: &[Row]) -> String {
    let height = 60.0 + 34.0 * rows.len() as f64;
    let most = rows.iter().map(|r| rate(&r.memory).max(if r.crypto.is_empty() { 0.0 } else { rate(&r.crypto) }));
    let most = most.fold(1.0, f64::max);
    let x = |v: f64| LEFT + (W - LEFT - 80.0) * v / most;
    let mut s = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {height}" font-family="sans-serif" font-size="12"><rect width="{W}" height="{height}" fill="white"/><text x="12" y="22" font-size="15">Handshakes per second, both sides on one core; the line: cryptography alone</text>"#
    );
    for (i, row) in rows.iter().enumerate() {
        let (y, v) = (44.0 + 34.0 * i as f64, rate(&row.memory));
        let colour = if row.name.starts_with("ryke") { "#777777" } else { "#1b6ca8" };
        let _ = write!(
            s,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text><rect x="{LEFT}" y="{y}" width="{:.1}" height="{BAR}" fill="{colour}"/><text x="{:.1}" y="{}">{v:.0}</text>"#,
            LEFT - 8.0,
            y + 15.0,
            row.name,
            x(v) - LEFT,
            x(v) + 6.0,
            y + 15.0
        );
        if !row.crypto.is_empty() {
            let at = x(rate(&row.crypto));
            let _ = write!(
                s,
                r##"<line x1="{at:.1}" x2="{at:.1}" y1="{}" y2="{}" stroke="#d1495b" stroke-width="2"/>"##,
                y - 3.0,
                y + BAR + 3.0
            );
        }
    }
    s.push_str("</svg>\n");
    s
}
