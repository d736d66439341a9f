# What cannot be is refused before anything is touched.
. "$FUNCTIONS"
keep_states
refused() { code=0; on 1 nslab "$@" > said 2>&1 || code=$?; cat said; [ "$code" = "$want" ] && grep -F -- "$words" said; }
want=2 words='node7 is none of the lab'"'"'s machines, which are node1, node2, node3' \
  refused apply --as node7 topologies/06-pods.yaml
want=2 words='the lab has no network between machines' refused apply --as red topologies/02-bridge.yaml
want=2 words='pod-1-1 is none of the lab'"'"'s machines' refused apply --as pod-1-1 topologies/06-pods.yaml
want=3 words='no interface has all of its addresses of the file, 192.168.1.12' refused apply --as node2 topologies/06-pods.yaml
want=2 words='services and network policies need a namespace of their own' \
  refused apply --as node1 topologies/09-services.yaml
want=2 words='services and network policies need a namespace of their own' \
  refused apply --as node1 topologies/11-policy.yaml
sed 's/pods: 2 }/pods: 2, run: { x: sleep 9 } }/' topologies/06-pods.yaml > programs.yaml
want=2 words='it has programs' refused apply --as node1 programs.yaml
for n in 1 2 3; do state "$n" | diff "before$n" -; done
# Of the machine's own interface, nothing is changed: so it has to be as in the file.
on 1 ip link set eth1 down
want=3 words='eth1, which is the uplink of node1, is down' refused apply --as node1 topologies/06-pods.yaml
grep 'ip link set eth1 up' said
want=3 words='is down' refused plan --as node1 topologies/06-pods.yaml
on 1 ip link set eth1 up; settled 1
cat > mtu.yaml <<'END'
name: mtu
namespaces:
  lan: { bridges: { br0: { ports: [one, two] } } }
  node1:
    interfaces: { eth0: { addresses: [192.168.1.11/24], mtu: 1400 } }
    routes: [{ to: 10.9.0.0/16, via: 192.168.1.12 }]
  node2: { interfaces: { eth0: { addresses: [192.168.1.12/24] } } }
links: [[node1/eth0, lan/one], [node2/eth0, lan/two]]
END
want=3 words='eth1, which is the uplink of node1, has the MTU 1500, and 1400 in the file' \
  refused apply --as node1 mtu.yaml
grep 'ip link set eth1 mtu 1400' said
for n in 1 2 3; do state "$n" | diff "before$n" -; done
on 1 ip link set eth1 mtu 1400
on 1 nslab apply --as node1 mtu.yaml
on 1 ip link set eth1 mtu 1300
want=0 words='has the MTU 1300, and 1400 in the file' refused plan mtu
on 1 ip link set eth1 mtu 1400

# What another lab needs already, no second one gets.
sed 's/name: mtu/name: like/' mtu.yaml > like.yaml
want=3 words='route 10.9.0.0/16 via 192.168.1.12 dev eth1 of host exists and belongs to lab mtu' \
  refused apply --as node1 like.yaml
# Nor where the interface is called otherwise since.
on 1 ip link set eth1 down; on 1 ip link set eth1 name lan0; on 1 ip link set lan0 up
on 1 nslab apply --as node1 mtu.yaml
on 1 ip link set lan0 down; on 1 ip link set lan0 name eth1; on 1 ip link set eth1 up; settled 1
on 1 nslab apply --as node1 mtu.yaml
want=3 words='exists and belongs to lab mtu' refused apply --as node1 like.yaml
on 1 nslab plan mtu --exit-code
on 1 nslab destroy mtu
on 1 nslab apply --as node1 like.yaml
on 1 nslab destroy like
on 1 ip link set eth1 mtu 1500
for n in 1 2 3; do state "$n" | diff "before$n" -; done

on 1 nslab apply topologies/02-bridge.yaml
want=2 words='lab bridge is on this machine alone' refused check bridge --open
on 1 nslab destroy bridge
on 1 nslab apply --as node1 topologies/06-pods.yaml
want=2 words='on this machine, lab pods is applied as node1, and not as a whole' refused apply topologies/06-pods.yaml
want=2 words='on this machine, lab pods is applied as node1, and not as node2' \
  refused apply --as node2 topologies/06-pods.yaml
want=2 words='the checks of lab pods are not open on this machine' refused check pods --send
want=2 words='the checks of lab pods are not open on this machine' refused check pods --end
want=2 words='cannot be used with' refused check pods --open --send
# A lab in which nothing but one route has the place that another has taken.
on 1 nslab destroy pods
on 1 ip route add 10.244.3.0/24 via 192.168.1.1
want=3 words='10.244.3.0/24' refused apply --as node1 topologies/06-pods.yaml
on 1 ip route del 10.244.3.0/24
are_as_before
