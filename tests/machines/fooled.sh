# What could make a wrong green of checks over machines.
. "$FUNCTIONS"
# A firewall that was in use stays as an empty one.
on 2 iptables -A FORWARD -j ACCEPT; on 2 iptables -F FORWARD
keep_states
sed '/^checks:/,$d' topologies/06-pods.yaml > base.yaml
with() { cat base.yaml - > lab.yaml; }
failed() { if nslab check lab.yaml --join side[1-9].json > report; then cat report; exit 1; fi; cat report; }
opened() { all nslab check pods --open; }
sent() { all nslab check pods --send; }
ended() { for n in $machines; do on "$n" nslab check pods --end > "side$n.json"; done; }

# Commands would find nslab listening: they are for each machine alone, and that is said.
with <<'END'
checks:
  - { from: pod-1-1, exec: [bash, -c, ': > /dev/tcp/10.244.2.2/5000'] }
  - { from: pod-1-1, to: pod-2-1, port: 5000, retries: 0 }
END
apply_all lab.yaml
checked lab.yaml pods | grep 'hint: checks that run commands are those of each machine alone'
if on 1 nslab check pods > report; then exit 1; fi
grep 'Connection refused' report

# An answer that comes too late is no arrival at the sender; one that the machine has not read yet counts.
with <<'END'
checks:
  - { name: silence, from: pod-1-1, to: pod-2-1, port: 53, protocol: udp, expect: unreachable, timeout: 300ms }
END
apply_all lab.yaml
opened
attending=$(on 2 sh -c 'pgrep -f "^nslab attend pods$" --ns $$ --nslist net')
kill -STOP "$attending"
on 1 nslab check pods --send
on 2 nslab check pods --end > side2.json & ending=$!
sleep 0.3
kill -CONT "$attending"; wait $ending
for n in 1 3; do on "$n" nslab check pods --end > "side$n.json"; done
failed
grep 'it arrived at pod-2-1' report

# Nor is silence what a machine could not look at: there was no room for all that arrived.
opened
attending=$(on 2 sh -c 'pgrep -f "^nslab attend pods$" --ns $$ --nslist net')
kill -STOP "$attending"
on 1 ip netns exec pod-1-1 bash -c '
  exec 3> /dev/udp/10.244.2.2/53; for ((sent = 0; sent < 20000; sent++)); do printf x >&3; done'
sleep 0.5
on 1 nslab check pods --send
kill -CONT "$attending"
ended
failed
grep 'node2 has lost packets since the checks were opened, and the probe may have been among them' report
grep 'hint: node2: more packets arrived than nslab could look at' report
# Nor is one that nslab was too late to answer unanswered.
sed 's/expect: unreachable/expect: unanswered, retries: 0/' lab.yaml > late.yaml
apply_all late.yaml
opened
attending=$(on 2 sh -c 'pgrep -f "^nslab attend pods$" --ns $$ --nslist net')
kill -STOP "$attending"
on 1 nslab check pods --send
kill -CONT "$attending"
for n in 2 3; do on "$n" nslab check pods --send; done
ended
mv lab.yaml kept.yaml; cp late.yaml lab.yaml
failed
grep 'node2 did not run for .* s since the checks were opened, and may have answered too late' report
mv kept.yaml lab.yaml
apply_all lab.yaml
# A slow end closes nothing that was opened since.
opened; sent
on 1 sh -c 'nslab check pods --end | { sleep 1; cat; }' > slow.json & ending=$!
sleep 0.5
opened
wait $ending
sent; ended
failed
# What cannot be written is not lost.
opened; sent
if on 1 sh -c 'nslab check pods --end > /dev/full' 2> said; then exit 1; fi
grep 'No space left on device' said
ended
failed
grep 'answered by pod-2-1' report

# What was sent before is of another run.
with <<'END'
checks:
  - { name: refused, from: pod-1-1, to: pod-2-1, port: 81, expect: refused, retries: 0, timeout: 300ms }
END
apply_all lab.yaml
opened; sent
on 2 iptables -A FORWARD -p tcp -j DROP
sent; ended
failed
on 2 iptables -F FORWARD

