# Network namespaces that carry the mark of a lab under names that the lab has not given: a second name of one of its
# own namespaces, one that root has made, one that another program has mounted. They stay, whatever of the state is
# there.
for lost in nothing all; do
  nslab apply lab.yaml
  ip netns exec red sleep 50 &
  inside=$!
  until [ "$(readlink /proc/$inside/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
  ip netns attach second $inside
  ip netns add made
  ip -n made link set lo alias nslab:other
  touch /run/netns/mounted
  unshare --net=/run/netns/mounted ip link set lo alias nslab:other
  [ $lost = nothing ] || rm -rf /run/nslab
  nslab list --format json > labs
  ! grep -qE 'second|made|mounted' labs || exit 1
  nslab destroy other
  nslab destroy --all
  [ "$(ip netns list | sed 's/ .*//' | sort | xargs)" = 'made mounted second' ]
  ip -n second link show lo | grep -q nslab:
  ip netns del second; ip netns del made; ip netns del mounted
  kill $inside
done

# A lab that wants such a name says so, and can adopt it; undone, it is nobody's again; what was adopted is the lab's.
ip netns add red
ip -n red link set lo alias nslab:other
code=0; nslab apply lab.yaml > said 2>&1 || code=$?
[ $code = 3 ]; grep -q 'namespace red exists and was not made by nslab' said
ip -n red link set lo alias ''
ip netns exec red sysctl -qw net.ipv4.ip_forward=1
nslab apply --adopt lab.yaml
rm -rf /run/nslab
nslab list | grep -q other
nslab destroy other
[ -z "$(ip netns)" ]

# What the printed script has built is the lab's, too.
nslab commands lab.yaml > build
sh build
nslab list | grep -q other
nslab plan --exit-code lab.yaml
nslab destroy other
[ -z "$(ip netns)" ]

# A name that is a link is not adopted, since it has nothing that could say whose it is.
ip netns add real
ln -s real /run/netns/red
code=0; nslab apply --adopt lab.yaml > said 2>&1 || code=$?
[ $code = 3 ]; grep -q 'a link' said
[ "$(ip netns list | sed 's/ .*//' | sort | xargs)" = 'real red' ]
