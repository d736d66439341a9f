iptables -A INPUT -p icmp -j ACCEPT
