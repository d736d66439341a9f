# What cannot be started is said with its place in the file, and with what it has printed itself.
. "$FUNCTIONS"
# What the error says, and behind it the place: refused PLACE TEXT
refused() {
  ends 3 "$2" nslab apply lab.yaml
  grep -A1 -F -e "$2" said | grep -qx -e "  --> lab.yaml:$1"
}
program() { printf 'name: p-places\nnamespaces:\n  red:\n    run:\n      x: %s\n' "$1" > lab.yaml; }
program nosuch
refused 5:7 'error: cannot start program red/x: there is no command `nosuch` [program-failed]'
program /etc/passwd
refused 5:7 'error: cannot start program red/x: cannot run `/etc/passwd`: Permission denied [program-failed]'
program '{ command: sleep 9, user: nosuchuser }'
refused 5:7 'error: cannot start program red/x: there is no user `nosuchuser` [program-failed]'
program '{ command: sleep 9, ready: { port: 1, within: 200ms } }'
refused 5:7 'not ready after 200ms: none of its processes listens at port 1/tcp [program-failed]'
program '[sh, -c, "echo why; exit 4"]'
refused 5:7 'error: cannot start program red/x: it ended with exit code 4 [program-failed]'
grep -A1 -x '  its last lines:' said | grep -qx '    why'
# Each of several, also of a pod of a cluster.
cat > lab.yaml <<'END'
name: p-places
namespaces:
  red:
    run:
      x: nosuch
      y: { command: sleep 9, needs: x }
END
refused 6:7 'cannot start program red/y: it needs red/x, which has failed'
grep -A1 -F 'error: cannot start program red/x: there is no command' said | grep -qx '  --> lab.yaml:5:7'
cat > lab.yaml <<'END'
name: p-places
cluster:
  node_network: 192.168.1.0/24
  pod_network: 10.244.0.0/16
  nodes: { node1: { pods: [{ name: p, run: { web: nosuch } }] } }
END
refused 5:46 'cannot start program p/web: there is no command `nosuch`'
# A port that is taken.
printf 'name: p-places\nnamespaces:\n  red: {}\n' > lab.yaml
nslab apply lab.yaml
nslab exec p-places red -- "$(command -v nslab)" serve tcp:8080 > /dev/null 2>&1 & other=$!
until ip netns exec red ss -lnt | grep -q :8080; do sleep 0.05; done
printf 'name: p-places\nnamespaces:\n  red:\n    serve: [{ http: 80 }, { tcp: 8080 }]\n' > lab.yaml
refused 4:15 'cannot start the servers of red'
kill $other
nslab destroy p-places
# What the former program has printed is not what the present one has: also of one that was left, and is ended now.
program '[sh, -c, "echo old; exit 4"]'
ends 3 'it ended with exit code 4' nslab apply --keep lab.yaml
program nosuch
ends 3 'there is no command `nosuch`' nslab apply --keep lab.yaml
! grep old said || exit 1
nslab destroy p-places
program '[sh, -c, "trap \"echo old; exit\" TERM; echo old; while :; do sleep 0.1; done"]'
nslab apply lab.yaml
program nosuch
ends 3 'there is no command `nosuch`' nslab apply lab.yaml
! grep 'old$' said || exit 1
nslab destroy p-places
