//! What is written is read back, for random rules and in both spellings.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{args, read, restore_line, shell_line};
use crate::lab::{
    ChainName, Condition, ConnectionState, DnatPort, DnatTarget, Family, FirewallRule, FirewallTarget, IfName,
    IpProtocol, MarkBits, Matches, ObservedRule, PortRange, Probability, Recent, RejectWith,
};

fn address(family: Family) -> BoxedStrategy<std::net::IpAddr> {
    match family {
        Family::Ipv4 => any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()).boxed(),
        Family::Ipv6 => any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()).boxed(),
    }
}

fn net(family: Family) -> BoxedStrategy<IpNet> {
    match family {
        Family::Ipv4 => (any::<u32>(), 1..=32_u8)
            .prop_map(|(bits, length)| Ipv4Net::new_assert(bits.into(), length).trunc().into())
            .boxed(),
        Family::Ipv6 => (any::<u128>(), 1..=128_u8)
            .prop_map(|(bits, length)| Ipv6Net::new_assert(bits.into(), length).trunc().into())
            .boxed(),
    }
}

fn condition<T: std::fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<Condition<T>>> {
    let of = |(value, is): (T, bool)| if is { Condition::Is(value) } else { Condition::IsNot(value) };
    option::of((value, any::<bool>()).prop_map(of)).boxed()
}

fn range() -> impl Strategy<Value = PortRange> {
    (any::<u16>(), any::<u16>()).prop_map(|(a, b)| PortRange { first: a.min(b), last: a.max(b) })
}

fn ports() -> impl Strategy<Value = PortRange> {
    prop_oneof![any::<u16>().prop_map(PortRange::one), range()]
}

fn interface() -> impl Strategy<Value = IfName> {
    "[a-z][a-z0-9.@_-]{0,13}".prop_filter_map("a name", |name| name.parse().ok())
}

fn dnat_port() -> impl Strategy<Value = DnatPort> {
    let several = || range().prop_filter("several", |range| range.count() > 1);
    prop_oneof![
        Just(DnatPort::Same),
        any::<u16>().prop_map(DnatPort::One),
        several().prop_map(DnatPort::AnyOf),
        (any::<u16>(), several()).prop_map(|(from, to)| DnatPort::Shifted { from, to }),
    ]
}

fn target(family: Family) -> impl Strategy<Value = FirewallTarget> {
    let chain = "NSLAB-[a-z'\"#;$]{1,8}".prop_map(|name| name.parse::<ChainName>().unwrap());
    let dnat = (address(family), dnat_port()).prop_map(|(address, port)| DnatTarget { address, port });
    prop_oneof![
        select(vec![
            FirewallTarget::Accept,
            FirewallTarget::Drop,
            FirewallTarget::Return,
            FirewallTarget::Masquerade,
            FirewallTarget::MasqueradeRandomly,
            FirewallTarget::Redirect(None),
        ]),
        select(RejectWith::ALL.to_vec()).prop_map(FirewallTarget::Reject),
        chain.prop_map(FirewallTarget::Jump),
        bits().prop_map(FirewallTarget::Mark),
        address(family).prop_map(FirewallTarget::Snat),
        dnat.prop_map(FirewallTarget::Dnat),
        ports().prop_map(|ports| FirewallTarget::Redirect(Some(ports))),
    ]
}

fn bits() -> impl Strategy<Value = MarkBits> {
    (any::<u32>(), any::<u32>()).prop_map(|(value, mask)| MarkBits { value, mask })
}

fn recent() -> impl Strategy<Value = Recent> {
    let list = || "KUBE-SEP-[A-Z2-7]{16}".prop_map(|name| name.parse::<ChainName>().unwrap());
    prop_oneof![
        list().prop_map(Recent::Set),
        (list(), any::<u32>()).prop_map(|(list, seconds)| Recent::Within { list, seconds }),
    ]
}

fn matches(family: Family) -> impl Strategy<Value = Matches> {
    let protocols = [IpProtocol::Tcp, IpProtocol::Udp, IpProtocol::Sctp, IpProtocol::Icmp, IpProtocol::Icmpv6].to_vec();
    let states = btree_set(select(ConnectionState::ALL.to_vec()), 1..4);
    let packet = (condition(net(family)), condition(net(family)), condition(interface()), condition(interface()));
    let of_modules = (option::of(any::<bool>()), condition(ports()), condition(ports()), condition(states));
    let chance = option::of((0..=2_147_483_648_u32).prop_map(Probability));
    let extended = (option::of(recent()), chance, condition(bits()), option::of(any::<bool>()));
    (packet, condition(select(protocols)), of_modules, extended).prop_map(|(packet, protocol, of_modules, extended)| {
        let (recent, probability, mark, source_is_local) = extended;
        let (source, destination, input, out) = packet;
        let (destination_is_local, source_port, destination_port, states) = of_modules;
        let has_ports = matches!(protocol, Some(Condition::Is(protocol)) if protocol.has_ports());
        Matches {
            source,
            destination,
            input,
            out,
            protocol,
            recent,
            probability,
            mark,
            source_is_local,
            destination_is_local,
            source_port: source_port.filter(|_| has_ports),
            destination_port: destination_port.filter(|_| has_ports),
            states,
        }
    })
}

