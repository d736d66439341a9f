ip6tables -A INPUT -s 2001:db8::/32 -j DROP
ip6tables -A FORWARD -p udp -j ACCEPT
