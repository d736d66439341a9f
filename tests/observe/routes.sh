# Routes of every kind, and some that the lab's words cannot express: those have neither via nor dev.
ip netns add red
ip -n red link add name a address 02:00:00:00:00:01 type veth peer name b address 02:00:00:00:00:02
ip -n red link set lo up
ip -n red link set dev a up
ip -n red link set dev b up
ip -n red addr add 10.0.0.1/24 dev a
ip -n red -6 addr add 2001:db8::1/64 dev a nodad
ip -n red route add default via 10.0.0.2
ip -n red route add 10.1.0.0/16 via 10.0.0.3 metric 50 src 10.0.0.1
ip -n red route add 10.1.0.0/16 via 10.0.0.4 metric 60 proto static
ip -n red route add 10.2.0.0/16 dev a
ip -n red route add 10.3.0.0/16 dev a scope host
ip -n red route add 10.4.0.0/16 via 172.16.0.1 dev a onlink
ip -n red route add 10.5.0.0/16 via 10.0.0.2 table 100
ip -n red route add 10.5.0.0/16 via 10.0.0.2 table 70000
ip -n red route add blackhole 10.6.0.0/16
ip -n red route add unreachable 10.7.0.0/16 metric 9
ip -n red route add prohibit 10.8.0.0/16
ip -n red route add throw 10.9.0.0/16 table 100
ip -n red route add 10.10.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3
ip -n red route add 10.11.0.0/16 via 10.0.0.2 mtu 1300
ip -n red route add 10.12.0.0/16 via inet6 2001:db8::2 dev a
ip -n red -6 route add default via 2001:db8::2
ip -n red -6 route add 2001:db8:1::/48 via 2001:db8::3 metric 50 src 2001:db8::1
ip -n red -6 route add 2001:db8:2::/48 dev a
ip -n red -6 route add blackhole 2001:db8:6::/48
ip -n red -6 route add unreachable 2001:db8:7::/48
ip -n red -6 route add prohibit 2001:db8:8::/48 table 300
ip -n red -6 route add 2001:db8:10::/48 nexthop via 2001:db8::2 nexthop via 2001:db8::3
ip -n red -6 route add 2001:db8:11::/48 via fe80::2 dev a
ip -n red -6 route add 2001:db8:12::/48 from 2001:db8:5::/48 via 2001:db8::2
