//! Tables of nf_tables: what steps make of them, over netlink and as commands, and that what there is then is what was
//! wanted.

use nslab::kernel::{Kernel, Scope};
use nslab::lab::{
    Condition, ConnectionState, Family, Hook, IpProtocol, Lab, MarkBits, Namespace, NftChain, NftChainType,
    NftCondition, NftElement, NftFamily, NftField, NftRule, NftSet, NftSide, NftStatement, NftTable, NftTableId,
    NftTables, NftType, NftValue, NftVerdict, NsName, Observed, Policy, PortRange,
};
use nslab::plan;
use nslab::steps::Step;

use crate::support::{run, sandbox};

fn net(text: &str) -> NftValue {
    NftValue::Addresses(text.parse().unwrap())
}

fn port(first: u16, last: u16) -> NftValue {
    NftValue::Ports(PortRange { first, last })
}

fn goto(chain: &str) -> NftVerdict {
    NftVerdict::Goto(chain.to_owned())
}

fn service_key(family: Family) -> Vec<NftField> {
    let side = NftSide::Destination;
    vec![NftField::Address(family, side), NftField::Protocol, NftField::Port(side)]
}

/// Everything that a table for one family may have.
fn services() -> NftTable {
    let types = [NftType::Address(Family::Ipv4), NftType::Protocol, NftType::Port];
    let mut table = NftTable { comment: Some("rules of a node's".to_owned()), ..NftTable::default() };
    let mut ips = NftSet::map(types).saying("where to");
    let tcp = NftValue::Protocol(IpProtocol::Tcp);
    ips.insert([net("10.96.0.20/32"), tcp, port(80, 80)], Some(goto("web/tcp")));
    ips.insert([net("10.96.0.21/32"), tcp, port(80, 80)], Some(NftVerdict::Drop));
    for element in ips.elements.values_mut().take(1) {
        element.comment = Some("default/web".to_owned());
    }
    table.sets.insert("service-ips".to_owned(), ips);
    let mut nets = NftSet::set([NftType::Address(Family::Ipv4)]).of_intervals();
    for value in ["10.0.0.0/9", "10.128.0.0/9", "192.168.1.7/32", "224.0.0.0/3"] {
        nets.insert([net(value)], None);
    }
    table.sets.insert("nets".to_owned(), nets);
    let mut pairs = NftSet::set([NftType::Address(Family::Ipv4), NftType::Port]).of_intervals();
    pairs.insert([net("10.0.0.0/8"), port(80, 90)], None);
    pairs.insert([net("10.1.2.3/32"), port(443, 443)], None);
    table.sets.insert("pairs".to_owned(), pairs);
    table.sets.insert("seen/by".to_owned(), NftSet::set([NftType::Address(Family::Ipv4)]).dynamic(10_800));
    table.chains.insert("nat-pre".to_owned(), NftChain::base(NftChainType::Nat, Hook::Prerouting, -100));
    let look_up = NftStatement::LookUp(service_key(Family::Ipv4), "service-ips".to_owned());
    table.chain("nat-pre").rules.push(NftRule::always().then(look_up));
    table.chains.insert("post".to_owned(), NftChain::base(NftChainType::Nat, Hook::Postrouting, 100));
    table.chain("post").rules.push(NftRule::always().then(NftStatement::Masquerade { fully_random: true }));
    let source = || vec![NftField::Address(Family::Ipv4, NftSide::Source)];
    table.chain("web/tcp").comment = Some("one service".to_owned());
    table.chain("web/tcp").rules = vec![
        NftRule::always()
            .when(NftCondition::Address(NftSide::Destination, Condition::Is("10.96.0.20/32".parse().unwrap())))
            .when(NftCondition::Protocol(Condition::Is(IpProtocol::Tcp)))
            .when(NftCondition::Port(NftSide::Destination, Condition::Is(PortRange::one(80))))
            .when(NftCondition::Address(NftSide::Source, Condition::IsNot("10.244.0.0/14".parse().unwrap())))
            .verdict(NftVerdict::Jump("to-mark".to_owned())),
        NftRule::always()
            .when(NftCondition::InSet(source(), Condition::Is("seen/by".to_owned())))
            .verdict(goto("endpoint/1")),
        NftRule::always().then(NftStatement::Spread(vec![goto("endpoint/1"), NftVerdict::Jump("to-mark".to_owned())])),
    ];
    let mark = |mask| NftStatement::SetMark(MarkBits { value: 0x4000, mask });
    table.chain("to-mark").rules = vec![
        NftRule::always().then(mark(0x4000)),
        NftRule::always().then(mark(0)),
        NftRule::always()
            .when(NftCondition::Mark(Condition::Is(MarkBits { value: 0, mask: 0x4000 })))
            .verdict(NftVerdict::Return)
            .saying("it's not ours"),
    ];
    table.chain("endpoint/1").rules = vec![
        NftRule::always().then(NftStatement::Update("seen/by".to_owned(), source())),
        NftRule::always()
            .when(NftCondition::Protocol(Condition::Is(IpProtocol::Tcp)))
            .then(NftStatement::Dnat("10.244.1.2:8080".parse().unwrap())),
    ];
    table
}

