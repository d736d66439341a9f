//! What somebody may do to a live lab with `ip`, `iptables` and `sysctl`, one shell line each. In `host`, only what is
//! the lab's own is damaged.

use ipnet::IpNet;
use nslab::iptables::shell_line;
use nslab::lab::{
    Address, Firewall, FirewallRule, Interface, InterfaceKind, Lab, Namespace, NftElement, NftVerdict, NsName, Route,
    VirtualInterface, key_text,
};

/// Every damage that can be done to a lab, as it stands after an apply.
pub fn all(lab: &Lab) -> Vec<String> {
    let mut lines = Vec::new();
    for (ns, namespace) in &lab.namespaces {
        let place = Place::new(ns);
        links(&place, lab, namespace, &mut lines);
        routing(&place, namespace, &mut lines);
        sysctls(&place, namespace, &mut lines);
        firewall(&place, lab, &namespace.firewall, &mut lines);
        nft(&place, namespace, &mut lines);
        if !place.is_host {
            extras(&place, &mut lines);
            lines.push(format!("ip netns del {ns}"));
        }
    }
    lines
}

/// How a command is run in a namespace.
struct Place<'a> {
    ns: &'a NsName,
    ip: String,
    exec: String,
    is_host: bool,
}

impl<'a> Place<'a> {
    fn new(ns: &'a NsName) -> Self {
        match ns.is_host() {
            true => Self { ns, ip: "ip".to_owned(), exec: String::new(), is_host: true },
            false => Self { ns, ip: format!("ip -n {ns}"), exec: format!("ip netns exec {ns} "), is_host: false },
        }
    }
}

fn links(place: &Place<'_>, lab: &Lab, namespace: &Namespace, lines: &mut Vec<String>) {
    let ip = &place.ip;
    for (name, link) in &namespace.interfaces {
        let mut set = |words: &str| lines.push(format!("{ip} link set dev {name} {words}"));
        set(if link.up { "down" } else { "up" });
        if name.is_lo() {
            continue;
        }
        set("mtu 1290");
        set("mtu 600");
        if link.mac.is_some() {
            set("address 02:00:00:00:00:99");
        }
        match &link.kind {
            InterfaceKind::Bridge(options) => {
                set(&format!("type bridge stp_state {}", u8::from(!options.stp)));
                set(&format!("type bridge vlan_filtering {}", u8::from(!options.vlan_filtering)));
            }
            _ => {
                let others =
                    namespace.interfaces.iter().filter(|(_, other)| matches!(other.kind, InterfaceKind::Bridge(_)));
                for (bridge, _) in others.filter(|(bridge, _)| link.master.as_ref() != Some(*bridge)) {
                    set(&format!("master {bridge}"));
                }
                if !place.is_host {
                    for other in lab.own_namespaces().filter(|other| *other != place.ns) {
                        set(&format!("netns {other}"));
                    }
                }
            }
        }
        match link.virtual_interface() {
            Some(VirtualInterface::Vxlan(vxlan)) => {
                set(if vxlan.learning { "type vxlan nolearning" } else { "type vxlan learning" });
                set("type vxlan local 10.66.0.9");
                set("type vxlan remote 10.66.0.9");
            }
            Some(VirtualInterface::Macvlan { .. }) => {
                set("type macvlan mode private");
                set("type macvlan mode vepa");
            }
            _ => {}
        }
        if link.master.is_some() {
            set("nomaster");
        }
        lines.push(format!("{ip} link set dev {name} down; {ip} link set dev {name} name moved"));
        lines.push(format!("{ip} link del dev {name}"));
        addresses(ip, name.as_str(), link, lines);
        lines.extend(vlans(&place.exec, name.as_str(), namespace, link));
        if place.is_host {
            // Without its group as well, it would be nobody's.
            lines.push(format!("{ip} link set dev {name} alias ''"));
        }
    }
}

