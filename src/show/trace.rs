//! A packet's way: for people, and as a diagram in Mermaid.

use super::lines::{WIDTH, fitted, printable};
use super::styled;
use crate::trace::{Direction, Ending, Lookup, Sight, Stage, Trace, end};

/// For people: namespace by namespace, then the answer, then how it ended.
pub fn trace(trace: &Trace, colour: bool) -> String {
    let size = trace.size.map(|size| format!(", {size} bytes")).unwrap_or_default();
    let target = if trace.to == trace.address.to_string() {
        trace.to.clone()
    } else {
        format!("{} ({})", trace.to, trace.address)
    };
    let mode = if trace.expected { ", by the file alone" } else { "" };
    let mut text = format!("{} → {target}, {}{size}{mode}\n", trace.from, trace.protocol);
    for (title, stages) in [("there", &trace.there), ("and back", &trace.back)] {
        if !stages.is_empty() {
            text += &format!("\n{title}\n");
        }
        let mut macs = None;
        text.extend(stages.iter().map(|stage| self::stage(stage, &mut macs, colour)));
    }
    text.push('\n');
    text + &ending(&trace.end, colour)
}

/// The MAC addresses of a link.
type Macs = Option<(String, String)>;

/// A namespace; `macs` are those of the link before it.
fn stage(stage: &Stage, macs: &mut Macs, colour: bool) -> String {
    let mut text = format!("  {}\n", styled(&stage.namespace, "1", colour));
    let comes_in = |sight: &&Sight| sight.direction == Direction::In;
    let first_out = stage.seen.iter().position(|sight| !comes_in(&sight)).unwrap_or(stage.seen.len());
    let (came, went) = stage.seen.split_at(first_out);
    text.extend(came.iter().map(|one| sight(one, macs)));
    for remark in &stage.remarks {
        text += &styled(&fitted(&printable(remark), 8, 10, WIDTH), "2", colour);
    }
    text.extend(went.iter().map(|one| sight(one, macs)));
    text
}

/// An interface, on one line, and on a second one what is special there.
fn sight(sight: &Sight, before: &mut Macs) -> String {
    let way = match sight.direction {
        Direction::In => "in ",
        Direction::Out => "out",
    };
    let from = sight.source.map_or_else(|| "?".to_owned(), |source| end(source, sight.source_port));
    let to = end(sight.destination, sight.destination_port);
    let ttl = sight.ttl.map(|ttl| format!("  ttl {ttl}")).unwrap_or_default();
    let time = sight.after_us.map(|after| format!("  {after:.0} µs")).unwrap_or_default();
    let mut text = format!("    {way} {:<15} {from} → {to}{ttl}{time}\n", sight.interface);
    let vlan = sight.vlan.map(|vlan| format!("VLAN {vlan}"));
    let macs = sight.source_mac.clone().zip(sight.destination_mac.clone());
    // Those of one link are told once.
    let is_new = macs != *before;
    before.clone_from(&macs);
    let macs = macs.filter(|_| is_new).map(|(from, to)| format!("MAC {from} → {to}"));
    let inside = sight.inside.as_ref().map(|around| format!("inside {around}"));
    let details: Vec<String> = [macs, vlan, inside, sight.says.clone()].into_iter().flatten().collect();
    if !details.is_empty() {
        text += &format!("        {}\n", details.join(", "));
    }
    text
}

/// How it ended, and what to do.
pub(super) fn ending(end: &Ending, colour: bool) -> String {
    let is_well = end.answered && end.namespace.is_none();
    let what = fitted(&format!("⇒ {}", printable(&end.what)), 0, 2, WIDTH);
    let mut text = styled(&what, if is_well { "32" } else { "31" }, colour);
    text.extend(end.to_do.iter().chain(&end.besides).map(|line| fitted(&printable(line), 2, 4, WIDTH)));
    text
}

/// What a namespace does with packets to an address: each question with its answer, and the command that shows it.
pub fn lookup(lookup: &Lookup, colour: bool) -> String {
    let widest = lookup.rows.iter().map(|row| row.what.len()).max().unwrap_or_default();
    let mut text = format!("{} → {}\n", lookup.namespace, lookup.address);
    for row in &lookup.rows {
        let answer = format!("{:<widest$}  {}", row.what, printable(&row.is));
        text += &fitted(&answer, 2, widest + 4, WIDTH);
        if let Some(command) = &row.command {
            text += &styled(&fitted(command, widest + 4, widest + 6, WIDTH), "36", colour);
        }
    }
    text
}

/// A sequence diagram in Mermaid: a participant for each namespace, an arrow for each link that the packet crosses.
pub fn mermaid(trace: &Trace) -> String {
    let mut names: Vec<&str> = Vec::new();
    for stage in trace.there.iter().chain(&trace.back) {
        if !names.contains(&stage.namespace.as_str()) {
            names.push(&stage.namespace);
        }
    }
    let place = |name: &str| names.iter().position(|other| *other == name).unwrap_or_default();
    let mut text = "sequenceDiagram\n".to_owned();
    for (at, name) in names.iter().enumerate() {
        text += &format!("    participant n{at} as {name}\n");
    }
    for (stages, arrow) in [(&trace.there, "->>"), (&trace.back, "-->>")] {
        for pair in stages.windows(2) {
            let [from, to] = pair else { continue };
            let sight = from.seen.last().or(to.seen.first());
            let arrow = if sight.is_some_and(|sight| sight.says.is_some()) { "--x" } else { arrow };
            let label = sight.map(|sight| {
                let source = sight.source.map(|source| source.to_string()).unwrap_or_default();
                let says = sight.says.as_ref().map(|says| format!(", {says}")).unwrap_or_default();
                format!("{source} → {}{says}", sight.destination)
            });
            let label = label.unwrap_or_else(|| trace.protocol.clone());
            text += &format!("    n{}{arrow}n{}: {label}\n", place(&from.namespace), place(&to.namespace));
        }
    }
    let last = trace.end.namespace.as_deref().or(trace.end.arrived.as_deref()).unwrap_or(&trace.from);
    let what = printable(&trace.end.what).replace(';', ",").replace('#', "");
    if names.contains(&last) {
        text += &format!("    Note over n{}: {what}\n", place(last));
    }
    text
}
