iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 198.51.100.9:8080
iptables -t nat -A POSTROUTING -s 198.51.100.0/24 -j MASQUERADE
