//! The machine itself: privileges, the kernel's features, limits, what a container may not write.

use std::collections::BTreeMap;

use super::capabilities::{missing, missing_for_checks};
use super::code::MachineCode;
use super::facts::{Extension, Facts, Feature};
use super::finding::Finding;
use super::needs::Needs;
use crate::lab::Family;

/// Files that nslab has open besides those of the namespaces, generously: most are pipes from programs that list
/// firewalls.
const OTHER_FILES: u64 = 160;

pub(super) fn privileges(needs: &Needs, facts: &Facts) -> Vec<Finding> {
    let missing = missing(facts.capabilities);
    if !missing.is_empty() {
        let what = format!("this process lacks {}", missing.join(" and "));
        return vec![Finding::error(MachineCode::PrivilegesMissing, what, without_privileges(facts))];
    }
    if facts.network_of_others {
        let what = "this process is root, but not of this network: it belongs to another user namespace".to_owned();
        return vec![Finding::error(MachineCode::PrivilegesMissing, what, without_privileges(facts))];
    }
    let missing = missing_for_checks(facts.capabilities);
    if missing.is_empty() || !needs.has_checks {
        return Vec::new();
    }
    vec![Finding::warning(
        MachineCode::ChecksNotPermitted,
        format!("this process lacks {}, which checks need", missing.join(" and ")),
        format!("a container needs --cap-add {} as well", missing.join(" --cap-add ").replace("CAP_", "")),
    )]
}

/// What to do where privileges are missing. Root without them is that of a container.
fn without_privileges(facts: &Facts) -> String {
    let get = match facts.is_root {
        true if missing(facts.capabilities).is_empty() => "a container needs a network of its own, not --network host",
        true => "a container needs --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN, or --privileged",
        false => "run it as root (sudo)",
    };
    match &facts.no_sandbox {
        None => format!("{get}; without, `nslab test FILE` and `nslab sandbox` work, in a private host"),
        Some(why) => format!("{get}; without, not even `nslab test` works here: {why}"),
    }
}

pub(super) fn directory(facts: &Facts) -> Vec<Finding> {
    let why = facts.no_netns_directory.iter();
    why.map(|why| {
        Finding::error(
            MachineCode::NetnsDirectoryUnusable,
            format!("namespaces cannot get their names: {why}"),
            "mount a writable /run (in a container: --tmpfs /run), or use `nslab test`, which brings its own",
        )
    })
    .collect()
}

pub(super) fn features(needs: &Needs, facts: &Facts) -> Vec<Finding> {
    let lacking =
        facts.lacking.iter().filter_map(|(feature, said)| Some((feature, said, needs.features.get(feature)?)));
    lacking
        .map(|(feature, said, place)| {
            let what = format!("this kernel has no {} ({said}); needed by {place}", name(*feature));
            match feature {
                Feature::Veth | Feature::Bridge => {
                    Finding::error(MachineCode::KernelFeatureMissing, what, module(*feature))
                }
                Feature::VlanFiltering
                | Feature::BridgeNetfilter
                | Feature::Virtual(_)
                | Feature::PolicyRouting(_)
                | Feature::NftTables
                | Feature::NftPolicies
                | Feature::Extension(..) => needs.lack(MachineCode::KernelFeatureMissing, what, module(*feature)),
            }
        })
        .collect()
}

fn name(feature: Feature) -> String {
    let family = |family| if family == Family::Ipv6 { "IPv6" } else { "IPv4" };
    match feature {
        Feature::Veth => "veth pairs".to_owned(),
        Feature::Bridge => "bridges".to_owned(),
        Feature::VlanFiltering => "VLAN filtering of bridges".to_owned(),
        Feature::BridgeNetfilter => "iptables for packets that cross bridges".to_owned(),
        Feature::Virtual(kind) => format!("interfaces of the kind {}", kind.name()),
        Feature::PolicyRouting(of) => format!("policy routing of {}", family(of)),
        Feature::NftTables => "tables of nf_tables with maps, NAT, chance and look-ups of routes".to_owned(),
        Feature::NftPolicies => "tables of nf_tables for both families, with maps and sets".to_owned(),
        Feature::Extension(of, extension) => {
            let kind = if extension.is_target() { "target" } else { "match" };
            format!("iptables {kind} {} for {}", extension.name(), family(of))
        }
    }
}

