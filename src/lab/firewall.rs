//! Packet filter and NAT rules, as `iptables` knows them.
//!
//! A rule is the list of arguments that stands behind `iptables -A CHAIN`. Rules that are wanted are built from
//! checked types; rules that exist are parsed from `iptables-save`. Two rules are equal when they mean the same:
//! the order of the arguments and the modules named with `-m` differ between releases and do not count.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::chain::{ChainId, Policy};
use super::words::{is_option, restore_word, shell_word, split_words};
use super::{ChainName, LabName};

/// All chains of a namespace with their rules. Wanted: only our own chains. Live: every chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Firewall {
    /// Rules by chain, in the order in which they are asked.
    #[serde(serialize_with = "chains_as_list")]
    pub chains: BTreeMap<ChainId, Vec<FwRule>>,
    /// Live: what happens at the end of each built-in chain. Wanted: empty, all of them accept.
    #[serde(skip)]
    pub policies: BTreeMap<ChainId, Policy>,
}

/// A rule: the arguments behind `iptables -A CHAIN`.
#[derive(Debug, Clone, Default)]
pub struct FwRule {
    args: Vec<FwArg>,
    /// The arguments in an order and a spelling of their own, for comparison: rules are compared by the thousand.
    normal: Vec<FwArg>,
}

/// One argument of a rule with its values: `! -d 10.0.0.0/8`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FwArg {
    /// The option as iptables-save prints it: `-s`, `--dport`, `-j`.
    pub option: String,
    /// Whether a `!` stands before it.
    pub negated: bool,
    /// What follows it.
    pub values: Vec<String>,
}

impl FwRule {
    /// A rule without a condition or a target, to be completed with [`Self::with`] and [`Self::without`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an option and its value: `.with("-s", prefix)`.
    #[must_use]
    pub fn with(self, option: &str, value: impl fmt::Display) -> Self {
        self.push(option, false, value)
    }

    /// Adds an option that must not match: `.without("-d", prefix)` is `! -d PREFIX`.
    #[must_use]
    pub fn without(self, option: &str, value: impl fmt::Display) -> Self {
        self.push(option, true, value)
    }

    /// Adds a match module: `.module("conntrack")` is `-m conntrack`.
    #[must_use]
    pub fn module(self, name: &str) -> Self {
        self.push("-m", false, name)
    }

    fn push(mut self, option: &str, negated: bool, value: impl fmt::Display) -> Self {
        let arg = FwArg { option: option.to_owned(), negated, values: vec![value.to_string()] };
        if let Some(normal) = arg.normal() {
            self.normal.insert(self.normal.partition_point(|other| *other < normal), normal);
        }
        self.args.push(arg);
        self
    }

    /// The rule that sends packets from a built-in chain to one of ours, with the lab's mark as its comment.
    pub fn jump(lab: &LabName, chain: &ChainName) -> Self {
        Self::new().module("comment").with("--comment", lab.mark()).with("-j", chain)
    }

    /// Parses what follows the chain's name in a line of `iptables-save`.
    pub fn parse(text: &str) -> Self {
        let mut args: Vec<FwArg> = Vec::new();
        let mut negated = false;
        for (word, quoted) in split_words(text) {
            let is_value = quoted || args.last().is_some_and(FwArg::lacks_text);
            if word == "!" && !is_value {
                negated = true;
            } else if !is_value && is_option(&word) {
                args.push(FwArg { option: word, negated: std::mem::take(&mut negated), values: Vec::new() });
            } else if let Some(arg) = args.last_mut() {
                arg.values.push(word);
            }
        }
        Self::of(args)
    }

    fn of(args: Vec<FwArg>) -> Self {
        let mut normal: Vec<FwArg> = args.iter().filter_map(FwArg::normal).collect();
        normal.sort();
        Self { args, normal }
    }

    /// The first value of an option, if the rule has it.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.args.iter().find(|arg| arg.option == option)?.values.first().map(String::as_str)
    }

    /// The rule without its comment: what it does, not whose it is.
    #[must_use]
    pub fn without_comment(&self) -> Self {
        Self::of(self.args.iter().filter(|arg| arg.option != "--comment").cloned().collect())
    }

    /// The arguments for a shell's command line.
    pub fn to_shell(&self) -> String {
        self.render(shell_word)
    }

    /// The arguments for `iptables-restore`.
    pub fn to_restore(&self) -> String {
        self.render(restore_word)
    }

    fn render(&self, quote: impl Fn(&str) -> String) -> String {
        let mut words = Vec::new();
        for arg in &self.args {
            if arg.negated {
                words.push("!".to_owned());
            }
            words.push(arg.option.clone());
            words.extend(arg.values.iter().map(|value| quote(value)));
        }
        words.join(" ")
    }
}

