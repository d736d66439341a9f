//! What the oracle says of the checks of a lab, and whether a report says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nslab::lab::{Check, Expect, Family, IpProtocol, Lab, NsName, Probe, Protocol, SeenAs};
use serde_json::Value;

use super::links::Neighbours;
use super::play::Tally;
use super::rng::Rng;
use super::walk::{Chance, Listening, Prediction, Saw, follow};

/// A router tells a sender five times in a row that there is no way, and then once a second (`ip_error`).
const ERRORS_AT_ONCE: usize = 5;

/// What the addresses end in that nobody has: a file cannot ask for more than that they are unreachable.
const NOBODY: &str = "99";

/// What was compared.
pub struct Compared {
    pub tally: Tally,
    /// What is not as predicted.
    pub wrong: Vec<String>,
}

/// What may come of each check. Where the order of events decides, that is more than one thing.
fn predictions(lab: &Lab) -> Vec<Vec<Prediction>> {
    let nobody = Listening::new();
    let somebody = listening(lab);
    let of = |check: &Check| if check.expect == Expect::Refused { nobody.clone() } else { somebody.clone() };
    let run = |neighbours: &Neighbours, last: bool| {
        let mut learned = Neighbours::default();
        let follow_one = |check: &Check| {
            let chance = Chance { neighbours: neighbours.clone(), last };
            let (prediction, after) = follow(lab, check, &check.probes[0], &of(check), &chance);
            learned.extend(after);
            prediction
        };
        let told: Vec<Prediction> = lab.checks.iter().map(follow_one).collect();
        (told, learned)
    };
    let nothing = Neighbours::default();
    let (cold, mut learned) = run(&nothing, false);
    let mut all: Vec<Vec<Prediction>> = cold.into_iter().map(|one| vec![one]).collect();
    let mut add = |told: Vec<Prediction>| {
        for (all, one) in all.iter_mut().zip(told) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    };
    if learned.several {
        let (cold, others) = run(&nothing, true);
        learned.extend(others);
        add(cold);
    }
    if learned.is_open() {
        let (known, behind) = (learned.with_overheard(), learned.behind);
        let known = Neighbours { known, behind, ..Neighbours::default() };
        let missed = Neighbours { missed: learned.missed, ..Neighbours::default() };
        // Who asks in vain is heard: the one that does not answer then knows it without having asked.
        let mut both = Neighbours { missed: missed.missed.clone(), ..known.clone() };
        both.known.retain(|(at, address, _)| !missed.missed.iter().any(|(by, of)| (by, of) == (at, address)));
        for (neighbours, last) in [(&known, false), (&known, true), (&missed, false), (&both, false)] {
            add(run(neighbours, last).0);
        }
    }
    all
}

/// Where nslab listens for the checks of a lab.
fn listening(lab: &Lab) -> Listening {
    let mut all = Listening::new();
    for check in &lab.checks {
        let protocol = match check.protocol {
            Protocol::Icmp => continue,
            Protocol::Tcp(_) => IpProtocol::Tcp,
            Protocol::Udp(_) => IpProtocol::Udp,
        };
        for probe in &check.probes {
            let family = Family::of(probe.to.address);
            all.extend(probe.listen.iter().map(|(ns, port)| (ns.clone(), protocol, family, *port)));
        }
    }
    all
}

/// Gives the checks of a file expectations: mostly such as are kept.
pub fn set_expectations(file: &mut Value, lab: &Lab, rng: &mut Rng) {
    let predictions = predictions(lab);
    for ((check, model), told) in
        file["checks"].as_array_mut().expect("checks").iter_mut().zip(&lab.checks).zip(predictions)
    {
        let told = &told[0];
        let right = ["reachable", "unreachable", "unanswered", "refused"]
            .into_iter()
            .find(|word| is_kept(&Check { expect: expect(word), ..model.clone() }, &model.probes[0], told));
        let any = *rng.pick(&["reachable", "unreachable", "unanswered", "refused"]);
        let mut word = right.filter(|_| rng.chance(75)).unwrap_or(any);
        if model.probes[0].to.label.ends_with(NOBODY) {
            word = "unreachable";
        }
        check["expect"] = word.into();
        if word != "reachable" {
            continue;
        }
        if rng.chance(35) {
            let seen = told.arrival.as_ref().filter(|_| rng.chance(60)).map(|(_, source, _)| source.to_string());
            check["seen_as"] = seen.unwrap_or_else(|| "itself".to_owned()).into();
        }
        if model.protocol != Protocol::Icmp && rng.chance(15) {
            let by = told.arrival.as_ref().filter(|_| rng.chance(70)).map(|(ns, ..)| ns.to_string());
            check["answered_by"] = by.unwrap_or_else(|| model.probes[0].from.to_string()).into();
        }
    }
}

fn expect(word: &str) -> Expect {
    match word {
        "reachable" => Expect::Reachable,
        "unreachable" => Expect::Unreachable,
        "unanswered" => Expect::Unanswered,
        _ => Expect::Refused,
    }
}