/// Everything else, for both families.
fn policies() -> NftTable {
    let mut table = NftTable::default();
    let mut forward = NftChain::base(NftChainType::Filter, Hook::Forward, 10);
    forward.base.as_mut().unwrap().policy = Policy::Drop;
    let v6 = |side| NftField::Address(Family::Ipv6, side);
    forward.rules = vec![
        NftRule::always()
            .when(NftCondition::States([ConnectionState::Established, ConnectionState::Related].into()))
            .verdict(NftVerdict::Accept),
        NftRule::always()
            .when(NftCondition::Input(Condition::Is("eth0".parse().unwrap())))
            .when(NftCondition::Output(Condition::IsNot("v-pod.1".parse().unwrap())))
            .verdict(NftVerdict::Continue),
        NftRule::always()
            .when(NftCondition::Address(NftSide::Source, Condition::Is("fd00::/64".parse().unwrap())))
            .when(NftCondition::Address(NftSide::Destination, Condition::IsNot("fd00::/65".parse().unwrap())))
            .then(NftStatement::Reject),
        NftRule::always()
            .when(NftCondition::Port(NftSide::Source, Condition::IsNot(PortRange { first: 1, last: 1023 })))
            .when(NftCondition::Port(NftSide::Destination, Condition::Is(PortRange { first: 80, last: 90 })))
            .then(NftStatement::Reject),
        NftRule::always().when(NftCondition::Local(NftSide::Destination)).verdict(NftVerdict::Accept),
        NftRule::always()
            .when(NftCondition::InSet(service_key(Family::Ipv6), Condition::IsNot("allowed".to_owned())))
            .verdict(NftVerdict::Drop),
        NftRule::always().then(NftStatement::LookUp(vec![v6(NftSide::Source)], "pods".to_owned())),
    ];
    table.chains.insert("forward".to_owned(), forward);
    table.chain("pod");
    let mut pods = NftSet::map([NftType::Address(Family::Ipv6)]);
    pods.insert([net("fd00::2/128")], Some(NftVerdict::Jump("pod".to_owned())));
    table.sets.insert("pods".to_owned(), pods);
    let types = [NftType::Address(Family::Ipv6), NftType::Protocol, NftType::Port];
    // Of intervals, nft 1.0.6 turns the protocol round, which the newest kernels refuse.
    let mut allowed = NftSet::set(types);
    allowed.insert([net("fd00::3/128"), NftValue::Protocol(IpProtocol::Udp), port(53, 53)], None);
    table.sets.insert("allowed".to_owned(), allowed);
    table
}

fn tables() -> NftTables {
    let id = NftTableId::new;
    [(id(NftFamily::Ip, "kube-proxy"), services()), (id(NftFamily::Inet, "nslab"), policies())].into()
}

fn lab(nft: NftTables) -> Lab {
    let red = Namespace { nft, ..Namespace::default() };
    Lab::of("case".parse().unwrap(), [("red".parse().unwrap(), red)].into_iter().collect())
}

fn observed(lab: &Lab) -> Observed {
    Kernel::open().unwrap().observe(&Scope { lab: &lab.name, desired: Some(lab), inside: true }).unwrap()
}

/// The steps on tables that make what there is what is wanted.
fn steps(lab: &Lab) -> Vec<Step> {
    let planned = plan::plan(lab, &observed(lab)).steps.into_iter().map(|planned| planned.step);
    planned.filter(|step| matches!(step, Step::Nft(_) | Step::Foreign(_))).collect()
}

fn undone(steps: &[Step]) -> Vec<Step> {
    steps.iter().rev().map(|step| step.inverse().unwrap()).collect()
}

/// What `nft` says; the kernel lists elements in any order.
fn account() -> String {
    let list = |table: &str| format!("ip netns exec red nft list table {table} || true;");
    run(&format!("nft list ruleset; {}{}", list("ip kube-proxy"), list("inet nslab")))
}

#[track_caller]
fn assert_is(wanted: &Lab, why: &str) {
    let red: NsName = "red".parse().unwrap();
    let live = observed(wanted);
    let is = &live.namespaces[&red].is.nft;
    assert_eq!(is, &wanted.namespaces[&red].nft, "{why}:\n{}", account());
    assert_eq!(steps(wanted), [], "{why}");
}

