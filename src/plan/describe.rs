//! Every operation in words, as a command, and turned round; each stands here once.
//!
//! Commands are those of iproute2, procps and iptables, spelled so that `sh -e` runs them as they are. Names of
//! interfaces always stand behind `name` or `dev`, since `ip` reads `a` as `address` and `up` as what it says.

mod virtual_interfaces;
mod vlans;

use ipnet::IpNet;

use super::step::{Description, Step, VethEnd};
use crate::lab::{
    BridgeOptions, ChainId, Family, FwRule, IfName, InterfaceRef, LabName, Mac, Neighbour, NsName, Policy, PolicyRule,
    ROUTE_PROTOCOL, Route, SysctlKey, SysctlValue, setting_folder, shell_word,
};

/// Where the former values of host settings are kept, one folder a setting (see `docs/architecture.md`).
const HOST_SETTINGS: &str = "/run/nslab/host";

/// Text, commands and inverse of a step.
pub(super) fn describe(step: &Step) -> Description {
    match step {
        Step::AddNamespace { ns, lab } => add_namespace(ns, lab),
        Step::DeleteNamespace { ns } => {
            told(format!("remove namespace {ns} and all that is in it"), format!("ip netns del {ns}"), None)
        }
        Step::Mark { end, lab } => adopt(end, lab),
        Step::Unmark { end, lab } => disown(end, lab),
        Step::AddBridge { end, options, mac, mtu, lab } => add_bridge(end, *options, *mac, *mtu, lab),
        Step::AddVirtualInterface { end, device, mac, mtu, lab } => {
            virtual_interfaces::add_device(end, device, *mac, *mtu, lab)
        }
        Step::AddVeth { main, peer, lab } => add_veth(main, peer, lab),
        Step::DeleteInterface { end } => told(
            format!("remove interface {} from {}", end.name, end.ns),
            format!("{} link del dev {}", ip(&end.ns), end.name),
            None,
        ),
        Step::DeleteHostInterfaces { lab, interfaces } => delete_host_links(lab, interfaces),
        Step::SetUp { end, up } => set_up(end, *up),
        Step::SetMtu { end, from, to } => set_mtu(end, *from, *to),
        Step::SetMac { end, from, to } => set_mac(end, *from, *to),
        Step::SetMaster { end, from, to } => set_master(end, from.as_ref(), to.as_ref()),
        Step::SetVlans { end, is_bridge, from, to } => vlans::set_vlans(end, *is_bridge, from, to),
        Step::SetBridge { end, from, to } => set_bridge(end, *from, *to),
        Step::SetVirtualInterface { end, from, to } => virtual_interfaces::set_device(end, from, to),
        Step::AddAddress { end, address } => add_address(end, *address),
        Step::DeleteAddress { end, address } => delete_address(end, *address),
        Step::AddRoute { ns, route } => add_route(ns, route),
        Step::ReplaceRoute { ns, from, to } => replace_route(ns, from, to),
        Step::DeleteRoute { ns, route } => delete_route(ns, route),
        Step::AddPolicyRule { ns, rule } => add_rule(ns, rule),
        Step::DeletePolicyRule { ns, rule } => delete_rule(ns, rule),
        Step::SetNeighbour { ns, from, to } => set_neighbour(ns, from.as_ref(), to),
        Step::DeleteNeighbour { ns, neighbour } => delete_neighbour(ns, neighbour),
        Step::AddFdb { ns, entry } => virtual_interfaces::add_fdb(ns, entry),
        Step::DeleteFdb { ns, entry } => virtual_interfaces::delete_fdb(ns, entry),
        Step::SetSysctl { ns, key, from, to, lab } => set_sysctl(ns, key, from.as_ref(), to, lab),
        Step::RestoreSysctl { key, lab } => {
            told(format!("put {key} of the host back, unless another lab needs it"), restore_setting(key, lab), None)
        }
        Step::AddChain { ns, chain } => add_chain(ns, chain),
        Step::DeleteChain { ns, chain } => delete_chain(ns, chain),
        Step::SetPolicy { ns, chain, from, to } => set_policy(ns, chain, *from, *to),
        Step::AddFwRule { ns, chain, position, rule } => add_fw_rule(ns, chain, *position, rule),
        Step::DeleteFwRule { ns, chain, position, rule } => delete_fw_rule(ns, chain, *position, rule),
    }
}