fn rule() -> impl Strategy<Value = (Family, FirewallRule)> {
    select(vec![Family::Ipv4, Family::Ipv6]).prop_flat_map(|family| {
        let comment = option::of("[ -~éλ]{0,12}");
        let rule = (matches(family), target(family), comment).prop_map(|(matches, target, comment)| FirewallRule {
            matches,
            target,
            comment,
        });
        (Just(family), rule)
    })
}

/// The words that a shell makes of a line without anything but single quotes and backslashed quotes.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut characters) = (false, line.chars());
    while let Some(c) = characters.next() {
        match c {
            '\'' => quoted = !quoted,
            '\\' if !quoted => words.last_mut().unwrap().extend(characters.next()),
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

proptest! {
    #[test]
    fn what_is_written_is_read_back((family, rule) in rule()) {
        let rule = ObservedRule::Known(rule);
        let line = restore_line(&rule);
        prop_assert_eq!(&read(family, &line), &rule, "{}", line);
        let words: Vec<String> = args::parse(&line)
            .into_iter()
            .flat_map(|arg| {
                let negation = arg.negated.then(|| "!".to_owned());
                negation.into_iter().chain([arg.option]).chain(arg.values).collect::<Vec<_>>()
            })
            .collect();
        prop_assert_eq!(shell_words(&shell_line(&rule)), words);
    }
}

fn known(text: &str) -> FirewallRule {
    match read(Family::Ipv4, text) {
        ObservedRule::Known(rule) => rule,
        ObservedRule::Foreign(rule) => panic!("{rule:?}"),
    }
}

#[test]
fn rules_are_equal_when_they_mean_the_same() {
    let ours = known("-p tcp -d 192.168.15.2 --dport 80 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    let saved = "-d 192.168.15.2/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
    assert_eq!(ours, known(saved));
    assert_ne!(ours, known(&saved.replace("ESTABLISHED,", "")));
    assert_ne!(known("-s 10.0.0.0/8 -j DROP"), known("! -s 10.0.0.0/8 -j DROP"));
    assert_eq!(known("-s 0.0.0.0/0 -j REJECT"), known("-j REJECT --reject-with icmp-port-unreachable"));
}

/// iptables removes a rule only if its modules are in the same order.
#[test]
fn a_rule_in_another_order_keeps_its_text_and_says_what_it_means() {
    let other = "-d 192.168.15.2/32 -p tcp -m conntrack --ctstate RELATED -m tcp --dport 80 -j ACCEPT";
    let ours = known("-d 192.168.15.2/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate RELATED -j ACCEPT");
    let read = read(Family::Ipv4, other);
    assert!(matches!(read, ObservedRule::Foreign(_)));
    assert!(read.means(&ours));
    assert_eq!(restore_line(&read), other);
}

#[test]
fn what_the_model_has_no_words_for_keeps_its_text() {
    for text in [
        "-p icmp -m icmp --icmp-type 8 -j DROP",
        "! -i v-net-0 -p tcp -m multiport --dports 8080,8443 -j DNAT --to-destination 192.168.15.2",
        "-s 10.0.0.0/255.0.255.0 -j ACCEPT",
        "-j MASQUERADE --to-ports 1024-2048",
        "-s 10.0.0.1/32 -j DNAT --to-destination 10.0.0.2:99999",
        "-p tcp",
        "-i eth+ -j DROP",
        "-m comment --comment a -m comment --comment b -j DROP",
        "-j LOG --log-prefix \"-j \"",
        "--dport 80 -j ACCEPT",
    ] {
        let rule = read(Family::Ipv4, text);
        assert_eq!(rule.meaning(), None, "{text}");
        assert_eq!(restore_line(&rule), text);
        assert_eq!(read(Family::Ipv4, &restore_line(&rule)), rule);
    }
    let goto = read(Family::Ipv4, "-p tcp -g NSLAB-a-POST");
    assert_eq!(goto.leads_to().map(ChainName::as_str), Some("NSLAB-a-POST"));
}

#[test]
fn quoted_comments_survive_both_ways() {
    let text = r#"-m comment --comment "it's a \"test\" -j X" -j ACCEPT"#;
    let rule = known(text);
    assert_eq!(rule.comment.as_deref(), Some(r#"it's a "test" -j X"#));
    assert_eq!(restore_line(&rule.clone().into()), text);
    assert_eq!(shell_line(&rule.into()), r#"-m comment --comment 'it'\''s a "test" -j X' -j ACCEPT"#);
    for saved in ["-m comment --comment -j -j ACCEPT", r#"-m comment --comment "!" -j ACCEPT"#] {
        assert_eq!(known(saved).without_comment(), known("-j ACCEPT"));
    }
}
