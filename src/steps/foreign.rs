//! Objects that the model has no words for, removed, and put back as they were.

use super::command::{inside, ip, ip_family};
use super::operation::{Operation, Reach};
use super::{Phase, Presence};
use crate::iptables::{chain_removal, emptied_table, shell_word};
use crate::lab::{Family, ForeignKind, ForeignObject, NsName};

/// A step on an object that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignStep {
    /// The namespace.
    pub ns: NsName,
    /// The object.
    pub change: Presence<ForeignObject>,
}

impl ForeignStep {
    /// The way back; none where what was removed cannot be brought back as it was.
    pub(super) fn inverse(&self) -> Option<Self> {
        let comes_back = !matches!(self.change.object().kind, ForeignKind::Interface { .. });
        comes_back.then(|| Self { ns: self.ns.clone(), change: self.change.inverse() })
    }
}

impl Operation for ForeignStep {
    fn text(&self) -> String {
        let object = self.change.object();
        match (&self.change, object.kind) {
            (Presence::Add(_), ForeignKind::LoopbackName) => format!("rename {}/lo to {}", self.ns, object.text),
            (Presence::Remove(_), ForeignKind::LoopbackName) => format!("rename {}/{} to lo", self.ns, object.text),
            (Presence::Add(object), ForeignKind::LinkOption(_) | ForeignKind::Switch) => {
                format!("set {} in {}", object.text, self.ns)
            }
            (Presence::Remove(object), ForeignKind::LinkOption(_) | ForeignKind::Switch) => {
                format!("set {object} in {} back to {}", self.ns, object.set_back().unwrap_or_default())
            }
            (Presence::Add(_), _) => format!("put {object} back in {}", self.ns),
            (Presence::Remove(_), ForeignKind::LegacyTable { .. }) => format!("empty {object} in {}", self.ns),
            (Presence::Remove(_), _) => format!("remove {object} from {}", self.ns),
        }
    }

    fn command(&self) -> String {
        let object @ ForeignObject { kind, text, .. } = self.change.object();
        let adds = matches!(self.change, Presence::Add(_));
        let verb = if adds { "add" } else { "del" };
        match kind {
            ForeignKind::Route { ipv6 } => format!("{} route {verb} {text}", ip_family(&self.ns, *ipv6)),
            ForeignKind::PolicyRule { ipv6 } => format!("{} rule {verb} {text}", ip_family(&self.ns, *ipv6)),
            ForeignKind::FdbEntry if adds => format!("{}bridge fdb append {text} self permanent", inside(&self.ns)),
            ForeignKind::FdbEntry => format!("{}bridge fdb del {text} self", inside(&self.ns)),
            ForeignKind::BridgeFdbEntry { of_bridge, is_local } => {
                let place = if *of_bridge { "self" } else { "master" };
                let state = match (adds, is_local) {
                    (true, true) => " permanent",
                    (true, false) => " static",
                    (false, _) => "",
                };
                format!("{}bridge fdb {verb} {text} {place}{state}", inside(&self.ns))
            }
            ForeignKind::Neighbour => format!("{} neigh {verb} {text}", ip(&self.ns)),
            ForeignKind::LinkOption(option) => {
                let (dev, words) = text.split_once(' ').unwrap_or((text, ""));
                let words = if adds { words.to_owned() } else { option.words(option.default) };
                format!("{} link set dev {dev}{} {words}", ip(&self.ns), option.of.words())
            }
            ForeignKind::Switch => {
                let set = if adds { text.clone() } else { object.set_back().unwrap_or_default() };
                format!("{}sysctl -qw {set}", inside(&self.ns))
            }
            ForeignKind::Qdisc => format!("{}tc qdisc {verb} {}", inside(&self.ns), qdisc(text, adds)),
            ForeignKind::NextHop { .. } if adds => format!("{} nexthop add {text}", ip(&self.ns)),
            ForeignKind::NextHop { id, .. } => format!("{} nexthop del id {id}", ip(&self.ns)),
            ForeignKind::XfrmPolicy => format!("{} xfrm policy {verb} {text}", ip(&self.ns)),
            ForeignKind::XfrmState => format!("{} xfrm state {verb} {text}", ip(&self.ns)),
            // So `ip` calls an interface by its number.
            ForeignKind::Interface { index } => format!("{} link {verb} dev if{index}", ip(&self.ns)),
            ForeignKind::LoopbackName if adds => renamed(&self.ns, "lo", text),
            ForeignKind::LoopbackName => renamed(&self.ns, text, "lo"),
            ForeignKind::NftTable { handle } => nft_table(&self.ns, text, *handle, adds),
            ForeignKind::LegacyTable { family } => legacy_table(&self.ns, object, *family, adds),
            ForeignKind::LabChain { family, is_legacy: true, .. } => legacy_chain(&self.ns, object, *family, adds),
            ForeignKind::LabChain { .. } => nft_chain(&self.ns, text, adds),
        }
    }