fn told(text: String, command: String, inverse: Option<Step>) -> Description {
    Description { text, script: vec![command.clone()], command, inverse }
}

/// A description whose script does more than the command.
fn told_with(text: String, command: String, more: Vec<String>, inverse: Option<Step>) -> Description {
    Description { text, script: std::iter::once(command.clone()).chain(more).collect(), command, inverse }
}

// ---- namespaces and interfaces

fn add_namespace(ns: &NsName, lab: &LabName) -> Description {
    told_with(
        format!("make namespace {ns}"),
        format!("ip netns add {ns}"),
        vec![format!("ip -n {ns} link set lo up alias {}", lab.mark())],
        Some(Step::DeleteNamespace { ns: ns.clone() }),
    )
}

/// What carries a lab's mark: a namespace (on its loopback), or an interface of `host`.
fn marked(end: &InterfaceRef) -> String {
    if end.name.is_lo() { format!("namespace {}", end.ns) } else { end.to_string() }
}

fn adopt(end: &InterfaceRef, lab: &LabName) -> Description {
    let group = if end.ns.is_host() { format!(" group {}", lab.group()) } else { String::new() };
    told(
        format!("take over {}", marked(end)),
        format!("{} link set dev {} alias {}{group}", ip(&end.ns), end.name, lab.mark()),
        Some(Step::Unmark { end: end.clone(), lab: lab.clone() }),
    )
}

fn disown(end: &InterfaceRef, lab: &LabName) -> Description {
    let group = if end.ns.is_host() { " group default" } else { "" };
    told(
        format!("give {} back", marked(end)),
        format!("{} link set dev {} alias ''{group}", ip(&end.ns), end.name),
        Some(Step::Mark { end: end.clone(), lab: lab.clone() }),
    )
}

fn add_bridge(
    end: &InterfaceRef,
    options: BridgeOptions,
    mac: Option<Mac>,
    mtu: Option<u32>,
    lab: &LabName,
) -> Description {
    let (group, alias) = marks(&[end], lab);
    let options = bridge_options(options, BridgeOptions::default());
    let settings = link_settings(mac, mtu, &group);
    told_with(
        format!("make bridge {} in {}", end.name, end.ns),
        format!("{} link add name {}{settings} type bridge{options}", ip(&end.ns), end.name),
        alias,
        Some(Step::DeleteInterface { end: end.clone() }),
    )
}

/// One command puts both ends in place. The main end is the one in `host` if there is one: `ip` has no word for "the
/// host's namespace" behind `netns`.
fn add_veth(main: &VethEnd, peer: &VethEnd, lab: &LabName) -> Description {
    let (group, alias) = marks(&[&main.end, &peer.end], lab);
    let settings = |end: &VethEnd| {
        let group = if end.end.ns.is_host() { group.as_str() } else { "" };
        format!("{QUEUES}{}", link_settings(end.mac, end.mtu, group))
    };
    let master = main.master.as_ref().map(|master| format!(" master {master}")).unwrap_or_default();
    let netns = if main.end.ns == peer.end.ns { String::new() } else { format!(" netns {}", peer.end.ns) };
    let command = format!(
        "{} link add name {}{}{master}{} type veth peer name {}{}{netns}",
        ip(&main.end.ns),
        main.end.name,
        settings(main),
        if main.up { " up" } else { "" },
        peer.end.name,
        settings(peer),
    );
    let plugged = main.master.as_ref().map(|master| format!(", {} a port of {master}", main.end)).unwrap_or_default();
    told_with(
        format!("connect {} and {} with a veth pair{plugged}", main.end, peer.end),
        command,
        alias,
        Some(Step::DeleteInterface { end: main.end.clone() }),
    )
}

