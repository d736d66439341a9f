# The distribution lets one choose between two variants of iptables, which do not see the rules of each other.
cp firewall.yaml lab.yaml
cp unrelated.yaml other.yaml
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
