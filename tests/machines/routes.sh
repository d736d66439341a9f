# The pods of the course over three machines: all reach each other untranslated, a second run has nothing to do, and at
# the end each machine is as it was.
. "$FUNCTIONS"
keep_states
nslab plan topologies/06-pods.yaml > /dev/null
on 1 nslab plan --as node1 topologies/06-pods.yaml | grep 'ip route add 10.244.3.0/24 via 192.168.1.13 dev eth1 proto 213'
apply_all topologies/06-pods.yaml
for n in $machines; do
  on "$n" nslab apply --as "node$n" topologies/06-pods.yaml | grep 'nothing to do'
  on "$n" nslab plan --exit-code pods
  on "$n" nslab plan --exit-code topologies/06-pods.yaml
done
on 1 ip route show proto 213 > routes
printf '%s\n' '10.244.2.0/24 via 192.168.1.12 dev eth1 ' '10.244.3.0/24 via 192.168.1.13 dev eth1 ' | diff - routes
[ "$(on 1 cat /proc/sys/net/ipv4/ip_forward)" = 1 ]
on 1 ip netns exec pod-1-1 ping -c 1 -W 5 10.244.3.3
on 1 nslab status pods > status
grep 'pods: 3 namespaces; this machine is node1, by eth1' status; grep 'veth-pod-1-1' status; grep 'Drift: none' status
on 1 nslab exec pods pod-1-2 -- ip -br addr | grep 10.244.1.3

checked topologies/06-pods.yaml pods | tee report
grep '✓ 7 checks, 91 pairs: all as promised' report
# By name, too, on one of the machines.
on 2 nslab check pods --join side[123].json | grep '✓ 7 checks, 91 pairs'
# One machine alone says how much it has not tried.
on 1 nslab check pods > alone
grep '✓ 5 checks, 8 pairs: all as promised' alone; grep 'hint: 83 of 91 pairs have to do with other machines' alone
on 1 nslab apply --as node1 --check topologies/06-pods.yaml | grep '83 of 91 pairs'

on 1 nslab trace pods pod-1-1 10.244.2.2 | grep '⇒ an answer came back'
on 1 nslab trace pods host 10.244.2.2 | grep 'out eth1'
on 1 nslab explain pods host 10.244.2.2 | grep 'the gateway 192.168.1.12'
for from in node1 pod-2-1; do if on 1 nslab trace pods "$from" pod-1-1 2> said; then exit 1; else cat said; fi; done
grep 'pod-2-1 is not on this machine, which is node1' said

# What was lost comes back, also with the machine's own interface.
on 2 ip route del 10.244.1.0/24
on 2 nslab plan pods | grep '1 step'
on 2 nslab apply --as node2 topologies/06-pods.yaml | grep '1 step '
on 2 ip link set eth1 down; on 2 ip link set eth1 up; settled 2
on 2 nslab apply --as node2 topologies/06-pods.yaml | grep '2 steps'
# The machine's own route stays, also one in the place of a lab's.
on 2 ip route add 10.77.0.0/16 via 192.168.1.1 proto 213
on 2 nslab plan --exit-code pods
all nslab destroy pods
on 2 ip route show 10.77.0.0/16 | grep 'via 192.168.1.1'
on 2 ip route del 10.77.0.0/16
are_as_before