/// What brings a feature, by the names of kernel modules and options.
fn module(feature: Feature) -> String {
    match feature {
        Feature::Veth => "load its module: modprobe veth".to_owned(),
        Feature::Bridge => "load its module: modprobe bridge".to_owned(),
        Feature::BridgeNetfilter => "load its module: modprobe br_netfilter".to_owned(),
        Feature::VlanFiltering => {
            "take `vlan_filtering` and the VLANs of bridges out of the file, or use a kernel with \
             CONFIG_BRIDGE_VLAN_FILTERING"
                .to_owned()
        }
        Feature::Virtual(kind) => {
            format!("load its module: modprobe {}; or use a kernel that has it", kind.module())
        }
        Feature::PolicyRouting(Family::Ipv4) => "use a kernel with CONFIG_IP_MULTIPLE_TABLES".to_owned(),
        Feature::PolicyRouting(Family::Ipv6) => "use a kernel with CONFIG_IPV6_MULTIPLE_TABLES".to_owned(),
        Feature::NftTables => {
            "load its modules: modprobe -a nf_tables nft_numgen nft_fib_ipv4 nft_ct nft_chain_nat nft_masq nft_reject_ipv4; \
             or write `proxy_mode: iptables`"
                .to_owned()
        }
        Feature::NftPolicies => {
            "load its modules: modprobe -a nf_tables nft_ct, or use a kernel with CONFIG_NF_TABLES_INET; nothing else \
             enforces network policies: with `enforce: false` they are ignored, and what they forbid works"
                .to_owned()
        }
        Feature::Extension(family, extension) => {
            let module = match (extension, family) {
                (Extension::Reject, Family::Ipv4) => "ipt_REJECT",
                (Extension::Reject, Family::Ipv6) => "ip6t_REJECT",
                (Extension::Dnat | Extension::Snat, _) => "xt_nat",
                (Extension::Addrtype, _) => "xt_addrtype",
                (Extension::Comment, _) => "xt_comment",
                (Extension::Conntrack, _) => "xt_conntrack",
                (Extension::Mark | Extension::SetMark, _) => "xt_mark",
                (Extension::Masquerade, _) => "xt_MASQUERADE",
                (Extension::Recent, _) => "xt_recent",
                (Extension::Sctp, _) => "xt_sctp",
                (Extension::Statistic, _) => "xt_statistic",
            };
            format!("load its module: modprobe {module}")
        }
    }
}

pub(super) fn ipv6(needs: &Needs, facts: &Facts, place: &str) -> Vec<Finding> {
    let finding = || {
        needs.lack(
            MachineCode::Ipv6Disabled,
            format!("IPv6 is disabled on this machine; needed by {place}"),
            "boot without ipv6.disable=1 on the kernel's command line, or load its module: modprobe ipv6",
        )
    };
    (!facts.ipv6).then(finding).into_iter().collect()
}

pub(super) fn sysctls(needs: &Needs, facts: &Facts, place: &str) -> Vec<Finding> {
    let finding = || {
        needs.lack(
            MachineCode::SysctlsReadOnly,
            format!("/proc/sys/net is read-only here; needed by {place}"),
            "a container needs --security-opt unmask=ALL (Docker: systempaths=unconfined), or --privileged",
        )
    };
    (!facts.sysctls_writable).then(finding).into_iter().collect()
}

pub(super) fn commands(needs: &Needs, facts: &Facts) -> Vec<Finding> {
    let missing = needs.commands.iter().filter(|(command, _)| facts.missing_commands.contains(*command));
    missing
        .map(|(command, place)| {
            Finding::error(
                MachineCode::CommandMissing,
                format!("there is no {command} (it is not installed); needed by {place}"),
                format!("install the package {command}; the service of that name need not run"),
            )
        })
        .collect()
}

pub(super) fn limits(needs: &Needs, facts: &Facts) -> Vec<Finding> {
    // A namespace takes two: itself, and a netlink socket in it.
    let files = needs.namespaces.len() as u64 * 2 + OTHER_FILES;
    let files = (files > facts.open_files).then(|| {
        Finding::error(
            MachineCode::OpenFilesLimit,
            format!(
                "the lab takes about {files} open files, two for each namespace; this process may have {}",
                facts.open_files
            ),
            format!("raise the limit first: ulimit -Hn {files} && ulimit -n {files}"),
        )
    });
    files.into_iter().chain(memory(needs, facts)).chain(neighbours(&needs.addresses, facts)).collect()
}

/// The kernel's memory for a namespace with a veth pair: 0.3 MiB, measured with thousands of them.
fn memory(needs: &Needs, facts: &Facts) -> Option<Finding> {
    let missing = needs.namespaces.len().saturating_sub(facts.existing) as u64;
    let (wanted, available) = (missing * 3 / 10, facts.memory?);
    (wanted > available).then(|| {
        Finding::warning(
            MachineCode::LowMemory,
            format!("the lab takes about {wanted} MiB of memory in the kernel; {available} MiB are available"),
            "free some first, or make the lab smaller: when memory runs out, the kernel kills processes",
        )
    })
}

/// What the kernel allows unless somebody has changed it (arp_tbl and nd_tbl of the kernel).
const DEFAULT_NEIGHBOURS: u64 = 1024;

/// The table of neighbours is the machine's: all namespaces share its limit.
fn neighbours(addresses: &BTreeMap<Family, u64>, facts: &Facts) -> Vec<Finding> {
    let too_small = addresses.iter().filter_map(|(family, &count)| {
        let shown = facts.neighbours.get(family).copied();
        let limit = shown.unwrap_or(DEFAULT_NEIGHBOURS);
        let sysctl = match family {
            Family::Ipv4 => "net.ipv4.neigh.default.gc_thresh3",
            Family::Ipv6 => "net.ipv6.neigh.default.gc_thresh3",
        };
        let origin = match shown {
            Some(_) => sysctl.to_owned(),
            None => format!("the default of {sysctl}, which cannot be seen from here"),
        };
        let enough = count.saturating_mul(4).checked_next_power_of_two().unwrap_or(u64::MAX);
        (count > limit).then(|| {
            Finding::warning(
                MachineCode::NeighbourTableTooSmall,
                format!("the lab has {count} addresses; the machine remembers {limit} neighbours at once ({origin})"),
                format!("packets get lost when the table overflows; make it larger: sysctl -w {sysctl}={enough}"),
            )
        })
    });
    too_small.collect()
}
