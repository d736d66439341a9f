//! What a name server of a lab knows: zones with their records, as they are written.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Fields, Named, OneOrMany, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word, words};
use super::scalar_lab::Text;
use crate::dns::PodNames;
use crate::lab::DnsName;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::{Node, Value};

/// The records of a zone by their names, which are below the zone's: `www`, or `@` for the zone itself.
pub type Zone = Named<Owner, Records>;

/// The name of a record in its zone: `www`, `a.b`, `*`, or `@` for the zone itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(pub String);

/// The name in a record: one without a dot is a name of the zone, `@` is the zone, any other is whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target(pub String);

/// Who takes mail: `10 mail`.
#[derive(Debug, Clone)]
pub struct Mx(pub u16, pub Target);

/// Where a service is: priority, weight, port and name, `0 5 5060 sip`.
#[derive(Debug, Clone)]
pub struct Srv(pub u16, pub u16, pub u16, pub Target);

/// The records of a name: its addresses, or a map of types.
pub enum Records {
    /// These.
    Addresses(OneOrMany<Spanned<IpAddr>>),
    /// Of these types.
    Typed(TypedRecords),
}

/// The records of a name by their types.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TypedRecords {
    /// IPv4 addresses.
    #[schemars(rename = "A")]
    pub a: Option<OneOrMany<Spanned<IpAddr>>>,
    /// IPv6 addresses.
    #[schemars(rename = "AAAA")]
    pub aaaa: Option<OneOrMany<Spanned<IpAddr>>>,
    /// The name that it stands for.
    #[schemars(rename = "CNAME")]
    pub cname: Option<Spanned<Target>>,
    /// Who takes its mail: `10 mail`; the least number is tried first.
    #[schemars(rename = "MX")]
    pub mx: Option<OneOrMany<Spanned<Mx>>>,
    /// Who has authority for it and for what is below.
    #[schemars(rename = "NS")]
    pub ns: Option<OneOrMany<Spanned<Target>>>,
    /// The names of an address.
    #[schemars(rename = "PTR")]
    pub ptr: Option<OneOrMany<Spanned<Target>>>,
    /// Where a service is: priority, weight, port and name, `0 5 5060 sip`.
    #[schemars(rename = "SRV")]
    pub srv: Option<OneOrMany<Spanned<Srv>>>,
    /// Text.
    #[schemars(rename = "TXT")]
    pub txt: Option<OneOrMany<Spanned<Text>>>,
}

/// The names of the file's services and pods, as a cluster's name server has them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ClusterNames {
    /// The zone; `cluster.local` by default.
    pub zone: Option<Spanned<DnsName>>,
    /// Which names pods have by their addresses: `insecure`, the default, `verified` or `disabled`.
    pub pods: Option<Spanned<PodNames>>,
}

const POD_NAMES: [(&str, PodNames); 3] = [
    (PodNames::Insecure.name(), PodNames::Insecure),
    (PodNames::Verified.name(), PodNames::Verified),
    (PodNames::Disabled.name(), PodNames::Disabled),
];

impl Scalar for PodNames {
    const WHAT: &'static str = "which names pods have: insecure, verified or disabled";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &POD_NAMES)
    }

    fn schema() -> Schema {
        words(&POD_NAMES)
    }
}

impl Scalar for DnsName {
    const WHAT: &'static str = "a domain name: labels of letters, digits, `-` and `_`, with dots between them";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let name: Self = text.parse().map_err(|error| Wrong::new(format!("`{text}` is no domain name: {error}")))?;
        if name.as_str().starts_with('*') { Err(not::<Self>(text)) } else { Ok(name) }
    }
}

impl Scalar for Owner {
    const WHAT: &'static str = "a name in the zone, without the zone: www, *, or @ for the zone itself";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "@" => Ok(Self(text.to_owned())),
            "" => Err(not::<Self>(text)),
            _ if text.ends_with('.') => {
                Err(not::<Self>(text).help("leave the zone's own name and the final dot out".to_owned()))
            }
            _ => text
                .parse::<DnsName>()
                .map(|name| Self(name.as_str().to_owned()))
                .map_err(|error| Wrong::new(format!("`{text}` is no name: {error}"))),
        }
    }
}

impl Scalar for Target {
    const WHAT: &'static str = "a name: one without a dot is a name of the zone, @ is the zone, any other is whole";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "@" => Ok(Self(text.to_owned())),
            "" => Err(not::<Self>(text)),
            _ => DnsName::parse(text).map(|_| Self(text.to_ascii_lowercase())),
        }
    }
}

impl Scalar for Mx {
    const WHAT: &'static str = "a preference and a name, such as `10 mail`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            [preference, name] => {
                let preference = preference.parse().map_err(|_| not::<Self>(text))?;
                Ok(Self(preference, Target::parse(name)?))
            }
            _ => Err(not::<Self>(text)),
        }
    }
}

impl Scalar for Srv {
    const WHAT: &'static str = "a priority, a weight, a port and a name, such as `0 5 5060 sip`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| word.parse::<u16>().map_err(|_| not::<Self>(text));
        match words[..] {
            [priority, weight, port, name] => {
                Ok(Self(number(priority)?, number(weight)?, number(port)?, Target::parse(name)?))
            }
            _ => Err(not::<Self>(text)),
        }
    }
}

impl Read for Records {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        if !matches!(node.value, Value::Map(_)) {
            return OneOrMany::read(node, found).map(Self::Addresses);
        }
        let mut fields = Fields::begin(node, "the records of a name", found)?;
        let records = TypedRecords {
            a: fields.optional("A"),
            aaaa: fields.optional("AAAA"),
            cname: fields.optional("CNAME"),
            mx: fields.optional("MX"),
            ns: fields.optional("NS"),
            ptr: fields.optional("PTR"),
            srv: fields.optional("SRV"),
            txt: fields.optional("TXT"),
        };
        fields.end();
        Some(Self::Typed(records))
    }
}

impl Read for ClusterNames {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`cluster_names`", found)?;
        let names = Self { zone: fields.optional("zone"), pods: fields.optional("pods") };
        fields.end();
        Some(names)
    }
}

impl JsonSchema for Records {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Records".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let addresses = OneOrMany::<Spanned<IpAddr>>::json_schema(generator);
        json_schema!({ "anyOf": [addresses, generator.subschema_for::<TypedRecords>()] })
    }
}
