//! The names by which iptables calls protocols, states, answers and modules.

use super::args::Arg;
use crate::lab::{ConnectionState, IpProtocol, RejectWith};

/// Behind `-p`, as `iptables-save` prints it.
pub(super) fn protocol_name(protocol: IpProtocol) -> &'static str {
    match protocol {
        IpProtocol::Tcp => "tcp",
        IpProtocol::Udp => "udp",
        IpProtocol::Sctp => "sctp",
        IpProtocol::Icmp => "icmp",
        IpProtocol::Icmpv6 => "ipv6-icmp",
    }
}

/// The protocol of a name behind `-p`.
pub(super) fn protocol(name: &str) -> Option<IpProtocol> {
    match name {
        "tcp" => Some(IpProtocol::Tcp),
        "udp" => Some(IpProtocol::Udp),
        "sctp" => Some(IpProtocol::Sctp),
        "icmp" => Some(IpProtocol::Icmp),
        "ipv6-icmp" | "icmpv6" => Some(IpProtocol::Icmpv6),
        _ => None,
    }
}

/// In the list behind `--ctstate`.
pub(super) fn state_name(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Invalid => "INVALID",
        ConnectionState::New => "NEW",
        ConnectionState::Related => "RELATED",
        ConnectionState::Established => "ESTABLISHED",
        ConnectionState::Untracked => "UNTRACKED",
        ConnectionState::Snat => "SNAT",
        ConnectionState::Dnat => "DNAT",
    }
}

/// The state of a name in that list.
pub(super) fn state(name: &str) -> Option<ConnectionState> {
    ConnectionState::ALL.into_iter().find(|state| state_name(*state) == name)
}

/// Behind `--reject-with`, as `iptables-save` prints it.
pub(super) fn reject_name(with: RejectWith) -> &'static str {
    match with {
        RejectWith::NetUnreachable => "icmp-net-unreachable",
        RejectWith::HostUnreachable => "icmp-host-unreachable",
        RejectWith::PortUnreachable => "icmp-port-unreachable",
        RejectWith::ProtocolUnreachable => "icmp-proto-unreachable",
        RejectWith::NetProhibited => "icmp-net-prohibited",
        RejectWith::HostProhibited => "icmp-host-prohibited",
        RejectWith::AdminProhibited => "icmp-admin-prohibited",
        RejectWith::NoRoute6 => "icmp6-no-route",
        RejectWith::AdminProhibited6 => "icmp6-adm-prohibited",
        RejectWith::AddressUnreachable6 => "icmp6-addr-unreachable",
        RejectWith::PortUnreachable6 => "icmp6-port-unreachable",
        RejectWith::TcpReset => "tcp-reset",
    }
}

/// The answer of a name behind `--reject-with`.
pub(super) fn reject(name: &str) -> Option<RejectWith> {
    RejectWith::ALL.into_iter().find(|with| reject_name(*with) == name)
}

/// The match module that an argument names, or belongs to.
pub(super) fn module<'a>(arg: &'a Arg, protocol: Option<&'a str>) -> Option<&'a str> {
    match arg.option.as_str() {
        "-m" => arg.value(),
        "--comment" => Some("comment"),
        "--src-type" | "--dst-type" => Some("addrtype"),
        "--set" | "--rcheck" | "--seconds" | "--reap" | "--name" | "--mask" | "--rsource" => Some("recent"),
        "--mode" | "--probability" => Some("statistic"),
        "--mark" => Some("mark"),
        "--sport" | "--dport" => protocol,
        "--ctstate" => Some("conntrack"),
        _ => None,
    }
}
