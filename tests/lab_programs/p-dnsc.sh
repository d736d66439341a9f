# The name servers of a cluster: the shipped lab, as the C library asks; pods and services that come and go.
. "$FUNCTIONS"
sed 's/^name: dns/name: p-dnsc/' "$(dirname "$FUNCTIONS")/../../topologies/10-dns.yaml" > lab.yaml
nslab apply lab.yaml
ends 0 'nothing to do' nslab plan lab.yaml
v4() { nslab exec p-dnsc "$1" -- getent ahostsv4 "$2" | awk '$2 == "STREAM" { print $1 }' | sort | tr '\n' ' '; }
nslab exec p-dnsc client -- cat /etc/resolv.conf > got
printf 'nameserver 10.96.0.10\nsearch apps.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n' | cmp - got
for name in web-service web-service.apps web-service.apps.svc web-service.apps.svc.cluster.local; do
  [ "$(v4 client $name)" = '10.96.0.20 ' ]
done
[ "$(v4 stranger web-service)" = '' ]; [ "$(v4 stranger web-service.apps)" = '10.96.0.20 ' ]
[ "$(v4 client 10-244-2-5.apps.pod.cluster.local)" = '10.244.2.5 ' ]
[ "$(v4 client web-pods)" = '10.244.2.5 10.244.2.6 ' ]
[ "$(v4 client 10-244-2-6.web-pods)" = '10.244.2.6 ' ]
[ "$(v4 client www.example.org)" = '192.0.2.80 ' ]; [ "$(v4 client elsewhere)" = '192.0.2.80 ' ]
[ "$(v4 client kube-dns.kube-system)" = '10.96.0.10 ' ]
nslab check -v lab.yaml > said; grep -qx "  web-service.apps.apps.svc.cluster.local A at 10.96.0.10: NXDOMAIN" said
[ "$(nslab exec p-dnsc client -- getent hosts 10.96.0.20 | awk '{ print $2 }')" = web-service.apps.svc.cluster.local ]
[ "$(v4 client nobody)" = '' ]
# A pod is no longer ready, and a service is new: the same processes say so.
pids="$(field p-dnsc coredns-1/serve pid) $(field p-dnsc coredns-2/serve pid)"
sed -i 's/address: 10.244.2.6,/address: 10.244.2.6, ready: false,/; s/^  services:$/  services:\n    - { name: new, namespace: apps, selector: { app: web }, clusterIP: 10.96.0.21, ports: [{ port: 80 }] }/' lab.yaml
nslab apply lab.yaml
for _ in $(seq 50); do [ "$(v4 client new)" = '10.96.0.21 ' ] && break; sleep 0.1; done
[ "$(v4 client new)" = '10.96.0.21 ' ]; [ "$(v4 client web-pods)" = '10.244.2.5 ' ]
[ "$(field p-dnsc coredns-1/serve pid) $(field p-dnsc coredns-2/serve pid)" = "$pids" ]
nslab dns p-dnsc > said; grep -qx 'web-service.apps.svc.cluster.local. 30 IN A 10.96.0.20' said
grep -qx 'www.example.org. 300 IN A 192.0.2.80' said
nslab dns p-dnsc --corefile > said; grep -qx '        pods insecure' said; grep -qF 'forward . 192.168.1.53:53' said
ends 2 'there is no name server' nslab dns p-dnsc client
nslab destroy p-dnsc
