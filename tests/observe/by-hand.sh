# Two namespaces on a bridge of the host, as somebody types it.
ip netns add red
ip netns add blue
ip link add v-net-0 address 02:00:00:00:00:05 type bridge
ip link set v-net-0 up
ip link add veth-red address 02:00:00:00:00:01 type veth peer name veth-red-br address 02:00:00:00:01:01
ip link add veth-blue address 02:00:00:00:00:02 type veth peer name veth-blue-br address 02:00:00:00:01:02
ip link set veth-red netns red
ip link set veth-blue netns blue
ip link set veth-red-br master v-net-0 up
ip link set veth-blue-br master v-net-0 up alias 'not a mark'
ip -n red addr add 192.168.15.1/24 dev veth-red
ip -n blue addr add 192.168.15.2/24 dev veth-blue
ip -n red link set veth-red up mtu 1400
ip -n blue link set veth-blue up
ip addr add 192.168.15.5/24 dev v-net-0
ip -n blue route add 192.168.1.0/24 via 192.168.15.5
ip -n red route add default via 192.168.15.5
