//! Puts the sides of several machines together: what each has sent is judged by what all have seen arrive.
//!
//! A side is what a machine says, and is believed as far as it was there: a promise of silence needs every machine to
//! have listened while the sender sent.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::observation::Observation;
use super::registry::{Arrival, also};
use super::report::{CheckResult, Outcome, PairResult, Report};
use super::side::{Arrived, Judged, Sent, Side, has_heard, port_named, together};
use super::verdict::{self, Try};
use crate::lab::{Asks, Check, Expect, Lab, NsName, Owners, Probe, Protocol};

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
    let checks = lab.checks.iter().enumerate().map(pair).collect();
    let elapsed = sides.iter().map(|side| side.took).fold(0.0, f64::max);
    let elapsed = Duration::try_from_secs_f64(elapsed).unwrap_or_default();
    let commands = "checks that run commands are those of each machine alone: `nslab check LAB` there runs them";
    let hints = (!lab.exec_checks.is_empty()).then(|| commands.to_owned()).into_iter().collect();
    let mut report = Report { lab: lab.name.clone(), checks, hints, explained: Vec::new(), elapsed };
    if !report.passed() {
        let lost = |side: &Side| side.lost.iter().map(|lost| format!("{}: {lost}", side.machine)).collect::<Vec<_>>();
        report.hints.extend(sides.iter().flat_map(lost));
    }
    Ok(report)
}

/// The place of a pair: its check, and its own number there.
type Place = (usize, usize);

