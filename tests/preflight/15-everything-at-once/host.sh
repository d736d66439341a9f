ip link add v-net-0 type bridge
ip link add lan0 type veth peer name lan1
ip addr add 192.168.15.77/24 dev lan0
ip link set lan1 up
ip link set lan0 up
ip netns add red
mount --bind /dev/null "$(readlink -f "$(command -v iptables)")"
