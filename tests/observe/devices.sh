# VXLAN ends with their entries, macvlans upon interfaces of this namespace and of others.
ip netns add red; ip netns add blue; ip netns add green
ip link add name h0 address 02:00:00:00:00:01 type veth peer name r0 address 02:00:00:00:00:02 netns red
ip -n green link add name x0 address 02:00:00:00:00:03 type veth peer name b0 address 02:00:00:00:00:04 netns blue
ip link add name mv0 link h0 netns red address 02:00:00:00:00:05 type macvlan mode private
ip -n red link add name mv1 link r0 address 02:00:00:00:00:06 type macvlan mode bridge
ip -n green link add name mv2 link x0 netns red address 02:00:00:00:00:07 type macvlan mode passthru
ip -n red link add name mv3 link r0 netns $$ address 02:00:00:00:00:08 type macvlan mode source
ip -n red link add name vx0 address 02:00:00:00:00:09 type vxlan id 42 local fd00::1 dstport 4789 dev r0 nolearning
ip -n red link add name vx1 address 02:00:00:00:00:0a type vxlan id 43 dstport 8472 group 239.1.1.1 dev r0
ip link add name vx2 address 02:00:00:00:00:0b netns red type vxlan id 44 dstport 4789
ip netns exec red bridge fdb append 00:00:00:00:00:00 dev vx0 dst fd00::2
ip netns exec red bridge fdb append 00:00:00:00:00:00 dev vx0 dst fd00::3
ip netns exec red bridge fdb append 02:00:00:00:00:99 dev vx0 dst fd00::2 port 99
