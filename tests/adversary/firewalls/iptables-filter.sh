iptables -A INPUT -i lo -j ACCEPT
iptables -A INPUT -p tcp --dport 22 -m comment --comment 'the way in' -j ACCEPT
iptables -A FORWARD -s 198.51.100.0/24 -j REJECT
