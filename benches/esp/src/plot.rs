//! SVG plots without a library: the share of the bare cipher's speed over packet size.

use crate::SIZES;
use crate::single::Table;
use std::fmt::Write as _;

const W: f64 = 680.0;
const H: f64 = 340.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 200.0;
const COLOURS: [&str; 6] = ["#1b6ca8", "#d1495b", "#2e933c", "#7b4fa3", "#e08e0b", "#555555"];

/// File name without ending, and content.
pub fn all(tables: &[Table]) -> Vec<(String, String)> {
    tables.iter().map(|t| (file_name(&t.title), plot(t))).collect()
}

fn file_name(title: &str) -> String {
    let plain: String = title.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let words: Vec<_> = plain.split('-').filter(|w| !w.is_empty()).collect();
    format!("esp-{}", words.join("-"))
}

fn plot(table: &Table) -> String {
    let mut s = String::new();
    let x = |i: usize| LEFT + (W - LEFT - RIGHT) * i as f64 / (SIZES.len() - 1) as f64;
    let y = |share: f64| TOP + (H - TOP - 50.0) * (1.0 - share.clamp(0.0, 1.1) / 1.1);
    let _ = write!(s, r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="12"><rect width="{W}" height="{H}" fill="white"/><text x="{LEFT}" y="22" font-size="15">{}: speed as a share of the bare cipher</text>"#, table.title);
    for tick in 0..=5 {
        let share = f64::from(tick) * 0.2;
        let _ = write!(s, r##"<line x1="{LEFT}" x2="{}" y1="{y}" y2="{y}" stroke="#ddd"/><text x="{}" y="{}" text-anchor="end">{:.0} %</text>"##, W - RIGHT, LEFT - 6.0, y(share) + 4.0, share * 100.0, y = y(share));
    }
    for (i, size) in SIZES.iter().enumerate() {
        let _ = write!(s, r#"<text x="{}" y="{}" text-anchor="middle">{size}</text>"#, x(i), H - 28.0);
    }
    let _ = write!(s, r#"<text x="{}" y="{}" text-anchor="middle">octets of the inner packet</text>"#, (LEFT + W - RIGHT) / 2.0, H - 8.0);
    let bare = |kind: &str| table.rows.iter().find(|(n, _)| n.starts_with(kind) && n.ends_with("bare cipher")).map(|(_, v)| *v);
    let others = table.rows.iter().filter(|(n, _)| !n.ends_with("bare cipher"));
    for (i, (name, values)) in others.enumerate() {
        let Some(base) = bare(&name[..4]) else { continue };
        let colour = COLOURS[i % COLOURS.len()];
        let dash = if i >= COLOURS.len() { "4 3" } else { "none" };
        let points: Vec<String> = values.iter().zip(base).enumerate().map(|(i, (v, b))| format!("{:.1},{:.1}", x(i), y(b / v))).collect();
        let ly = TOP + 10.0 + 20.0 * i as f64;
        let _ = write!(s, r#"<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" points="{}"/><line x1="{a}" x2="{b}" y1="{ly}" y2="{ly}" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/><text x="{c}" y="{d}">{name}</text>"#, points.join(" "), a = W - RIGHT + 12.0, b = W - RIGHT + 32.0, c = W - RIGHT + 38.0, d = ly + 4.0);
    }
    s.push_str("</svg>\n");
    s
}