# A namespace is made anew while the checks are open; a lab is.
with <<'END'
checks:
  - { name: silence, from: pod-1-1, to: pod-2-1, expect: unreachable, timeout: 300ms }
END
apply_all lab.yaml
opened
on 2 ip netns del pod-2-1
on 2 nslab apply --as node2 lab.yaml
on 2 ip -n pod-2-1 route replace blackhole default
sent; ended
failed
grep 'pod-2-1 was made anew while the checks were open' report
# A machine does not know better what is on it alone.
on 2 nslab apply --as node2 lab.yaml
sed 's/to: pod-2-1/to: pod-1-2/' lab.yaml > own.yaml
for n in $machines; do on "$n" nslab apply --as "node$n" own.yaml; done
opened
on 1 ip netns del pod-1-2; on 1 ip netns add pod-1-2
sent; ended
if nslab check own.yaml --join side[1-9].json > report; then cat report; exit 1; fi
on 1 ip netns del pod-1-2
apply_all lab.yaml
opened
on 2 nslab destroy pods
on 2 nslab apply --as node2 lab.yaml
if on 2 nslab check pods --send; then exit 1; fi
[ -z "$(on 2 sh -c 'pgrep -f "^nslab attend pods$" --ns $$ --nslist net' || true)" ]
ended_of() { on "$1" nslab check pods --end > "side$1.json"; }
ended_of 1; ended_of 3

# Who is absent may be where it arrives.
with <<'END'
checks:
  - { name: nobody, from: pod-1-1, to: 10.244.3.77, expect: unreachable, timeout: 300ms }
END
apply_all lab.yaml
checked lab.yaml pods
# A machine that did not come to the end of what it sent.
sed 's/"greetings":{[^}]*}/"greetings":null/' side1.json > cut.json
if nslab check lab.yaml --join cut.json side2.json side3.json > report; then cat report; exit 1; fi
grep 'node1 has not come to the end of what it sent' report
on 3 ip -n pod-3-1 addr add 10.244.3.77/32 dev lo
on 3 ip -n pod-3-1 route del default
if checked lab.yaml pods > report; then exit 1; fi
grep 'arrived at pod-3-1' report
rm side3.json
failed
grep 'node3 has not taken part, and may be where it arrives' report
# The sender's own machine is where it arrives.
on 1 ip route replace 10.244.3.77/32 via 10.244.1.3
on 1 ip -n pod-1-2 addr add 10.244.3.77/32 dev lo
on 1 ip -n pod-1-2 route replace blackhole 10.244.1.2/32
if checked lab.yaml pods > report; then cat report; exit 1; fi
grep 'arrived at pod-1-2' report
on 1 ip route del 10.244.3.77/32

# While checks are open, a plain one would take nslab itself for a program that has the port.
opened
if on 1 nslab check pods 2> said; then exit 1; fi
grep 'the checks of lab pods are open' said
ended
# One that is stopped is not taken for one that is not there.
opened
attending=$(on 2 sh -c 'pgrep -f "^nslab attend pods$" --ns $$ --nslist net')
kill -STOP "$attending"
if on 2 nslab check pods --open 2> said; then exit 1; fi
grep 'has not answered for 3 s' said
kill -CONT "$attending"
ended
# What is open keeps nothing of whoever has opened it.
on 1 sh -c 'exec 9> lock; flock 9; exec nslab check pods --open'
flock --nonblock lock true

# The machine's interface is called otherwise when the lab goes, or comes again.
on 3 ip link set eth1 down; on 3 ip link set eth1 name lan0; on 3 ip link set lan0 up
on 3 nslab apply --as node3 lab.yaml
on 3 ip link set lan0 down; on 3 ip link set lan0 name eth1; on 3 ip link set eth1 up
on 3 nslab apply --as node3 lab.yaml
on 3 ip link property add dev eth1 altname other
on 3 ip link set eth1 name lan0 2> /dev/null || { on 3 ip link set eth1 down; on 3 ip link set eth1 name lan0; }
all nslab destroy pods
on 3 ip link set lan0 down; on 3 ip link set lan0 name eth1; on 3 ip link set eth1 up
on 3 ip link property del dev eth1 altname other
settled 3
are_as_before
