iptables -A FORWARD -s 198.51.100.1 -j DROP
iptables-legacy -A FORWARD -s 198.51.100.2 -j DROP
iptables-legacy -t nat -S > /dev/null
