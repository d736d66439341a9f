//! WireGuard: interfaces, their peers and keys (<https://www.wireguard.com/papers/wireguard.pdf>).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use x25519_dalek::StaticSecret;

use super::InterfaceRef;

/// The port of WireGuard in most places; Linux itself takes any.
pub const WIREGUARD_PORT: u16 = 51820;

/// The options of a WireGuard interface (`wg set`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Wireguard {
    /// The UDP port that it sends from, and that packets come in at.
    pub listen_port: u16,
    /// The firewall mark of the packets that it sends; 0 for none, as all in a file.
    #[serde(skip_serializing_if = "is_zero")]
    pub fwmark: u32,
}

/// A peer of a WireGuard interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WireguardPeer {
    /// The interface of the lab that it is. Live: none, where nothing in the lab has its key.
    pub interface: Option<InterfaceRef>,
    /// Where its packets are sent; none: wherever it was heard from last.
    pub endpoint: Option<SocketAddr>,
    /// Which packets go to it, by their destination, and which are believed to come from it, by their source.
    pub allowed_ips: BTreeSet<IpNet>,
    /// How many seconds after the last packet one is sent to it that keeps NAT on the way open; 0 for never.
    pub keepalive: u16,
}

/// A peer with its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedPeer {
    /// Its public key; none, as long as it has not been chosen.
    pub public_key: Option<PublicKey>,
    /// A secret that both have besides their keys; none in a file.
    pub preshared_key: Option<SecretKey>,
    /// What else there is to it.
    pub peer: WireguardPeer,
}

/// What only the kernel can say of a WireGuard interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedWireguard {
    /// Its private key.
    pub key: Option<SecretKey>,
    /// Its peers.
    pub peers: Vec<KeyedPeer>,
    /// Those that it has heard from, each with the time of the latest handshake, in seconds since 1970. Where such a
    /// peer is, the kernel follows it.
    pub heard: BTreeMap<PublicKey, u64>,
}

/// The private keys of WireGuard interfaces.
pub type SecretKeys = BTreeMap<InterfaceRef, SecretKey>;

/// A key that only its holder knows. It is shown to nobody: there is no text of it but [`SecretKey::to_base64`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

/// A key that everybody may know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl SecretKey {
    /// A new private key, of the kernel's randomness.
    pub fn random() -> Self {
        Self::private(StaticSecret::random().to_bytes())
    }

    /// A private key as the kernel keeps it: some of the bits are the same in all (RFC 7748, section 5).
    fn private(mut bytes: [u8; 32]) -> Self {
        bytes[0] &= 0b1111_1000;
        bytes[31] = (bytes[31] & 0b0111_1111) | 0b0100_0000;
        Self(bytes)
    }

    /// A key of these bytes; none where all are zero, which is how the kernel says that there is none.
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        (bytes != [0; 32]).then_some(Self(bytes))
    }

    /// Its bytes, for the kernel.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The private key that is written so, as by `wg genkey`; none where it is no such text.
    pub fn from_base64(text: &str) -> Option<Self> {
        Some(Self::private(BASE64_STANDARD.decode(text.trim()).ok()?.try_into().ok()?))
    }

    /// The same, for the file that keeps it.
    pub fn to_base64(&self) -> String {
        BASE64_STANDARD.encode(self.0)
    }

    /// The public key that belongs to it (Curve25519, RFC 7748).
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&StaticSecret::from(self.0)).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// As `wg` shows it.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl WireguardPeer {
    /// How many bits of an address the longest of the prefixes has that it is in; none where it is in none.
    pub fn allows(&self, address: IpAddr) -> Option<u8> {
        self.allowed_ips.iter().filter(|prefix| prefix.contains(&address)).map(IpNet::prefix_len).max()
    }
}

impl KeyedPeer {
    /// Who it is, in words.
    pub fn name(&self) -> String {
        match (&self.peer.interface, self.public_key) {
            (Some(interface), _) => interface.to_string(),
            (None, Some(key)) => key.to_string(),
            (None, None) => "nobody".to_owned(),
        }
    }
}

impl Wireguard {
    /// The words of `wg set` that make another one into this one.
    pub fn changes_from(&self, from: &Self) -> String {
        let port = (self.listen_port != from.listen_port).then(|| format!(" listen-port {}", self.listen_port));
        let fwmark = (self.fwmark != from.fwmark).then(|| format!(" fwmark {:#x}", self.fwmark));
        port.into_iter().chain(fwmark).collect()
    }
}

/// What comes after `type wireguard`, in the words of `wg set`.
impl fmt::Display for Wireguard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " listen-port {}", self.listen_port)?;
        if self.fwmark == 0 { Ok(()) } else { write!(f, " fwmark {:#x}", self.fwmark) }
    }
}

/// Its settings, as they come after the key in `wg set`.
impl fmt::Display for WireguardPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(endpoint) = self.endpoint {
            write!(f, " endpoint {endpoint}")?;
        }
        if self.keepalive > 0 {
            write!(f, " persistent-keepalive {}", self.keepalive)?;
        }
        let prefixes: Vec<String> = self.allowed_ips.iter().map(ToString::to_string).collect();
        write!(f, " allowed-ips {}", if prefixes.is_empty() { "''".to_owned() } else { prefixes.join(",") })
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `wg pubkey` has it.
    #[test]
    fn a_private_key_has_its_public_one() {
        let key = SecretKey::from_base64("iC1ZWkM9hKlrZAd/RhJYSncMt5YAbYbmT1VM4Fl/jG8=").unwrap();
        assert_eq!(key.public().to_string(), "l2ihOt5LgF/1EhP0kN6HQ2VOiCfsCtaDnM3v3St3JAg=");
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = SecretKey::random();
        assert_eq!(SecretKey::from_base64(&format!("{}\n", key.to_base64())), Some(key.clone()));
        assert!(key != SecretKey::random());
        assert_eq!(SecretKey::from_base64("no key"), None);
        assert_eq!(format!("{key:?}"), "(secret)");
    }
}
