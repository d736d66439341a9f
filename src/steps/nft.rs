//! Tables of nf_tables, with their chains, sets, elements and rules.

use super::command::inside;
use super::operation::{Batch, Operation, Reach};
use super::{Change, Phase, Presence, Update};
use crate::lab::{
    NftBase, NftChain, NftElement, NftKey, NftRule, NftSetDefinition, NftTableId, NsName, comment_text, key_text,
};

/// A step on a table of nf_tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftStep {
    /// The namespace.
    pub ns: NsName,
    /// The table.
    pub table: NftTableId,
    /// What is done to it.
    pub change: NftChange,
}

/// What is done to a table. Steps that follow one another are one transaction, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NftChange {
    /// The table itself comes, or goes once nothing is in it; with its comment.
    Table(Presence<Option<String>>),
    /// A chain comes, or goes once nothing is in it and nothing leads to it. It has no rules.
    Chain(String, Presence<NftChain>),
    /// A set or a map comes, or goes once no rule looks into it. It has no elements.
    Set(String, Presence<NftSetDefinition>),
    /// An element.
    Element {
        /// The set or map that it is in.
        set: String,
        /// What that is.
        definition: NftSetDefinition,
        /// Its key.
        key: NftKey,
        /// What becomes of it.
        change: Update<NftElement>,
    },
    /// All rules of a chain give way to others.
    Rules(String, Change<Vec<NftRule>>),
}

impl NftStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        let change = match &self.change {
            NftChange::Table(change) => NftChange::Table(change.inverse()),
            NftChange::Chain(name, change) => NftChange::Chain(name.clone(), change.inverse()),
            NftChange::Set(name, change) => NftChange::Set(name.clone(), change.inverse()),
            NftChange::Element { set, definition, key, change } => NftChange::Element {
                set: set.clone(),
                definition: definition.clone(),
                key: key.clone(),
                change: change.inverse(),
            },
            NftChange::Rules(chain, change) => NftChange::Rules(chain.clone(), change.inverse()),
        };
        Self { change, ..self.clone() }
    }

    /// The lines that do it, in the language of `nft`.
    fn lines(&self) -> Vec<String> {
        let table = &self.table;
        match &self.change {
            NftChange::Table(Presence::Add(None)) => vec![format!("add table {table}")],
            NftChange::Table(Presence::Add(Some(comment))) => {
                vec![format!("add table {table} {{ {}; }}", comment_text(comment))]
            }
            NftChange::Table(Presence::Remove(_)) => vec![format!("delete table {table}")],
            NftChange::Chain(name, Presence::Add(chain)) => vec![format!("add chain {table} {name}{}", head(chain))],
            NftChange::Chain(name, Presence::Remove(_)) => vec![format!("delete chain {table} {name}")],
            NftChange::Set(name, Presence::Add(set)) => vec![format!("add {} {table} {name} {{ {set} }}", set.word())],
            NftChange::Set(name, Presence::Remove(set)) => vec![format!("delete {} {table} {name}", set.word())],
            NftChange::Element { set, key, change, .. } => {
                let add = |element: &NftElement| format!("add element {table} {set} {{ {} }}", element.text(key));
                let delete = || format!("delete element {table} {set} {{ {} }}", key_text(key));
                match change {
                    Update::Add(element) => vec![add(element)],
                    Update::Remove(_) => vec![delete()],
                    Update::Replace(Change { to, .. }) => vec![delete(), add(to)],
                }
            }
            NftChange::Rules(chain, Change { from, to }) => {
                let flush = (!from.is_empty()).then(|| format!("flush chain {table} {chain}"));
                flush.into_iter().chain(to.iter().map(|rule| format!("add rule {table} {chain} {rule}"))).collect()
            }
        }
    }
}

/// What stands behind the name of a chain.
fn head(NftChain { base, comment, .. }: &NftChain) -> String {
    let base = base.iter().map(NftBase::to_string);
    let comment = comment.iter().map(|comment| format!("{};", comment_text(comment)));
    let words: Vec<String> = base.chain(comment).collect();
    if words.is_empty() { String::new() } else { format!(" {{ {} }}", words.join(" ")) }
}

impl Operation for NftStep {
    fn text(&self) -> String {
        let (table, ns) = (&self.table, &self.ns);
        let of_table = format!("table {table}");
        match &self.change {
            NftChange::Table(Presence::Add(_)) => format!("make {of_table} in {ns}"),
            NftChange::Table(Presence::Remove(_)) => format!("remove {of_table} from {ns}"),
            NftChange::Chain(name, Presence::Add(_)) => format!("make chain {name} of {of_table} in {ns}"),
            NftChange::Chain(name, Presence::Remove(_)) => format!("remove chain {name} of {of_table} from {ns}"),
            NftChange::Set(name, Presence::Add(set)) => format!("make {} {name} of {of_table} in {ns}", set.word()),
            NftChange::Set(name, Presence::Remove(set)) => {
                format!("remove {} {name} of {of_table} from {ns}", set.word())
            }
            NftChange::Element { set, definition, key, change } => {
                let place = format!("{} {set} of {of_table} in {ns}", definition.word());
                match change {
                    Update::Add(element) => format!("add `{}` to {place}", element.text(key)),
                    Update::Remove(element) => format!("remove `{}` from {place}", element.text(key)),
                    Update::Replace(Change { from, to }) => {
                        format!("change `{}` to `{}` in {place}", from.text(key), to.text(key))
                    }
                }
            }
            NftChange::Rules(chain, Change { from, to }) => {
                let count =
                    |rules: &[NftRule]| format!("{} rule{}", rules.len(), if rules.len() == 1 { "" } else { "s" });
                let place = format!("chain {chain} of {of_table} in {ns}");
                match (from.as_slice(), to.as_slice()) {
                    ([], [one]) => format!("add rule `{one}` to {place}"),
                    ([], to) => format!("add {} to {place}", count(to)),
                    (from, []) => format!("remove {} from {place}", count(from)),
                    (from, to) => format!("put {} in the place of {} in {place}", count(to), count(from)),
                }
            }
        }
    }

    fn command(&self) -> String {
        // Nothing in a name or a comment is special to a shell but an apostrophe.
        let lines = self.lines().join("; ").replace('\'', r"'\''");
        format!("{}nft '{lines}'", inside(&self.ns))
    }

    fn phase(&self) -> Phase {
        Phase::SetFirewall
    }

    fn kind(&self) -> &'static str {
        "change a table of nf_tables"
    }

    fn namespace(&self) -> NsName {
        self.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }

    fn batch(&self) -> Option<Batch> {
        Some(Batch::Nft(self.ns.clone()))
    }
}