#[test]
fn tables_come_and_go_by_messages_and_by_commands() {
    sandbox();
    run("ip netns add red");
    let lab = lab(tables());
    let there = steps(&lab);
    let mut kernel = Kernel::open().unwrap();
    let before = account();
    kernel.run(&there).unwrap();
    assert_is(&lab, "by messages");
    let made = account();
    kernel.run(&undone(&there)).unwrap();
    assert_eq!(account(), before);
    for step in &there {
        run(&step.command());
    }
    assert_is(&lab, "by commands");
    assert_eq!(account(), made, "the commands do what the messages do");
    for step in undone(&there) {
        run(&step.command());
    }
    assert_eq!(account(), before);
}

/// A change to what is wanted, and the steps that it takes.
#[track_caller]
fn takes(change: impl Fn(&mut NftTable), expected: &[&str]) {
    let mut changed = tables();
    change(changed.get_mut(&NftTableId::new(NftFamily::Ip, "kube-proxy")).unwrap());
    let (first, second) = (lab(tables()), lab(changed));
    let mut kernel = Kernel::open().unwrap();
    kernel.run(&steps(&first)).unwrap();
    let there = steps(&second);
    assert_eq!(there.iter().map(Step::text).collect::<Vec<_>>(), expected);
    kernel.run(&there).unwrap();
    assert_is(&second, "changed");
    kernel.run(&undone(&there)).unwrap();
    assert_is(&first, "changed back");
}

#[test]
fn a_change_is_small_and_can_be_undone() {
    sandbox();
    run("ip netns add red");
    let of = "of table ip kube-proxy";
    let key = vec![net("10.96.0.20/32"), NftValue::Protocol(IpProtocol::Tcp), port(80, 80)];
    takes(
        |table| {
            let element = NftElement { verdict: Some(NftVerdict::Drop), comment: None };
            table.sets.get_mut("service-ips").unwrap().elements.insert(key.clone(), element);
        },
        &[&format!(
            "change `10.96.0.20 . tcp . 80 comment \"default/web\" : goto web/tcp` to `10.96.0.20 . tcp . 80 : drop` \
             in map service-ips {of} in red"
        )],
    );
    takes(
        |table| {
            table.sets.get_mut("service-ips").unwrap().elements.remove(&key);
            table.chains.remove("web/tcp");
        },
        &[
            &format!(
                "remove `10.96.0.20 . tcp . 80 comment \"default/web\" : goto web/tcp` from map service-ips {of} in red"
            ),
            &format!("remove 3 rules from chain web/tcp {of} in red"),
            &format!("remove chain web/tcp {of} from red"),
        ],
    );
    takes(
        |table| table.sets.get_mut("seen/by").unwrap().definition.dynamic_for = Some(60),
        &[
            &format!("remove 2 rules from chain endpoint/1 {of} in red"),
            &format!("remove 3 rules from chain web/tcp {of} in red"),
            &format!("remove set seen/by {of} from red"),
            &format!("make set seen/by {of} in red"),
            &format!("add 2 rules to chain endpoint/1 {of} in red"),
            &format!("add 3 rules to chain web/tcp {of} in red"),
        ],
    );
    takes(
        |table| table.chain("nat-pre").base.as_mut().unwrap().priority = -110,
        &[
            &format!("remove 1 rule from chain nat-pre {of} in red"),
            &format!("remove chain nat-pre {of} from red"),
            &format!("make chain nat-pre {of} in red"),
            &format!("add rule `ip daddr . meta l4proto . th dport vmap @service-ips` to chain nat-pre {of} in red"),
        ],
    );
}

#[test]
fn what_the_model_has_no_words_for_goes_with_its_table_and_comes_back() {
    for damage in [
        "add rule ip kube-proxy to-mark counter drop",
        "add rule ip kube-proxy to-mark ip saddr { 10.0.0.1, 10.0.0.2 } drop",
        "add counter ip kube-proxy hits",
        "add set ip kube-proxy more { type ether_addr; }",
        "add table ip kube-proxy { flags dormant; }",
    ] {
        sandbox();
        run("ip netns add red");
        let lab = lab(tables());
        let mut kernel = Kernel::open().unwrap();
        kernel.run(&steps(&lab)).unwrap();
        run(&format!("ip netns exec red nft '{damage}'"));
        let damaged = account();
        let there = steps(&lab);
        assert_eq!(there.first().map(Step::text).unwrap(), "remove nftables table ip kube-proxy from red", "{damage}");
        kernel.run(&there).unwrap();
        assert_is(&lab, damage);
        kernel.run(&undone(&there)).unwrap();
        assert_eq!(account(), damaged, "{damage}");
    }
}
