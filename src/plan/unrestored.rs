//! What an undo could not put back: objects that the model has no words for, and interfaces that nslab cannot make.
//!
//! [`way_back`](super::way_back) plans what the model can express. What is here has the inverse of its step as its only
//! way back, or none at all.

use std::collections::HashSet;

use super::unread::in_common;
use crate::lab::{
    ForeignObject, IfName, Interface, Lab, LabName, NsName, Observed, ObservedFirewall, ObservedNamespace, ObservedRule,
};
use crate::steps::{ForeignStep, Presence, Step};

/// What was there before, in what is the lab's, and is not there now: a line each for the person at the keyboard.
pub fn unrestored(lab: &Lab, before: &Observed, now: &Observed) -> Vec<String> {
    let [before, now] = &in_common(lab, before, now);
    let lab = &lab.name;
    let nothing = ObservedNamespace::default();
    let of_lab = before.namespaces.iter().filter(|(name, was)| name.is_host() || was.is.owner.as_ref() == Some(lab));
    let mut lines = Vec::new();
    for (name, was) in of_lab {
        let is = now.namespaces.get(name).unwrap_or(&nothing);
        lines.extend(interfaces(lab, name, was, is));
        lines.extend(options(name, was, is));
        lines.extend(addresses(lab, name, was, is));
        // In `host`, others come and go meanwhile.
        if !name.is_host() {
            lines.extend(objects(name, was, is));
            lines.extend(rules(name, &was.firewall, &is.firewall));
        }
    }
    lines
}

fn interfaces(lab: &LabName, ns: &NsName, was: &ObservedNamespace, is: &ObservedNamespace) -> Vec<String> {
    let own = |(_, interface): &(&IfName, &Interface)| interface.is_of(lab, ns);
    let lost = was.is.interfaces.iter().filter(own).filter(|(name, _)| !is.is.interfaces.contains_key(*name));
    lost.map(|(name, was)| format!("make {} {name} in {ns} again", was.kind_name())).collect()
}

fn options(ns: &NsName, was: &ObservedNamespace, is: &ObservedNamespace) -> Vec<String> {
    let there = |name: &IfName| is.is.interfaces.contains_key(name);
    let lost = was.foreign.interfaces.iter().filter(|(name, _)| there(name));
    let lost = lost.filter(|(name, was)| is.foreign.interfaces.get(*name) != Some(was));
    lost.map(|(name, was)| format!("give {name} in {ns} its options again: {}", was.text)).collect()
}

fn addresses(lab: &LabName, ns: &NsName, was: &ObservedNamespace, is: &ObservedNamespace) -> Vec<String> {
    let own = |name: &IfName| was.is.interfaces.get(name).is_some_and(|interface| interface.is_of(lab, ns));
    let lost = was.altered_addresses.iter().filter(|((name, _), _)| own(name));
    let lost = lost.filter(|(address, was)| is.altered_addresses.get(*address) != Some(was));
    lost.map(|((name, address), was)| {
        format!("give the address {address} of {name} in {ns} its attributes again: {}", was.words.join(", "))
    })
    .collect()
}

fn objects(ns: &NsName, was: &ObservedNamespace, is: &ObservedNamespace) -> Vec<String> {
    let now: HashSet<String> = is.foreign.objects().map(ForeignObject::to_string).collect();
    let lost = was.foreign.objects().filter(|object| !now.contains(&object.to_string()));
    let step = |object: &ForeignObject| ForeignStep { ns: ns.clone(), change: Presence::Add(object.clone()) };
    lost.map(|object| Step::Foreign(step(object)).text()).collect()
}

fn rules(ns: &NsName, was: &ObservedFirewall, is: &ObservedFirewall) -> Vec<String> {
    let mut lines = Vec::new();
    for (chain, rules) in &was.chains {
        let mut now: Vec<&ObservedRule> = is.chains.get(chain).into_iter().flatten().collect();
        for rule in rules {
            let at = now.iter().position(|now| *now == rule);
            if at.map(|at| now.remove(at)).is_none() {
                lines.push(format!("put a rule back into chain {} of {ns}", chain.chain));
            }
        }
    }
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use indexmap::IndexMap;

    use crate::lab::{ForeignKind, ForeignRoute};

    fn observed(routes: &[&str]) -> Observed {
        let object = |text: &&str| ForeignObject {
            kind: ForeignKind::Route { ipv6: false },
            text: (*text).to_owned(),
            message: Vec::new(),
        };
        let route = |text| ForeignRoute { object: object(text), dev: None, slot: None, is_ours: false, protocol: 3 };
        let mut red = ObservedNamespace::default();
        red.is.owner = Some("lab".parse().expect("a name"));
        red.foreign.routes = routes.iter().map(route).collect();
        Observed { namespaces: [("red".parse().expect("a name"), red)].into(), ..Observed::default() }
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_else() {
        let lab = |name: &str| Lab::of(name.parse().expect("a name"), IndexMap::new());
        let (before, now) =
            (observed(&["10.0.0.0/8 tos 0x10", "10.1.0.0/16 tos 0x10"]), observed(&["10.1.0.0/16 tos 0x10"]));
        assert_eq!(unrestored(&lab("lab"), &before, &now), ["put route 10.0.0.0/8 tos 0x10 back in red"]);
        assert!(unrestored(&lab("lab"), &now, &before).is_empty());
        assert_eq!(unrestored(&lab("other"), &before, &now), Vec::<String>::new());
    }
}