/// The queues that an end of a veth pair gets, whatever the number of processors: see [`Step::AddVeth`].
const QUEUES: &str = " numtxqueues 1 numrxqueues 1";

/// The marks of interfaces in `host`: the group at creation, and the commands that set the alias.
fn marks(ends: &[&InterfaceRef], lab: &LabName) -> (String, Vec<String>) {
    let host: Vec<&IfName> = ends.iter().filter(|end| end.ns.is_host()).map(|end| &end.name).collect();
    let aliases = host.iter().map(|name| format!("ip link set dev {name} alias {}", lab.mark())).collect();
    (if host.is_empty() { String::new() } else { format!(" group {}", lab.group()) }, aliases)
}

fn link_settings(mac: Option<Mac>, mtu: Option<u32>, group: &str) -> String {
    let mac = mac.map(|mac| format!(" address {mac}")).unwrap_or_default();
    let mtu = mtu.map(|mtu| format!(" mtu {mtu}")).unwrap_or_default();
    format!("{mac}{mtu}{group}")
}

/// The options of a bridge that differ from others, as `ip link` spells them.
fn bridge_options(to: BridgeOptions, from: BridgeOptions) -> String {
    let option = |name: &str, to: bool, from: bool| {
        if to == from { String::new() } else { format!(" {name} {}", u8::from(to)) }
    };
    option("stp_state", to.stp, from.stp) + &option("vlan_filtering", to.vlan_filtering, from.vlan_filtering)
}

fn set_up(end: &InterfaceRef, up: bool) -> Description {
    let word = if up { "up" } else { "down" };
    told(
        format!("bring {end} {word}"),
        format!("{} link set dev {} {word}", ip(&end.ns), end.name),
        Some(Step::SetUp { end: end.clone(), up: !up }),
    )
}

fn set_mtu(end: &InterfaceRef, from: u32, to: u32) -> Description {
    told(
        format!("change the MTU of {end} from {from} to {to}"),
        format!("{} link set dev {} mtu {to}", ip(&end.ns), end.name),
        Some(Step::SetMtu { end: end.clone(), from: to, to: from }),
    )
}

fn set_mac(end: &InterfaceRef, from: Mac, to: Mac) -> Description {
    told(
        format!("change the hardware address of {end} from {from} to {to}"),
        format!("{} link set dev {} address {to}", ip(&end.ns), end.name),
        Some(Step::SetMac { end: end.clone(), from: to, to: from }),
    )
}

fn set_master(end: &InterfaceRef, from: Option<&IfName>, to: Option<&IfName>) -> Description {
    let text = match (from, to) {
        (Some(from), None) => format!("unplug {end} from {from}"),
        (None, None) => format!("unplug {end}"),
        (None, Some(to)) => format!("plug {end} into {to}"),
        (Some(from), Some(to)) => format!("move {end} from {from} to {to}"),
    };
    let words = to.map_or_else(|| "nomaster".to_owned(), |to| format!("master {to}"));
    let inverse = Step::SetMaster { end: end.clone(), from: to.cloned(), to: from.cloned() };
    told(text, format!("{} link set dev {} {words}", ip(&end.ns), end.name), Some(inverse))
}

fn set_bridge(end: &InterfaceRef, from: BridgeOptions, to: BridgeOptions) -> Description {
    let options = bridge_options(to, from);
    told(
        format!("set{options} on bridge {end}"),
        format!("{} link set dev {} type bridge{options}", ip(&end.ns), end.name),
        Some(Step::SetBridge { end: end.clone(), from: to, to: from }),
    )
}

fn delete_host_links(lab: &LabName, links: &[IfName]) -> Description {
    let (text, command) =
        (format!("remove the interfaces {} from host", list(links)), format!("ip link del group {}", lab.group()));
    // The kernel may have taken them along already, with the namespaces of their peers.
    let script = format!("{command} || [ -z \"$(ip -o link show group {})\" ]", lab.group());
    Description { text, script: vec![script], command, inverse: None }
}