fn addresses(ip: &str, name: &str, link: &Interface, lines: &mut Vec<String>) {
    let add = |address: &Address| {
        // As nslab gives it: a plan does not see the difference.
        let nodad = if address.is_ipv6() { " nodad" } else { "" };
        format!("; {ip} addr add {address} dev {name}{nodad}")
    };
    for address in &link.addresses {
        lines.push(format!("{ip} route del {} dev {name}", address.subnet()));
        let length = if address.is_ipv6() { 80 } else { 20 };
        let del = format!("{ip} addr del {address} dev {name}");
        lines.push(del.clone() + &add(address));
        lines.extend(IpNet::new(address.ip(), length).map(|other| del.clone() + &add(&other.into())));
        lines.push(del);
    }
    // In the other order: another one is the first of its subnet.
    let turned: String = link.addresses.iter().rev().map(add).collect();
    lines.push(format!("{ip} addr flush dev {name} scope global{turned}"));
    for extra in ["10.66.0.1/24", "10.66.0.2/32"] {
        lines.push(format!("{ip} addr add {extra} dev {name}"));
    }
    if !link.addresses.is_empty() {
        lines.push(format!("{ip} addr add fd66::1/64 dev {name}"));
        lines.push(format!("{ip} addr flush dev {name} scope global"));
    }
}

fn routing(place: &Place<'_>, namespace: &Namespace, lines: &mut Vec<String>) {
    let (ip, is_host) = (&place.ip, place.is_host);
    for route in &namespace.routes {
        let ip = format!("{ip} -{}", if route.is_ipv6() { 6 } else { 4 });
        lines.push(format!("{ip} route del {route}"));
        // In `host`, a route without the mark is somebody else's, wherever it leads.
        if let Some(dev) = route.dev.as_ref().filter(|_| !is_host) {
            let slot = Route { via: None, source: None, onlink: false, scope: route.scope, ..route.clone() };
            lines.push(format!("{ip} route replace {slot}"));
            lines.push(format!("{ip} route append {slot}"));
            lines.push(format!(
                "{ip} route replace blackhole {} table {} metric {}",
                route.to, route.table, route.metric
            ));
            lines.push(format!("{ip} route add {} dev {dev} table {} metric 9", route.to, route.table));
        }
    }
    for (name, _) in namespace.interfaces.iter().filter(|(name, link)| !is_host && !name.is_lo() && link.up) {
        lines.push(format!("{ip} route add 10.166.0.0/16 dev {name}"));
        lines.push(format!("{ip} route add fd00:166::/64 dev {name} table 66"));
    }
    for rule in &namespace.rules {
        let family = if rule.ipv6 { 6 } else { 4 };
        lines.push(format!("{ip} -{family} rule del {rule}"));
    }
    for neighbour in &namespace.neighbours {
        let (to, dev) = (neighbour.address, &neighbour.dev);
        lines.push(format!("{ip} neigh del {to} dev {dev}"));
        lines.push(format!("{ip} neigh replace {to} lladdr 02:00:00:00:00:99 dev {dev} nud permanent"));
        if !is_host {
            lines.push(format!("{ip} neigh add 10.66.0.9 lladdr 02:00:00:00:00:99 dev {dev} nud permanent"));
        }
    }
    let fdb = format!("{}bridge fdb", place.exec);
    for entry in &namespace.fdb {
        lines.push(format!("{fdb} del {entry}"));
        lines.push(format!("{fdb} append {} dev {} dst 10.66.0.9", entry.mac, entry.dev));
        lines.push(format!("{fdb} replace {} dev {} dst 10.66.0.9 port 99", entry.mac, entry.dev));
    }
    if !is_host {
        lines.push(format!("{ip} rule add from 10.66.0.0/16 lookup 66 priority 66"));
        lines.push(format!("{ip} -6 rule add from fd66::/64 prohibit"));
        lines.push(format!("{ip} route add blackhole 10.67.0.0/16"));
        lines.push(format!("{ip} route add unreachable fd00:67::/64"));
    }
}

fn sysctls(place: &Place<'_>, namespace: &Namespace, lines: &mut Vec<String>) {
    for (key, value) in &namespace.sysctls {
        let other = if value.as_str() == "1" { "0" } else { "1" };
        lines.push(format!("{}sysctl -qw {key}={other}", place.exec));
    }
}