impl FwArg {
    /// Whether any word that follows is its value: iptables-save puts no quotes round a comment `-j`.
    fn lacks_text(&self) -> bool {
        matches!(self.option.as_str(), "--comment" | "--log-prefix") && self.values.is_empty()
    }

    /// The argument in a spelling of its own; none for a module, which the options name anyway.
    fn normal(&self) -> Option<Self> {
        if self.option == "-m" {
            return None;
        }
        let mut arg = self.clone();
        for value in &mut arg.values {
            if arg.option == "--ctstate" {
                let mut states: Vec<_> = value.split(',').collect();
                states.sort_unstable();
                *value = states.join(",");
            } else if matches!(arg.option.as_str(), "-s" | "-d") {
                let net = value.parse::<IpNet>().or_else(|_| value.parse().map(|address: IpAddr| address.into()));
                net.iter().for_each(|net| *value = net.to_string());
            } else if matches!(arg.option.as_str(), "--to-source" | "--to-destination") {
                *value = target_spelling(value);
            }
        }
        Some(arg)
    }
}

impl PartialEq for FwRule {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for FwRule {}

impl Hash for FwRule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal.hash(state);
    }
}

impl fmt::Display for FwRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_shell())
    }
}

impl Serialize for FwRule {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A target of translation with its address as Rust spells it: C has `::10.0.0.1` for `::a00:1`.
fn target_spelling(value: &str) -> String {
    let address = |text: &str| text.parse().map_or_else(|_| text.to_owned(), |address: IpAddr| address.to_string());
    match value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, rest)) => format!("[{}]{rest}", address(inside)),
        None => address(value),
    }
}

fn chains_as_list<S: Serializer>(chains: &BTreeMap<ChainId, Vec<FwRule>>, s: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Chain<'a> {
        #[serde(flatten)]
        id: &'a ChainId,
        rules: &'a [FwRule],
    }
    s.collect_seq(chains.iter().map(|(id, rules)| Chain { id, rules }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_equal_when_they_mean_the_same() {
        let ours = FwRule::new()
            .with("-p", "tcp")
            .with("-d", "192.168.15.2")
            .with("--dport", 80)
            .module("conntrack")
            .with("--ctstate", "RELATED,ESTABLISHED")
            .with("-j", "ACCEPT");
        let saved = FwRule::parse(
            "-d 192.168.15.2/32 -p tcp -m conntrack --ctstate ESTABLISHED,RELATED -m tcp --dport 80 -j ACCEPT",
        );
        assert_eq!(ours, saved);
        assert_ne!(
            ours,
            FwRule::parse("-d 192.168.15.2/32 -p tcp -m conntrack --ctstate RELATED -m tcp --dport 80 -j ACCEPT")
        );
        assert_ne!(FwRule::new().with("-s", "10.0.0.0/8"), FwRule::new().without("-s", "10.0.0.0/8"));
    }

    #[test]
    fn quoted_comments_survive_both_ways() {
        let rule = FwRule::parse(r#"-m comment --comment "it's a \"test\" -j X" -j ACCEPT"#);
        assert_eq!(rule.value("--comment"), Some(r#"it's a "test" -j X"#));
        assert_eq!(rule.to_restore(), r#"-m comment --comment "it's a \"test\" -j X" -j ACCEPT"#);
        assert_eq!(rule.to_shell(), r#"-m comment --comment 'it'\''s a "test" -j X' -j ACCEPT"#);
    }

    #[test]
    fn comments_that_look_like_options_are_comments() {
        for saved in ["-m comment --comment -j -j ACCEPT", r#"-m comment --comment "!" -j ACCEPT"#] {
            let rule = FwRule::parse(saved);
            assert_eq!(rule.without_comment(), FwRule::parse("-m comment -j ACCEPT"));
            assert_eq!(FwRule::parse(&rule.to_restore()), rule);
        }
    }
}
