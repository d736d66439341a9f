//! Every operation in words, as a command, and turned round; each stands here once.
//!
//! Commands are those of iproute2, procps and iptables, spelled so that `sh -e` runs them as they are. Names of
//! interfaces always stand behind `name` or `dev`, since `ip` reads `a` as `address` and `up` as what it says.

use super::step::{Description, Step, VethEnd};
use crate::lab::{BridgeOptions, ChainId, End, Family, IfName, LabName, NsName, SysctlKey};

/// Where the former values of host settings are kept, one folder a setting (see `docs/architecture.md`).
const HOST_SETTINGS: &str = "/run/nslab/host";

fn told(text: String, command: String, inverse: Option<Step>) -> Description {
    Description { text, script: vec![command.clone()], command, inverse }
}

/// `ip`, inside a namespace.
fn ip(ns: &NsName) -> String {
    if ns.is_host() { "ip".to_owned() } else { format!("ip -n {ns}") }
}

/// `ip -6` where the family has to be named.
fn ip_family(ns: &NsName, ipv6: bool) -> String {
    if ipv6 { format!("{} -6", ip(ns)) } else { ip(ns) }
}

/// What stands before any other command to run it inside a namespace.
fn inside(ns: &NsName) -> String {
    if ns.is_host() { String::new() } else { format!("ip netns exec {ns} ") }
}