fn firewall(place: &Place<'_>, lab: &Lab, firewall: &Firewall, lines: &mut Vec<String>) {
    for (id, rules) in &firewall.chains {
        let command = format!("{}{} -t {}", place.exec, id.family.program(), id.table.name());
        let chain = &id.chain;
        lines.push(format!("{command} -F {chain}"));
        lines.push(format!("{command} -D {chain} {}", rules.len()));
        lines.push(format!("{command} -A {chain} -p udp -j ACCEPT"));
        lines.push(format!("{command} -I {chain} -p udp -j ACCEPT"));
        if let Some(first) = rules.first() {
            lines.push(format!("{command} -A {chain} {}", shell_line(&first.clone().into())));
        }
        if let Some((_, hook)) = id.owner() {
            let (hook, jump) = (hook.name(), shell_line(&FirewallRule::jump(&lab.name, chain).into()));
            lines.push(format!("{command} -D {hook} {jump}"));
            lines.push(format!("{command} -D {hook} {jump}; {command} -F {chain}; {command} -X {chain}"));
            lines.push(format!("{command} -A {hook} {jump}"));
        }
        if !place.is_host {
            lines.push(format!("{command} -F; {command} -X"));
        }
    }
}

/// What can be done to tables of nf_tables.
fn nft(place: &Place<'_>, namespace: &Namespace, lines: &mut Vec<String>) {
    for (id, table) in &namespace.nft {
        let mut nft = |words: &str| lines.push(format!("{}nft '{words}'", place.exec));
        nft(&format!("delete table {id}"));
        nft(&format!("flush table {id}"));
        nft(&format!("add chain {id} mine {{ type filter hook forward priority -5; policy drop; }}"));
        nft(&format!("add set {id} mine {{ type ipv4_addr; }}"));
        for (name, chain) in &table.chains {
            nft(&format!("flush chain {id} {name}"));
            nft(&format!("insert rule {id} {name} return"));
            nft(&format!("add rule {id} {name} counter"));
            if let Some(first) = chain.rules.first() {
                nft(&format!("add rule {id} {name} {first}"));
            }
        }
        for (name, set) in &table.sets {
            let word = set.definition.word();
            nft(&format!("flush {word} {id} {name}"));
            nft(&format!("delete {word} {id} {name}"));
            for (key, element) in &set.elements {
                nft(&format!("delete element {id} {name} {{ {} }}", key_text(key)));
                let accepted = NftElement { verdict: Some(NftVerdict::Accept), ..element.clone() };
                if element.verdict.is_some() {
                    let (gone, come) = (key_text(key), accepted.text(key));
                    nft(&format!("delete element {id} {name} {{ {gone} }}; add element {id} {name} {{ {come} }}"));
                }
            }
        }
    }
}

/// What can be put into a namespace of the lab that is not in the file.
fn extras(place: &Place<'_>, lines: &mut Vec<String>) {
    let Place { ip, exec, .. } = place;
    lines.push(format!("{ip} link add name extra type bridge"));
    lines.push(format!("{ip} link add name extra type vxlan id 99 dstport 4789"));
    lines.push(format!("{ip} link add name extra1 type veth peer name extra2"));
    lines.push(format!("{exec}iptables -A INPUT -p udp -j DROP"));
    lines.push(format!("{exec}ip6tables -A INPUT -p udp -j DROP"));
    lines.push(format!("{exec}iptables -t nat -A POSTROUTING -j MASQUERADE"));
    lines.push(format!("{exec}iptables -P FORWARD DROP"));
    lines.push(format!("{exec}ip6tables -P INPUT DROP"));
    lines.push(format!("{exec}iptables -N MINE; {exec}iptables -A MINE -j DROP; {exec}iptables -A INPUT -j MINE"));
}

/// What can be done to the VLANs of an interface. Only where a bridge keeps them apart does anybody look at them.
fn vlans(exec: &str, name: &str, namespace: &Namespace, link: &Interface) -> Vec<String> {
    let bridge = link.master.as_ref().and_then(|master| namespace.interfaces.get(master)).unwrap_or(link);
    if !matches!(bridge.kind, InterfaceKind::Bridge(options) if options.vlan_filtering) {
        return Vec::new();
    }
    let of = if link.master.is_none() { " self" } else { "" };
    let one = |words: &'static str| (1..=3).map(move |vlan| format!("{words} dev {name} vid {vlan}{of}"));
    let all = one("del")
        .chain(one("add"))
        .chain([format!("add dev {name} vid 2 pvid untagged{of}"), format!("add dev {name} vid 7-20{of}")]);
    all.map(|words| format!("{exec}bridge vlan {words}")).collect()
}