/// Whether a probe arrives where it should: a name means that namespace, or where it leads what it gets, or the one
/// that is to answer in its place.
fn is_meant(check: &Check, probe: &Probe, told: &Prediction) -> bool {
    let Some((ns, ..)) = &told.arrival else { return false };
    let named = probe.to.ns.as_ref().filter(|_| probe.to.label.parse::<IpAddr>().is_err());
    match (&check.answered_by, named) {
        (Some(by), _) => ns == by,
        (None, Some(named)) => ns == named || told.led_by.contains(named),
        (None, None) => true,
    }
}

/// Whether a check is kept by what comes of its probe, as docs/topology.md has it.
fn is_kept(check: &Check, probe: &Probe, told: &Prediction) -> bool {
    let arrived = is_meant(check, probe, told);
    let source = told.arrival.as_ref().map(|(_, source, _)| *source);
    let is_icmp = check.protocol == Protocol::Icmp;
    match check.expect {
        Expect::Reachable => {
            told.saw == Saw::Answered
                && arrived
                && match check.seen_as {
                    None => true,
                    Some(SeenAs::Itself) => told.left_as.is_some() && source == told.left_as,
                    Some(SeenAs::Address(address)) => source == Some(address),
                }
        }
        Expect::Unreachable => !arrived && (told.saw != Saw::Refused || is_icmp),
        Expect::Unanswered => arrived && matches!(told.saw, Saw::Silence | Saw::Unreachable),
        Expect::Refused => told.saw == Saw::Refused,
    }
}

/// Whether nslab does not listen where a probe arrives as it should, which would look like a refusal.
fn is_unheard(check: &Check, probe: &Probe, told: &Prediction) -> bool {
    let asks = check.protocol != Protocol::Icmp && check.expect != Expect::Refused;
    let Some((ns, _, port)) = told.arrival.as_ref().filter(|_| asks && is_meant(check, probe, told)) else {
        return false;
    };
    !probe.listen.iter().any(|(there, at)| there == ns && at == port)
}

/// Compares a report with what the oracle says.
pub fn compare(lab: &Lab, report: &Value) -> Compared {
    let predictions = predictions(lab);
    let limited = told_too_often(&predictions);
    let mut compared = Compared { tally: Tally { labs: 1, ..Tally::default() }, wrong: Vec::new() };
    for (number, (check, told)) in lab.checks.iter().zip(&predictions).enumerate() {
        let (probe, pair) = (&check.probes[0], &report["checks"][number]["pairs"][0]);
        let seen = Seen::of(pair);
        let fits = |one: &Prediction| {
            let predicted = Seen::predicted(check, probe, one);
            let is_silent = one.limited.as_ref().is_some_and(|at| limited.contains(at));
            predicted == seen
                || (is_silent
                    && seen.saw == "silence"
                    && Seen { saw: "silence".into(), passed: seen.passed, ..predicted } == seen)
        };
        let tally = &mut compared.tally;
        tally.pairs += 1;
        tally.open += u32::from(told.len() > 1);
        *tally.heard.entry(format!("{} {}", seen.saw, if seen.passed { "✓" } else { "✗" })).or_default() += 1;
        if told.iter().all(|one| is_unheard(check, probe, one)) {
            let (name, expect, listen) = (&check.name, check.expect, &probe.listen);
            let number = number + 1;
            compared.wrong.push(format!("check {number}: {name} expect {expect:?}: not heard at {listen:?}: {told:?}"));
        }
        if !told.iter().any(fits) {
            let may: Vec<_> = told.iter().map(|one| format!("{:?}", Seen::predicted(check, probe, one))).collect();
            compared.wrong.push(format!(
                "check {}: {} expect {:?}\n  oracle: {}\n  nslab:  {seen:?}\n  {}",
                number + 1,
                check.name,
                check.expect,
                may.join("\n  or:     "),
                pair
            ));
        }
    }
    compared
}

/// The routers that refuse packets of a sender more often than they tell it.
fn told_too_often(predictions: &[Vec<Prediction>]) -> BTreeSet<(NsName, IpAddr)> {
    let mut counts: BTreeMap<&(NsName, IpAddr), usize> = BTreeMap::new();
    for limited in predictions.iter().flatten().filter_map(|one| one.limited.as_ref()) {
        *counts.entry(limited).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > ERRORS_AT_ONCE).map(|(at, _)| at.clone()).collect()
}

/// What is compared of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    saw: String,
    arrival: Option<(String, String)>,
    passed: bool,
}

impl Seen {
    fn of(pair: &Value) -> Self {
        let word = |key: &str| pair[key].as_str().map(str::to_owned);
        Self {
            saw: pair["saw"]["outcome"].as_str().unwrap_or_default().to_owned(),
            arrival: word("answered_by").zip(word("seen_as")),
            passed: pair["passed"] == true,
        }
    }

    fn predicted(check: &Check, probe: &Probe, told: &Prediction) -> Self {
        let saw = match told.saw {
            Saw::Answered => "answered",
            Saw::Refused => "refused",
            Saw::Unreachable => "unreachable",
            Saw::NotSent => "not_sent",
            Saw::Stalled => "stalled",
            Saw::Silence => "silence",
        };
        let arrival = told.arrival.as_ref().map(|(ns, source, _)| (ns.to_string(), source.to_string()));
        Self { saw: saw.to_owned(), arrival, passed: is_kept(check, probe, told) }
    }
}
