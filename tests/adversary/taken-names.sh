# An alternative name of somebody's interface is the name that a lab wants.
cat > lab.yaml <<'END'
name: names
namespaces:
  red: { interfaces: { eth0: { addresses: [10.9.0.2/24] }, eth1: {} } }
  host:
    interfaces: { v-red: { addresses: [10.9.0.1/24] }, v-two: {} }
    bridges: { br-names: {} }
links: [[red/eth0, host/v-red], [red/eth1, host/v-two]]
END
ip link add theirs type bridge
for name in v-red br-names; do
  ip link property add dev theirs altname $name
  ip -d link > before
  for option in '' --adopt; do
    code=0; nslab apply $option lab.yaml > said 2>&1 || code=$?
    [ $code = 3 ]; grep -q "alternative name $name of theirs in host exists" said; grep -q 'nothing was changed' said
  done
  nslab plan lab.yaml | grep -q "alternative name $name of theirs in host"
  ip -d link > after; cmp before after
  ip link property del dev theirs altname $name
done
# In a lab's own namespace: on an interface that stays, and on one that goes.
nslab apply lab.yaml
ip -n red link del eth0
ip -n red link property add dev eth1 altname eth0
code=0; nslab apply lab.yaml > said 2>&1 || code=$?
[ $code = 3 ]; grep -q 'alternative name eth0 of eth1 in red' said; grep -q 'nothing was changed' said
ip -n red link property del dev eth1 altname eth0
ip -n red link add extra type bridge
ip -n red link property add dev extra altname eth0
nslab apply lab.yaml
nslab plan lab.yaml | grep -q 'nothing to do'
nslab destroy names
[ "$(ip -br link | wc -l)" = 2 ]
