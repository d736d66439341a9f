//! What checks see of addresses that are translated on the way.

use nslab::lab::{Protocol, SeenAs};

use crate::support::run;
use crate::{MASQUERADE, check, fails, ip, listening, ns, passes, port, routed_lab, seen_as};

#[test]
fn masquerade_is_seen() {
    routed_lab();
    run(MASQUERADE);
    for protocol in [Protocol::Icmp, Protocol::Tcp(80), Protocol::Udp(53)] {
        let mut out = check("blue", "outside", "192.168.1.3");
        if protocol != Protocol::Icmp {
            out = listening(out, protocol, "outside", port(protocol));
        }
        passes(seen_as(out.clone(), SeenAs::Address(ip("192.168.1.2"))));
        let words =
            "arrived, but outside saw 192.168.1.2 instead of 192.168.15.2: it is translated on the way (masquerade?)";
        fails(seen_as(out.clone(), SeenAs::Itself), words);
        fails(
            seen_as(out, SeenAs::Address(ip("192.168.1.9"))),
            "instead of 192.168.1.9: it is translated to another address",
        );
    }
}

#[test]
fn published_ports_say_who_answers() {
    routed_lab();
    run("for p in tcp udp; do ip netns exec router iptables -t nat -A PREROUTING -d 192.168.1.2 -p $p --dport 8080 \
         -j DNAT --to-destination 192.168.15.2:80; done
         ip -n outside route add 192.168.15.0/24 via 192.168.1.2");
    for protocol in [Protocol::Tcp(8080), Protocol::Udp(8080)] {
        let mut published = listening(check("outside", "192.168.1.2", "192.168.1.2"), protocol, "blue", 80);
        published.answered_by = Some(ns("blue"));
        let seen = passes(seen_as(published.clone(), SeenAs::Itself));
        assert_eq!(seen.answered_by, Some(ns("blue")));
        published.answered_by = Some(ns("red"));
        fails(published, "answered by blue, not by red");
    }
    // An echo request is not published: the router answers it itself.
    let mut echo = check("outside", "192.168.1.2", "192.168.1.2");
    echo.answered_by = Some(ns("router"));
    passes(echo.clone());
    echo.answered_by = Some(ns("blue"));
    fails(echo, "answered, but blue has not seen it arrive");
}
