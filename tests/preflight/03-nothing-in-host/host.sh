ip link add lan0 type veth peer name lan1
ip addr add 192.168.1.77/24 dev lan0
ip link set lan0 up
