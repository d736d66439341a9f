//! Checks that run a command: which, where, and how it has to end.

use std::time::Duration;

use super::asks;
use super::net::Net;
use super::selectors::{Endpoint, SelectorList, as_written};
use crate::lab::{ExecCheck, NsName, in_one_line};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{self, Selector, Spanned};

/// How long a command may take where the file does not say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A longer command is cut in names.
const LONGEST_NAME: usize = 60;

/// A check that runs a command in the namespaces of `from`.
pub fn resolve(
    written: &schema::ExecCheck,
    net: &Net<'_>,
    from: &[Endpoint],
    before: usize,
    found: &mut Collector<'_>,
) -> ExecCheck {
    for party in written.from.0.iter().filter(|party| matches!(party.value, Selector::OnLink(..))) {
        found.add(Diagnostic::new(
            Code::BadValue,
            party.span,
            "a command runs in a namespace; `%` is for destinations",
        ));
    }
    let from: Vec<NsName> = from.iter().filter_map(|member| namespace(net, member, found)).collect();
    if from.is_empty() && found.count() == before && net.names.are_whole() {
        found.add(Diagnostic::new(Code::EmptyCheck, written.span, "this check runs nowhere: `from` is empty"));
    }
    let name = match &written.name {
        Some(name) => name.value.0.split_whitespace().collect::<Vec<_>>().join(" "),
        None => format!("{} → {}", as_written(&written.from.0), in_one_line(&written.exec.0.join(" "), LONGEST_NAME)),
    };
    if let (Some(output), Some(contains)) = (&written.output, &written.contains) {
        let message = "`output` says all that `contains` could";
        found.add(Diagnostic::new(Code::ContradictoryKeys, contains.span, message).also(output.span, "the output"));
    }
    ExecCheck {
        name,
        line: found.line(written.span) as u64,
        command: written.exec.0.clone(),
        from,
        exit_code: written.exit_code.as_ref().map_or(0, |code| code.value.0),
        contains: written.contains.as_ref().and_then(|text: &Spanned<schema::Text>| asks::some_text(text, found)),
        output: written.output.as_ref().map(|text| text.value.0.trim().to_owned()),
        timeout: written.timeout.as_ref().map_or(TIMEOUT, |timeout| timeout.value),
    }
}

fn namespace(net: &Net<'_>, member: &Endpoint, found: &mut Collector<'_>) -> Option<NsName> {
    let SelectorList::Namespace(at) = member.side else {
        let message = "a command runs in a namespace, not at an address";
        found.add(Diagnostic::new(Code::NotNamespace, member.span, message));
        return None;
    };
    Some(net.namespaces.get(at)?.name.clone())
}
