for chain in before-input after-input before-forward user-forward; do iptables -N ufw-$chain; done
iptables -P INPUT DROP
iptables -P FORWARD DROP
iptables -A INPUT -j ufw-before-input
iptables -A INPUT -j ufw-after-input
iptables -A FORWARD -j ufw-before-forward
iptables -A FORWARD -j ufw-user-forward
iptables -A ufw-before-input -i lo -j ACCEPT
ip6tables -P FORWARD DROP
ip6tables -N ufw6-input
