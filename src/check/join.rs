//! Puts the sides of several machines together: what each has sent is judged by what all have seen arrive.
//!
//! A side is what a machine says, and is believed as far as it was there: a promise of silence needs every machine to
//! have listened while the sender sent.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::exec::exec_result;
use super::observation::Observation;
use super::registry::{Arrival, also};
use super::report::{CheckResult, Outcome, PairResult, Report};
use super::side::{Arrived, Judged, Sent, Side, holds, port_named, together, was_open};
use super::verdict::{self, Try};
use crate::lab::{Check, Expect, Lab, NsName, Owners, Probe, Protocol, Ran};

/// The report of a lab's checks by the sides of its machines; `topology` is the number of the lab's topology, see
/// [`Side`].
///
/// # Errors
/// The sides do not belong together, in words.
pub fn join(lab: &Lab, topology: &str, sides: &[Side]) -> Result<Report, String> {
    let machines = together(sides, &lab.name, topology)?;
    let joint = Joint::new(lab, machines);
    let pair = |(number, check): (usize, &Check)| CheckResult {
        name: check.name.clone(),
        line: check.line,
        expectation: verdict::promise(check),
        pairs: check.probes.iter().enumerate().map(|(at, probe)| joint.pair((number, at), check, probe)).collect(),
    };
    let mut checks: Vec<CheckResult> = lab.checks.iter().enumerate().map(pair).collect();
    checks.extend(joint.commands(lab));
    checks.sort_by_key(|check| check.line);
    let times = sides.iter().filter_map(|side| Some(side.sent?.to - side.open.from));
    let elapsed = Duration::try_from_secs_f64(times.fold(0.0, f64::max)).unwrap_or_default();
    Ok(Report { lab: lab.name.clone(), checks, hints: Vec::new(), explained: Vec::new(), elapsed })
}

/// The place of a pair: its check, and its own number there.
type Place = (usize, usize);

struct Joint<'a> {
    machines: BTreeMap<&'a str, &'a Side>,
    owners: Owners,
    arrived: HashMap<&'a str, Vec<&'a Arrived>>,
    judged: HashMap<Place, &'a Judged>,
    sent: HashMap<Place, &'a Sent>,
}

impl<'a> Joint<'a> {
    fn new(lab: &Lab, machines: BTreeMap<&'a str, &'a Side>) -> Self {
        let mut arrived: HashMap<&str, Vec<&Arrived>> = HashMap::new();
        for one in machines.values().flat_map(|side| &side.arrived) {
            arrived.entry(one.mark.as_str()).or_default().push(one);
        }
        let all = || machines.values();
        let judged = all().flat_map(|side| &side.judged).map(|one| ((one.check, one.probe), one)).collect();
        let sent = all().flat_map(|side| &side.probes).map(|one| ((one.check, one.probe), one)).collect();
        Self { owners: Owners::of(lab), arrived, judged, sent, machines }
    }

    fn pair(&self, place: Place, check: &Check, probe: &Probe) -> PairResult {
        let Some(sender) = self.machine_of(&probe.from) else {
            return PairResult::not_tried(check, probe, format!("no machine that took part has {}", probe.from));
        };
        if let Some(judged) = self.judged.get(&place) {
            return judged.result.clone();
        }
        let Some(sent) = self.sent.get(&place) else {
            let why = match probe.to.name {
                None => format!("{} has not sent it", sender.machine),
                Some(_) => "names are not tried where several machines make the lab".to_owned(),
            };
            return PairResult::not_tried(check, probe, why);
        };
        match self.why_unknown(sender, check, probe) {
            Some(why) => PairResult::not_tried(check, probe, why),
            None => self.judge(sent, check, probe),
        }
    }

    /// Why what was sent to other machines cannot be judged: somebody was not there.
    fn why_unknown(&self, sender: &Side, check: &Check, probe: &Probe) -> Option<String> {
        let wanted = probe.arrives_at.iter().chain(&probe.to.ns).chain(&probe.endpoints).chain(&check.answered_by);
        let mut missing = wanted.filter(|ns| self.machine_of(ns).is_none());
        if let Some(ns) = missing.next() {
            return Some(format!("no machine that took part has {ns}"));
        }
        let Some(sent) = sender.sent else { return Some(format!("{} has not sent it", sender.machine)) };
        let deaf = self.machines.values().find(|side| !was_open(side, sent))?;
        Some(format!(
            "{} did not listen all the time that {} sent, by their clocks: open the checks on all machines, then send \
             from all, then end them",
            deaf.machine, sender.machine
        ))
    }

