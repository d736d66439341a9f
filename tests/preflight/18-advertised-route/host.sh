ip link add eth-lan type veth peer name lan
ip link add eth-wan type veth peer name wan
for dev in eth-lan lan eth-wan wan; do ip link set $dev up; done
sysctl -qw net.ipv6.conf.eth-lan.accept_ra=1 net.ipv6.conf.eth-wan.accept_ra=2
ip -6 route add default via fe80::1 dev eth-lan proto ra
ip -6 route add 2001:db8::/64 via fe80::1 dev eth-wan proto ra
