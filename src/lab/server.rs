//! Built-in servers: what nslab itself answers with in a namespace, so that no other program is needed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::PortProtocol;

/// A built-in server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// What it speaks.
    pub kind: ServerKind,
    /// Its port.
    pub port: u16,
    /// The one address at which it answers; without it, every address of both families.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
}

/// What a built-in server speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerKind {
    /// HTTP/1.1: says who answers, and who has asked for what.
    Http(HttpAnswer),
    /// TCP: says who answers, and sends back whatever comes.
    Tcp,
    /// DNS: answers from what is in a file, a [`super::DnsData`] as JSON.
    Dns(String),
    /// UDP: sends every datagram back; before one of text, a line that says who answers.
    Udp,
}

/// What a server of HTTP answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAnswer {
    /// The status code, from 200 to 599.
    pub status: u16,
    /// The text, instead of who answers and who has asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
}

/// The status codes that a server can answer with: those below 200 announce another answer (RFC 9110, section 15.2).
pub const STATUS_CODES: std::ops::RangeInclusive<u16> = 200..=599;

impl Default for HttpAnswer {
    fn default() -> Self {
        Self { status: 200, text: None }
    }
}

impl Server {
    /// Which kinds of port it takes.
    pub fn protocols(&self) -> &'static [PortProtocol] {
        match self.kind {
            ServerKind::Http(_) | ServerKind::Tcp => &[PortProtocol::Tcp],
            ServerKind::Udp => &[PortProtocol::Udp],
            ServerKind::Dns(_) => &[PortProtocol::Udp, PortProtocol::Tcp],
        }
    }

    /// Whether it and another cannot both have their ports.
    pub fn excludes(&self, other: &Self) -> bool {
        let is_one = |one: Option<IpAddr>, other: Option<IpAddr>| match (one, other) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        };
        let is_taken = self.protocols().iter().any(|own| other.protocols().contains(own));
        self.port == other.port && is_taken && is_one(self.address, other.address)
    }

    /// The argument of `nslab serve` that asks for it: `http:80`, `tcp:7,address=10.0.0.1`.
    pub fn argument(&self) -> String {
        let address = self.address.map(|address| format!(",address={address}")).unwrap_or_default();
        let answer = match &self.kind {
            ServerKind::Http(answer) => {
                let status = Some(answer.status).filter(|status| *status != HttpAnswer::default().status);
                let status = status.map(|status| format!(",status={status}")).unwrap_or_default();
                status + &answer.text.as_ref().map(|text| format!(",text={text}")).unwrap_or_default()
            }
            ServerKind::Dns(file) => format!(",zones={file}"),
            ServerKind::Tcp | ServerKind::Udp => String::new(),
        };
        format!("{}:{}{address}{answer}", self.kind, self.port)
    }
}

/// As [`Server::argument`] writes it. The text goes on to the end, whatever is in it.
impl FromStr for Server {
    type Err = String;

    fn from_str(argument: &str) -> Result<Self, String> {
        let (head, text) = match argument.split_once(",text=") {
            Some((head, text)) => (head, Some(text.to_owned())),
            None => (argument, None),
        };
        let (kind, rest) = head.split_once(':').ok_or("it has no port: write http:80, tcp:7 or udp:7")?;
        let mut options = rest.split(',');
        let port = options.next().unwrap_or_default();
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| format!("`{rest}` does not begin with a port from 1 to 65535"))?;
        let (mut address, mut status, mut zones) = (None, None, None);
        for option in options {
            match option.split_once('=') {
                Some(("address", own)) => {
                    address = Some(own.parse().map_err(|_| format!("`{own}` is not an address"))?);
                }
                Some(("status", own)) => {
                    let code = own.parse().ok().filter(|code| STATUS_CODES.contains(code));
                    status = Some(code.ok_or_else(|| format!("`{own}` is not a status code from 200 to 599"))?);
                }
                Some(("zones", own)) => zones = Some(own.to_owned()),
                _ => return Err(format!("`{option}` is none of address=…, status=…, zones=… and text=…")),
            }
        }
        let kind = match kind {
            "http" => {
                ServerKind::Http(HttpAnswer { status: status.unwrap_or_else(|| HttpAnswer::default().status), text })
            }
            "dns" => ServerKind::Dns(zones.ok_or("a server of dns needs a file: write dns:53,zones=FILE")?),
            "tcp" | "udp" if status.is_some() || text.is_some() => {
                return Err(format!("a server of {kind} has neither a status nor a text"));
            }
            "tcp" => ServerKind::Tcp,
            "udp" => ServerKind::Udp,
            other => return Err(format!("`{other}` is none of http, tcp, udp and dns")),
        };
        Ok(Self { kind, port, address })
    }
}

/// "http".
impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// "http 80", "tcp 7 at 10.0.0.1".
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.port)?;
        self.address.map_or(Ok(()), |address| write!(f, " at {address}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_as_they_are_written() {
        for argument in [
            "http:80",
            "http:8080,status=503,text=closed for today, and tomorrow",
            "http:80,address=fd00::1,text=a\nb,status=7",
            "tcp:7,address=10.0.0.1",
            "udp:65535",
            "dns:53,address=10.0.0.1,zones=/run/zones.json",
        ] {
            let server: Server = argument.parse().unwrap();
            assert_eq!(server.argument(), argument);
        }
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for argument in [
            "",
            "http",
            "80",
            "http:",
            "http:0",
            "http:65536",
            "http:80,status=100",
            "http:80,status=600",
            "tcp:7,status=200",
            "udp:7,text=x",
            "ftp:21",
            "tcp:7,address=red",
            "tcp:7,addres=10.0.0.1",
            "tcp:7,",
            "HTTP:80",
            "dns:53",
        ] {
            assert!(argument.parse::<Server>().is_err(), "{argument}");
        }
    }

    #[test]
    fn ports_exclude_each_other_at_one_address() {
        let excludes = |a: &str, b: &str| a.parse::<Server>().unwrap().excludes(&b.parse().unwrap());
        assert!(excludes("http:80", "tcp:80"));
        assert!(excludes("http:80", "tcp:80,address=10.0.0.1"));
        assert!(excludes("tcp:80,address=10.0.0.1", "tcp:80,address=10.0.0.1"));
        assert!(!excludes("tcp:80,address=10.0.0.2", "tcp:80,address=10.0.0.1"));
        assert!(!excludes("tcp:7", "udp:7"));
        assert!(excludes("dns:53,zones=a", "udp:53") && excludes("tcp:53", "dns:53,zones=a"));
        assert!(!excludes("tcp:7", "tcp:8"));
    }
}