struct Joint<'a> {
    /// The machines that the lab has.
    all: Vec<NsName>,
    owners: Owners,
    /// The machine that has each namespace.
    holder: HashMap<&'a str, &'a Side>,
    /// Of each sender that some machine has not heard all the time: which, and why.
    unheard: HashMap<&'a str, String>,
    /// A machine that has lost packets.
    lossy: Option<&'a str>,
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
        let holder = all().flat_map(|side| side.namespaces.iter().map(|ns| (ns.as_str(), *side))).collect();
        let unheard =
            all().filter_map(|sender| Some((sender.machine.as_str(), why_unheard(&machines, sender)?))).collect();
        let judged = all().flat_map(|side| &side.judged).map(|one| ((one.check, one.probe), one)).collect();
        let sent = all().flat_map(|side| &side.probes).map(|one| ((one.check, one.probe), one)).collect();
        let lossy = all().find(|side| !side.lost.is_empty()).map(|side| side.machine.as_str());
        let all = lab.machines().into_iter().map(|(machine, _)| machine).collect();
        Self { all, holder, unheard, owners: Owners::of(lab), lossy, arrived, judged, sent }
    }

    fn pair(&self, place: Place, check: &Check, probe: &Probe) -> PairResult {
        let Some(sender) = self.machine_of(&probe.from) else {
            return PairResult::not_tried(check, probe, format!("no machine that took part has {}", probe.from));
        };
        if let Some(judged) = self.judged.get(&place) {
            let is_sound = sender.fault.is_none() || !judged.result.passed;
            return match is_sound {
                true => judged.result.clone(),
                false => {
                    let why = self.unheard.get(sender.machine.as_str()).cloned().unwrap_or_default();
                    judged.result.clone().unproven(why)
                }
            };
        }
        let Some(sent) = self.sent.get(&place) else {
            return PairResult::not_tried(check, probe, why_not_sent(sender, check, probe));
        };
        let wanted = probe.arrives_at.iter().chain(&probe.to.ns).chain(&probe.endpoints).chain(&check.answered_by);
        let mut missing = wanted.filter(|ns| self.machine_of(ns).is_none());
        if let Some(ns) = missing.next() {
            return PairResult::not_tried(check, probe, format!("no machine that took part has {ns}"));
        }
        let judged = self.judge(sent, check, probe);
        // An answer without an arrival may be that of somebody else, or nobody was there to see it arrive.
        let is_unseen = judged.saw == Outcome::Answered && judged.answered_by.is_none();
        match self.why_unproven(sender, check, probe).filter(|_| judged.passed || is_unseen) {
            Some(why) => judged.unproven(why),
            None if judged.passed && judged.saw.may_come_of_losses() => self.timely(check, self.lossless(judged)),
            None => judged,
        }
    }

    /// What passes for want of an answer, if whoever was to answer has looked at what arrived in time.
    fn timely(&self, check: &Check, judged: PairResult) -> PairResult {
        let side = judged.answered_by.as_ref().and_then(|ns| self.machine_of(ns));
        match side.filter(|side| judged.passed && side.slowest >= check.timeout.as_secs_f64()) {
            Some(side) => {
                let (machine, slowest) = (&side.machine, side.slowest);
                judged.unproven(format!(
                    "{machine} did not run for {slowest:.1} s since the checks were opened, and may have answered too \
                     late: open them anew"
                ))
            }
            None => judged,
        }
    }

    /// What passes for its silence, if no machine has lost packets.
    fn lossless(&self, judged: PairResult) -> PairResult {
        match &self.lossy {
            Some(machine) => judged.unproven(format!(
                "{machine} has lost packets since the checks were opened, and the probe may have been among them: open \
                 them anew"
            )),
            None => judged,
        }
    }

    /// Why what would be as promised proves nothing: a machine was not there, or not all the time.
    fn why_unproven(&self, sender: &Side, check: &Check, probe: &Probe) -> Option<String> {
        let is_of_address = probe.arrives_at.is_none() && probe.endpoints.is_empty();
        if check.expect == Expect::Unreachable
            && is_of_address
            && let Some(absent) = self.all.iter().find(|machine| self.machine_of(machine).is_none())
        {
            return Some(format!("{absent} has not taken part, and may be where it arrives"));
        }
        self.unheard.get(sender.machine.as_str()).cloned()
    }

    /// Judges a try by what the machines have seen.
    fn judge(&self, sent: &Sent, check: &Check, probe: &Probe) -> PairResult {
        let (arrival, also_at) = self.arrivals(sent, probe);
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
    fn arrivals(&self, sent: &Sent, probe: &Probe) -> (Option<Arrival>, Option<Arrival>) {
        let from = &probe.from;
        let (mut first, mut second) = (None, None);
        let others = sent.marks.iter().filter_map(|mark| self.arrived.get(mark.as_str())).flatten().copied();
        // What comes to the sender, unless it sends to itself, is the answer.
        let is_answer = |arrived: &&Arrived| arrived.at == from.as_str() && probe.to.ns.as_ref() != Some(from);
        for arrived in sent.arrived.iter().chain(others).filter(|arrived| !is_answer(arrived)) {
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
        self.holder.get(ns.as_str()).copied()
    }
}

/// Why a machine has not sent something.
fn why_not_sent(sender: &Side, check: &Check, probe: &Probe) -> String {
    let what = match (&probe.to.name, &check.asks) {
        (Some(_), _) => "names are resolved",
        (None, Some(Asks::Dns(_))) => "name servers are asked",
        (None, _) => return format!("{} has not sent it", sender.machine),
    };
    format!("{what} on one machine alone: `nslab check LAB` there tries it")
}

/// Why silence about what a machine has sent proves nothing: another one has not heard all of it.
fn why_unheard(machines: &BTreeMap<&str, &Side>, sender: &Side) -> Option<String> {
    let Some(greetings) = &sender.greetings else {
        let has_probes = !sender.probes.is_empty() || !sender.judged.is_empty();
        return has_probes.then(|| format!("{} has not come to the end of what it sent", sender.machine));
    };
    machines.values().find_map(|side| match &side.fault {
        Some(fault) => Some(format!("nothing can be concluded from what {} has not seen: {fault}", side.machine)),
        None if side.machine == sender.machine || has_heard(side, greetings) => None,
        None => Some(format!(
            "{} has not heard {} before and after all that it sent: open the checks on all machines, then send from \
             all, then end them; the nodes have to reach each other by ping, or by UDP at port 9",
            side.machine, sender.machine
        )),
    })
}
