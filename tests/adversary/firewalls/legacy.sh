iptables-legacy -A INPUT -s 198.51.100.1 -j DROP
iptables-legacy -t nat -A POSTROUTING -s 198.51.100.0/24 -j MASQUERADE
