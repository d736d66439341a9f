//! What programs in a lab's namespaces find in `/etc`: the addresses of names, name servers, their host's name; and
//! what a name server of the lab's own knows, which is in a file beside these.
//!
//! The formats are those of hosts(5), resolv.conf(5) and hostname(5).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use serde::Serialize;

use super::{DnsData, LabName, NsName};

/// The files of all namespaces of a lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LabEtc {
    /// The text of the `/etc/hosts` that namespaces share.
    pub hosts: Option<String>,
    /// The files of each namespace.
    pub namespaces: BTreeMap<NsName, EtcFiles>,
    /// What is there: namespaces for which somebody else keeps files, `/etc/netns/NAMESPACE`.
    #[serde(skip)]
    pub taken: BTreeSet<NsName>,
}

/// The files of one namespace, each in the place of the machine's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EtcFiles {
    /// `/etc/hosts`; none: the machine's.
    pub hosts: Option<EtcHosts>,
    /// The text of `/etc/resolv.conf`; none: the machine's.
    pub resolv_conf: Option<String>,
    /// The text of `/etc/hostname`; none: the machine's.
    pub hostname: Option<String>,
    /// What its built-in name server knows, as JSON; none: it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<String>,
    /// Whether `ip netns exec` finds them as well: `/etc/netns/NAMESPACE` leads to them.
    pub linked: bool,
}

/// The `/etc/hosts` of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EtcHosts {
    /// The one that all share: every namespace of the lab by its name.
    Lab,
    /// One of its own, with this text.
    Own(String),
}

/// The file of what the name server of a namespace knows.
pub fn zones_file(lab: &LabName, ns: &NsName) -> String {
    format!("/run/nslab/{lab}/etc/{ZONES}/{ns}")
}

/// The folder of these files, which no namespace can have as its name.
pub const ZONES: &str = ".zones";

/// What the file of a name server says.
pub fn zones_of_text(text: &str) -> Option<DnsData> {
    serde_json::from_str(text).ok()
}

/// What a name server knows, as the text of its file.
pub fn zones_text(data: &DnsData) -> String {
    // Names and numbers have no form that JSON lacks.
    serde_json::to_string(data).unwrap_or_default() + "\n"
}

impl LabEtc {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_none() && self.namespaces.is_empty()
    }
}

impl EtcFiles {
    /// What a namespace has where the file says nothing else: the names of the lab, and its own.
    pub fn of(ns: &NsName) -> Self {
        let hostname = Some(format!("{ns}\n"));
        Self { hosts: Some(EtcHosts::Lab), resolv_conf: None, hostname, zones: None, linked: true }
    }

    /// The paths of the files that it has, in order.
    pub fn paths(&self) -> Vec<&'static str> {
        let files = [
            (self.hosts.is_some(), "/etc/hosts"),
            (self.hostname.is_some(), "/etc/hostname"),
            (self.resolv_conf.is_some(), "/etc/resolv.conf"),
        ];
        files.into_iter().filter(|(has, _)| *has).map(|(_, path)| path).collect()
    }
}

/// The text of a hosts file: these names, after those of the machine that asks.
pub fn hosts_text<'a>(entries: impl IntoIterator<Item = (IpAddr, &'a str)>) -> String {
    let mut text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    for (address, name) in entries {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{address} {name}");
    }
    text
}
