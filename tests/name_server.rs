//! The name server of a namespace under load, and while the lab changes: no answer is lost, and none is older than the
//! last apply. `cargo test --test name_server -- --nocapture` shows how long answers take.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use support::{ends, inside, sandbox};

const SERVER: &str = "10.0.0.53:53";

/// So long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A lab with a name server; `web.lab` has this address.
fn apply(last: u8) {
    let lab = format!(
        "name: names
namespaces:
  ns:
    interfaces: {{ e: {{ addresses: [10.0.0.53/24] }} }}
    serve: [{{ dns: 53, zones: {{ lab: {{ web: 10.0.0.{last} }} }} }}]
  pc: {{ interfaces: {{ e: {{ addresses: [10.0.0.2/24] }} }} }}
links: [[ns/e, pc/e]]
"
    );
    std::fs::write("/run/names.yaml", lab).unwrap();
    ends(&["apply", "/run/names.yaml"], 0);
}

/// A query for `web.lab A`.
fn query(number: u16) -> Vec<u8> {
    let header = [number, 0x0100, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
    [&header[..], b"\x03web\x03lab\0\0\x01\0\x01"].concat()
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect(SERVER).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The address in the answer to a query.
fn answer(socket: &UdpSocket, number: u16) -> Ipv4Addr {
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("query {number}: {error}"));
    assert_eq!(buffer[..2], number.to_be_bytes(), "an answer to another query");
    assert_eq!(buffer[3] & 0xf, 0, "a code");
    let address: [u8; 4] = buffer[length - 4..length].try_into().unwrap();
    address.into()
}

/// How many queries may come at once. In a user namespace, the kernel lets a server have no more room than usual.
fn at_once() -> usize {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    if map.split_whitespace().last() == Some("4294967295") { 1000 } else { 200 }
}

fn show(what: &str, mut took: Vec<Duration>, all: Duration) {
    took.sort();
    let of = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    let rate = took.len() as f64 / all.as_secs_f64();
    eprintln!("{what}: p50 {:?}, p99 {:?}, {rate:.0} a second", of(50), of(99));
}

#[test]
fn no_answer_is_lost() {
    sandbox();
    apply(80);
    let web = Ipv4Addr::new(10, 0, 0, 80);
    let (in_a_row, begin) = (10_000, Instant::now());
    let took = inside("pc", move || {
        let socket = client();
        let one = |number: u16| {
            let begin = Instant::now();
            socket.send(&query(number)).unwrap();
            assert_eq!(answer(&socket, number), web);
            begin.elapsed()
        };
        (0..in_a_row).map(one).collect::<Vec<_>>()
    });
    show("10,000 in a row", took, begin.elapsed());
    let (at_once, begin) = (at_once(), Instant::now());
    let took = inside("pc", move || {
        let sockets: Vec<UdpSocket> = (0..at_once).map(|_| client()).collect();
        let sent: Vec<Instant> = (0..at_once).map(|_| Instant::now()).collect();
        for (number, socket) in (0..).zip(&sockets) {
            socket.send(&query(number)).unwrap();
        }
        let one = |((number, socket), sent): ((u16, &UdpSocket), &Instant)| {
            assert_eq!(answer(socket, number), web);
            sent.elapsed()
        };
        (0..).zip(&sockets).zip(&sent).map(one).collect::<Vec<_>>()
    });
    show(&format!("{at_once} at once"), took, begin.elapsed());
    ends(&["destroy", "names"], 0);
}

#[test]
fn no_answer_is_older_than_the_last_apply() {
    sandbox();
    apply(1);
    // What the last apply that has ended says; the next one may say more already.
    let (applied, ready) = (Arc::new(AtomicU8::new(1)), Arc::new(Barrier::new(2)));
    let (seen, has_begun) = (applied.clone(), ready.clone());
    const LAST: u8 = 60;
    let asking = std::thread::spawn(move || {
        inside("pc", move || {
            let socket = client();
            has_begun.wait();
            let (mut number, mut asked) = (0_u16, 0_u64);
            loop {
                let least = seen.load(Ordering::SeqCst);
                (number, asked) = (number.wrapping_add(1), asked + 1);
                socket.send(&query(number)).unwrap();
                let [.., last] = answer(&socket, number).octets();
                assert!(last >= least, "query {number} was asked after {least} was applied, and got {last}");
                if least == LAST {
                    return asked;
                }
            }
        })
    });
    // Others keep the server busy, and do not wait for answers.
    let is_over = Arc::new(AtomicBool::new(false));
    let flooding = is_over.clone();
    let flood = move || {
        let socket = client();
        socket.set_nonblocking(true).unwrap();
        while !flooding.load(Ordering::SeqCst) {
            for number in 0..4 {
                let _ = socket.send(&query(number));
                let _ = socket.recv(&mut [0; 512]);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let flood = std::thread::spawn(|| inside("pc", flood));
    ready.wait();
    for last in 2..=LAST {
        apply(last);
        applied.store(last, Ordering::SeqCst);
    }
    is_over.store(true, Ordering::SeqCst);
    flood.join().expect("a flood");
    let asked = asking.join().expect("answers that are not too old");
    assert!(asked > u64::from(LAST), "{asked} queries");
    ends(&["destroy", "names"], 0);
}
