# A network namespace of root's own, to which root, not nslab, gave a name, says what a setting of the host was: it is
# not believed. That of a lab is believed in the lab's own namespaces.
sysctl -qw net.ipv4.ip_forward=0
ip netns add stolen
ip -n stolen link set lo alias 'nslab:other was net.ipv4.ip_forward=1'
ip netns add evil
ip -n evil link set lo alias 'nslab:evil was net.ipv4.ip_forward=1; net.ipv4.ip_local_reserved_ports=7'
nslab apply lab.yaml
nslab destroy other
nslab destroy --all
[ "$(sysctl -n net.ipv4.ip_forward)" = 0 ]
[ -z "$(sysctl -n net.ipv4.ip_local_reserved_ports)" ]

# With a file of that name that says so, but for another lab.
cat > fwd.yaml <<'END'
name: fwd
namespaces:
  host: { forwarding: true }
  red: {}
END
nslab apply fwd.yaml
ip -n red link set lo alias 'nslab:evil was net.ipv4.ip_local_reserved_ports=7'
nslab destroy evil
[ -z "$(sysctl -n net.ipv4.ip_local_reserved_ports)" ]
nslab destroy fwd
[ "$(sysctl -n net.ipv4.ip_forward)" = 0 ]
ip netns del red

# Its own is believed.
nslab apply fwd.yaml
rm -rf /run/nslab
nslab destroy fwd
[ "$(sysctl -n net.ipv4.ip_forward)" = 0 ]
[ "$(ip netns list | sed 's/ .*//' | sort | xargs)" = 'evil stolen' ]
