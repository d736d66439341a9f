# Ingress controllers: HTTP and HTTPS from outside, over pods on several nodes; who sees whom; changes that cut nobody
# off, and what is mended.
. "$FUNCTIONS"
[ -x /usr/sbin/nginx ] || { echo "there is no nginx: install the package nginx" >&2; exit 1; }
sed 's/^name: ingress/name: p-ingr/' "$(dirname "$FUNCTIONS")/../../topologies/12-ingress.yaml" > lab.yaml
nslab apply --check lab.yaml
ends 0 'nothing to do' nslab plan lab.yaml
out() { nslab exec p-ingr outside -- curl -sS --max-time 10 "$@"; }
shop() { out --resolve shop.example:80:198.51.100.10 "http://shop.example$1"; }
# Three nodes, a pod on each: all of them are asked.
for _ in $(seq 40); do shop /pay; done > answers
[ "$(grep -o '^pay-. answers' answers | sort -u | tr -d '\n')" = 'pay-1 answerspay-2 answerspay-3 answers' ]
# The pod sees the controller, and whoever has asked in a header.
grep '^caller: ' answers | grep -vqE '^caller: 10\.244\.[123]\.' && exit 1
[ "$(grep '^x-forwarded-for: ' answers | sort -u)" = 'x-forwarded-for: 192.168.1.100' ]
# By a node port; with a header that pretends another client.
out -H 'X-Forwarded-For: 1.2.3.4' --resolve shop.example:30080:192.168.1.12 http://shop.example:30080/stream/live > answers
grep -q '^stream-1 answers' answers; grep -qx 'x-forwarded-for: 192.168.1.100' answers
# HTTPS: the lab's own authority, and no other.
ends 0 'Certificates are signed by /run/nslab/p-ingr/ca.crt.' nslab status p-ingr
secure() { out --resolve "$1:443:198.51.100.10" "https://$1/" --cacert /run/nslab/p-ingr/ca.crt; }
secure secure.example | grep -q '^pay-. answers'
ends 60 'SSL' secure shop.example
ends 60 'SSL' out --resolve secure.example:443:198.51.100.10 https://secure.example/
[ "$(stat -c %a /run/nslab/p-ingr/ca.key /run/nslab/p-ingr/files/ingress-nginx-1/nginx/*.key | sort -u)" = 600 ]
ca=$(cat /run/nslab/p-ingr/ca.crt); crt=$(cat /run/nslab/p-ingr/files/ingress-nginx-1/nginx/default.secure-tls.crt)
# Endpoints come and go while requests are answered: none is cut off, not even one that takes longer than that.
sed -i 's/- { name: stream-1, labels: { app: stream }, ports: { http: 8000 }, serve: \[http: 8000\] }/&\
        - name: slow\
          labels: { app: slow }\
          run: { slow: { command: [perl, -e, '"'"'use IO::Socket::INET; $SIG{CHLD} = "IGNORE"; my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 9, ReuseAddr => 1) or die; while (my $c = $s->accept) { next if fork; while (<$c>) { last if \/^\\r?$\/ } print $c "HTTP\/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nslow "; $c->flush; sleep 3; print $c "done\\n"; exit }'"'"'], ready: { port: 80 } } }/
  s/^  services:$/&\n    - { name: slow, selector: { app: slow }, ports: [{ port: 80 }] }/
  s/^        - host: shop.example$/        - { host: slow.example, http: { paths: [{ path: \/, pathType: Prefix, backend: { service: { name: slow, port: { number: 80 } } } }] } }\n&/' lab.yaml
nslab apply lab.yaml
ends 0 'nothing to do' nslab plan lab.yaml
pids() { for n in 1 2 3; do field p-ingr ingress-nginx-$n/nginx pid; done | tr '\n' ' '; }
before=$(pids)
slow() { out --resolve slow.example:30080:192.168.1.11 http://slow.example:30080/; }
sleep 0.5; slow > slow.out & waits=$!
(
  set +ex
  for _ in $(seq 500); do
    if [ -e enough ]; then break; fi
    shop /pay > one || echo "cut off: $?"
    grep -q '^pay-. answers' one || cat one
  done
) > cut 2> /dev/null < /dev/null & asks=$!
for change in 's/name: pay-1,/name: pay-1, ready: false,/' 's/name: pay-1, ready: false,/name: pay-1,/;s/name: pay-3,/name: pay-3, ready: false,/' 's/name: pay-3, ready: false,/name: pay-3,/'; do
  sleep 0.3; sed -i "$change" lab.yaml; nslab apply lab.yaml | tail -1
done
ends 0 'nothing to do' nslab plan lab.yaml
wait $waits; [ "$(cat slow.out)" = 'slow done' ]
touch enough; wait $asks; cat cut; [ ! -s cut ]
[ "$(pids)" = "$before" ]; [ "$(cat /run/nslab/p-ingr/ca.crt)" = "$ca" ]
[ "$(cat /run/nslab/p-ingr/files/ingress-nginx-1/nginx/default.secure-tls.crt)" = "$crt" ]
# Another host in the certificate: another certificate of the same authority, without a new start.
sed -i 's/hosts: \[secure.example\]/hosts: [secure.example, more.example]/; s/^        - host: secure.example/        - { host: more.example, http: { paths: [{ path: \/, pathType: Prefix, backend: { service: { name: pay-service, port: { number: 8080 } } } }] } }\n&/' lab.yaml
nslab apply lab.yaml
for _ in $(seq 50); do secure more.example > answers 2>&1 && break; sleep 0.1; done; grep -q '^pay-. answers' answers
[ "$(pids)" = "$before" ]
# What somebody does to its files is found and mended; so is its death.
files=/run/nslab/p-ingr/files/ingress-nginx-1/nginx
echo 'broken;' >> $files/nginx.conf
ends 0 'program ingress-nginx-1/nginx anew, and send it HUP (`files` differs)' nslab plan lab.yaml
nslab apply lab.yaml
grep -q broken $files/nginx.conf && exit 1
rm $files/nginx.conf $files/default.key
ends 0 'program ingress-nginx-1/nginx anew, and send it HUP (`files` differs)' nslab plan lab.yaml
nslab apply lab.yaml; [ -s $files/nginx.conf ]; [ -s $files/default.key ]
ends 0 'nothing to do' nslab plan lab.yaml
[ "$(pids)" = "$before" ]
kill -9 "$(field p-ingr ingress-nginx-1/nginx pid)"
for _ in $(seq 100); do [ "$(field p-ingr ingress-nginx-1/nginx restarts)" = 1 ] && break; sleep 0.1; done
becomes p-ingr ingress-nginx-1/nginx running
ends 0 'nothing to do' nslab plan lab.yaml
nslab check lab.yaml
# The authority is gone: there is a new one, and all certificates are of that.
rm /run/nslab/p-ingr/ca.key
ends 0 'program ingress-nginx-3/nginx anew, and send it HUP (`certificates` differs)' nslab plan lab.yaml
nslab apply lab.yaml; [ "$(cat /run/nslab/p-ingr/ca.crt)" != "$ca" ]
ends 0 'nothing to do' nslab plan lab.yaml
for _ in $(seq 50); do secure secure.example > answers 2>&1 && break; sleep 0.1; done; grep -q '^pay-. answers' answers
nslab destroy p-ingr
[ ! -e /run/nslab/p-ingr ]
