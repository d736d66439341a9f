# Addresses of both families, those that the kernel makes by itself, and neighbours.
ip netns add red
ip -n red link set lo up
ip -n red link add name a address 02:00:00:00:00:01 type veth peer name b address 02:00:00:00:00:02
ip -n red link set dev a up
ip -n red link set dev b up
ip -n red addr add 10.0.0.1/24 dev a
ip -n red addr add 10.0.0.9/24 dev a
ip -n red addr add 10.0.1.1 peer 10.0.2.1/32 dev a
ip -n red addr add 10.9.9.9/32 dev lo
ip -n red -6 addr add 2001:db8::1/64 dev a nodad
ip -n red -6 addr add fe80::5/64 dev a nodad
ip -n red neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev a nud permanent
ip -n red neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev a nud reachable
ip -n red -6 neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev a nud permanent
ip -n red neigh add proxy 10.0.0.20 dev a
