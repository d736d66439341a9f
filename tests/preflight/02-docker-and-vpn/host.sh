ip link add docker0 type bridge
ip addr add 172.17.0.1/16 dev docker0
ip link set docker0 up
ip link add vpn type veth peer name vpn-far
ip addr add 10.8.0.6 peer 10.8.0.5/32 dev vpn
ip link set vpn-far up
ip link set vpn up
ip route add 10.0.0.0/8 via 10.8.0.5 dev vpn table 52
ip route add default via 10.8.0.5
