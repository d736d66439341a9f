# The same by VXLAN, without bridges for the pods, and with both families and masquerading.
. "$FUNCTIONS"
keep_states
for routing in vxlan routed routes; do
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
  apply_all lab.yaml
  for n in $machines; do on "$n" nslab plan --exit-code many; done
  checked lab.yaml many > report || { cat report; exit 1; }
  grep 'all as promised' report
  all nslab destroy many
  are_as_before
done