    /// Judges a try by what the machines have seen.
    fn judge(&self, sent: &Sent, check: &Check, probe: &Probe) -> PairResult {
        let (arrival, also_at) = self.arrivals(sent, &probe.from);
        let taken =
            check.asks.is_some() || arrival.as_ref().is_some_and(|arrival| self.is_taken(check, probe, arrival));
        let is_nslabs = matches!(check.protocol, Protocol::Tcp(_)) && !taken;
        let outcome = match &sent.saw {
            Outcome::Answered if is_nslabs && !sent.met => Outcome::Stalled,
            saw => saw.clone(),
        };
        let took = Duration::try_from_secs_f64(sent.took).unwrap_or_default();
        let (left_as, met) = (sent.left_as, sent.met);
        let seen = Observation { outcome, answer: None, arrival, also_at, left_as, taken, met, took };
        // What a program has answered, its sender has looked at.
        let plain = Check { asks: None, ..check.clone() };
        let owners = &self.owners;
        let tried = Try { check: &plain, probe, seen: &seen, owners };
        let is_silence_unproven = check.expect == Expect::Unreachable
            && seen.arrival.is_none()
            && matches!(seen.outcome, Outcome::Answered | Outcome::Stalled | Outcome::NoAnswer { .. });
        let verdict = match (tried.judge(), &sent.answer) {
            (Ok(()), Some(why)) if check.expect == Expect::Reachable => Err(why.clone()),
            (Ok(()), _) if is_silence_unproven => Err("answered, though it should be unreachable".to_owned()),
            (verdict, _) => verdict,
        };
        let result = tried.summary(verdict.is_ok());
        let (seen_as, answered_by) = seen.arrival.map(|arrival| (arrival.source, arrival.ns)).unzip();
        PairResult {
            passed: verdict.is_ok(),
            result,
            failure: verdict.err(),
            saw: seen.outcome,
            seen_as,
            answered_by,
            took,
            tries: sent.tries,
            ..PairResult::not_tried(check, probe, String::new())
        }
    }

    /// Where a try arrived first, and where else: the sender sees the answer besides.
    fn arrivals(&self, sent: &Sent, from: &NsName) -> (Option<Arrival>, Option<Arrival>) {
        let (mut first, mut second) = (None, None);
        let all = sent.marks.iter().filter_map(|mark| self.arrived.get(mark.as_str())).flatten();
        for arrived in all {
            let Ok(ns) = arrived.at.parse() else { continue };
            let arrival = Arrival { source: arrived.source, destination: arrived.destination, ns };
            match &first {
                None => first = Some(arrival),
                Some(first) if also(first, &arrival, from) => second = second.or(Some(arrival)),
                Some(_) => {}
            }
        }
        (first, second)
    }

    /// Whether a program has the port at which a probe has arrived.
    fn is_taken(&self, check: &Check, probe: &Probe, arrival: &Arrival) -> bool {
        let Some(side) = self.machine_of(&arrival.ns) else { return false };
        let mut ports = probe.listen.iter().filter(|(ns, _)| *ns == arrival.ns);
        ports.any(|(ns, port)| side.taken.contains(&port_named(ns, check.protocol.at(*port))))
    }

    fn machine_of(&self, ns: &NsName) -> Option<&'a Side> {
        self.machines.values().copied().find(|side| holds(side, ns))
    }

    /// The results of commands; each machine has those of its own namespaces.
    fn commands(&self, lab: &Lab) -> Vec<CheckResult> {
        let all = || self.machines.values().flat_map(|side| &side.commands);
        let whole = lab.exec_checks.iter().map(|check| {
            let own = all().filter(|result| result.line == check.line);
            let mut pairs: Vec<PairResult> = own.flat_map(|result| result.pairs.clone()).collect();
            let missing = check.from.iter().filter(|ns| !pairs.iter().any(|pair| pair.from == **ns));
            let not_run =
                |ns: &NsName| (ns.clone(), Ran::NotStarted("no machine has run it".to_owned()), Duration::ZERO);
            let mut result = exec_result(check, missing.map(not_run).collect());
            pairs.append(&mut result.pairs);
            CheckResult { pairs, ..result }
        });
        whole.collect()
    }
}
