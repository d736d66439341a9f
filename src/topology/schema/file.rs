//! The top level of a file, and links.

use schemars::JsonSchema;

use super::exec_check::WrittenCheck;
use super::ingress::Ingress;
use super::namespace::Namespace;
use super::network_policy::{LabelKey, LabelValue, NetworkPolicy};
use super::read::{Fields, Named, Spanned};
use super::scalar_lab::{GroupName, Text};
use super::service::{DnsLabel, Service};
use super::veth::Link;
use crate::lab::{LabName, NsName};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::yaml::{Node, Value};

/// A network of namespaces on one Linux machine, and the checks that prove it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "nslab topology")]
pub struct File {
    /// The lab's name: 1 to 16 letters, digits, `-` and `_`.
    pub name: Spanned<LabName>,
    /// What the lab is for, in prose.
    pub description: Option<Spanned<Text>>,
    /// Every namespace by its name; `host` is the machine itself.
    #[schemars(default)]
    pub namespaces: Named<NsName, Namespace>,
    /// The links: one veth pair each.
    #[schemars(default)]
    pub links: Vec<Link>,
    /// Nodes and pods, which are expanded into namespaces, links and groups before the rest of the file is read. True:
    /// that could not be done, so names that are missing may well be the cluster's.
    #[schemars(with = "Option<super::Cluster>")]
    pub cluster: bool,
    /// Services: each with its address, which a cluster's services get from their names.
    #[schemars(default)]
    pub services: Vec<Service>,
    /// Network policies, which nodes with `network_policies` enforce.
    #[schemars(default)]
    pub policies: Vec<NetworkPolicy>,
    /// Rules for requests of HTTP, which namespaces with `ingress_controller` carry out.
    #[schemars(default)]
    pub ingress: Vec<Ingress>,
    /// The labels of Kubernetes namespaces, for policies. Each has `kubernetes.io/metadata.name` by itself.
    #[schemars(default)]
    pub namespace_labels: Named<DnsLabel, Named<LabelKey, Spanned<LabelValue>>>,
    /// Names for several namespaces, to be used in checks.
    #[schemars(default)]
    pub groups: Named<GroupName, Vec<Spanned<NsName>>>,
    /// What the network promises: who reaches whom, and who does not.
    #[schemars(default)]
    pub checks: Vec<WrittenCheck>,
    /// Whether every link could be read.
    #[schemars(skip)]
    pub links_whole: bool,
}

impl File {
    /// The file, or as much of it as can be read. A file without a good name still has its other faults: the name is
    /// then made up, which is never shown, since there is a fault. `host` is always among the namespaces.
    pub fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        if matches!(node.value, Value::Null) {
            found.add(
                Diagnostic::new(Code::EmptyFile, Span::default(), "the file is empty")
                    .help("a lab needs a name at least; `nslab init` writes a small file to begin with".to_owned()),
            );
            return None;
        }
        let mut fields = Fields::begin(node, "a topology file", found)?;
        let name = fields.required("name");
        let description = fields.optional("description");
        let mut namespaces: Named<NsName, Namespace> = fields.or_empty("namespaces");
        if !namespaces.entries.iter().any(|(name, _)| name.value.is_host()) {
            let host = Spanned { value: NsName::host(), span: Span::default() };
            namespaces.entries.push((host, Namespace { whole: true, ..Namespace::default() }));
        }
        let before = fields.found.count();
        let links = fields.or_empty("links");
        let links_read = fields.found.count() == before;
        let cluster = fields.has("cluster");
        let services = fields.or_empty("services");
        let policies = fields.or_empty("policies");
        let ingress = fields.or_empty("ingress");
        let namespace_labels = fields.or_empty("namespace_labels");
        let groups = fields.or_empty("groups");
        let checks = fields.or_empty("checks");
        fields.end();
        let links_whole = links_read && !cluster;
        for (_, namespace) in &mut namespaces.entries {
            namespace.whole &= !cluster;
        }
        let nameless = || "x".parse().ok().map(|value| Spanned { value, span: node.span });
        Some(Self {
            name: name.or_else(nameless)?,
            description,
            namespaces,
            links,
            cluster,
            services,
            policies,
            ingress,
            namespace_labels,
            groups,
            checks,
            links_whole,
        })
    }
}
