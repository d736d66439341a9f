# A name server: over UDP and TCP, IPv4 and IPv6; it forwards, follows changes without a restart, and bears anything.
. "$FUNCTIONS"
cat > lab.yaml <<'YAML'
name: p-dns
namespaces:
  ns:
    interfaces: { eth0: { addresses: [10.0.0.53/24, 10.0.0.54/24, fd00::53/64] } }
    serve:
      - dns: 53
        forward: outside
        zones:
          example.org:
            "@": { MX: 10 mail, TXT: hello }
            www: [10.0.0.1, fd00::1]
            mail: 10.0.0.25
            alias: { CNAME: www }
            away: { CNAME: www.example.net }
  outside:
    interfaces: { eth0: { addresses: [10.0.0.99/24] } }
    serve: [{ dns: 53, zones: { example.net: { www: 192.0.2.80 } } }]
  pc:
    interfaces: { eth0: { addresses: [10.0.0.2/24, fd00::2/64] } }
    hosts: { printer.example.org: 10.0.0.9 }
    dns: { nameservers: [10.0.0.53], search: [example.org] }
  lan:
    bridges: { br0: { ports: [a, b, c] } }
links: [[ns/eth0, lan/a], [pc/eth0, lan/b], [outside/eth0, lan/c]]
YAML
nslab plan lab.yaml > said
grep -qF 'start the servers of ns: dns 53' said; grep -qF 'write the zones of ns' said
nslab apply lab.yaml
ends 0 'nothing to do' nslab apply lab.yaml
pid=$(field p-dns ns/serve pid)
nslab status p-dns > said; grep 'ns/serve' said | grep -qF '53/tcp 53/udp'

# ask HOST udp|tcp: sends the message that is written in hexadecimal digits, and prints the answer so.
cat > ask.pl <<'PERL'
use IO::Socket::IP;
my ($host, $protocol) = @ARGV;
my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => 53, Timeout => 5,
  Type => $protocol eq "udp" ? SOCK_DGRAM : SOCK_STREAM) or die "no connection: $@";
my $in = join "", <STDIN>; $in =~ s/\s//g; $in = pack "H*", $in; alarm 8;
if ($protocol eq "udp") { $s->send($in); $s->recv(my $out, 65535); print unpack("H*", $out), "\n"; exit; }
print $s $in; shutdown $s, 1; local $/; print unpack("H*", <$s>), "\n";
PERL
ask() { nslab exec p-dns pc -- perl "$PWD/ask.pl" "$@"; }
www=03777777076578616d706c65036f7267000001
# At every address, from the address asked.
for at in 10.0.0.53 10.0.0.54 fd00::53; do
  echo "abcd 0100 0001 0000 0000 0000 ${www}0001" | ask $at udp | grep -q '^abcd8580.*0a000001$'
done
# Two messages over one connection, with their lengths.
message="abcd 0100 0001 0000 0000 0000 ${www}0001"
echo "0021 $message 0021 $message" | ask 10.0.0.53 tcp | grep -Eq '^0031abcd.*0a0000010031abcd.*0a000001$'
# An empty message, and one that is cut short, are the end of a connection; garbage over UDP has no answer that is one.
echo 0000 | ask 10.0.0.53 tcp | grep -qx ''
echo "0021 abcd" | ask 10.0.0.53 tcp | grep -qx ''
echo "abcd 0100 0001 0000 0000 0000 c00c 0001 0001" | ask 10.0.0.53 udp | grep -qx 'abcd81010000000000000000'

# As the C library asks: the hosts file first, then names of the search list; an alias; forwarded; over IPv6.
lookup() { nslab exec p-dns pc -- getent "$@"; }
lookup ahostsv4 www | grep -q '^10.0.0.1 '
lookup ahostsv6 www.example.org | grep -q '^fd00::1 '
lookup ahostsv4 printer.example.org | grep -q '^10.0.0.9 '
lookup ahostsv4 alias | grep -q '^10.0.0.1 '
lookup ahostsv4 www.example.net | grep -q '^192.0.2.80 '
lookup ahostsv4 away.example.org | grep -q '^192.0.2.80 '
! lookup ahostsv4 nobody.example.org || exit 1
! lookup ahostsv4 www.example.com || exit 1
nslab logs p-dns ns/serve > said
grep -Eqx 'dns 53: from 10.0.0.2:[0-9]+ to 10.0.0.53: www.example.org A: NOERROR' said
grep -Eqx 'dns 53: from 10.0.0.2:[0-9]+ to 10.0.0.53: nobody.example.org A: NXDOMAIN' said
grep -Eqx 'dns 53: from 10.0.0.2:[0-9]+ to 10.0.0.53: www.example.com A: REFUSED' said

# Another record: the server goes on running, and has it at once.
sed -i 's/www: \[10.0.0.1, fd00::1\]/www: 10.0.0.7/; s/mail: 10.0.0.25/mail: 10.0.0.25\n            new: 10.0.0.8/' lab.yaml
nslab plan lab.yaml > said; grep -qF 'write the zones of ns' said; ! grep -q 'servers' said || exit 1
nslab apply lab.yaml
for _ in $(seq 50); do lookup ahostsv4 new && break; sleep 0.1; done
lookup ahostsv4 new | grep -q '^10.0.0.8 '; lookup ahostsv4 www | grep -q '^10.0.0.7 '
[ "$(field p-dns ns/serve pid)" = "$pid" ]
# Somebody else changes what it knows, or takes it away: that is found, and mended.
echo '{"zones":[]}' > /run/nslab/p-dns/etc/.zones/ns
nslab plan lab.yaml | grep -qF 'what its name server knows is not as it should be'
nslab apply lab.yaml
rm /run/nslab/p-dns/etc/.zones/ns
nslab apply lab.yaml; ends 0 'nothing to do' nslab plan lab.yaml
for _ in $(seq 50); do lookup ahostsv4 new && break; sleep 0.1; done
lookup ahostsv4 new | grep -q '^10.0.0.8 '
nslab commands lab.yaml > script; sh -n script; grep -qF 'nslab serve dns:53,zones=/run/nslab/p-dns/etc/.zones/ns' script
nslab destroy p-dns
