//! The kernel's account of a lab by plain commands, without what differs from one time to the next (indexes, hardware
//! addresses that the kernel chose, timers): two labs from one file have the same.

use std::collections::{BTreeMap, BTreeSet};

use nslab::lab::{Lab, NsName};
use serde_json::{Value, json};

use super::support::run;

/// Facts about a lab, each a line with the namespace and the command it comes from.
pub type Account = BTreeSet<String>;

/// The account of every namespace that the lab has, and of `host`.
pub fn of(lab: &Lab) -> Account {
    let spaces: BTreeSet<NsName> = lab.own_namespaces().cloned().chain([NsName::host()]).collect();
    let told: Vec<(NsName, Vec<String>)> = spaces.into_iter().map(|ns| (ns.clone(), ask(&ns))).collect();
    let names = Names::new(&told);
    let mut account = Account::new();
    for (ns, answers) in &told {
        let [_, links, routes, rules, rules6, neighbours, ports, vlans, fdb, iptables, ip6tables, tables, settings] =
            answers.as_slice()
        else {
            panic!("{ns}: {answers:?}")
        };
        let macs = |name: &str| {
            let link = lab.namespaces.get(ns)?.interfaces.iter().find(|(own, _)| own.as_str() == name)?;
            link.1.mac
        };
        for mut link in list(links) {
            plain_link(&mut link, ns, &names, |name| macs(name).is_some());
            account.insert(format!("{ns} ip addr: {link}"));
        }
        for route in list(routes).iter().filter(|route| is_the_labs(route)) {
            // A route to an own subnet that was mended is nslab's, and otherwise the kernel's.
            let whose = if route["gateway"].is_null() { "protocol" } else { "flags" };
            account.insert(format!("{ns} ip route: {}", without(route, &["flags", whose])));
        }
        for (what, text) in [("rule", rules), ("-6 rule", rules6), ("neigh", neighbours)] {
            account.extend(list(text).iter().map(|entry| format!("{ns} ip {what}: {entry}")));
        }
        for port in list(ports) {
            account.insert(format!("{ns} bridge link: {}", without(&port, &["ifindex", "link", "flags", "state"])));
        }
        account.extend(list(vlans).iter().map(|port| format!("{ns} bridge vlan: {port}")));
        // What is no entry of a VXLAN end is a bridge's, or what somebody listens to.
        for entry in list(fdb).iter().filter(|entry| !entry["dst"].is_null() && entry["state"] == "permanent") {
            account.insert(format!("{ns} bridge fdb: {entry}"));
        }
        account.extend(nft(tables).into_iter().map(|line| format!("{ns} nft: {line}")));
        account.extend(settings.lines().map(|line| format!("{ns} sysctl: {line}")));
        for (program, text) in [("iptables", iptables), ("ip6tables", ip6tables)] {
            account.extend(chains(text).into_iter().map(|chain| format!("{ns} {program}-save: {chain}")));
        }
    }
    account
}

/// Interface-local routes come and go with the carrier. Anycast ones the kernel sometimes leaves behind: it counts one
/// twice where forwarding is turned on while it still works on a new address, and takes off one with the address.
fn is_the_labs(route: &Value) -> bool {
    let to = route["dst"].as_str().unwrap_or_default();
    !(to.starts_with("fe80") || to == "ff00::/8" || route["type"] == "anycast")
}

/// The facts that are in one of the two accounts only.
pub fn difference(converged: &Account, fresh: &Account) -> Option<String> {
    let only = |what: &str, a: &Account, b: &Account| -> String {
        a.difference(b).map(|line| format!("only in the {what} lab: {line}\n")).collect()
    };
    (converged != fresh).then(|| only("converged", converged, fresh) + &only("fresh", fresh, converged))
}

/// What a namespace says, command by command.
fn ask(ns: &NsName) -> Vec<String> {
    let commands = [
        "ip -j netns list-id",
        "ip -d -j addr",
        "ip -j route show table all",
        "ip -j rule",
        "ip -j -6 rule",
        "ip -j neigh show nud permanent",
        "bridge -j link",
        "bridge -j vlan",
        "bridge -j fdb",
        "iptables-save",
        "ip6tables-save",
        "nft -j list ruleset",
        // Some can only be written, some have no value.
        "cd /proc/sys/net; grep -rs '' ipv4/ip_forward ipv4/ip_default_ttl ipv4/conf ipv4/neigh ipv6/conf || true",
    ];
    let script = commands.join("; echo '~'; ");
    let text = match ns.is_host() {
        true => run(&script),
        false => run(&format!("ip netns exec {ns} sh -ec \"{script}\"")),
    };
    text.split('~').map(|part| part.trim().to_owned()).collect()
}

