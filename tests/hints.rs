//! What a failed check says besides: that the lab has changed since it was made, or that a router passes nothing on.

mod support;

use support::{nslab, run, sandbox, text};

const FILE: &str = "/run/hints.yaml";

/// A row of five: the two outer ones reach each other through three routers.
fn row(forwarding: [&str; 3]) -> String {
    let router = |n: usize, left: &str, right: &str, routes: &str| {
        format!(
            "  r{n}:\n    interfaces: {{ a: {{ addresses: [{left}] }}, b: {{ addresses: [{right}] }} }}\n    routes: \
             [{routes}]\n    {}\n",
            forwarding[n - 1]
        )
    };
    let end = |name: &str, own: &str, via: &str| {
        format!(
            "  {name}:\n    interfaces: {{ a: {{ addresses: [{own}] }} }}\n    routes: [{{ to: default, via: {via} \
             }}]\n"
        )
    };
    let to = |net: &str, via: &str| format!("{{ to: {net}, via: {via} }}");
    let routers = router(1, "10.0.1.1/24", "10.0.2.1/24", &to("default", "10.0.2.2"))
        + &router(
            2,
            "10.0.2.2/24",
            "10.0.3.2/24",
            &[to("10.0.1.0/24", "10.0.2.1"), to("10.0.4.0/24", "10.0.3.3")].join(", "),
        )
        + &router(3, "10.0.3.3/24", "10.0.4.3/24", &to("default", "10.0.3.2"));
    format!(
        "name: row\nnamespaces:\n{}{routers}{}",
        end("red", "10.0.1.9/24", "10.0.1.1"),
        end("blue", "10.0.4.9/24", "10.0.4.3")
    ) + "links: [[red/a, r1/a], [r1/b, r2/a], [r2/b, r3/a], [r3/b, blue/a]]\n\
           checks:\n  - { from: red, to: blue, retries: 0, timeout: 200ms }\n  - { from: red, to: r1 }\n"
}

fn check(code: i32) -> String {
    let output = nslab(["check", "--no-explain", FILE]);
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    text(&output)
}

#[test]
fn a_router_that_does_not_forward_is_named() {
    sandbox();
    // A new namespace takes the machine's setting over.
    run("sysctl -qw net.ipv4.ip_forward=0");
    let on = "forwarding: true";
    std::fs::write(FILE, row([on, "", "forwarding: false"])).unwrap();
    assert_eq!(nslab(["apply", FILE]).status.code(), Some(0));
    let said = check(1);
    let hint = |router: &str| {
        format!(
            "hint: {router} is on the way to 10.0.4.9 (blue) and does not forward (net.ipv4.ip_forward is 0): write \
             `forwarding: true` there\n"
        )
    };
    assert!(said.contains(&hint("r2")) && said.contains(&hint("r3")) && !said.contains("r1 is"), "{said}");
    assert!(!said.contains("nslab plan"), "{said}");
    let json = nslab(["check", "--no-explain", "--format", "json", FILE]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let hints = json["hints"].as_array().unwrap();
    let routers = hints.iter().filter(|hint| hint.as_str().is_some_and(|hint| hint.contains("does not forward")));
    assert_eq!(routers.count(), 2, "{json}");

    std::fs::write(FILE, row([on, on, on])).unwrap();
    let said = check(1);
    assert!(
        said.contains(&format!("hint: the lab is 2 steps away from what the file says: `nslab plan {FILE}`")),
        "{said}"
    );
    assert!(said.contains("does not forward (net.ipv4.ip_forward is 0): the file has another value"), "{said}");
    assert_eq!(nslab(["apply", FILE]).status.code(), Some(0));
    assert!(!check(0).contains("hint"), "nothing is wrong");
}

#[test]
fn a_lab_that_has_changed_is_said_to_have_when_a_check_fails() {
    sandbox();
    let on = "forwarding: true";
    std::fs::write(FILE, row([on, on, on])).unwrap();
    assert_eq!(nslab(["apply", FILE]).status.code(), Some(0));
    run("ip -n red addr add 10.9.9.9/24 dev a");
    assert!(!check(0).contains("hint"), "what changes nothing for the checks is no matter");
    run("ip -n red addr del 10.9.9.9/24 dev a; ip -n r2 route del 10.0.4.0/24");
    let said = check(1);
    assert!(said.contains("hint: the lab is one step away from what the file says"), "{said}");
    let test = nslab(["apply", "--check", FILE]);
    assert_eq!(test.status.code(), Some(0), "{}", text(&test));
}

#[test]
fn settings_that_somebody_has_changed_on_the_way_are_named() {
    sandbox();
    let on = "forwarding: true";
    std::fs::write(FILE, row([on, on, on])).unwrap();
    assert_eq!(nslab(["apply", FILE]).status.code(), Some(0));
    run("ip netns exec blue sysctl -qw net.ipv4.icmp_echo_ignore_all=1
         ip netns exec r2 sysctl -qw net.ipv4.conf.a.rp_filter=1 net.ipv4.conf.b.arp_ignore=8
         ip netns exec r1 sh -c 'sysctl -qw net.ipv4.neigh.b.ucast_solicit=4 net.ipv6.conf.all.hop_limit=9 \
             net.ipv4.tcp_syncookies=0 net.ipv4.ip_default_ttl=63 net.ipv4.tcp_sack=0 net.ipv4.tcp_rmem=\"4096 8192 9999\";
             for n in 1 2 3; do sysctl -qw net.ipv4.tcp_retries$n=$((n + 20)) 2>/dev/null; done; true'");
    let said = check(1);
    assert!(!said.contains("away from what the file says"), "{said}");
    let hint = |rest: &str| said.lines().find(|line| line.starts_with(&format!("hint: {rest}"))).unwrap_or("");
    let has = "has settings that neither the file nor a new namespace has:";
    let of = |ns: &str| hint(&format!("{ns} {has}"));
    assert_eq!(of("blue"), format!("hint: blue {has} net.ipv4.icmp_echo_ignore_all is 1 (else 0)"), "{said}");
    assert!(of("r2").contains("net.ipv4.conf.a.rp_filter is 1 (else "), "{said}");
    assert!(of("r2").contains("net.ipv4.conf.b.arp_ignore is 8 (else 0)"), "{said}");
    assert!(of("r1").contains("net.ipv4.ip_default_ttl is 63 (else 64)"), "{said}");
    assert!(of("r1").contains("net.ipv4.neigh.b.ucast_solicit is 4 (else 3)"), "{said}");
    assert!(of("r1").ends_with(" more"), "{said}");
    assert_eq!((of("red"), of("r3")), ("", ""), "{said}");
}
