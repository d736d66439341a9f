//! DNS: answers from zones, over UDP and TCP, and asks another server for what is not in them.
//!
//! What it knows is in a file, which is read again whenever it has been written.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{sleep, timeout};

use super::named::Named;
use crate::dns::{Answer, Transport, Zones, answer, complete, summary};
use crate::kernel::sockets::{self, Received};
use crate::kernel::{KernelError, file_watch};
use crate::lab::{DnsData, Family};

/// No message is larger.
const LARGEST: usize = 65_535;
/// So many questions to other servers are open at once; a query beyond that gets no answer, and comes again.
const ASKED_AT_ONCE: usize = 256;
/// How long another server is waited for: less than a client waits (5 s, resolv.conf(5)).
const PATIENCE: Duration = Duration::from_secs(2);
/// A connection over which nothing comes for so long is closed (RFC 7766, section 6.2.3).
const SILENCE: Duration = Duration::from_secs(10);
/// How long to wait for a file that is gone to come back.
const PAUSE: Duration = Duration::from_millis(500);

/// A name server.
pub(super) struct NameServer {
    named: Rc<Named>,
    file: String,
    known: RefCell<Rc<Known>>,
    questions: Semaphore,
}

/// What it knows.
struct Known {
    zones: Zones,
    forward: Vec<SocketAddr>,
}

impl NameServer {
    /// One that knows what is in a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn new(named: &Rc<Named>, file: &str) -> Result<Rc<Self>, KernelError> {
        let refused = |error: io::Error| KernelError::new(format!("read {file}")).with_io(&error);
        let known = RefCell::new(Rc::new(read(file).map_err(refused)?));
        let server =
            Self { named: named.clone(), file: file.to_owned(), known, questions: Semaphore::new(ASKED_AT_ONCE) };
        let server = Rc::new(server);
        spawn_local(follow(server.clone()));
        Ok(server)
    }

    /// The answer to a query, which may take a while.
    async fn answer(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let known = self.known.borrow().clone();
        match answer(query, &known.zones, transport) {
            Answer::Nothing => None,
            Answer::Reply(reply) => Some(reply),
            Answer::Ask(question) => {
                let _place = self.questions.try_acquire().ok()?;
                let mut said = None;
                for server in &known.forward {
                    said = timeout(PATIENCE, ask(*server, &question, transport)).await.ok().and_then(Result::ok);
                    if said.is_some() {
                        break;
                    }
                }
                complete(query, &known.zones, transport, said.as_deref())
            }
        }
    }
}

fn read(file: &str) -> io::Result<Known> {
    let data: DnsData = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    Ok(Known { zones: Zones::new(&data), forward: data.forward })
}

/// Reads the file again whenever somebody has written it. What cannot be read leaves the server as it is.
async fn follow(server: Rc<NameServer>) -> Infallible {
    loop {
        let watch = file_watch::changes_of(&server.file).map_err(io::Error::from).and_then(sockets::watched);
        // What was written before the watch began is seen as well.
        if let Ok(known) = read(&server.file) {
            server.known.replace(Rc::new(known));
        }
        match watch {
            Ok(watch) => drop(watch.readable().await),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Answers datagrams until the runtime ends.
pub(super) async fn answer_datagrams(server: Rc<NameServer>, socket: AsyncFd<OwnedFd>) {
    let socket = Rc::new(socket);
    let mut buffer = vec![0; LARGEST];
    loop {
        if let Ok(received) = socket.async_io(sockets::ANYTHING, |fd| Ok(sockets::receive(fd, &mut buffer)?)).await {
            let query = buffer.get(..received.length).unwrap_or_default().to_vec();
            spawn_local(answer_one(server.clone(), socket.clone(), received, query));
        }
        // However much comes, the other servers have their turn.
        yield_now().await;
    }
}

async fn answer_one(server: Rc<NameServer>, socket: Rc<AsyncFd<OwnedFd>>, received: Received, query: Vec<u8>) {
    // The kernel says to which address it came, of every datagram.
    let Some(to) = received.to else { return };
    let Some(reply) = server.answer(&query, Transport::Udp).await else { return };
    server.named.tell(received.from, SocketAddr::new(to, server.named.server.port), summary(&reply));
    // From the address that was asked. One that cannot be sent is lost, as any datagram may be.
    let _ = sockets::send(socket.get_ref(), &reply, Some(received.from), Some(to));
}

/// Serves a connection until its end.
pub(super) async fn converse(server: Rc<NameServer>, mut stream: TcpStream) {
    // What goes wrong on a connection is its end.
    let _ = answer_messages(&server, &mut stream).await;
}

async fn answer_messages(server: &NameServer, stream: &mut TcpStream) -> io::Result<()> {
    let (from, to) = (stream.peer_addr()?, stream.local_addr()?);
    loop {
        // What is no query has no answer: nobody could wait for another one.
        let query = timeout(SILENCE, message(stream)).await??;
        let Some(reply) = server.answer(&query, Transport::Tcp).await else { return Ok(()) };
        server.named.tell(from, to, summary(&reply));
        timeout(SILENCE, stream.write_all(&framed(&reply))).await??;
    }
}

/// A message with its length before it (RFC 1035, section 4.2.2).
async fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}

/// Asks another server, from a port of its own.
async fn ask(server: SocketAddr, question: &[u8], transport: Transport) -> io::Result<Vec<u8>> {
    match transport {
        Transport::Udp => {
            let socket = UdpSocket::bind(SocketAddr::new(sockets::any_address(Family::of(server.ip())), 0)).await?;
            socket.connect(server).await?;
            socket.send(question).await?;
            let mut said = vec![0; LARGEST];
            let length = socket.recv(&mut said).await?;
            said.truncate(length);
            Ok(said)
        }
        Transport::Tcp => {
            let mut stream = TcpStream::connect(server).await?;
            stream.write_all(&framed(question)).await?;
            message(&mut stream).await
        }
    }
}
