# Built-in servers: what they answer over HTTP, TCP and UDP; their log, their state; changed, killed, undone.
. "$FUNCTIONS"
cat > lab.yaml <<'YAML'
name: p-serve
namespaces:
  red:
    interfaces: { eth0: { addresses: [10.0.0.1/24, 10.0.0.3/24, fd00::1/64] } }
    serve:
      - http: 80
      - { http: 8080, status: 503, text: "closed for {today}\nand tomorrow" }
      - { tcp: 7, address: 10.0.0.3 }
      - udp: 7
  blue:
    interfaces: { eth0: { addresses: [10.0.0.2/24, fd00::2/64] } }
    run: { after: { command: echo served, needs: red/serve } }
links: [[red/eth0, blue/eth0]]
checks: [{ from: blue, to: red, seen_as: itself }]
YAML
nslab plan lab.yaml > said; grep -qF 'start the servers of red: http 80, http 8080, tcp 7 at 10.0.0.3, udp 7' said
nslab apply lab.yaml
ends 0 'nothing to do' nslab apply lab.yaml
[ "$(field p-serve red/serve state)" = running ]
nslab status p-serve > said; tr -s '\n ' ' ' < said | grep -qF 'ports: 7/tcp 7/udp 80/tcp 8080/tcp'
pid=$(field p-serve red/serve pid); [ "$(ip netns pids red)" = "$pid" ]

# A request: ask NS HOST PORT, and what is to be sent as the standard input. No other program is needed than perl.
cat > ask.pl <<'PERL'
use IO::Socket::IP;
my ($host, $port, $protocol) = @ARGV;
my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Timeout => 5,
  Type => $protocol eq "udp" ? SOCK_DGRAM : SOCK_STREAM) or die "no connection: $@";
local $/; my $in = <STDIN>; alarm 5;
if ($protocol eq "udp") { $s->send($in); $s->recv(my $out, 65535); print $out; exit; }
print $s $in; shutdown $s, 1; print <$s>;
PERL
ask() { ns=$1; shift; ip netns exec "$ns" perl ask.pl "$@"; }
get() { printf 'GET %s HTTP/1.1\r\nHost: red\r\nConnection: close\r\n\r\n' "$1"; }
body() { tr -d '\r' | sed '1,/^$/d'; }

# HTTP: who answers, who asks, for what; over IPv6; a status and a text.
get /a?b | ask blue 10.0.0.1 80 > said; head -1 said | grep -q '200 OK'; grep -q '^server: nslab (red)' said
body < said | sed 's/10.0.0.2:[0-9]*/10.0.0.2:PORT/' > got
printf 'red answers at 10.0.0.1:80\ncaller: 10.0.0.2:PORT\nrequest: GET /a?b\nhost: red\n' | cmp - got
get / | ask blue fd00::1 80 | body > got; grep -qx 'red answers at \[fd00::1\]:80' got; grep -q 'caller: \[fd00::2\]:' got
get / | ask blue 10.0.0.3 8080 > said; head -1 said | grep -q '503'
body < said > got; printf 'closed for {today}\nand tomorrow\n' | cmp - got
# HEAD has no body; a connection serves several requests; a body is read, and forgotten.
printf 'HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' | ask blue 10.0.0.1 80 | body > got; [ ! -s got ]
{ printf 'POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello'; get /second; } | ask blue 10.0.0.1 80 > said
[ "$(grep -c '^request:' said)" = 2 ]; grep -q '^request: POST /p' said; grep -q '^request: GET /second' said
# What is too large, and what is no HTTP.
{ printf 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n'; head -c 1200000 /dev/zero; } > large
ask blue 10.0.0.1 80 < large > said || true; head -1 said | grep -q '413'
{ printf 'GET / HTTP/1.1\r\nX: '; head -c 100000 /dev/zero | tr '\0' x; printf '\r\n\r\n'; } > large
ask blue 10.0.0.1 80 < large > said; head -1 said | grep -q '431'
echo nonsense | ask blue 10.0.0.1 80 > said; head -1 said | grep -q '400'

# Who asks twice and is gone before the answer ends no server.
for _ in 1 2 3 4 5; do
  ip netns exec blue perl -MIO::Socket::IP -e '$s = IO::Socket::IP->new(PeerHost => "10.0.0.1", PeerPort => 80);
    print $s "GET / HTTP/1.1\r\nHost: x\r\n\r\n" x 20; $s->flush; close $s'
done
get / | ask blue 10.0.0.1 80 | grep -q '^red answers'
[ "$(field p-serve red/serve pid)" = "$pid" ]

# TCP and UDP.
echo hello | ask blue 10.0.0.3 7 > got; sed -n 1p got | grep -Eqx 'red answers at 10.0.0.3:7 to 10.0.0.2:[0-9]+'
[ "$(sed -n 2p got)" = hello ]; [ "$(wc -l < got)" = 2 ]
! echo | ask blue 10.0.0.1 7 || exit 1
echo hello | ask blue 10.0.0.3 7 udp > got; sed -n 1p got | grep -Eqx 'red answers at 10.0.0.3:7 to 10.0.0.2:[0-9]+'
[ "$(sed -n 2p got)" = hello ]
echo hello | ask blue fd00::1 7 udp | grep -q 'red answers at \[fd00::1\]:7 to \[fd00::2\]'
printf 'a\0b' | ask blue 10.0.0.1 7 udp > got; printf 'a\0b' | cmp - got

nslab logs p-serve red/serve > said
grep -Eqx 'http 80: from 10.0.0.2:[0-9]+ to 10.0.0.1: GET /a\?b, 200' said
grep -Eqx 'http 8080: from 10.0.0.2:[0-9]+ to 10.0.0.3: GET /, 503' said
grep -Eqx 'tcp 7: from 10.0.0.2:[0-9]+ to 10.0.0.3' said
grep -Eqx 'udp 7: from 10.0.0.2:[0-9]+ to 10.0.0.3: 6 bytes' said
grep -Eq 'http 80: from .*: no request of HTTP/1.1' said

# Only changed servers are started anew; killed ones start by themselves.
sed -i 's/udp: 7/udp: 9/' lab.yaml
ends 0 'end the servers of red, and start them as the file has them: http 80, http 8080, tcp 7 at 10.0.0.3, udp 9 (`serve` differs)' \
  nslab plan lab.yaml
nslab apply lab.yaml
now=$(field p-serve red/serve pid); [ "$now" != "$pid" ]; is_gone "$pid"
kill -9 "$now"
for _ in $(seq 100); do [ "$(field p-serve red/serve restarts)" = 1 ] && break; sleep 0.05; done
becomes p-serve red/serve running
get / | ask blue 10.0.0.1 80 | grep -q '^red answers'
ends 0 'nothing to do' nslab plan lab.yaml
# The script starts the same by hand.
nslab commands lab.yaml > script; sh -n script
grep -qF "nslab serve http:80 'http:8080,status=503,text=closed for {today}" script
# None are wanted any more.
sed -i '/serve:/,/udp: 9/d; s/, needs: red.serve//' lab.yaml
nslab plan lab.yaml > said; grep -qF 'end the servers of red: http 80' said
nslab apply lab.yaml; [ -z "$(ip netns pids red)" ]
nslab destroy p-serve
