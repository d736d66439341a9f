//! The neighbour: a shell that does one thing after the other until it is told to stop, and stops by itself where one
//! of its commands fails. Each thing is gone again when it is done; what [`SETUP`] makes, it keeps.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::support;

/// What the neighbour has before the lab comes, and keeps.
pub const SETUP: &str = "
ip netns add theirs
ip link add th-br type bridge
ip addr add 198.51.100.1/24 dev th-br
ip link set th-br up
ip route add 198.18.1.0/24 via 198.51.100.2 dev th-br onlink proto 213
ip rule add from 198.18.0.0/15 table 4242 priority 30001 protocol 213
iptables -A FORWARD -s 198.18.0.0/15 -m comment --comment nslab:theirs -j DROP
iptables -t nat -A POSTROUTING -s 198.18.0.0/15 -j RETURN
ip6tables -A FORWARD -s 2001:db8:18::/48 -j DROP
nft 'table inet theirs { chain keep { type filter hook forward priority 5; }; }'
";

/// What it does. Where it makes something under a name that the lab wants, the lab may have been first.
pub const ACTIONS: &[&str] = &[
    // Interfaces: made, renamed, marked for nobody, numbered, gone.
    "ip link add th0 type bridge; ip link set th0 up; ip link set th0 down; ip link set th0 name th1
     ip link set th1 alias nslab:nobody; ip link set th1 group 77; ip link del th1",
    // Moved to another namespace and back.
    "ip link add th2 type veth peer name th3; ip link set th3 netns theirs; ip -n theirs link set th3 name eth0
     ip -n theirs link set eth0 name th3; ip -n theirs link set th3 netns $$; ip link del th2",
    // Many at once.
    "for n in 1 2 3 4 5 6 7 8 9 10; do echo link add thf$n type bridge; done | ip -batch -
     for n in 1 2 3 4 5 6 7 8 9 10; do echo link del thf$n; done | ip -batch -",
    // Alternative names, also one that looks like a note of nslab's.
    "ip link property add dev th-br altname th-alt; ip link property add dev th-br altname was:net.ipv4.ip_forward=1
     ip link property del dev th-br altname was:net.ipv4.ip_forward=1; ip link property del dev th-br altname th-alt",
    // A namespace with the lab's mark, under a name that the lab has not given.
    "ip netns add their-2; ip -n their-2 link set lo up alias 'nslab:random was net.ipv4.ip_forward=1'
     ip -n their-2 link add br1 type bridge; ip netns del their-2",
    // An ordinary user's namespace with the lab's mark, to which root has given a name.
    "unshare --user --map-root-user --net sh -c '
       ip link set lo alias \"nslab:random was net.ipv4.ip_forward=1\"; exec sleep 20' & user=$!
     while [ \"$(readlink /proc/$user/ns/net)\" = \"$(readlink /proc/$$/ns/net)\" ]; do sleep 0.01; done
     ip netns attach their-user $user; sleep 0.05; ip netns del their-user; kill $user; wait $user || true",
    // Routes with nslab's number, one and many.
    "ip route add 198.18.2.0/24 via 198.51.100.2 dev th-br onlink proto 213
     for n in 1 2 3 4 5 6 7 8 9; do echo route add 198.19.$n.0/24 via 198.51.100.2 dev th-br onlink table 4242 proto 213
     done | ip -batch -
     for n in 1 2 3 4 5 6 7 8 9; do echo route del 198.19.$n.0/24 table 4242; done | ip -batch -
     ip route add blackhole 198.18.3.0/24 proto 213; ip route del blackhole 198.18.3.0/24; ip route del 198.18.2.0/24",
    // Policy rules with nslab's number.
    "ip rule add from 198.19.0.0/16 table 4242 priority 30002 protocol 213; ip rule del priority 30002
     ip -6 rule add from 2001:db8:19::/48 table 4242 priority 30002 protocol 213; ip -6 rule del priority 30002",
    // Rules and chains of iptables, also with a comment like nslab's.
    "iptables -w -N THEIRS; iptables -w -A THEIRS -m comment --comment nslab:random -j RETURN
     iptables -w -I FORWARD -j THEIRS; iptables -w -t nat -A POSTROUTING -s 198.18.9.0/24 -j RETURN
     iptables -w -t nat -D POSTROUTING -s 198.18.9.0/24 -j RETURN
     iptables -w -D FORWARD -j THEIRS; iptables -w -F THEIRS; iptables -w -X THEIRS",
    // Chains that look like those of a lab.
    "iptables -w -N NSLAB-rando-FWD; iptables -w -I FORWARD -m comment --comment nslab:rando -j NSLAB-rando-FWD
     iptables -w -D FORWARD -m comment --comment nslab:rando -j NSLAB-rando-FWD; iptables -w -X NSLAB-rando-FWD",
    // Tables of nft.
    "nft 'table inet their2 { chain c { type filter hook input priority 7; counter comment \"nslab:random\"; }; }'
     nft delete table inet their2",
    // A setting of its own interface, a neighbour, an address.
    "sysctl -qw net.ipv4.conf.th-br.rp_filter=2; sysctl -qw net.ipv4.conf.th-br.rp_filter=0
     ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:99 dev th-br nud permanent; ip neigh del 198.51.100.9 dev th-br
     ip addr add 198.51.100.77/24 dev th-br; ip addr del 198.51.100.77/24 dev th-br",
    // Files where nslab keeps its own.
    "if mkdir -p /run/nslab/neighbour; then echo odd > /run/nslab/neighbour/topology.yaml || true; fi 2> /dev/null
     rm -rf /run/nslab/neighbour; : > /run/netns/their-file; rm /run/netns/their-file",
    // Interfaces under names that the lab wants.
    "for name in eth0 p0 br1; do
       if ip link add $name type bridge 2> /dev/null; then ip link set $name up; ip link del $name; fi
     done",
    // Namespaces under such names.
    "for name in n1 n2; do
       if ip netns add $name 2> /dev/null; then ip -n $name link set lo up; ip netns del $name; fi
     done",
];

/// The neighbour at work, in the sandbox of the thread that has begun it.
pub struct AtWork(Child);

impl AtWork {
    /// Has it do these things again and again.
    pub fn begin(actions: &[&str]) -> Self {
        let pause = "sleep 0.05; while [ -e /run/pause ]; do : > /run/paused; sleep 0.01; done";
        let script = format!(
            "set -ex\nuntil [ -e /run/stop ]; do\n{}\ndone\n",
            actions.iter().map(|action| format!("{action}\n{pause}\n")).collect::<String>()
        );
        let log = std::fs::File::create("/run/neighbour.log").expect("a log");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        Self(shell.spawn().expect("sh"))
    }

    /// Has it wait once it has done what it is at.
    pub fn pause(&self) {
        std::fs::write("/run/pause", "").expect("/run");
        for _ in 0..1000 {
            if Path::new("/run/paused").exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has it go on.
    pub fn resume(&self) {
        support::run("rm -f /run/pause /run/paused");
    }

    /// Has it stop once it has done what it is at; the end of what it tells, where one of its commands has failed.
    pub fn end(mut self) -> Result<(), String> {
        let _ = std::fs::remove_file("/run/pause");
        std::fs::write("/run/stop", "").expect("/run");
        let status = self.0.wait().expect("the neighbour");
        if status.success() {
            return Ok(());
        }
        let log = std::fs::read_to_string("/run/neighbour.log").unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        Err(format!("the neighbour ended with {status}:\n{}", lines[lines.len().saturating_sub(15)..].join("\n")))
    }
}

/// A test that fails does not leave it behind.
impl Drop for AtWork {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
