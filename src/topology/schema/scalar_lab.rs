//! Single values that name things: labs, namespaces, interfaces, ends of links, sysctls; and plain text.

use schemars::{Schema, json_schema};

use super::scalar::{Scalar, Wrong, not, word};
use crate::lab::{Family, IfName, InterfaceRef, LabName, Mac, NsName, SysctlKey, SysctlValue};

/// Text that goes to terminals and reports as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text(pub String);

/// A text that a program gets exactly as it is written, blanks at its end and tabs as well.
#[derive(Debug, Clone)]
pub struct Verbatim(pub String);

/// The name of a group of namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupName(pub String);

/// Parses a name of the lab's; its error completes the sentence "`text` …".
fn name<T: std::str::FromStr>(text: &str) -> Result<T, Wrong>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Wrong::new(format!("`{text}` {error}")))
}

impl Scalar for LabName {
    const WHAT: &'static str = "a lab's name";

    fn parse(text: &str) -> Result<Self, Wrong> {
        name(text)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$" })
    }
}

impl Scalar for NsName {
    const WHAT: &'static str = "a namespace's name";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let name: Self = name(text)?;
        if text == "all" {
            return Err(Wrong::new("`all` means every namespace in checks, and cannot be the name of one"));
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(Wrong::new(format!("`{text}` is an IP address, and checks would take it for one")));
        }
        Ok(name)
    }
}

impl Scalar for IfName {
    const WHAT: &'static str = "an interface's name";

    fn parse(text: &str) -> Result<Self, Wrong> {
        name(text)
    }
}

impl Scalar for GroupName {
    const WHAT: &'static str = "a group's name";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text.parse::<NsName>() {
            _ if text == "all" => Err(Wrong::new("`all` is every namespace already")),
            Ok(_) if text.parse::<std::net::IpAddr>().is_ok() => {
                Err(Wrong::new(format!("`{text}` is an IP address, and checks would take it for one")))
            }
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(Wrong::new(format!("`{text}` {error}"))),
        }
    }
}

impl Scalar for InterfaceRef {
    const WHAT: &'static str = "the end of a link, NAMESPACE/INTERFACE, such as red/veth-red";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (ns, interface) = text.split_once('/').ok_or_else(|| not::<Self>(text))?;
        Ok(Self { ns: NsName::parse(ns)?, name: name(interface)? })
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "description": Self::WHAT, "pattern": "^[^/]+/[^/]+$" })
    }
}

impl Scalar for Mac {
    const WHAT: &'static str = "a MAC address, such as 02:00:00:00:00:01";

    fn parse(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|error: &str| not::<Self>(text).help(error))
    }
}

impl Scalar for SysctlKey {
    const WHAT: &'static str = "a sysctl key, such as net.ipv4.ip_forward";

    fn parse(text: &str) -> Result<Self, Wrong> {
        name(text)
    }
}

impl Scalar for SysctlValue {
    const WHAT: &'static str = "a sysctl's value";

    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::normalised(text).map_err(|error| Wrong::new(format!("`{text}` {error}")))
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["integer", "string"] })
    }
}

impl Scalar for Verbatim {
    const WHAT: &'static str = "text";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text.chars().find(|c| c.is_control() && !['\n', '\t'].contains(c)) {
            Some(c) => Err(Wrong::new(format!("the control character {c:?} is not allowed in a text"))),
            None => Ok(Self(text.to_owned())),
        }
    }

    fn schema() -> Schema {
        Text::schema()
    }
}

impl Scalar for Text {
    const WHAT: &'static str = "text";

    fn parse(text: &str) -> Result<Self, Wrong> {
        // A terminal obeys control characters.
        match text.chars().find(|c| c.is_control() && *c != '\n') {
            Some(c) => Err(Wrong::new(format!("the control character {c:?} is not allowed in a text"))),
            None => Ok(Self(text.trim_end().to_owned())),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl Scalar for Family {
    const WHAT: &'static str = "an address family: 4 or 6";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &[("4", Self::Ipv4), ("6", Self::Ipv6)])
    }

    fn schema() -> Schema {
        schemars::json_schema!({ "enum": [4, 6] })
    }
}
