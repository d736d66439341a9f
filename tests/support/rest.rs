//! Waiting until interfaces have come to rest. The kernel tells of a carrier up to a second after it has changed, and
//! IPv6 tries out an address before it is one: whoever compares what is with what was must not begin in the middle.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::run;

/// Longer than any kernel takes, also where it is emulated.
const LIMIT: Duration = Duration::from_secs(15);

/// Waits until nothing changes by itself any more in this host and in the namespaces of `/run/netns`.
#[track_caller]
pub fn at_rest() {
    wait(|| {
        let namespaces = run("ls /run/netns");
        let inside = namespaces.lines().flat_map(|ns| moving(&format!("ip -n {ns}"), ns));
        inside.chain(moving("ip", "host")).collect()
    });
}

/// The same for this host alone.
#[track_caller]
pub fn host_at_rest() {
    wait(|| moving("ip", "host"));
}

#[track_caller]
fn wait(moving: impl Fn() -> Vec<String>) {
    let start = Instant::now();
    loop {
        let moving = moving();
        if moving.is_empty() {
            return;
        }
        assert!(start.elapsed() < LIMIT, "these interfaces do not come to rest:\n{}", moving.join("\n"));
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The interfaces that are still to change, each as `ip` shows it.
fn moving(ip: &str, ns: &str) -> Vec<String> {
    let printed = run(&format!("{ip} -j addr"));
    let links: Vec<Value> = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    links.iter().filter(|link| is_moving(link)).map(|link| format!("{ns}: {link}")).collect()
}

/// Whether the kernel has yet to say, or to act on, what it knows of the carrier, or still tries out an address.
fn is_moving(link: &Value) -> bool {
    let has = |flag: &str| link["flags"].as_array().is_some_and(|flags| flags.iter().any(|own| own == flag));
    let state = link["operstate"].as_str().unwrap_or_default();
    // Without a queue, nothing is sent yet, and there is no link-local address.
    let carrier_is_news = match (has("UP"), has("LOWER_UP")) {
        (false, _) => false,
        (true, true) => !matches!(state, "UP" | "UNKNOWN" | "DORMANT") || link["qdisc"] == "noop",
        (true, false) => matches!(state, "UP" | "UNKNOWN"),
    };
    let addresses = link["addr_info"].as_array().into_iter().flatten();
    let tried_out = |address: &Value| address["tentative"] == true && address["dadfailed"] != true;
    carrier_is_news || has("UP") && addresses.into_iter().any(tried_out)
}