fn up_word(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

/// Namespaces and interfaces: what is made and removed.
pub(super) fn objects(step: &Step) -> Description {
    match step {
        Step::AddNamespace { ns, lab } => {
            let command = format!("ip netns add {ns}");
            Description {
                text: format!("make namespace {ns}"),
                script: vec![command.clone(), format!("ip -n {ns} link set lo up alias {}", lab.mark())],
                command,
                inverse: Some(Step::DeleteNamespace { ns: ns.clone() }),
            }
        }
        Step::DeleteNamespace { ns } => {
            told(format!("remove namespace {ns} and all that is in it"), format!("ip netns del {ns}"), None)
        }
        Step::AddBridge { end, options, mac, mtu, lab } => {
            let mac = mac.map(|mac| format!(" address {mac}")).unwrap_or_default();
            let mtu = mtu.map(|mtu| format!(" mtu {mtu}")).unwrap_or_default();
            let (group, alias) = marks(std::slice::from_ref(end), lab);
            let options = bridge_options(*options, BridgeOptions::default());
            let command = format!("{} link add name {}{mac}{mtu}{group} type bridge{options}", ip(&end.ns), end.name);
            Description {
                text: format!("make bridge {} in {}", end.name, end.ns),
                script: std::iter::once(command.clone()).chain(alias).collect(),
                command,
                inverse: Some(Step::DeleteLink { end: end.clone() }),
            }
        }
        Step::AddVeth { main, peer, lab } => add_veth(main, peer, lab),
        Step::DeleteLink { end } => told(
            format!("remove interface {} from {}", end.name, end.ns),
            format!("{} link del dev {}", ip(&end.ns), end.name),
            None,
        ),
        other => unreachable_kind(other),
    }
}

fn add_veth(main: &VethEnd, peer: &VethEnd, lab: &LabName) -> Description {
    let (group, alias) = marks(&[main.end.clone(), peer.end.clone()], lab);
    let settings = |end: &VethEnd, group: &str| {
        let mac = end.mac.map(|mac| format!(" address {mac}")).unwrap_or_default();
        let mtu = end.mtu.map(|mtu| format!(" mtu {mtu}")).unwrap_or_default();
        let group = if end.end.ns.is_host() { group } else { "" };
        format!("{mac}{mtu}{group}")
    };
    let master = main.master.as_ref().map(|master| format!(" master {master}")).unwrap_or_default();
    let netns = match (main.end.ns == peer.end.ns, peer.end.ns.is_host()) {
        (true, _) => String::new(),
        // `netns 1` is the namespace of process 1, which is not always the host: see `VethEnd` order in the plan,
        // which makes the end in `host` the main one, so that this does not arise.
        (false, _) => format!(" netns {}", peer.end.ns),
    };
    let command = format!(
        "{} link add name {}{}{master}{} type veth peer name {}{}{netns}",
        ip(&main.end.ns),
        main.end.name,
        settings(main, &group),
        if main.up { " up" } else { "" },
        peer.end.name,
        settings(peer, &group),
    );
    let plugged = main.master.as_ref().map(|master| format!(", {} a port of {master}", main.end)).unwrap_or_default();
    Description {
        text: format!("connect {} and {} with a veth pair{plugged}", main.end, peer.end),
        script: std::iter::once(command.clone()).chain(alias).collect(),
        command,
        inverse: Some(Step::DeleteLink { end: main.end.clone() }),
    }
}

/// The marks of interfaces in `host`: the group at creation, and the commands that set the alias.
fn marks(ends: &[End], lab: &LabName) -> (String, Vec<String>) {
    let host: Vec<&IfName> = ends.iter().filter(|end| end.ns.is_host()).map(|end| &end.name).collect();
    let aliases = host.iter().map(|name| format!("ip link set dev {name} alias {}", lab.mark())).collect();
    (if host.is_empty() { String::new() } else { format!(" group {}", lab.group()) }, aliases)
}

/// The options of a bridge that differ from others, as `ip link` spells them.
fn bridge_options(to: BridgeOptions, from: BridgeOptions) -> String {
    let mut text = String::new();
    if to.stp != from.stp {
        text += &format!(" stp_state {}", u8::from(to.stp));
    }
    if to.vlan_filtering != from.vlan_filtering {
        text += &format!(" vlan_filtering {}", u8::from(to.vlan_filtering));
    }
    text
}

/// Settings of interfaces.
pub(super) fn link_settings(step: &Step) -> Description {
    match step {
        Step::SetUp { end, up } => told(
            format!("bring {end} {}", up_word(*up)),
            format!("{} link set dev {} {}", ip(&end.ns), end.name, up_word(*up)),
            Some(Step::SetUp { end: end.clone(), up: !up }),
        ),
        Step::SetMtu { end, from, to } => told(
            format!("change the MTU of {end} from {from} to {to}"),
            format!("{} link set dev {} mtu {to}", ip(&end.ns), end.name),
            Some(Step::SetMtu { end: end.clone(), from: *to, to: *from }),
        ),
        Step::SetMac { end, from, to } => told(
            format!("change the hardware address of {end} from {from} to {to}"),
            format!("{} link set dev {} address {to}", ip(&end.ns), end.name),
            Some(Step::SetMac { end: end.clone(), from: *to, to: *from }),
        ),
        Step::SetMaster { end, from, to } => {
            let inverse = Step::SetMaster { end: end.clone(), from: to.clone(), to: from.clone() };
            let (text, words) = match (from, to) {
                (_, None) => (format!("unplug {end} from its bridge"), "nomaster".to_owned()),
                (None, Some(to)) => (format!("plug {end} into bridge {to}"), format!("master {to}")),
                (Some(from), Some(to)) => {
                    (format!("move {end} from bridge {from} to bridge {to}"), format!("master {to}"))
                }
            };
            told(text, format!("{} link set dev {} {words}", ip(&end.ns), end.name), Some(inverse))
        }
        Step::SetBridge { end, from, to } => {
            let options = bridge_options(*to, *from);
            told(
                format!("set{options} on bridge {end}"),
                format!("{} link set dev {} type bridge{options}", ip(&end.ns), end.name),
                Some(Step::SetBridge { end: end.clone(), from: *to, to: *from }),
            )
        }
        other => unreachable_kind(other),
    }
}

/// Addresses, routes, policy rules, neighbours.
pub(super) fn routing(step: &Step) -> Description {
    match step {
        Step::AddAddress { end, address } => {
            // Without nodad, an IPv6 address is "tentative" for a second, and nobody can use it.
            let nodad = if address.addr().is_ipv6() { " nodad" } else { "" };
            told(
                format!("give {end} the address {address}"),
                format!("{} addr add {address} dev {}{nodad}", ip(&end.ns), end.name),
                Some(Step::DeleteAddress { end: end.clone(), address: *address }),
            )
        }
        Step::DeleteAddress { end, address } => told(
            format!("take the address {address} from {end}"),
            format!("{} addr del {address} dev {}", ip(&end.ns), end.name),
            Some(Step::AddAddress { end: end.clone(), address: *address }),
        ),
        Step::AddRoute { ns, route } => told(
            format!("add route {route} in {ns}"),
            format!("{} route add {route} proto {}", ip_family(ns, route.is_ipv6()), ROUTE_PROTOCOL),
            Some(Step::DeleteRoute { ns: ns.clone(), route: route.clone() }),
        ),
        Step::ReplaceRoute { ns, from, to } => told(
            format!("replace route {from} with {to} in {ns}"),
            format!("{} route replace {to} proto {}", ip_family(ns, to.is_ipv6()), ROUTE_PROTOCOL),
            Some(Step::ReplaceRoute { ns: ns.clone(), from: to.clone(), to: from.clone() }),
        ),
        Step::DeleteRoute { ns, route } => told(
            format!("remove route {route} from {ns}"),
            format!("{} route del {route}", ip_family(ns, route.is_ipv6())),
            Some(Step::AddRoute { ns: ns.clone(), route: route.clone() }),
        ),
        Step::AddRule { ns, rule } => told(
            format!("add policy rule {rule} in {ns}"),
            format!("{} rule add {rule} protocol {}", ip_family(ns, rule.ipv6), ROUTE_PROTOCOL),
            Some(Step::DeleteRule { ns: ns.clone(), rule: rule.clone() }),
        ),
        Step::DeleteRule { ns, rule } => told(
            format!("remove policy rule {rule} from {ns}"),
            format!("{} rule del {rule}", ip_family(ns, rule.ipv6)),
            Some(Step::AddRule { ns: ns.clone(), rule: rule.clone() }),
        ),
        Step::SetNeighbour { ns, from, to } => {
            let inverse = match from {
                Some(from) => Step::SetNeighbour { ns: ns.clone(), from: Some(to.clone()), to: from.clone() },
                None => Step::DeleteNeighbour { ns: ns.clone(), neighbour: to.clone() },
            };
            told(
                format!("let {} stand for {} on {ns}/{}", to.mac, to.address, to.dev),
                format!("{} neigh replace {} lladdr {} dev {} nud permanent", ip(ns), to.address, to.mac, to.dev),
                Some(inverse),
            )
        }
        Step::DeleteNeighbour { ns, neighbour } => told(
            format!("forget the permanent neighbour {} on {ns}/{}", neighbour.address, neighbour.dev),
            format!("{} neigh del {} dev {}", ip(ns), neighbour.address, neighbour.dev),
            Some(Step::SetNeighbour { ns: ns.clone(), from: None, to: neighbour.clone() }),
        ),
        other => unreachable_kind(other),
    }
}

/// Sysctls and firewall rules.
pub(super) fn settings(step: &Step) -> Description {
    match step {
        Step::SetSysctl { ns, key, from, to, lab } => {
            let value = crate::lab::shell_word(to.as_str());
            let command = format!("{}sysctl -qw {key}={value}", inside(ns));
            let note = ns.is_host().then(|| remember_setting(key, lab));
            let was = from.as_ref().map(|from| format!(" (it is {from})")).unwrap_or_default();
            let inverse = match from {
                _ if ns.is_host() => Some(Step::RestoreSysctl { key: key.clone(), lab: lab.clone() }),
                Some(from) => Some(Step::SetSysctl {
                    ns: ns.clone(),
                    key: key.clone(),
                    from: Some(to.clone()),
                    to: from.clone(),
                    lab: lab.clone(),
                }),
                None => None,
            };
            Description {
                text: format!("set {key} to {to} in {ns}{was}"),
                script: note.into_iter().chain([command.clone()]).collect(),
                command,
                inverse,
            }
        }
        Step::RestoreSysctl { key, lab } => {
            told(format!("put {key} of the host back, unless another lab needs it"), restore_setting(key, lab), None)
        }
        Step::AddChain { ns, chain } => told(
            format!("make chain {} in {ns}", named(chain)),
            format!("{} -N {}", iptables(ns, chain), chain.chain),
            Some(Step::DeleteChain { ns: ns.clone(), chain: chain.clone() }),
        ),
        Step::DeleteChain { ns, chain } => told(
            format!("remove chain {} from {ns}", named(chain)),
            format!("{} -X {}", iptables(ns, chain), chain.chain),
            Some(Step::AddChain { ns: ns.clone(), chain: chain.clone() }),
        ),
        Step::AddFwRule { ns, chain, position, rule } => {
            let (option, number) = match position {
                Some(position) => ("-I", format!(" {position}")),
                None => ("-A", String::new()),
            };
            told(
                format!("add rule `{rule}` to chain {} in {ns}", named(chain)),
                format!("{} {option} {}{number} {rule}", iptables(ns, chain), chain.chain),
                Some(Step::DeleteFwRule {
                    ns: ns.clone(),
                    chain: chain.clone(),
                    position: *position,
                    rule: rule.clone(),
                }),
            )
        }
        Step::DeleteFwRule { ns, chain, position, rule } => told(
            format!("remove rule `{rule}` from chain {} in {ns}", named(chain)),
            format!("{} -D {} {rule}", iptables(ns, chain), chain.chain),
            Some(Step::AddFwRule { ns: ns.clone(), chain: chain.clone(), position: *position, rule: rule.clone() }),
        ),
        other => unreachable_kind(other),
    }
}

/// The number in `proto` and `protocol` that says "nslab made this" (rt_protos: above 192 and below 255 is free).
pub const ROUTE_PROTOCOL: u8 = 213;

fn iptables(ns: &NsName, chain: &ChainId) -> String {
    format!("{}{} -w -t {}", inside(ns), chain.family.program(), chain.table.name())
}

fn named(chain: &ChainId) -> String {
    let family = if chain.family == Family::Ipv6 { "IPv6 " } else { "" };
    format!("{} ({family}{})", chain.chain, chain.table.name())
}

/// Keeps a host setting's value as it was before the first lab changed it, and this lab among those that need it.
fn remember_setting(key: &SysctlKey, lab: &LabName) -> String {
    let folder = format!("{HOST_SETTINGS}/{}", crate::lab::setting_folder(key));
    format!(
        "(umask 077; mkdir -p {folder}/labs; [ -e {folder}/was ] || sysctl -n {key} > {folder}/was; : > {folder}/labs/{lab})"
    )
}

fn restore_setting(key: &SysctlKey, lab: &LabName) -> String {
    let folder = format!("{HOST_SETTINGS}/{}", crate::lab::setting_folder(key));
    format!(
        "rm -f {folder}/labs/{lab}; if rmdir {folder}/labs; then sysctl -qw {key}=\"$(cat {folder}/was)\"; rm -r {folder}; fi"
    )
}

/// A step that was handed to the wrong group of descriptions: a fault of `Step::describe`, found by its test.
fn unreachable_kind(step: &Step) -> Description {
    told(format!("{step:?}"), "false".to_owned(), None)
}
