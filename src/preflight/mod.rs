//! What a lab needs of a machine, and what the machine lacks: found before the first change, all of it at once, each
//! with what to do about it.
//!
//! Pure judgement: [`Needs`] says what a lab needs, [`Facts`] what the machine has; nothing here asks the machine, or
//! knows what is done about a finding.

mod capabilities;
mod code;
mod collisions;
mod facts;
mod finding;
mod firewall;
mod machine;
mod needs;

pub use code::{FindingCode, MachineCode};
pub use facts::{DroppingChain, Extension, Facts, Feature, Iptables, Questions, Taken};
pub use finding::{Examined, Finding, Severity};
pub use needs::Needs;

/// Examines every subject that concerns the needs.
pub fn examine(needs: &Needs, facts: &Facts) -> Vec<Examined> {
    let subjects: [(&'static str, Option<Vec<Finding>>); 10] = [
        ("privileges", Some(machine::privileges(needs, facts))),
        (
            "named namespaces (/run/netns)",
            (needs.lab.is_none() || !needs.namespaces.is_empty()).then(|| machine::directory(facts)),
        ),
        ("addresses and routes of the host", needs.lab.as_ref().map(|_| collisions::find(needs, facts))),
        // Without privileges, nothing can be tried.
        ("features of the kernel", facts.has_privileges().then(|| machine::features(needs, facts))),
        ("IPv6", needs.ipv6.as_ref().map(|place| machine::ipv6(needs, facts, place))),
        ("sysctls", needs.sysctls.as_ref().map(|place| machine::sysctls(needs, facts, place))),
        ("limits", needs.lab.as_ref().map(|_| machine::limits(needs, facts))),
        ("commands", (!needs.commands.is_empty()).then(|| machine::commands(needs, facts))),
        ("iptables", (!needs.firewall.is_empty()).then(|| firewall::programs(needs, facts))),
        (
            "forwarding",
            (facts.has_privileges() && (!needs.host_forwards.is_empty() || needs.host_bridges))
                .then(|| firewall::forwarding(needs, facts)),
        ),
    ];
    let examined = |(subject, findings): (_, Option<_>)| Some(Examined { subject, findings: findings? });
    subjects.into_iter().filter_map(examined).collect()
}

/// Whether everything is permitted that labs and their checks take.
pub fn has_all_privileges(own: u64) -> bool {
    capabilities::has_privileges(own) && capabilities::missing_for_checks(own).is_empty()
}
