# Stage 6 of the walkthrough as a student types it: three nodes on a switch, a bridge subnet each, and for every pod
# what the notes call the CNI script.
ip netns add lan
ip -n lan link set lo up
ip -n lan link add br-lan type bridge
ip -n lan link set br-lan up
for n in 1 2 3; do
    ip netns add node$n
    ip -n node$n link set lo up
    ip link add eth0 netns node$n type veth peer name node$n-lan netns lan
    ip -n lan link set node$n-lan master br-lan
    ip -n lan link set node$n-lan up
    ip -n node$n addr add 192.168.1.1$n/24 dev eth0
    ip -n node$n link set eth0 up
    ip -n node$n link add v-net-0 type bridge
    ip -n node$n addr add 10.244.$n.1/24 dev v-net-0
    ip -n node$n link set v-net-0 up
    ip netns exec node$n sysctl -qw net.ipv4.ip_forward=1
    for p in 1 2; do
        pod=pod-$n-$p
        ip netns add $pod
        ip -n $pod link set lo up
        ip -n node$n link add veth-$pod type veth peer name eth0 netns $pod
        ip -n node$n link set veth-$pod master v-net-0
        ip -n node$n link set veth-$pod up
        ip -n $pod addr add 10.244.$n.$((p + 1))/24 dev eth0
        ip -n $pod link set eth0 up
        ip -n $pod route add default via 10.244.$n.1
    done
done
for n in 1 2 3; do
    for m in 1 2 3; do
        [ $n = $m ] || ip -n node$n route add 10.244.$m.0/24 via 192.168.1.1$m
    done
done
