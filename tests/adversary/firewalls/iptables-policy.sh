iptables -P FORWARD DROP
iptables -P INPUT ACCEPT
iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
