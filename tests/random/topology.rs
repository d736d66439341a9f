//! Random topologies and edits of them, as plain data that shrinks well. What the data means, and which parts of it
//! make no sense together and are left out, is `render`'s business.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::vlans::{Vlans, vlans};

/// Which one of several, counted round.
pub type Pick = u8;

/// A topology. The first of the spaces is `host`.
#[derive(Debug, Clone)]
pub struct Topology {
    pub spaces: Vec<Inside>,
    pub segments: Vec<Segment>,
}

/// What is in one namespace beside its interfaces.
#[derive(Debug, Clone)]
pub struct Inside {
    pub forwarding: Option<bool>,
    pub loopback: bool,
    pub devices: Vec<VirtualInterface>,
    pub routes: Vec<Route>,
    pub rules: Vec<PolicyRule>,
    pub neighbours: Vec<Neighbour>,
    pub sysctls: Vec<Sysctl>,
    pub nat: Vec<Nat>,
    pub filter: Vec<Filter>,
}

/// A VXLAN end or a macvlan, upon one of the namespace's interfaces.
#[derive(Debug, Clone)]
pub struct VirtualInterface {
    pub kind: Kind,
    pub upon: Pick,
    pub ipv6: bool,
    pub addressed: bool,
    pub mac: bool,
    pub mtu: Option<u32>,
    pub up: bool,
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// Its forwarding entries: the last byte of a MAC address, and to whom.
    Vxlan {
        bound: bool,
        learning: bool,
        port: Option<u16>,
        fdb: Vec<(Option<Pick>, Pick)>,
    },
    Macvlan {
        mode: &'static str,
    },
}

/// A cable between the first two members; or a bridge, and a cable to it for each member.
#[derive(Debug, Clone)]
pub struct Segment {
    pub bridge: Option<Bridge>,
    pub members: Vec<Member>,
    pub ipv6: bool,
    pub mtu: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Bridge {
    pub space: usize,
    pub addressed: bool,
    pub stp: bool,
    pub mtu: Option<u32>,
    pub mac: bool,
    pub up: bool,
    /// Those of the bridge itself.
    pub vlans: Vlans,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub space: usize,
    /// Those of the port that it is plugged into.
    pub vlans: Vlans,
    pub addressed: bool,
    /// Where in the list a second address in the same subnet stands.
    pub second: Option<Place>,
    pub mtu: Option<u32>,
    pub mac: bool,
    pub up: bool,
}

/// Where something stands in a list.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    Before,
    Behind,
}

#[derive(Debug, Clone)]
pub struct Route {
    pub to: Pick,
    pub ipv6: bool,
    pub way: Way,
    pub metric: Option<u32>,
    pub table: Option<u32>,
    pub source: bool,
}

