//! Plots of the databases' figures: reads what `cargo bench -p ravelin-sa-db --bench databases` printed and draws
//! time per lookup over the number of policies, one line per rule set, and ours beside the rivals.
//!
//! `cargo run --release -- FIGURES FOLDER`. To add a plot: a function that picks rows, and a call of [`draw`].

mod table;

use plotters::prelude::*;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use table::{Row, rows};

/// Name of a line, and its points: number of policies, nanoseconds.
type Lines = BTreeMap<String, Vec<(f64, f64)>>;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [figures, folder] = args.as_slice() else {
        return Err("usage: ravelin-bench-plot FIGURES FOLDER".into());
    };
    let text = std::fs::read_to_string(figures)?;
    let folder = Path::new(folder);
    let sets = by_set(&rows(&text, "SPD lookups, nanoseconds each"), 4);
    draw(&folder.join("spd-lookup.svg"), "SPD: one lookup, uniform traffic, no cache", &sets)?;
    let bursts = by_set(&rows(&text, "SPD lookups, nanoseconds each"), 5);
    draw(&folder.join("spd-burst.svg"), "SPD: a lookup in bursts of 64", &bursts)?;
    let beside = rows(&text, "Ours beside others");
    for set in ["acl", "hub", "hosts", "mixed"] {
        let names = [
            (2, "ours"),
            (4, "linear scan"),
            (5, "tuple space"),
            (7, "hash with thresholds"),
            (8, "split tree"),
            (9, "trie"),
        ];
        let mut lines = Lines::new();
        for row in beside.iter().filter(|r| r.name == set) {
            for (column, name) in names {
                let Some(ns) = row.number(column) else { continue };
                lines.entry(name.into()).or_default().push((row.size, ns));
            }
        }
        draw(&folder.join(format!("spd-rivals-{set}.svg")), &format!("SPD beside other structures: {set}"), &lines)?;
    }
    Ok(())
}

fn by_set(rows: &[Row], column: usize) -> Lines {
    let mut lines = Lines::new();
    for row in rows {
        if let Some(ns) = row.number(column) {
            lines.entry(row.name.clone()).or_default().push((row.size, ns));
        }
    }
    lines
}

/// Draws lines over two logarithmic axes.
fn draw(file: &Path, title: &str, lines: &Lines) -> Result<(), Box<dyn Error>> {
    let all = || lines.values().flatten();
    let bound = |pick: fn(&(f64, f64)) -> f64| {
        let least = all().map(pick).fold(f64::INFINITY, f64::min);
        let most = all().map(pick).fold(0.0, f64::max);
        (least, most)
    };
    let ((few, many), (fast, slow)) = (bound(|p| p.0), bound(|p| p.1));
    if many <= 0.0 {
        return Err(format!("{}: the figures have no rows for this plot", file.display()).into());
    }
    let root = SVGBackend::new(file, (720, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d((few..many * 1.2).log_scale(), (fast * 0.7..slow * 1.4).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("policies")
        .y_desc("ns per lookup")
        .x_labels(4)
        .y_labels(6)
        .x_label_formatter(&|n| format!("{n:.0}"))
        .y_label_formatter(&|n| format!("{n:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (n, (name, points)) in lines.iter().enumerate() {
        let colour = Palette99::pick(n);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], Palette99::pick(n).stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}
