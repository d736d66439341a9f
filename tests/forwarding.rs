//! Where packets go by the model: a case is a topology file with questions in its comments, and what is answered.
//!
//! `#? from red to 10.0.0.1 mark 7 oif eth0` asks for the way of a packet (`mark` and `oif` are optional), and
//! `#? beside red/eth0` for the interfaces that a broadcast reaches from one.

mod support;

use std::fmt::Write;

use nslab::forwarding::{Layer2, Outcome, Packet, path};
use nslab::lab::{InterfaceRef, Lab};
use nslab::topology;
use support::golden;

#[test]
fn packets_go_where_they_are_expected() {
    let cases = golden::files_with_expectations("tests/forwarding", "yaml");
    golden::run("tests/forwarding", &cases, |name, case| {
        let text = std::fs::read_to_string(case).map_err(|error| error.to_string())?;
        let lab = topology::parse(name, &text).map_err(|faults| faults.to_string())?.lab;
        let layer2 = Layer2::new(&lab);
        let mut answers = String::new();
        for question in text.lines().filter_map(|line| line.strip_prefix("#? ")) {
            answers += &format!("{question}\n{}\n", answer(&lab, &layer2, question));
        }
        golden::expect(&case.with_extension("expected"), &answers)
    });
}

fn answer(lab: &Lab, layer2: &Layer2<'_>, question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    if let ["beside", end] = words.as_slice() {
        let (ns, name) = end.split_once('/').expect("NAMESPACE/INTERFACE");
        let end = InterfaceRef { ns: ns.parse().expect("a namespace"), name: name.parse().expect("an interface") };
        return layer2.neighbours(&end).iter().fold(String::new(), |text, one| text + &format!("  {one}\n"));
    }
    let word = |key| words.chunks(2).find(|pair| pair[0] == key).map(|pair| pair[1]);
    let mut packet = Packet::to(word("to").expect("`to`").parse().expect("an address"));
    packet.mark = word("mark").map_or(0, |mark| mark.parse().expect("a mark"));
    packet.oif = word("oif").map(|oif| oif.parse().expect("an interface"));
    let mut text = String::new();
    for hop in path(lab, layer2, &word("from").expect("`from`").parse().expect("a namespace"), &packet) {
        let rule = hop.decision.rule.as_ref().map_or("no rule".to_owned(), |rule| format!("rule {}", rule.priority));
        let outcome = match &hop.decision.outcome {
            Outcome::Local { dev } => format!("local, {dev}"),
            Outcome::Leaves { next_hop, source, route, .. } => {
                let source = source.map_or("?".to_owned(), |source| source.to_string());
                format!("`{route}` table {}, from {source}, next hop {next_hop}", route.table)
            }
            Outcome::Dropped(route) => format!("dropped by `{route}`"),
            Outcome::DroppedByRule => "dropped by the rule".to_owned(),
            Outcome::NoRoute => "no route".to_owned(),
        };
        let next = match (&hop.decision.outcome, &hop.next) {
            (Outcome::Leaves { .. }, Some(next)) => format!(", arrives at {next}"),
            (Outcome::Leaves { .. }, None) => ", nobody answers".to_owned(),
            (Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute, _) => {
                String::new()
            }
        };
        writeln!(text, "  {}: {rule}: {outcome}{next}", hop.ns).expect("a string");
    }
    text
}
