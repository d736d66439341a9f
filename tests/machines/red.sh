# What is not as promised is never green, whatever the machines say of it.
. "$FUNCTIONS"
sed '/rest of the pod network/d; s/seen_as: itself }/seen_as: itself, retries: 1 }/' topologies/06-pods.yaml > lab.yaml
cat >> lab.yaml <<'END'
  - { name: silence, from: pod-1-1, to: pod-2-1, port: 5000, protocol: udp, expect: unreachable }
  - { name: no answer, from: pod-1-1, to: pod-2-1, port: 5001, protocol: udp, expect: unanswered }
END
apply_all lab.yaml
failed() { if checked lab.yaml pods > report; then cat report; exit 1; fi; sed -n '/^✗.*line/,$p' report > failures; cat failures; }

failed
grep -A1 'pod-1-1 → pod-2-1 (udp/5000): expected unreachable' failures | grep 'answered by pod-2-1'
grep -A1 'pod-1-1 → pod-2-1 (udp/5001): expected unanswered' failures | grep 'answered by pod-2-1'
[ "$(grep -c '^✗.*line' failures)" = 2 ]

# With the right filters, both are as promised; and silence is that of the filter, not of the listener.
on 2 iptables -A FORWARD -p udp --dport 5000 -j DROP
on 2 iptables -A FORWARD -p udp --sport 5001 -j DROP
checked lab.yaml pods | grep 'all as promised'
on 2 iptables -F FORWARD

on 1 iptables -t nat -A POSTROUTING -s 10.244.1.0/24 -o eth1 -j MASQUERADE
failed
grep 'pod-2-1 saw 192.168.1.11 (node1) instead of 10.244.1.2 (pod-1-1): it is translated on the way' failures
on 1 iptables -t nat -F POSTROUTING

# The handshake comes through, and what is sent then does not.
on 2 iptables -A FORWARD -p tcp --dport 80 --tcp-flags PSH PSH -j DROP
failed
grep 'and so they do with TCP (tcp/80)' failures; grep 'connected, but nothing that was sent then came through' failures
on 2 iptables -F FORWARD

# Another machine has the address of a pod, and answers in its place.
on 3 ip addr add 10.244.2.2/32 dev lo
on 1 ip route replace 10.244.2.2/32 via 192.168.1.13
failed
grep 'answered by node3, not by pod-2-1' failures
on 1 ip route del 10.244.2.2/32; on 3 ip addr del 10.244.2.2/32 dev lo
checked lab.yaml pods > report || true

# Who was not there proves nothing.
if nslab check lab.yaml --join side1.json side2.json > report; then exit 1; fi
grep 'no machine that took part has pod-3-1' report
all nslab check pods --open
on 2 nslab check pods --end > side2.json
on 1 nslab check pods --send; on 3 nslab check pods --send
for n in 1 3; do on "$n" nslab check pods --end > "side$n.json"; done
if nslab check lab.yaml --join side[123].json > report; then exit 1; fi
grep 'node2 has not heard node1 before and after all that it sent' report
grep 'node2 has not sent it' report
if grep 'silence.*✓' report; then exit 1; fi
# What does not belong together.
refused() { code=0; nslab check "$@" > said 2>&1 || code=$?; cat said; [ $code = "$want" ]; }
want=2 refused topologies/06-pods.yaml --join side1.json
grep 'what is applied on node1 is not this file' said
want=2 refused lab.yaml --join side1.json side1.json
grep 'two sides of node1' said
want=2 refused lab.yaml --join lab.yaml
grep 'is not what `nslab check LAB --end` prints' said
want=2 refused lab.yaml --join /dev/zero
want=2 refused lab.yaml --join missing.json
all nslab destroy pods
