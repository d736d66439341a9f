iptables -t mangle -A PREROUTING -s 198.51.100.1 -j MARK --set-mark 7
iptables -t raw -A PREROUTING -s 198.51.100.2 -j NOTRACK
