//! What happened to a probe, in the few words that its row has room for.

use super::report::Outcome;
use super::verdict::{Try, promise};
use crate::lab::Expect;

impl Try<'_> {
    /// What happened: for a pair that did not pass, what was seen instead; for one that did, what was promised, and how
    /// it is unreachable, refused or unanswered.
    pub(super) fn summary(&self, passed: bool) -> String {
        let happened = self.happened();
        match (passed, self.check.expect) {
            (true, Expect::Reachable) => promise(self.check),
            (true, Expect::Unreachable) => format!("unreachable: {happened}"),
            (true, Expect::Unanswered) => format!("unanswered: {happened}"),
            (true, Expect::Refused) | (false, _) => happened,
        }
    }

    fn happened(&self) -> String {
        let arrived_at = self.seen.arrival.as_ref().map(|arrival| &arrival.ns);
        let arrived = arrived_at.map(|ns| format!("arrived at {ns}, ")).unwrap_or_default();
        match &self.seen.outcome {
            Outcome::Answered => self.answered(),
            Outcome::Refused { by: Some(by) } => format!("refused by {}", self.who(*by)),
            Outcome::Refused { by: None } => {
                arrived_at.map_or_else(|| "refused".to_owned(), |ns| format!("refused by {ns}"))
            }
            Outcome::Unreachable { what, by: Some(by) } => {
                format!("{arrived}{what}, says {}", self.who(*by))
            }
            Outcome::Unreachable { what, by: None } => format!("{arrived}{what}"),
            Outcome::NotSent { cause, .. } => cause.to_string(),
            Outcome::NoAnswer { .. } => format!("{arrived}no answer to what was asked"),
            Outcome::Ran { .. } => "the command has ended".to_owned(),
            Outcome::Stalled => format!("{arrived}connected, but no data came through"),
            Outcome::Silence => format!("{arrived}no answer"),
            Outcome::NoProbe { .. } => "not probed".to_owned(),
        }
    }

    /// Who has answered, or as whom the probe was seen there, whichever is not as promised.
    fn answered(&self) -> String {
        let wanted = self.check.answered_by.as_ref().or(self.probe.arrives_at.as_ref());
        match (&self.seen.arrival, wanted) {
            (Some(arrival), Some(wanted)) if arrival.ns != *wanted => {
                format!("answered by {}, not by {wanted}", arrival.ns)
            }
            (None, Some(wanted)) => format!("answered, not seen at {wanted}"),
            (Some(arrival), _) if self.check.expect == Expect::Reachable && self.check.seen_as.is_some() => {
                format!("seen as {}", self.owners.shown(arrival.source))
            }
            (Some(arrival), _) => match &self.seen.answer {
                Some(answer) => format!("{} from {}", answer.in_short(), arrival.ns),
                None => format!("answered by {}", arrival.ns),
            },
            (None, None) => "answered".to_owned(),
        }
    }
}
