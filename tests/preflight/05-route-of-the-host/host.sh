ip link add lan0 type veth peer name lan1
ip addr add 192.168.9.77/24 dev lan0
ip link set lan1 up
ip link set lan0 up
ip route add default via 192.168.9.1
