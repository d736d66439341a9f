# iptables is uninstalled while a lab has rules.
cp firewall.yaml lab.yaml
cp unrelated.yaml other.yaml
cat > inner.yaml <<'END'
name: inner
namespaces:
  pink:
    interfaces: { eth0: { addresses: [10.8.0.2/24] } }
    nat: [masquerade: { source: 10.9.0.0/24 }]
  grey: { interfaces: { eth0: { addresses: [10.8.0.1/24] } } }
links: [[pink/eth0, grey/eth0]]
checks: [{ from: grey, to: pink }]
END
nslab apply lab.yaml
nslab apply inner.yaml
nslab apply other.yaml
: > none
cp -a /etc/alternatives links
rm links/iptables* links/ip6tables*
mount --bind links /etc/alternatives
mount --bind none /usr/sbin/xtables-nft-multi

nslab list > said; grep -q fw said; grep -q inner said; grep -q other said
for lab in fw inner other; do nslab status $lab; done > said
grep -q 'iptables: it is not installed' said
nslab exec inner pink true
nslab check inner.yaml
for lab in lab inner; do
  for command in plan apply; do
    code=0; nslab $command $lab.yaml > said 2>&1 || code=$?
    [ $code = 3 ]; grep -q 'not installed' said
  done
done
[ "$(sysctl -n net.ipv4.ip_forward)" = 1 ]
code=0; nslab doctor lab.yaml > said 2>&1 || code=$?
[ $code = 1 ]; grep -q "not installed" said
nslab plan other.yaml
nslab destroy other
nslab apply other.yaml
nslab destroy --all
[ -z "$(nft list ruleset)" ]
[ "$(ip netns list)" = '' ]
[ "$(sysctl -n net.ipv4.ip_forward)" = 0 ]
