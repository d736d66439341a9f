ip link add eth-lan type veth peer name lan
ip addr add 192.0.2.10/24 dev eth-lan
ip link set eth-lan up; ip link set lan up
ip route add default via 192.0.2.1 metric 100