fn list(text: &str) -> Vec<Value> {
    if text.is_empty() {
        Vec::new()
    } else {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

fn without(value: &Value, keys: &[&str]) -> Value {
    let mut value = value.clone();
    if let Value::Object(map) = &mut value {
        map.retain(|key, _| !keys.contains(&key.as_str()));
    }
    value
}

/// Names of interfaces by namespace and index, and of namespaces by the numbers under which others know them.
struct Names {
    interfaces: BTreeMap<(NsName, u64), String>,
    namespaces: BTreeMap<(NsName, u64), NsName>,
}

impl Names {
    fn new(told: &[(NsName, Vec<String>)]) -> Self {
        let mut names = Self { interfaces: BTreeMap::new(), namespaces: BTreeMap::new() };
        for (ns, answers) in told {
            for id in list(&answers[0]) {
                // The host has no name.
                let other = id["name"].as_str().map_or_else(NsName::host, |name| name.parse().expect("a namespace"));
                names.namespaces.insert((ns.clone(), id["nsid"].as_u64().expect("a number")), other);
            }
            for link in list(&answers[1]) {
                let name = link["ifname"].as_str().expect("a name").to_owned();
                names.interfaces.insert((ns.clone(), link["ifindex"].as_u64().expect("an index")), name);
            }
        }
        names
    }

    /// The other end of a veth pair.
    fn peer(&self, ns: &NsName, link: &Value) -> Option<String> {
        let there = match link["link_netnsid"].as_u64() {
            Some(number) => self.namespaces.get(&(ns.clone(), number))?.clone(),
            None => ns.clone(),
        };
        let name = match link["link_index"].as_u64() {
            Some(index) => self.interfaces.get(&(there.clone(), index))?.clone(),
            None => link["link"].as_str()?.to_owned(),
        };
        Some(format!("{there}/{name}"))
    }
}

/// An interface without what the kernel chose for it.
fn plain_link(link: &mut Value, ns: &NsName, names: &Names, has_mac: impl Fn(&str) -> bool) {
    let name = link["ifname"].as_str().unwrap_or_default().to_owned();
    let is_up = link["flags"].as_array().is_some_and(|flags| flags.contains(&json!("UP")));
    let peer = names.peer(ns, link);
    let info = &link["linkinfo"];
    let kind = info["info_kind"].clone();
    let options =
        ["stp_state", "vlan_filtering", "mode", "id", "local", "local6", "link", "port", "learning", "remote"]
            .map(|key| info["info_data"][key].clone());
    let mut addresses: Vec<Value> = link["addr_info"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|address| !address["local"].as_str().is_some_and(|local| local.starts_with("fe80")))
        .map(|address| without(address, &["valid_life_time", "preferred_life_time", "tentative"]))
        .collect();
    // The kernel lists addresses in the order in which they were added, which mending changes; which is the first of
    // its subnet, it says of each.
    addresses.sort_by_key(Value::to_string);
    let mut plain = json!({});
    for key in ["ifname", "mtu", "group", "link_type"] {
        plain[key] = link[key].clone();
    }
    // Behind the mark stand the former values of settings; one of an interface that is yet to be made has none.
    plain["ifalias"] = link["ifalias"].as_str().and_then(|alias| alias.split(" was ").next()).into();
    let notes = link["altnames"].as_array().into_iter().flatten().map(Value::to_string);
    plain["notes"] = json!(notes.collect::<BTreeSet<_>>());
    if has_mac(&name) {
        plain["address"] = link["address"].clone();
    }
    plain["up"] = is_up.into();
    plain["peer"] = peer.into();
    plain["kind"] = kind;
    plain["options"] = json!(options);
    plain["addresses"] = addresses.into();
    *link = plain;
}

/// The tables that nslab makes, without their handles: what they have in an order has it, all else is sorted.
fn nft(text: &str) -> Vec<String> {
    let ruleset: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut lines = Vec::new();
    for (kind, object) in
        ruleset["nftables"].as_array().into_iter().flatten().flat_map(|entry| entry.as_object().unwrap())
    {
        let table = if kind == "table" { &object["name"] } else { &object["table"] };
        if ![json!("kube-proxy"), json!("network-policies")].contains(table) {
            continue;
        }
        let mut object = without(object, &["handle"]);
        if kind == "rule" {
            let chain = format!("{} {table} {}", object["family"], object["chain"]);
            rules.entry(chain).or_default().push(object["expr"].to_string());
            continue;
        }
        if let Some(elements) = object["elem"].as_array_mut() {
            elements.sort_by_key(Value::to_string);
        }
        lines.push(format!("{kind} {object}"));
    }
    lines.extend(rules.into_iter().map(|(chain, rules)| format!("rules of {chain}: {rules:?}")));
    lines
}

/// Each chain of iptables-save with its rules in order, without those that say nothing: empty built-in ones that
/// accept.
fn chains(text: &str) -> Vec<String> {
    let mut table = "";
    let mut chains: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some(word) if word.starts_with('*') => table = word,
            Some(word) if word.starts_with(':') => {
                let policy = words.next().unwrap_or_default();
                if policy != "ACCEPT" {
                    chains.entry((table, &word[1..])).or_default().push_str(policy);
                }
            }
            Some("-A") => {
                let chain = words.next().unwrap_or_default();
                *chains.entry((table, chain)).or_default() += &format!("\n    {line}");
            }
            _ => {}
        }
    }
    chains.into_iter().map(|((table, chain), rules)| format!("{table} {chain} {rules}")).collect()
}
