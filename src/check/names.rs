//! Names that checks go to (`to: name/web`): each is resolved inside the sender, as a program there would have it done,
//! before the first probe leaves; then the probe is one to that address.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::dns::{self, DnsReply, Reply};
use super::error::CheckError;
use super::resolver::{Resolver, ResolverFiles, in_hosts};
use super::verdict::in_words;
use crate::forwarding::{Flow, Hop, Layer2, trace};
use crate::kernel::{netns, sockets};
use crate::lab::{Check, DnsQuery, DnsType, Expect, Family, Lab, NsName, Owners, Probe, Protocol, TargetName};

/// The port of name servers (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// So many names are resolved at once.
const AT_ONCE: usize = 64;

/// A name as a namespace has it resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    from: NsName,
    name: String,
    family: Option<Family>,
}

/// What came of a name.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The address; or why there is none, in words.
    pub address: Result<IpAddr, String>,
    /// What was asked on the way, and what came: `web.lab A at 10.0.0.53 (ns): 10.0.0.80`.
    pub queries: Vec<String>,
}

/// The names of a lab's checks, resolved.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Key, Found>);

impl Names {
    /// Whether a lab's checks go to any.
    pub(super) fn are_in(lab: &Lab) -> bool {
        lab.checks.iter().flat_map(|check| &check.probes).any(|probe| probe.to.name.is_some())
    }

    /// Resolves all of them.
    ///
    /// # Errors
    /// A sender is not there, or the kernel refuses sockets.
    pub(super) async fn resolve(lab: &Lab, files: &BTreeMap<NsName, ResolverFiles>) -> Result<Self, CheckError> {
        let mut wanted: HashMap<Key, Duration> = HashMap::new();
        for check in &lab.checks {
            let keys = check.probes.iter().filter_map(|probe| Key::of(probe, probe.to.name.as_ref()?));
            wanted.extend(keys.map(|key| (key, check.timeout)));
        }
        let wanted: Vec<(Key, Duration)> = wanted.into_iter().collect();
        let mut found = HashMap::new();
        for some in wanted.chunks(AT_ONCE) {
            let mut running = JoinSet::new();
            for (key, limit) in some.iter().cloned() {
                let ns = netns::open(&key.from)?;
                let files = files.get(&key.from).cloned().unwrap_or_default();
                let asker = Asker { ns, limit, owners: Owners::of(lab), queries: Vec::new() };
                running.spawn_local(async move { (key.clone(), asker.find(&key, &files).await) });
            }
            while let Some(done) = running.join_next().await {
                found.extend([done.map_err(io::Error::from)?]);
            }
        }
        Ok(Self(found))
    }

    /// What came of the name that a probe goes to; none: it goes to an address.
    pub(super) fn of(&self, probe: &Probe) -> Option<&Found> {
        self.0.get(&Key::of(probe, probe.to.name.as_ref()?)?)
    }

    /// The lab whose probes go to the addresses that were found.
    pub(super) fn placed<'l>(&self, lab: &'l Lab) -> Cow<'l, Lab> {
        if self.0.is_empty() {
            return Cow::Borrowed(lab);
        }
        let (layer2, owners) = (Layer2::new(&lab.namespaces), Owners::of(lab));
        let mut placed = lab.clone();
        for check in &mut placed.checks {
            let (protocol, is_refused) = (check.protocol, check.expect == Expect::Refused);
            for probe in &mut check.probes {
                if let Some(Ok(address)) = self.of(probe).map(|found| found.address.clone()) {
                    place(probe, address, protocol, (&layer2, &owners));
                    if is_refused {
                        probe.listen.clear();
                    }
                }
            }
        }
        Cow::Owned(placed)
    }
}

impl Key {
    fn of(probe: &Probe, name: &TargetName) -> Option<Self> {
        Some(Self { from: probe.from.clone(), name: name.name.clone(), family: name.family })
    }
}

/// Has a probe that goes to a name go to the address that was found for it.
pub fn place_at(lab: &Lab, check: &Check, probe: &mut Probe, address: IpAddr) {
    place(probe, address, check.protocol, (&Layer2::new(&lab.namespaces), &Owners::of(lab)));
    probe.to.name = None;
}