/// "a, b, c and 4 more".
fn list(names: &[IfName]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(IfName::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

// ---- addresses, routes, policy rules, neighbours

fn add_address(end: &InterfaceRef, address: IpNet) -> Description {
    // Without nodad, an IPv6 address is "tentative" for a second, and nobody can use it.
    let nodad = if address.addr().is_ipv6() { " nodad" } else { "" };
    told(
        format!("give {end} the address {address}"),
        format!("{} addr add {address} dev {}{nodad}", ip(&end.ns), end.name),
        Some(Step::DeleteAddress { end: end.clone(), address }),
    )
}

fn delete_address(end: &InterfaceRef, address: IpNet) -> Description {
    told(
        format!("take the address {address} from {end}"),
        format!("{} addr del {address} dev {}", ip(&end.ns), end.name),
        Some(Step::AddAddress { end: end.clone(), address }),
    )
}

fn add_route(ns: &NsName, route: &Route) -> Description {
    told(
        format!("add route {route} in {ns}"),
        format!("{} route add {route} proto {ROUTE_PROTOCOL}", ip_family(ns, route.is_ipv6())),
        Some(Step::DeleteRoute { ns: ns.clone(), route: route.clone() }),
    )
}

fn replace_route(ns: &NsName, from: &Route, to: &Route) -> Description {
    told(
        format!("replace route {from} with {to} in {ns}"),
        format!("{} route replace {to} proto {ROUTE_PROTOCOL}", ip_family(ns, to.is_ipv6())),
        Some(Step::ReplaceRoute { ns: ns.clone(), from: to.clone(), to: from.clone() }),
    )
}

fn delete_route(ns: &NsName, route: &Route) -> Description {
    told(
        format!("remove route {route} from {ns}"),
        format!("{} route del {route}", ip_family(ns, route.is_ipv6())),
        Some(Step::AddRoute { ns: ns.clone(), route: route.clone() }),
    )
}

fn add_rule(ns: &NsName, rule: &PolicyRule) -> Description {
    told(
        format!("add policy rule {rule} in {ns}"),
        format!("{} rule add {rule} protocol {ROUTE_PROTOCOL}", ip_family(ns, rule.ipv6)),
        Some(Step::DeletePolicyRule { ns: ns.clone(), rule: rule.clone() }),
    )
}

fn delete_rule(ns: &NsName, rule: &PolicyRule) -> Description {
    // In `host`, it is ours, and others may be like it.
    let marked = if ns.is_host() { format!(" protocol {ROUTE_PROTOCOL}") } else { String::new() };
    told(
        format!("remove policy rule {rule} from {ns}"),
        format!("{} rule del {rule}{marked}", ip_family(ns, rule.ipv6)),
        Some(Step::AddPolicyRule { ns: ns.clone(), rule: rule.clone() }),
    )
}

fn set_neighbour(ns: &NsName, from: Option<&Neighbour>, to: &Neighbour) -> Description {
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

fn delete_neighbour(ns: &NsName, neighbour: &Neighbour) -> Description {
    told(
        format!("forget the permanent neighbour {} on {ns}/{}", neighbour.address, neighbour.dev),
        format!("{} neigh del {} dev {}", ip(ns), neighbour.address, neighbour.dev),
        Some(Step::SetNeighbour { ns: ns.clone(), from: None, to: neighbour.clone() }),
    )
}

// ---- sysctls

fn set_sysctl(
    ns: &NsName,
    key: &SysctlKey,
    from: Option<&SysctlValue>,
    to: &SysctlValue,
    lab: &LabName,
) -> Description {
    let command = format!("{}sysctl -qw {key}={}", inside(ns), shell_word(to.as_str()));
    let inverse = match from {
        _ if ns.is_host() => Some(Step::RestoreSysctl { key: key.clone(), lab: lab.clone() }),
        Some(from) => {
            let (from, to) = (Some(to.clone()), from.clone());
            Some(Step::SetSysctl { ns: ns.clone(), key: key.clone(), from, to, lab: lab.clone() })
        }
        None => None,
    };
    let note = ns.is_host().then(|| remember_setting(key, to, lab));
    Description {
        text: format!("set {key} to {to} in {ns}"),
        script: note.into_iter().chain([command.clone()]).collect(),
        command,
        inverse,
    }
}

/// Keeps a host setting's value as it was before the first lab changed it, and this lab with the value that it needs. What the
/// kernel changes along with forwarding is kept by nslab alone (see `kernel/sysctl/forwarding.rs`).
fn remember_setting(key: &SysctlKey, to: &SysctlValue, lab: &LabName) -> String {
    let folder = format!("{HOST_SETTINGS}/{}", setting_folder(key));
    let to = shell_word(to.as_str());
    format!(
        "(umask 077; mkdir -p {folder}/labs; [ -e {folder}/was ] || sysctl -n {key} > {folder}/was; echo {to} > {folder}/labs/{lab})"
    )
}

fn restore_setting(key: &SysctlKey, lab: &LabName) -> String {
    let folder = format!("{HOST_SETTINGS}/{}", setting_folder(key));
    format!(
        "rm -f {folder}/labs/{lab}; if rmdir {folder}/labs; then sysctl -qw {key}=\"$(cat {folder}/was)\"; rm -r {folder}; fi"
    )
}

// ---- firewall

fn add_chain(ns: &NsName, chain: &ChainId) -> Description {
    told(
        format!("make chain {} in {ns}", named(chain)),
        format!("{} -N {}", iptables(ns, chain), word(chain)),
        Some(Step::DeleteChain { ns: ns.clone(), chain: chain.clone() }),
    )
}

fn delete_chain(ns: &NsName, chain: &ChainId) -> Description {
    told(
        format!("remove chain {} from {ns}", named(chain)),
        format!("{} -X {}", iptables(ns, chain), word(chain)),
        Some(Step::AddChain { ns: ns.clone(), chain: chain.clone() }),
    )
}

fn set_policy(ns: &NsName, chain: &ChainId, from: Policy, to: Policy) -> Description {
    let inverse = Step::SetPolicy { ns: ns.clone(), chain: chain.clone(), from: to, to: from };
    told(
        format!("change the policy of chain {} in {ns} from {} to {}", named(chain), from.name(), to.name()),
        format!("{} -P {} {}", iptables(ns, chain), word(chain), to.name()),
        Some(inverse),
    )
}

fn add_fw_rule(ns: &NsName, chain: &ChainId, position: Option<usize>, rule: &FwRule) -> Description {
    let place = match position {
        Some(position) => format!("-I {} {position}", word(chain)),
        None => format!("-A {}", word(chain)),
    };
    told(
        format!("add rule `{rule}` to chain {} in {ns}", named(chain)),
        format!("{} {place} {rule}", iptables(ns, chain)),
        Some(Step::DeleteFwRule { ns: ns.clone(), chain: chain.clone(), position, rule: rule.clone() }),
    )
}

fn delete_fw_rule(ns: &NsName, chain: &ChainId, position: Option<usize>, rule: &FwRule) -> Description {
    told(
        format!("remove rule `{rule}` from chain {} in {ns}", named(chain)),
        format!("{} -D {} {rule}", iptables(ns, chain), word(chain)),
        Some(Step::AddFwRule { ns: ns.clone(), chain: chain.clone(), position, rule: rule.clone() }),
    )
}

fn iptables(ns: &NsName, chain: &ChainId) -> String {
    format!("{}{} -w -t {}", inside(ns), chain.family.program(), chain.table.name())
}

/// A chain's name for a command: somebody else's may hold what is special to a shell.
fn word(chain: &ChainId) -> String {
    shell_word(chain.chain.as_str())
}

fn named(chain: &ChainId) -> String {
    let family = if chain.family == Family::Ipv6 { "IPv6 " } else { "" };
    format!("{} ({family}{})", chain.chain, chain.table.name())
}

// ---- how a command reaches a namespace

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
