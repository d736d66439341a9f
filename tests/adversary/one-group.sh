# The names of two labs have one group number. What is in that group without an alias could be of either.
lab() {
  cat <<END
name: $1
namespaces:
  $1-red: { interfaces: { eth0: {} } }
  host: { interfaces: { v-$1: {} }, bridges: { b-$1: {} } }
links: [[$1-red/eth0, host/v-$1]]
END
}
lab lab745 > a.yaml; lab lab8040 > b.yaml
nslab apply a.yaml
group=$(ip -d -j link show v-lab745 | grep -o '"group":"[^"]*"')
nslab apply b.yaml
[ "$(ip -d -j link show v-lab8040 | grep -o '"group":"[^"]*"')" = "$group" ]
number=$(echo "$group" | grep -o '[0-9]*')
nslab plan a.yaml | grep -q 'nothing to do'
nslab plan b.yaml | grep -q 'nothing to do'
# One that was just being made when nslab was killed.
ip link add half group $number type bridge
nslab plan a.yaml | grep -q 'nothing to do'
nslab plan b.yaml | grep -q 'nothing to do'
nslab list > said; [ "$(grep -c half said)" = 0 ]
nslab destroy lab745
ip link show half
ip link show v-lab8040; ip link show b-lab8040
nslab plan b.yaml > said; [ "$(grep -c lab8040 said)" -gt 0 ]
# Without the other lab, there is no doubt whose it is.
nslab destroy lab8040
[ "$(ip -br link | wc -l)" = 1 ]
[ "$(ip netns list)" = '' ]
