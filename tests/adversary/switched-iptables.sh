# The distribution lets one choose between two variants of iptables, which do not see the rules of each other.
cat > lab.yaml <<'END'
name: fw
namespaces:
  red: { interfaces: { eth0: { addresses: [10.9.0.2/24] } } }
  host:
    interfaces: { v-red: { addresses: [10.9.0.1/24] } }
    sysctls: { net.ipv4.ip_forward: 1 }
    filter: [{ chain: forward, source: 10.9.0.0/24, destination: 192.0.2.0/24, action: drop }]
    nat: [masquerade: { source: 10.9.0.0/24 }]
links: [[red/eth0, host/v-red]]
END
cat > other.yaml <<'END'
name: other
namespaces: { green: { interfaces: { eth0: {} } }, blue: { interfaces: { eth0: {} } } }
links: [[green/eth0, blue/eth0]]
END
cp -a /etc/alternatives links
mount --bind links /etc/alternatives
choose() {
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sfn /usr/sbin/xtables-$1-multi links/$name
  done
  iptables --version
}
rules() { nft -s list ruleset | grep -v '^# Warning' || true; iptables-legacy-save | grep -v '^#'; }
of_lab() { rules | grep -c NSLAB- || true; }
# Legacy tables stay where they were used once: empty.
iptables-legacy -t nat -S > /dev/null; iptables-legacy -S > /dev/null
iptables-legacy -A FORWARD -s 198.51.100.1 -j DROP
rules | sed 's/\[.*//' > before

for from in nft legacy; do
  to=$([ $from = nft ] && echo legacy || echo nft)
  # Removed with the other one.
  choose $from; nslab apply lab.yaml; [ "$(of_lab)" -gt 3 ]
  choose $to; nslab list | grep -q fw
  nslab destroy fw
  rules | sed 's/\[.*//' > after; cmp before after
  nslab list | grep -q fw && exit 1
  # Moved to the other one, and removed.
  choose $from; nslab apply lab.yaml; count=$(of_lab)
  choose $to; nslab apply lab.yaml
  nslab plan lab.yaml | grep -q 'nothing to do'
  [ "$(of_lab)" -le 6 ]; [ "$(nft list ruleset | grep -c NSLAB-)" = $([ $to = nft ] && echo 4 || echo 0) ]
  # Edited to have none.
  choose $from
  sed -e /filter:/d -e /nat:/d lab.yaml > without.yaml
  nslab apply without.yaml; [ "$(of_lab)" = 0 ]
  nslab destroy fw
  rules | sed 's/\[.*//' > after; cmp before after
done
