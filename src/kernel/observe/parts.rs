//! The looks at the parts of namespaces: one that fails stops that part alone, and is noted.

use crate::failpoint;
use crate::kernel::KernelError;
use crate::kernel::netlink::NetlinkError;
use crate::lab::{NsName, Part, Unread};

/// What could not be read of one namespace.
pub(super) struct Parts<'a> {
    ns: &'a NsName,
    unread: Vec<Unread>,
}

impl<'a> Parts<'a> {
    pub fn of(ns: &'a NsName) -> Self {
        Self { ns, unread: Vec::new() }
    }

    /// What a listing has shown; nothing where it failed, which is noted.
    pub fn listed<T: Default>(&mut self, part: Part, outcome: Result<T, NetlinkError>) -> T {
        let tried = format!("list the {part} of {}", self.ns);
        self.read(part, outcome.map_err(|error| error.about(tried)))
    }

    /// The same for other ways to look.
    pub fn read<T: Default>(&mut self, part: Part, outcome: Result<T, KernelError>) -> T {
        let refused = |errno| KernelError::new(format!("list the {part} of {}", self.ns)).with_errno(errno);
        let outcome = failpoint::look(&part, self.ns).map_err(refused).and(outcome);
        outcome.unwrap_or_else(|error| {
            self.unread.push(unread(self.ns, part, &error));
            T::default()
        })
    }

    pub fn lacks(&self, part: &Part) -> bool {
        self.unread.iter().any(|unread| unread.part == *part)
    }

    pub fn into_unread(self) -> Vec<Unread> {
        self.unread
    }
}

/// A part that could not be read.
pub(super) fn unread(ns: &NsName, part: Part, error: &KernelError) -> Unread {
    Unread { ns: ns.clone(), part, why: error.to_string() }
}
