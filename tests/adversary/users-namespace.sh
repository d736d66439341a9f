# An ordinary user's network namespace, to which root has given a name, says that it is a lab's, and what a setting of
# the host was before that lab.
cat > lab.yaml <<'END'
name: other
namespaces:
  red: { interfaces: { eth0: { addresses: [10.0.0.1/24] } } }
  blue: { interfaces: { eth0: { addresses: [10.0.0.2/24] } } }
links: [[red/eth0, blue/eth0]]
END
sysctl -qw net.ipv4.ip_forward=0
unshare --user --map-root-user --net sh -c '
  ip link set lo alias "nslab:evil was net.ipv4.ip_forward=1"; touch /run/ready; exec sleep 50' &
user=$!
while ! [ -e /run/ready ]; do sleep 0.05; done
ip netns attach stolen $user

[ "$(nslab list --format json | grep -c evil)" = 0 ]
nslab apply lab.yaml
nslab destroy evil || [ $? = 2 ]
nslab destroy --all
[ "$(sysctl -n net.ipv4.ip_forward)" = 0 ]
[ "$(ip netns list)" = stolen ] || ip netns list | grep -q '^stolen'

# Nor is it taken for one's own where a lab wants its name, adopted or not.
sed s/red/stolen/ lab.yaml > wants.yaml
code=0; nslab apply wants.yaml > said 2>&1 || code=$?
[ $code = 3 ]; grep -q 'namespace stolen exists' said
code=0; nslab apply --adopt wants.yaml > said 2>&1 || code=$?
[ $code = 3 ]
ip netns exec stolen ip link show lo | grep -q nslab:evil
kill $user
