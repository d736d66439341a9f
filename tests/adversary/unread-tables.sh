# The kernel does not show the firewall of a node: of the tables of nf_tables there, nothing is said or planned either.
cat > nodes.yaml <<end
name: nodes
cluster:
  node_network: 192.168.1.0/24
  pod_network: 10.244.0.0/16
  routing: routed
  proxy_mode: nftables
  nodes: { node1: { pods: [{ name: web, labels: { app: web } }] }, node2: {} }
  services: [{ name: web, selector: { app: web }, ports: [{ port: 80 }] }]
  policies: [{ name: web }]
end
nslab apply nodes.yaml
fails() { wanted=$1; shift; code=0; "$@" > said 2>&1 || code=$?; [ $code = "$wanted" ] || { cat said; exit 1; }; }
blind() { NSLAB_STOP_AT="unread:firewall rules of node1" nslab "$@"; }
fails 3 blind plan nodes.yaml
grep -q 'cannot list the firewall rules of node1: .*(ENOMEM)' said
! grep -q -e step -e 'table ' said || exit 1
fails 0 blind status nodes
! grep -q 'to fix' said || exit 1
# What drifts elsewhere is seen.
ip netns exec node2 nft flush chain ip kube-proxy services
fails 3 blind plan nodes.yaml
grep -q 'chain services of table ip kube-proxy in node2' said
! grep -q node1.*table said || exit 1
nslab destroy nodes
