iptables-legacy -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE
