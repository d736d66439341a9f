# Somebody's rules lead to a chain of a lab, and somebody's chains are in a table of nslab's.
cp firewall.yaml lab.yaml
nslab apply lab.yaml
iptables -N THEIRS
iptables -A THEIRS -s 198.51.100.1 -g NSLAB-fw-FWD
iptables -A THEIRS -s 198.51.100.2 -j DROP
iptables -A FORWARD -p tcp -j THEIRS
iptables -A FORWARD -p udp -g NSLAB-fw-FWD
nft add chain ip nat base '{ type nat hook postrouting priority 200; policy accept; }'
nft add chain ip nat regular
ip6tables -t nat -N LATER
nslab plan lab.yaml | grep -q 'nothing to do'
nslab destroy fw
[ "$(nft list ruleset | grep -c NSLAB)" = 0 ]
iptables-save > said
grep -q '^-A THEIRS -s 198.51.100.2/32 -j DROP' said
grep -q '^-A FORWARD -p tcp -j THEIRS' said
nft list chain ip nat base | grep -q 'priority'
nft list chain ip nat regular
nft list chain ip6 nat LATER
# Nothing but an empty base chain of somebody's.
nft flush ruleset
nslab apply lab.yaml
nft add chain ip filter base '{ type filter hook forward priority 10; policy accept; }'
nslab destroy fw
nft list chain ip filter base
nft flush ruleset
# And the base chain that iptables makes, with a policy of somebody's.
nslab apply lab.yaml
iptables -P FORWARD DROP
nslab destroy fw
iptables-save | grep -q '^:FORWARD DROP'
