# Veth pairs in one namespace, between namespaces in which both ends have the same index, and to where nobody looks;
# bridges with and without options; kinds that nslab has no word for.
for n in one four five six; do ip netns add $n; done
echo nslab:t > /run/netns/two
echo nslab:other > /run/netns/three
for n in two three; do unshare --net=/run/netns/$n true; done
# Indexes 2 and 2: which of the six belongs to which?
ip link add name x address 02:00:00:00:00:01 netns one type veth peer name x address 02:00:00:00:00:01 netns four
ip link add name x address 02:00:00:00:00:01 netns two type veth peer name x address 02:00:00:00:00:01 netns five
ip link add name y address 02:00:00:00:00:03 netns three type veth peer name z address 02:00:00:00:00:04 netns six
ip -n one link add inside address 02:00:00:00:00:05 type veth peer name beside address 02:00:00:00:00:06
unshare --net sleep 60 > /dev/null 2>&1 & holder=$!
while [ "$(readlink /proc/$holder/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip -n one link add far address 02:00:00:00:00:07 type veth peer name away address 02:00:00:00:00:08 netns $holder
ip -n one link add plain address 02:00:00:00:00:09 type bridge
ip -n one link add tree address 02:00:00:00:00:0a up type bridge stp_state 1
ip -n one link add port address 02:00:00:00:00:0b master tree type vxlan id 7 dstport 4789
# Marks: an alias, a group without an alias, and what only looks like one.
ip link add marked address 02:00:00:00:00:0c group 1 type bridge
ip link set marked alias nslab:t
ip link add grouped address 02:00:00:00:00:0d group @GROUP@ type bridge
ip link add aliased address 02:00:00:00:00:0e group @GROUP@ type bridge
ip link set aliased alias nslab:other
ip -n two link set lo alias nslab:t
ip -n three link set lo alias nslab:other
