# Somebody puts native nft rules into the tables of iptables, which then shows a part of them, or nothing.
cp firewall.yaml lab.yaml
cp unrelated.yaml other.yaml
sysctl -qw net.ipv4.ip_forward=0
while read -r rule; do
  nslab apply lab.yaml
  nft add "$rule" || { nslab destroy fw; continue; }
  nslab list | grep -q fw
  code=0; nslab plan lab.yaml > said 2>&1 || code=$?
  if [ $code = 3 ]; then grep -q 'cannot list the iptables rules of host' said; else grep -q 'nothing to do' said; fi
  nslab apply other.yaml
  nslab destroy other
  nft list table ip filter > before
  nslab destroy fw
  nft list table ip filter > after 2> /dev/null || true
  [ "$(nft list ruleset | grep -c NSLAB)" = 0 ]
  # Nothing has gone but what is the lab's, or in one of its chains.
  case $rule in
  *NSLAB*) [ ! -s after ] ;;
  *)
    diff before after | grep '^<' | grep -v -e NSLAB- -e 'daddr 192.0.2.0/24 .* drop' -e '# Warning' \
      -e '^<[[:space:]]*}*$' && exit 1
    diff before after | grep '^>' && exit 1
    grep -q -e 198.51.100.1 -e 'meta time' -e numgen -e mine after
    ;;
  esac
  [ "$(ip netns list)" = '' ]
  [ "$(sysctl -n net.ipv4.ip_forward)" = 0 ]
  # The next apply works, or says before the first change why it does not.
  code=0; nslab apply lab.yaml > said 2>&1 || code=$?
  [ $code = 0 ] || { [ $code = 3 ]; grep -q 'cannot list the iptables rules of host' said; [ "$(ip netns list)" = '' ]; }
  nslab destroy fw
  nft list table ip filter > again 2> /dev/null || true; cmp after again
  nft flush ruleset
done <<'END'
rule ip filter FORWARD ip saddr { 198.51.100.1, 198.51.100.2 } drop
rule ip filter FORWARD meta time "2020-01-01" drop
rule ip filter FORWARD ct mark set numgen inc mod 2
rule ip filter FORWARD ip saddr 198.51.100.1 log prefix "x" level audit
rule ip filter FORWARD ip saddr vmap { 198.51.100.1 : drop }
rule ip filter NSLAB-fw-FWD meta hour 1-2 drop
chain ip filter mine { type filter hook forward priority 10; policy accept; }
END
