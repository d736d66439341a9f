cp -a /etc/alternatives links
mount --bind links /etc/alternatives
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -sfn /usr/sbin/xtables-legacy-multi links/$name
done
# Legacy tables cannot be removed: they are there from their first use on.
iptables -t nat -S > /dev/null
iptables -A FORWARD -s 198.51.100.1 -j DROP