/// Has a probe go to an address: to one of a service's endpoints, or to where the file's routes and its translations
/// lead.
fn place(probe: &mut Probe, address: IpAddr, protocol: Protocol, (layer2, owners): (&Layer2<'_>, &Owners)) {
    probe.to.address = address;
    probe.to.ns = owners.first(address).cloned();
    if let Some(endpoints) = probe.to.name.as_ref().and_then(|name| name.services.get(&address)) {
        probe.endpoints = endpoints.iter().map(|(ns, _)| ns.clone()).collect();
        probe.listen.clone_from(endpoints);
        return;
    }
    let (Protocol::Tcp(port) | Protocol::Udp(port)) = protocol else { return };
    let flow = Flow { source: probe.source, ..Flow::probing(protocol, address) };
    let hops = trace(layer2, &probe.from, &flow);
    let end = hops
        .last()
        .filter(|hop| hop.is_end())
        .map(|hop: &Hop| (hop.ns.clone(), hop.destination.flow.destination_port.unwrap_or(port)));
    probe.listen = end.or_else(|| Some((probe.to.ns.clone()?, port))).into_iter().collect();
}

/// Asks name servers from inside a namespace.
struct Asker {
    ns: OwnedFd,
    /// How long each answer may take.
    limit: Duration,
    owners: Owners,
    queries: Vec<String>,
}

/// What a name server has said.
enum Said {
    Reply(DnsReply),
    /// Nothing that helps, and why.
    Nothing(String),
}

impl Asker {
    async fn find(mut self, key: &Key, files: &ResolverFiles) -> Found {
        if let Some(address) = in_hosts(&files.hosts, &key.name, key.family) {
            return Found { address: Ok(address), queries: vec![format!("{} in /etc/hosts: {address}", key.name)] };
        }
        let address = self.look_up(key, &Resolver::of(&files.resolv_conf)).await;
        Found { address, queries: self.queries }
    }

    /// Asks for one name after the other, until one has an address, or nobody answers.
    async fn look_up(&mut self, key: &Key, resolver: &Resolver) -> Result<IpAddr, String> {
        let kinds = match key.family {
            Some(Family::Ipv4) => &[DnsType::A][..],
            Some(Family::Ipv6) => &[DnsType::Aaaa],
            None => &[DnsType::A, DnsType::Aaaa],
        };
        for name in resolver.candidates(&key.name) {
            for kind in kinds {
                let query = DnsQuery { name: name.clone(), kind: *kind, answer: None };
                let Some(reply) = self.ask_all(&query, resolver).await else {
                    return Err(self.failure(key));
                };
                if let Some(address) = reply.address() {
                    return Ok(address);
                }
                if reply.is_no_name() {
                    break;
                }
            }
        }
        Err(self.failure(key))
    }

    /// Why there is no address: what was asked, and what came.
    fn failure(&self, key: &Key) -> String {
        format!("{} has no address in {}: {}", key.name, key.from, self.queries.join("; "))
    }

    /// Asks one name server after the other until one says whether there is the name; none: nobody does.
    async fn ask_all(&mut self, query: &DnsQuery, resolver: &Resolver) -> Option<DnsReply> {
        for attempt in 1..=resolver.attempts {
            let (begin, mut is_silent) = (Instant::now(), false);
            for server in &resolver.servers {
                let said = self.ask(query, SocketAddr::new(*server, PORT)).await;
                let said = said.unwrap_or_else(|error| {
                    let errno = error.raw_os_error().map(|number| Errno::from_raw(number).desc().to_owned());
                    Said::Nothing(errno.unwrap_or_else(|| error.to_string()))
                });
                let words = match &said {
                    Said::Reply(reply) => reply.in_short(),
                    Said::Nothing(why) => why.clone(),
                };
                let server = self.owners.shown(*server);
                self.queries.push(format!("{} {} at {server}: {words}", query.name, query.kind));
                match said {
                    Said::Reply(reply) if reply.is_final() => return Some(reply),
                    Said::Reply(_) => {}
                    Said::Nothing(_) => is_silent = true,
                }
            }
            // One that refuses does so again.
            if !is_silent || attempt == resolver.attempts {
                return None;
            }
            // One that has just been started may answer the next time.
            sleep_until(begin + self.limit).await;
        }
        None
    }

    async fn ask(&self, query: &DnsQuery, server: SocketAddr) -> io::Result<Said> {
        let identifier = RandomState::new().hash_one(&query.name) as u16;
        let asked = match dns::query(query, identifier) {
            Ok(asked) => asked,
            Err(why) => return Ok(Said::Nothing(why)),
        };
        let socket = sockets::watched(self.connecting(sockets::Protocol::Udp, server)?)?;
        sockets::send(socket.get_ref(), &asked, None, None)?;
        let mut buffer = vec![0; dns::LARGEST];
        let deadline = Instant::now() + self.limit;
        loop {
            let came = socket.async_io(sockets::ANYTHING, |fd| Ok(sockets::receive(fd, &mut buffer)?));
            let Ok(received) = timeout_at(deadline, came).await else { return Ok(self.silence()) };
            match dns::read(query, &asked, buffer.get(..received?.length).unwrap_or_default()) {
                Reply::Answered(reply) => return Ok(Said::Reply(reply)),
                Reply::Truncated => break,
                Reply::OfOthers => {}
            }
        }
        let over_tcp = async {
            let mut stream = TcpStream::from_std(self.connecting(sockets::Protocol::Tcp, server)?.into())?;
            stream.writable().await?;
            stream.take_error()?.map_or(Ok(()), Err)?;
            dns::ask(&mut stream, &asked).await
        };
        let Ok(came) = timeout(self.limit, over_tcp).await else { return Ok(self.silence()) };
        Ok(match dns::read(query, &asked, &came?) {
            Reply::Answered(reply) => Said::Reply(reply),
            Reply::Truncated | Reply::OfOthers => Said::Nothing("no answer over TCP to what was asked".to_owned()),
        })
    }

    fn connecting(&self, protocol: sockets::Protocol, server: SocketAddr) -> io::Result<OwnedFd> {
        let opened = sockets::open_in(self.ns.as_fd(), &[(protocol, Family::of(server.ip()), 1)]);
        let socket = opened.map_err(|error| io::Error::other(error.to_string()))?.pop();
        let socket = socket.ok_or_else(|| io::Error::other("there is no socket"))?;
        sockets::connect_to(&socket, server)?;
        Ok(socket)
    }

    fn silence(&self) -> Said {
        Said::Nothing(format!("no answer within {}", in_words(self.limit)))
    }
}
