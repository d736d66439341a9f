# The same by VXLAN, without bridges for the pods, and with both families and masquerading.
. "$FUNCTIONS"
keep_states
# has_ipip: whether the kernel has tunnels of IPv4 in IPv4. Where it has none, that is said on every machine.
has_ipip() { ip link add ipip9 type ipip local 192.0.2.1 2> /dev/null && ip link del ipip9; }
for routing in vxlan routed routes ipip; do
  cat > lab.yaml <<END
name: many
cluster:
  node_network: [192.168.1.0/24, "fd00:1::/64"]
  pod_network: [10.244.0.0/16, "fd00:244::/48"]
  routing: $routing
  egress: masquerade
  nodes:
    node1: { address: [192.168.1.11, "fd00:1::11"], pods: 2 }
    node2: { address: [192.168.1.12, "fd00:1::12"], pods: 1 }
    node3: { address: [192.168.1.13, "fd00:1::13"], pods: 1 }
checks:
  - { from: pods, to: pods, seen_as: itself }
  - { from: pods, to: pods, family: 6, seen_as: itself }
  - { from: pods, to: pods, port: 80, seen_as: itself }
  - { from: pods, to: pods, port: 53, protocol: udp, seen_as: itself }
  - { from: nodes, to: pods }
  - { from: pod-1-1, to: node2, seen_as: 192.168.1.11 }
  - { from: pod-1-1, to: pod-2-1, size: 1400, port: 5000 }
  - { from: pod-1-1, to: pod-2-1, size: 1400, port: 5000, protocol: udp }
  - { from: pod-1-1, to: pod-2-1, port: 81, expect: refused }
  - { from: pod-1-1, to: pod-2-1, port: 82, protocol: udp, expect: refused }
  - { from: pod-1-1, to: 10.244.9.9, expect: unreachable }
END
  if [ "$routing" = ipip ]; then
    sed -i 's/\[\(1[0-9./]*\), "[^]]*\]/\1/; /family: 6/d' lab.yaml
    if ! has_ipip; then
      for n in $machines; do
        if on "$n" nslab apply --as "node$n" lab.yaml > said 2>&1; then exit 1; fi
        grep 'this kernel has no interfaces of the kind ipip' said
      done
      are_as_before
      continue
    fi
  fi
  apply_all lab.yaml
  for n in $machines; do on "$n" nslab plan --exit-code many; done
  checked lab.yaml many > report || { cat report; exit 1; }
  grep 'all as promised' report
  all nslab destroy many
  are_as_before
done
