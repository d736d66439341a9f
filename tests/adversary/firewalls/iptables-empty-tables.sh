iptables -A FORWARD -j ACCEPT
iptables -D FORWARD -j ACCEPT
iptables -t nat -N EMPTY