#[derive(Debug, Clone)]
pub enum Way {
    Via(Pick, Pick),
    Onlink(Pick),
    Dev(Pick),
    Drop(&'static str),
}

#[derive(Debug, Clone)]
pub struct PolicyRule {
    pub ipv6: bool,
    pub priority: Option<Pick>,
    pub from: Option<Pick>,
    pub to: Option<Pick>,
    pub iif: Option<Pick>,
    pub oif: Option<Pick>,
    pub fwmark: Option<&'static str>,
    /// The table; without one, the rule drops packets.
    pub table: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Neighbour {
    pub interface: Pick,
    pub ipv6: bool,
    pub to: Pick,
    pub mac: Pick,
}

#[derive(Debug, Clone)]
pub enum Sysctl {
    Everywhere(&'static str, u8),
    /// Of an interface: what comes before and behind its name.
    Interface(&'static str, Pick, &'static str, u8),
}

#[derive(Debug, Clone)]
pub enum Nat {
    Masquerade { subnet: Pick, ipv6: bool, out: Option<Pick>, except: bool },
    Snat { subnet: Pick, ipv6: bool, to: Pick },
    Publish { to: Pick, range: bool, udp: bool, address: Option<Pick> },
    Dnat { to: Pick, udp: bool, input: Option<Pick>, narrow: bool },
}

#[derive(Debug, Clone)]
pub struct Filter {
    pub chain: &'static str,
    pub input: Option<Pick>,
    pub out: Option<Pick>,
    pub subnet: Option<(Pick, bool)>,
    pub protocol: Option<&'static str>,
    pub port: Option<&'static str>,
    pub state: Vec<&'static str>,
    pub action: &'static str,
}

/// A change of the file.
#[derive(Debug, Clone)]
pub enum Edit {
    Inside(Pick, Inside),
    Segment(Pick, Segment),
    AddSegment(Segment),
    RemoveSegment(Pick),
    AddSpace(Inside),
    RemoveSpace,
    Everything(Topology),
}

/// How many spaces there are at most, `host` among them.
const SPACES: usize = 5;

impl Topology {
    /// The topology after some edits.
    pub fn edited(&self, edits: &[Edit]) -> Self {
        let mut new = self.clone();
        for edit in edits {
            let nth = |pick: Pick, count: usize| usize::from(pick) % count.max(1);
            let (spaces, segments) = (new.spaces.len(), new.segments.len());
            match edit {
                Edit::Inside(which, inside) => new.spaces[nth(*which, spaces)] = inside.clone(),
                Edit::Segment(which, segment) if segments > 0 => new.segments[nth(*which, segments)] = segment.clone(),
                Edit::Segment(_, segment) | Edit::AddSegment(segment) => new.segments.push(segment.clone()),
                Edit::RemoveSegment(which) if segments > 0 => drop(new.segments.remove(nth(*which, segments))),
                Edit::AddSpace(inside) if spaces < SPACES => new.spaces.push(inside.clone()),
                Edit::RemoveSpace if spaces > 2 => drop(new.spaces.pop()),
                Edit::RemoveSegment(_) | Edit::AddSpace(_) | Edit::RemoveSpace => {}
                Edit::Everything(other) => new = other.clone(),
            }
        }
        new
    }
}

pub fn topology() -> impl Strategy<Value = Topology> {
    (vec(inside(), 2..=SPACES), vec(segment(), 1..=4)).prop_map(|(spaces, segments)| Topology { spaces, segments })
}

pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        4 => (any::<Pick>(), inside()).prop_map(|(which, inside)| Edit::Inside(which, inside)),
        4 => (any::<Pick>(), segment()).prop_map(|(which, segment)| Edit::Segment(which, segment)),
        1 => segment().prop_map(Edit::AddSegment),
        1 => any::<Pick>().prop_map(Edit::RemoveSegment),
        1 => inside().prop_map(Edit::AddSpace),
        1 => Just(Edit::RemoveSpace),
        1 => topology().prop_map(Edit::Everything),
    ];
    vec(edit, 1..=3)
}

fn often() -> impl Strategy<Value = bool> {
    prop_oneof![5 => Just(true), 1 => Just(false)]
}

fn seldom() -> impl Strategy<Value = bool> {
    prop_oneof![5 => Just(false), 1 => Just(true)]
}

/// A pick, or more often none.
fn perhaps() -> impl Strategy<Value = Option<Pick>> {
    option::weighted(0.3, any::<Pick>())
}

fn mtu() -> impl Strategy<Value = Option<u32>> {
    option::weighted(0.2, prop_oneof![Just(1300), Just(1400), Just(9000)])
}

fn segment() -> impl Strategy<Value = Segment> {
    let bridge = (0..SPACES, any::<bool>(), seldom(), mtu(), seldom(), often(), vlans())
        .prop_map(|(space, addressed, stp, mtu, mac, up, vlans)| Bridge { space, addressed, stp, mtu, mac, up, vlans });
    let second = option::weighted(0.3, prop_oneof![Just(Place::Before), Just(Place::Behind)]);
    let member = (0..SPACES, often(), second, mtu(), seldom(), often(), vlans()).prop_map(
        |(space, addressed, second, mtu, mac, up, vlans)| Member { space, vlans, addressed, second, mtu, mac, up },
    );
    (option::of(bridge), vec(member, 1..=3), any::<bool>(), mtu()).prop_map(|(bridge, members, ipv6, mtu)| Segment {
        bridge,
        members,
        ipv6,
        mtu,
    })
}

fn inside() -> impl Strategy<Value = Inside> {
    let lists = (
        vec(device(), 0..=2),
        vec(route(), 0..=3),
        vec(rule(), 0..=2),
        vec(neighbour(), 0..=1),
        vec(sysctl(), 0..=2),
        vec(nat(), 0..=2),
        vec(filter(), 0..=3),
    );
    (option::of(any::<bool>()), seldom(), lists).prop_map(
        |(forwarding, loopback, (devices, routes, rules, neighbours, sysctls, nat, filter))| Inside {
            forwarding,
            loopback,
            devices,
            routes,
            rules,
            neighbours,
            sysctls,
            nat,
            filter,
        },
    )
}

fn device() -> impl Strategy<Value = VirtualInterface> {
    let entry = (option::weighted(0.4, 0..3_u8), 0..3_u8);
    let port = option::weighted(0.2, Just(8472));
    let vxlan = (any::<bool>(), any::<bool>(), port, vec(entry, 0..=3))
        .prop_map(|(bound, learning, port, fdb)| Kind::Vxlan { bound, learning, port, fdb });
    let mode = prop_oneof![Just("bridge"), Just("private"), Just("vepa")];
    let kind = prop_oneof![vxlan, mode.prop_map(|mode| Kind::Macvlan { mode })];
    let mtu = option::weighted(0.2, Just(1000));
    (kind, any::<Pick>(), any::<bool>(), often(), seldom(), mtu, often()).prop_map(
        |(kind, upon, ipv6, addressed, mac, mtu, up)| VirtualInterface { kind, upon, ipv6, addressed, mac, mtu, up },
    )
}

fn route() -> impl Strategy<Value = Route> {
    let way = prop_oneof![
        4 => (any::<Pick>(), any::<Pick>()).prop_map(|(subnet, gateway)| Way::Via(subnet, gateway)),
        1 => any::<Pick>().prop_map(Way::Onlink),
        2 => any::<Pick>().prop_map(Way::Dev),
        2 => prop_oneof![Just("blackhole"), Just("unreachable"), Just("prohibit")].prop_map(Way::Drop),
    ];
    let metric = option::weighted(0.3, prop_oneof![Just(50), Just(500)]);
    let table = option::weighted(0.3, prop_oneof![Just(77), Just(1000)]);
    (0..7_u8, any::<bool>(), way, metric, table, seldom()).prop_map(|(to, ipv6, way, metric, table, source)| Route {
        to,
        ipv6,
        way,
        metric,
        table,
        source,
    })
}

fn rule() -> impl Strategy<Value = PolicyRule> {
    let fwmark = option::weighted(0.3, prop_oneof![Just("1"), Just("0x10/0xff")]);
    let table = option::weighted(0.8, prop_oneof![Just(77), Just(1000)]);
    (any::<bool>(), perhaps(), option::of(any::<Pick>()), perhaps(), perhaps(), perhaps(), fwmark, table).prop_map(
        |(ipv6, priority, from, to, iif, oif, fwmark, table)| PolicyRule {
            ipv6,
            priority,
            from,
            to,
            iif,
            oif,
            fwmark,
            table,
        },
    )
}

fn neighbour() -> impl Strategy<Value = Neighbour> {
    (any::<Pick>(), any::<bool>(), 0..3_u8, any::<Pick>()).prop_map(|(interface, ipv6, to, mac)| Neighbour {
        interface,
        ipv6,
        to,
        mac,
    })
}

fn sysctl() -> impl Strategy<Value = Sysctl> {
    prop_oneof![
        (0..=2_u8).prop_map(|value| Sysctl::Everywhere("net.ipv4.conf.all.rp_filter", value)),
        (60..=62_u8).prop_map(|value| Sysctl::Everywhere("net.ipv4.ip_default_ttl", value)),
        (0..=1_u8).prop_map(|value| Sysctl::Everywhere("net.ipv4.conf.all.promote_secondaries", value)),
        (any::<Pick>(), 0..=2_u8).prop_map(|(interface, value)| Sysctl::Interface(
            "net.ipv4.conf",
            interface,
            "rp_filter",
            value
        )),
        (any::<Pick>(), 0..=2_u8).prop_map(|(interface, value)| Sysctl::Interface(
            "net.ipv4.conf",
            interface,
            "arp_ignore",
            value
        )),
        (any::<Pick>(), 1..=3_u8).prop_map(|(interface, value)| Sysctl::Interface(
            "net.ipv4.neigh",
            interface,
            "mcast_solicit",
            value
        )),
    ]
}

fn nat() -> impl Strategy<Value = Nat> {
    prop_oneof![
        (any::<Pick>(), seldom(), perhaps(), seldom()).prop_map(|(subnet, ipv6, out, except)| Nat::Masquerade {
            subnet,
            ipv6,
            out,
            except
        }),
        (any::<Pick>(), seldom(), any::<Pick>()).prop_map(|(subnet, ipv6, to)| Nat::Snat { subnet, ipv6, to }),
        (any::<Pick>(), any::<bool>(), any::<bool>(), perhaps()).prop_map(|(to, range, udp, address)| Nat::Publish {
            to,
            range,
            udp,
            address
        }),
        (any::<Pick>(), any::<bool>(), perhaps(), any::<bool>()).prop_map(|(to, udp, input, narrow)| Nat::Dnat {
            to,
            udp,
            input,
            narrow
        }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let chain = prop_oneof![Just("input"), Just("forward"), Just("output")];
    let protocol = option::of(prop_oneof![Just("tcp"), Just("udp"), Just("icmp"), Just("icmpv6")]);
    let port = option::of(prop_oneof![Just("22"), Just("8000-8010")]);
    let state = prop_oneof![3 => Just(vec![]), 1 => Just(vec!["established", "related"]), 1 => Just(vec!["invalid"])];
    let action = prop_oneof![Just("accept"), Just("drop"), Just("reject")];
    let subnet = option::weighted(0.3, (any::<Pick>(), any::<bool>()));
    (chain, perhaps(), perhaps(), subnet, protocol, port, state, action).prop_map(
        |(chain, input, out, subnet, protocol, port, state, action)| Filter {
            chain,
            input,
            out,
            subnet,
            protocol,
            port,
            state,
            action,
        },
    )
}
