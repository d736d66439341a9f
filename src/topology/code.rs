//! The codes of diagnostics: short, stable names to search for. A program may rely on them; messages may change.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of mistake a diagnostic reports. Its name is the variant's in kebab case; its comment is its line in
/// `docs/codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A port of a bridge has an address; the address belongs to the bridge.
    AddressOnPort,
    /// An address is outside the network it must belong to.
    AddressOutsideNetwork,
    /// Two interfaces of one broadcast domain, or one namespace, have the same address.
    AddressTwice,
    /// More than one address fits, so the one that is meant must be written.
    AmbiguousAddress,
    /// A namespace has several WireGuard interfaces, and the peer that is meant must be written.
    AmbiguousPeer,
    /// A command has no words, or has something that only a shell would act on.
    BadCommand,
    /// This address cannot be the destination of a forwarding entry.
    BadFdbAddress,
    /// A link does not have exactly two ends.
    BadLink,
    /// An MTU is too small or too large for the interface or for what its packets carry.
    BadMtu,
    /// A NAT entry is not exactly one of masquerade, snat, dnat and publish.
    BadNat,
    /// This interface cannot carry the one that is stacked on it.
    BadParent,
    /// This interface cannot be a port of a bridge or VRF.
    BadPort,
    /// A word in braces is not a valid range or counter.
    BadRange,
    /// A value does not have the form that its key asks for.
    BadValue,
    /// Bridges and links form a loop without STP.
    BridgeLoop,
    /// By the file alone, a check cannot pass: a warning, or a mistake with `--strict`.
    CheckCannotPass,
    /// A value contradicts what the cluster generates.
    ClusterConflict,
    /// The kernel adds this route by itself, from an address.
    ConnectedRoute,
    /// Two keys contradict each other.
    ContradictoryKeys,
    /// The two interfaces of a link are in different subnets.
    DifferentSubnets,
    /// A check has no pair of namespaces.
    EmptyCheck,
    /// The file is empty, or describes no lab.
    EmptyFile,
    /// Two neighbour or forwarding entries are for the same destination.
    EntryTwice,
    /// IPv4 and IPv6 are mixed where one family is needed.
    FamilyMismatch,
    /// The machine itself cannot be given what this key gives to namespaces.
    HostHasItsOwn,
    /// Name servers forward questions to each other in a circle.
    ForwardCircle,
    /// A route's gateway is not the address of a router: a group's, everybody's, the loopback's.
    GatewayInvalid,
    /// A route's gateway is an address of the namespace itself.
    GatewayIsSelf,
    /// Warning: nothing on the segment has the address of a route's gateway.
    GatewayNobody,
    /// A route's gateway is in no connected subnet.
    GatewayUnreachable,
    /// Two virtual interfaces have the same id and parent, table or endpoints, of which the kernel allows one.
    IdentityTwice,
    /// Warning: an ingress is of a class that no controller of the file has.
    IngressIgnored,
    /// A route leaves through an interface that the file keeps down.
    InterfaceDown,
    /// An interface is in two links.
    InterfaceTwice,
    /// Only IPv4 can be carried here.
    Ipv4Only,
    /// A key is not allowed together with what else the entry says.
    KeyNotAllowed,
    /// A key is given twice in one map.
    KeyTwice,
    /// A loopback or link-local address is given where one is needed that others can reach.
    LocalAddress,
    /// `lo` is used as something that the loopback cannot be.
    Loopback,
    /// Warning: two interfaces of one segment are given the same MAC address.
    MacTwice,
    /// A required key is missing.
    MissingKey,
    /// A key that needs a value has none.
    MissingValue,
    /// Warning: the two ends of a link, or interfaces of one segment, have different MTUs.
    MtuDiffers,
    /// One name is used for two things.
    NameTwice,
    /// A subnet is too small for what must fit in it.
    NetworkTooSmall,
    /// A namespace has no address to be reached at.
    NoAddress,
    /// A gateway needs `dev`, because no subnet says which interface leads to it.
    NoDev,
    /// An ingress would be ignored, because nothing carries it out.
    NoIngressController,
    /// A question is to be forwarded to a namespace that has no name server.
    NoNameServer,
    /// A route has no next hop: no `via`, `dev` or `type`.
    NoNextHop,
    /// A name does not end in the number that is needed.
    NoNumber,
    /// A check needs a port.
    NoPort,
    /// A counter such as `{n}` is used outside any range.
    NoRange,
    /// No namespace or interface that could be meant has this address.
    NoSuchAddress,
    /// No connected subnet contains this address.
    NotConnected,
    /// None of a service's pods has a port of the name that the service leads to.
    NoTargetPort,
    /// A manifest says something that changes who reaches whom and that nslab does not have: a mistake, or a warning.
    NotModelled,
    /// Something other than a namespace is given where a namespace is needed.
    NotNamespace,
    /// The file is not valid YAML.
    NotYaml,
    /// A translation matches no packet, because all are exempt.
    NothingTranslated,
    /// A number is outside its range.
    NumberOutOfRange,
    /// Two nodes have the same number.
    NumberTwice,
    /// Warning: objects of manifests that do not change who reaches whom are passed over.
    PassedOver,
    /// Two paths of a host are for the same requests.
    PathTwice,
    /// Warning: a peer does not have the interface among its own peers, and so takes nothing from it.
    PeerOneSided,
    /// The numbers of ports on both sides of a translation differ.
    PortCount,
    /// Warning: a network policy, or a part of it, has no effect.
    PolicyIgnored,
    /// A network policy would be ignored, because nothing enforces it.
    PolicyNotEnforced,
    /// A port is given for a protocol without ports.
    PortNotAllowed,
    /// An interface is a port of two bridges or VRFs.
    PortTwice,
    /// Warning: two interfaces of one segment disagree on how large its subnet is.
    PrefixLengths,
    /// A program is to run in `host`.
    ProgramInHost,
    /// Programs wait for each other.
    ProgramLoop,
    /// Two programs of one namespace listen at the same port.
    ProgramPortTwice,
    /// A port is published twice.
    PublishedTwice,
    /// A range is used where only a single value is allowed.
    RangeNotAllowed,
    /// No interface may have this address: a network, broadcast or otherwise reserved one.
    ReservedAddress,
    /// A name is reserved by nslab, the machine or the cluster.
    ReservedName,
    /// A policy rule has a priority that the kernel's own rules use.
    ReservedPriority,
    /// A VRF has a routing table that the kernel uses for everything.
    ReservedTable,
    /// Two routes have the same destination, table and metric.
    RouteTwice,
    /// A policy rule is given twice.
    RuleTwice,
    /// An interface has a second address in the same subnet.
    SecondAddress,
    /// Two ingresses say who takes what no rule does.
    SecondBackend,
    /// The file contains a second YAML document.
    SecondDocument,
    /// One entry contains two ranges.
    SecondRange,
    /// A namespace has two name servers.
    SecondServer,
    /// A network has two subnets of one family.
    SecondSubnet,
    /// Virtual interfaces that exclude each other have the same parent.
    SharedParent,
    /// A virtual interface is stacked on itself, or on more than eight others.
    StackedOnItself,
    /// Two subnets overlap that have to be apart.
    SubnetsOverlap,
    /// A sysctl is set twice.
    SysctlTwice,
    /// The file asks for more than nslab or the kernel allows.
    TooMany,
    /// There is no such interface.
    UnknownInterface,
    /// This map has no such key.
    UnknownKey,
    /// No namespace has this label.
    UnknownLabel,
    /// There is no namespace or group of this name.
    UnknownName,
    /// There is no such namespace.
    UnknownNamespace,
    /// A namespace runs no program of this name.
    UnknownProgram,
    /// There is no such service, or it has no such port.
    UnknownService,
    /// The file cannot be read.
    UnreadableFile,
    /// A VLAN is given both tagged and untagged.
    VlanTwice,
    /// A VRF in `host` would leave a policy rule behind.
    VrfInHost,
    /// Warning: a VXLAN sends to an end that is in another VXLAN.
    VxlanDiffers,
    /// A route names another interface than the one that leads to its gateway.
    WrongDev,
    /// A list, a map or a single value is given where another of these is expected.
    WrongShape,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
