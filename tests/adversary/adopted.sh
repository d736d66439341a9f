# What is to be adopted is another kind of thing than the lab wants: to take its place, it would have to be deleted.
cat > lab.yaml <<'END'
name: adopts
namespaces:
  red: { interfaces: { eth0: { addresses: [10.9.0.2/24] } } }
  host:
    interfaces: { v-red: { addresses: [10.9.0.1/24] } }
    bridges: { br-a: {} }
links: [[red/eth0, host/v-red]]
END
refused() {
  { ip -d link; ip addr; ip netns list; ip -n red link; ip netns exec red nft list ruleset; } > before 2> /dev/null || true
  code=0; nslab apply --adopt lab.yaml > said 2>&1 || code=$?
  [ $code = 3 ]; grep -q 'to adopt .* nslab would have to remove' said; grep -q 'nothing was changed' said
  { ip -d link; ip addr; ip netns list; ip -n red link; ip netns exec red nft list ruleset; } > after 2> /dev/null || true
  cmp before after
  [ "$(nslab list --format json | grep -c adopts)" = 0 ]
}
# A veth whose peer is somebody's.
ip link add v-red type veth peer name peer0; ip link set peer0 up; ip addr add 192.0.2.1/24 dev peer0
refused
# Something between two namespaces of somebody.
ip netns add theirs; ip link set peer0 netns theirs
refused
ip link del v-red
# Bridges, and what is no bridge.
ip link add v-red type bridge
refused
ip link del v-red
ip link add br-a type veth peer name peer1
refused
ip link del br-a
# A namespace with interfaces that the lab does not have, one of them with a peer elsewhere.
ip netns add red; ip -n red link set lo up
ip -n red link add up0 type veth peer name down0 netns theirs
refused
ip -n red link del up0
ip -n red link add eth0 type bridge
refused
ip -n red link del eth0
# A namespace with somebody's firewall.
ip netns exec red nft add table inet theirs
refused
ip netns exec red nft delete table inet theirs
# What is as the lab wants it, or can be made so without removing anything, is adopted.
ip link add br-a type bridge
nslab apply --adopt lab.yaml > said; grep -q 'take ownership of host/br-a' said; grep -q 'take ownership of namespace red' said
nslab plan lab.yaml | grep -q 'nothing to do'
nslab destroy adopts
[ "$(ip netns list | cut -d" " -f1)" = theirs ]
