//! Where packets go by the model: a case is a topology file with questions in its comments, and what is answered.
//!
//! `#? from red to 10.0.0.1 mark 7 oif eth0` asks for the way of a packet (`mark` and `oif` are optional),
//! `#? trace red tcp 10.0.0.1 80` for the way of the first packet of a connection, with NAT and filters, and
//! `#? beside red/eth0` for the interfaces that a broadcast reaches from one.

mod support;

use std::fmt::Write;

use nslab::forwarding::{Decision, Flow, Hop, Layer2, Outcome, RuleAt, Translated, Verdict, trace};
use nslab::lab::{InterfaceRef, IpProtocol, Protocol};
use nslab::topology;
use support::golden;

#[test]
fn packets_go_where_they_are_expected() {
    let cases = golden::files_with_expectations("tests/forwarding", "yaml");
    golden::run("tests/forwarding", &cases, |name, case| {
        let text = std::fs::read_to_string(case).map_err(|error| error.to_string())?;
        let lab = topology::parse(name, &text).map_err(|faults| faults.to_string())?.lab;
        let layer2 = Layer2::new(&lab.namespaces);
        let mut answers = String::new();
        for question in text.lines().filter_map(|line| line.strip_prefix("#? ")) {
            answers += &format!("{question}\n{}\n", answer(&layer2, question));
        }
        golden::expect(&case.with_extension("expected"), &answers)
    });
}

fn answer(layer2: &Layer2<'_>, question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    if let ["beside", end] = words.as_slice() {
        let (ns, name) = end.split_once('/').expect("NAMESPACE/INTERFACE");
        let end = InterfaceRef { ns: ns.parse().expect("a namespace"), name: name.parse().expect("an interface") };
        return layer2.neighbours(&end).iter().fold(String::new(), |text, one| text + &format!("  {one}\n"));
    }
    if let ["trace", from, protocol, to, port] = words.as_slice() {
        let protocol = if *protocol == "udp" { IpProtocol::Udp } else { IpProtocol::Tcp };
        let flow = Flow::to(protocol, to.parse().expect("an address"), Some(port.parse().expect("a port")));
        let hops = trace(layer2, &from.parse().expect("a namespace"), &flow);
        let keeps = |hop: &Hop| hop.verdict.as_ref().is_some_and(|verdict| !verdict.is_accepted());
        let end = hops.iter().position(keeps).map_or(hops.len(), |kept| kept + 1);
        return hops[..end].iter().fold(String::new(), |text, hop| text + &traced(hop));
    }
    let word = |key| words.chunks(2).find(|pair| pair[0] == key).map(|pair| pair[1]);
    let mut flow = Flow::probing(Protocol::Icmp, word("to").expect("`to`").parse().expect("an address"));
    flow.mark = word("mark").map_or(0, |mark| mark.parse().expect("a mark"));
    flow.out = word("oif").map(|oif| oif.parse().expect("an interface"));
    let mut text = String::new();
    for hop in trace(layer2, &word("from").expect("`from`").parse().expect("a namespace"), &flow) {
        writeln!(text, "  {}: {}", hop.ns, routed(&hop.decision, hop.next.as_ref())).expect("a string");
    }
    text
}

fn routed(decision: &Decision, next: Option<&InterfaceRef>) -> String {
    let rule = decision.rule.as_ref().map_or("no rule".to_owned(), |rule| format!("rule {}", rule.priority));
    let outcome = match &decision.outcome {
        Outcome::Local { dev } => format!("local, {dev}"),
        Outcome::Leaves { next_hop, source, route, .. } => {
            let source = source.map_or("?".to_owned(), |source| source.to_string());
            let next = next.map_or("nobody answers".to_owned(), |next| format!("arrives at {next}"));
            format!("`{route}` table {}, from {source}, next hop {next_hop}, {next}", route.table)
        }
        Outcome::Dropped(route) => format!("dropped by `{route}`"),
        Outcome::DroppedByRule => "dropped by the rule".to_owned(),
        Outcome::NoRoute => "no route".to_owned(),
    };
    format!("{rule}: {outcome}")
}

/// A line for each thing that happens to the packet in a namespace.
fn traced(hop: &Hop) -> String {
    let mut lines = vec![format!("  {}:", hop.ns)];
    let by = |at: &RuleAt| format!("{} rule {}", at.chain, at.position);
    let translated = |translated: &Translated| translated.by.as_ref().map(by);
    let port = |port: Option<u16>| port.map_or("?".to_owned(), |port| port.to_string());
    lines.extend(translated(&hop.destination).map(|by| {
        let flow = &hop.destination.flow;
        format!("    {by}: to {} port {}", flow.destination, port(flow.destination_port))
    }));
    lines.push(format!("    {}", routed(&hop.decision, hop.next.as_ref())));
    lines.extend(hop.verdict.as_ref().and_then(|verdict| match verdict {
        Verdict::Accepted(None) => None,
        Verdict::Accepted(Some(at)) => Some(format!("    {}: accepted", by(at))),
        Verdict::Dropped(at) => Some(format!("    {}: dropped", by(at))),
        Verdict::Rejected(at, with) => Some(format!("    {}: rejected, {with:?}", by(at))),
    }));
    let goes_on = hop.verdict.as_ref().is_some_and(Verdict::is_accepted);
    lines.extend(hop.source.as_ref().filter(|_| goes_on).and_then(|left| {
        let source = left.flow.source.map_or("?".to_owned(), |source| source.to_string());
        translated(left).map(|by| format!("    {by}: from {source}"))
    }));
    lines.join("\n") + "\n"
}