    fn phase(&self) -> Phase {
        let (adds, removes) = match self.change.object().kind {
            ForeignKind::Route { .. }
            | ForeignKind::PolicyRule { .. }
            | ForeignKind::FdbEntry
            | ForeignKind::BridgeFdbEntry { .. }
            | ForeignKind::Neighbour
            | ForeignKind::LinkOption(_)
            | ForeignKind::Switch
            | ForeignKind::NextHop { .. } => (Phase::AddRoutes, Phase::RemoveRoutes),
            ForeignKind::Qdisc | ForeignKind::XfrmPolicy | ForeignKind::XfrmState => {
                (Phase::SetFirewall, Phase::RemoveFirewall)
            }
            // After whatever else has the name `lo` is gone, and before anything is set on it.
            ForeignKind::Interface { .. } | ForeignKind::LoopbackName => (Phase::AddVeths, Phase::RemoveInterfaces),
            ForeignKind::NftTable { .. } | ForeignKind::LegacyTable { .. } | ForeignKind::LabChain { .. } => {
                (Phase::SetFirewall, Phase::RemoveFirewall)
            }
        };
        match self.change {
            Presence::Add(_) => adds,
            Presence::Remove(_) => removes,
        }
    }

    fn kind(&self) -> &'static str {
        match self.change.object().kind {
            ForeignKind::Route { .. } => "remove a route",
            ForeignKind::PolicyRule { .. } => "change a policy rule",
            ForeignKind::FdbEntry | ForeignKind::BridgeFdbEntry { .. } => "change a forwarding entry",
            ForeignKind::Neighbour => "change a neighbour entry",
            ForeignKind::LinkOption(_) => "change an interface",
            ForeignKind::Switch => "set a sysctl",
            ForeignKind::Qdisc => "remove a qdisc",
            ForeignKind::NextHop { .. } => "remove a nexthop",
            ForeignKind::XfrmPolicy | ForeignKind::XfrmState => "remove an xfrm policy or state",
            ForeignKind::Interface { .. } => "remove interfaces",
            ForeignKind::LoopbackName => "rename the loopback",
            ForeignKind::NftTable { .. } | ForeignKind::LegacyTable { .. } => "remove a table of another program",
            ForeignKind::LabChain { .. } => "remove a chain that iptables does not show",
        }
    }

    fn namespace(&self) -> NsName {
        self.ns.clone()
    }

    fn reach(&self) -> Reach {
        match self.change.object().kind {
            ForeignKind::Interface { .. } | ForeignKind::LoopbackName => Reach::Beyond,
            ForeignKind::Route { .. }
            | ForeignKind::PolicyRule { .. }
            | ForeignKind::FdbEntry
            | ForeignKind::BridgeFdbEntry { .. }
            | ForeignKind::Neighbour
            | ForeignKind::LinkOption(_)
            | ForeignKind::Switch
            | ForeignKind::Qdisc
            | ForeignKind::NextHop { .. }
            | ForeignKind::XfrmPolicy
            | ForeignKind::XfrmState
            | ForeignKind::NftTable { .. }
            | ForeignKind::LegacyTable { .. }
            | ForeignKind::LabChain { .. } => Reach::Inside,
        }
    }
}

/// Before Linux 6.2, an interface that is up keeps its name.
fn renamed(ns: &NsName, from: &str, to: &str) -> String {
    let set = format!("{} link set dev", ip(ns));
    let [from, to] = [from, to].map(shell_word);
    format!("{set} {from} down && {set} {from} name {to} && {set} {to} up")
}

/// `tc` removes what is at the root without its kind, with which it would ask for its options.
fn qdisc(text: &str, adds: bool) -> String {
    match text.split_once(" root ") {
        Some((dev, _)) if !adds => format!("{dev} root"),
        _ => text.to_owned(),
    }
}

/// `nft` takes names that are words; others only by their number.
fn nft_table(ns: &NsName, text: &str, handle: u64, adds: bool) -> String {
    let nft = format!("{}nft", inside(ns));
    let (family, name) = text.split_once(' ').unwrap_or((text, ""));
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_.-".contains(&b));
    match (adds, is_word) {
        // What was in it is more than a command can say.
        (true, _) => format!("{nft} add table {family} {name}"),
        (false, true) => format!("{nft} delete table {family} {name}"),
        (false, false) => format!("{nft} delete table {family} handle {handle}"),
    }
}

/// A legacy table is loaded whole: with what was in it, or with nothing but its built-in chains.
fn legacy_table(ns: &NsName, object: &ForeignObject, family: Family, adds: bool) -> String {
    let saved = String::from_utf8_lossy(&object.message);
    let content = if adds { saved.into_owned() } else { emptied_table(&saved) };
    format!("printf %s {} | {}{}-legacy-restore", shell_word(&content), inside(ns), family.program())
}

/// A chain of legacy iptables: its own lines, and those that lead to it.
fn legacy_chain(ns: &NsName, object: &ForeignObject, family: Family, adds: bool) -> String {
    let saved = String::from_utf8_lossy(&object.message);
    let content = if adds { saved.into_owned() } else { chain_removal(&saved) };
    format!("printf %s {} | {}{}-legacy-restore --noflush", shell_word(&content), inside(ns), family.program())
}

/// `nft` removes a rule by a number that it shows itself.
fn nft_chain(ns: &NsName, text: &str, adds: bool) -> String {
    let nft = format!("{}nft", inside(ns));
    let (table, chain) = text.rsplit_once(' ').unwrap_or(("", text));
    if adds {
        // What was in it is more than a command can say.
        return format!("{nft} add chain {table} {chain}");
    }
    let leading = format!(
        "$1 == \"chain\" {{ chain = $2 }} / (jump|goto) {chain} / {{ print \"delete rule {table}\", chain, \"handle\", $NF }}"
    );
    format!(
        "{nft} -a list table {table} | awk {} | {nft} -f - && {nft} 'flush chain {table} {chain}; delete chain {table} \
         {chain}'",
        shell_word(&leading)
    )
}
