# A test that is killed takes the processes along that it has started, for root and in a user namespace of its own.
cat > slow.yaml <<'YAML'
name: slow
namespaces:
  red: { interfaces: { eth0: { addresses: [10.1.0.1/24] } } }
  blue: { interfaces: { eth0: { addresses: [10.1.0.2/24] } } }
links: [[red/eth0, blue/eth0]]
checks: [{ from: [red], to: [10.1.0.9], timeout: 20s, expect: unreachable }]
YAML
killed() {
  "$@" > said 2>&1 & parent=$!
  sleep 3
  children=$(cat /proc/$parent/task/*/children)
  [ -n "$children" ]
  kill -9 $parent
  wait $parent || true
  sleep 1
  # Whoever inherits them may not have collected them yet.
  for child in $children; do ! ps -o stat= -p "$child" | grep -v Z; done
}
killed nslab test slow.yaml
# Where the other user may look for it.
chmod 755 .
install -m 755 "$(command -v nslab)" own
killed setpriv --reuid=65534 --regid=65534 --clear-groups ./own test slow.yaml
