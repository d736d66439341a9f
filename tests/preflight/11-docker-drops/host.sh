iptables -P FORWARD DROP
nft 'add table inet firewall; add chain inet firewall forward { type filter hook forward priority 10; policy drop; }'
