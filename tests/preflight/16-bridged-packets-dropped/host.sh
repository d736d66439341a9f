sysctl -qw net.bridge.bridge-nf-call-iptables=1
iptables -P FORWARD DROP
