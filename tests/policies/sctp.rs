//! Policies over SCTP, by connections of the test's own: nslab has no probes for it.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::str::FromStr;

use nix::sys::socket::{Backlog, SockaddrIn, bind, connect, listen, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::fixture::Fixture;
use crate::support::{ends, inside, run, sandbox};

const FILE: &str = "/run/sctp.yaml";

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: the call has no pointers; what it returns is a descriptor of ours alone, or -1.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, libc::IPPROTO_SCTP) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: see above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether x/a is reached from a pod at a port; somebody listens there.
fn reaches(from: &'static str, port: u16) -> bool {
    let address = SockaddrIn::from_str(&format!("10.244.1.11:{port}")).unwrap();
    inside(from, move || {
        let client = socket().unwrap();
        setsockopt(&client, sockopt::SendTimeout, &TimeVal::seconds(1)).unwrap();
        connect(client.as_raw_fd(), &address).is_ok()
    })
}

/// The cases P38 and P39. Where the kernel has no SCTP, nothing can be sent; the rules are there all the same.
#[test]
fn sctp_is_enforced_where_the_kernel_has_it() {
    sandbox();
    for allowed in [81_u16, 80] {
        let policy = serde_json::json!({ "policies": [{
            "name": "sctp", "namespace": "x", "podSelector": { "matchLabels": { "pod": "a" } },
            "ingress": [{ "ports": [{ "protocol": "SCTP", "port": allowed }] }],
        }] });
        fs::write(FILE, Fixture::new(&policy).topology("routed")).unwrap();
        ends(&["apply", FILE], 0);
        let rules = run("ip netns exec node1 nft list chain inet network-policies policy-x/sctp/ingress");
        assert!(rules.contains(&format!("sctp dport {allowed} accept")), "{rules}");
        if let Err(error) = socket() {
            assert_eq!(error.raw_os_error(), Some(libc::EPROTONOSUPPORT), "{error}");
            continue;
        }
        let serve = |port: u16| {
            inside("x-a", move || {
                let server = socket().unwrap();
                bind(server.as_raw_fd(), &SockaddrIn::from_str(&format!("0.0.0.0:{port}")).unwrap()).unwrap();
                listen(&server, Backlog::new(8).unwrap()).unwrap();
                server
            })
        };
        let _servers = [serve(80), serve(81)];
        for (from, port) in [("y-a", 80), ("y-a", 81), ("y-b", 80), ("y-b", 81)] {
            assert_eq!(reaches(from, port), port == allowed, "{from} at {port}");
        }
    }
}
