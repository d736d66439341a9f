//! What there is to look at firewalls with; the same for all namespaces, so it is found out once for many looks.

use std::path::Path;
use std::sync::OnceLock;

use super::program::{Program, program};
use crate::kernel::KernelError;
use crate::lab::{Family, Table};

/// The installed programs, looked for when they are needed; and whether the kernel has legacy iptables.
pub(in crate::kernel) struct Installed {
    programs: [OnceLock<Result<Program, KernelError>>; 2],
    pub(super) legacy: Legacy,
}

impl Installed {
    /// Looks at this machine.
    pub(in crate::kernel) fn find() -> Self {
        Self { programs: Default::default(), legacy: Legacy::find() }
    }

    /// The iptables of a family.
    pub(super) fn program(&self, family: Family) -> Result<Program, KernelError> {
        let [v4, v6] = &self.programs;
        let of_family = if family == Family::Ipv4 { v4 } else { v6 };
        of_family.get_or_init(|| program(family)).clone()
    }
}

/// The families of which the kernel has legacy iptables: in every namespace a file with the names of the tables there,
/// or in none.
pub(super) struct Legacy(Vec<Family>);

impl Legacy {
    pub(super) fn find() -> Self {
        Self([Family::Ipv4, Family::Ipv6].into_iter().filter(|&family| Path::new(file(family)).exists()).collect())
    }

    pub(super) fn exists(&self, family: Family) -> bool {
        self.0.contains(&family)
    }

    /// Whether this thread's namespace has legacy tables: they exist from their first use on.
    pub(super) fn has_tables(&self, family: Family) -> bool {
        self.tables(family).iter().any(|name| Table::from_name(name).is_some())
    }

    /// The names of the legacy tables of this thread's namespace.
    pub(super) fn tables(&self, family: Family) -> Vec<String> {
        if !self.exists(family) {
            return Vec::new();
        }
        let names = std::fs::read_to_string(file(family)).unwrap_or_default();
        names.lines().map(str::to_owned).collect()
    }
}

fn file(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "/proc/thread-self/net/ip_tables_names",
        Family::Ipv6 => "/proc/thread-self/net/ip6_tables_names",
    }
}
