//! What the demo prints: aligned tables, events in words, colours only on a terminal.

use crate::host::{Clock, Host};
use comfy_table::{CellAlignment, Table, presets};
use ravelin::Event;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// The events of both nodes in the order of time.
pub(crate) fn tell(moon: &Host, sun: &Host, begin: Duration) {
    let mut lines: Vec<(Duration, &str, String)> = Vec::new();
    for host in [moon, sun] {
        lines.extend(host.events.iter().filter_map(|(at, e)| Some((*at, host.who.name, words(e)?))));
    }
    lines.sort();
    for (at, name, text) in lines {
        println!("{:>11}  {name:<4}  {text}", ms(at.saturating_sub(begin)));
    }
}

fn words(event: &Event) -> Option<String> {
    Some(match event {
        Event::Established(e) => format!("IKE SA with {}, authenticated both ways, as {}", e.remote_id, e.role),
        Event::ChildEstablished(e) => format!("Child SA: SPI {} in, {} out", e.spi_in, e.spi_out),
        Event::ChildRefused { reason, .. } => format!("Child SA refused: {reason}"),
        Event::ChildClosed { child, reason, .. } => format!("Child SA {child} closed: {reason}"),
        Event::Closed { reason, .. } => format!("IKE SA closed: {reason}"),
        Event::Noted { reason, .. } => format!("noted: {reason}"),
        _ => return None,
    })
}

pub(crate) fn print_sas(moon: &Host, sun: &Host, clock: Clock) {
    let mut table = new_table(["node", "SA", "SPIs", "proposal", "selectors"]);
    for host in [moon, sun] {
        for sa in host.node.snapshot(clock.now().mono) {
            let name = host.who.name.to_string();
            let spis = format!("{:016x} {:016x}", sa.spis.0, sa.spis.1);
            table.add_row([name.clone(), "IKE".into(), spis, sa.proposal.replace('/', " "), sa.path.to_string()]);
            for child in sa.children {
                let ends = child.local_ts.iter().zip(&child.remote_ts).map(|(l, r)| format!("{l} to {r}"));
                let spis = format!("{} in, {} out", child.spi_in, child.spi_out);
                let selectors = ends.collect::<Vec<_>>().join(", ");
                table.add_row([name.clone(), "ESP".into(), spis, child.proposal.replace('/', " "), selectors]);
            }
        }
    }
    println!("{table}");
}

pub(crate) fn print_counters(moon: &Host, sun: &Host, clock: Clock) {
    let mut table =
        new_table(["node", "SPI in", "packets in", "octets in", "SPI out", "packets out", "octets out", "drops"]);
    for host in [moon, sun] {
        for child in host.node.snapshot(clock.now().mono).iter().flat_map(|sa| &sa.children) {
            let Some(stats) = host.node.stats(child.id) else { continue };
            let (Some(i), Some(o)) = (stats.inbound, stats.outbound) else { continue };
            let drops = i.drops.total().saturating_add(o.drops.total());
            let numbers = [i.packets, i.bytes, o.packets, o.bytes, drops].map(|n| n.to_string());
            let [pi, bi, po, bo, drops] = numbers;
            table.add_row([host.who.name.into(), i.spi.to_string(), pi, bi, o.spi.to_string(), po, bo, drops]);
        }
    }
    align(&mut table, 2);
    println!("{table}");
}

pub(crate) fn new_table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.map(str::to_uppercase));
    table
}

/// Numbers stand right.
pub(crate) fn align(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

pub(crate) fn title(text: &str) {
    if std::io::stdout().is_terminal() { println!("\n\x1b[1;36m{text}\x1b[0m") } else { println!("\n{text}") }
}

/// A line that the next one overwrites; only for people who watch.
pub(crate) fn progress(text: &str) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let _ = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
    }
}

pub(crate) fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

pub(crate) fn gbit(octets: u64, time: Duration) -> String {
    format!("{:.2} Gbit/s", octets as f64 * 8.0 / time.as_secs_f64() / 1e9)
}
