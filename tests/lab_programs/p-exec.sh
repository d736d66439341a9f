# Commands of checks: what they leave behind ends with them, and they end with the nslab that has started them.
. "$FUNCTIONS"
cat > lab.yaml <<'END'
name: p-exec
namespaces:
  red: {}
  blue: {}
checks:
  - { from: [red, blue], exec: [sh, -c, "setsid sleep 424201 & setsid sh -c 'trap \"\" TERM HUP; sleep 424202; true' & echo begun"], contains: begun }
  - { from: red, exec: [sh, -c, "setsid sleep 424203"], timeout: 300ms }
END
sed 's/timeout: 300ms/timeout: 60s/' lab.yaml > long.yaml
nslab apply lab.yaml
ends 1 'it had not ended after 300ms, and was killed' nslab check lab.yaml
! pgrep -f 'sleep 42420[1-3]' || exit 1
for signal in KILL TERM; do
  nslab check long.yaml & nslab=$!
  until pgrep -f 'sleep 424203'; do sleep 0.05; done
  kill -$signal $nslab
  wait $nslab || true
  for n in $(seq 100); do pgrep -f 'sleep 42420[1-3]' || break; sleep 0.05; done
  ! pgrep -f 'sleep 42420[1-3]' || exit 1
done
# The command kills or stops the process that holds it.
cat > held.yaml <<'END'
name: p-exec
namespaces: { red: {}, blue: {} }
checks:
  - { from: red, exec: [sh, -c, "setsid sleep 424204 & sleep 0.1; kill -9 $PPID; sleep 424205"], timeout: 5s }
  - { from: red, exec: [sh, -c, "kill -STOP $PPID; echo ok; sleep 424206"], timeout: 200ms }
END
ends 1 'the process that held it was killed' timeout 30 nslab check held.yaml
grep -q 'the process that held it was stopped' said
! pgrep -f 'sleep 42420[4-6]' || exit 1
# Its own names and variables, and nothing of the caller's; as a program, it is not one of the lab's.
cat > own.yaml <<'END'
name: p-exec
namespaces:
  red: {}
  blue: {}
checks:
  - { from: red, exec: [env], contains: "NSLAB_PROGRAM=p-exec/red/check" }
  - { from: red, exec: "sh -c 'env | grep -q SECRET'", exit_code: 1 }
  - { from: red, exec: "sh -c 'test -z \"$(cat)\"'" }
  - { from: blue, exec: cat /etc/hostname, contains: blue }
END
SECRET=1 nslab check own.yaml
nslab check --format json own.yaml | grep -q '"exit_code": 1'
nslab test own.yaml
nslab destroy p-exec
# A command runs once, also where a spanning tree has to form first; and it finds the network that there is then.
cat > tree.yaml <<'END'
name: p-exec
namespaces:
  red: { interfaces: { e: { addresses: [10.0.0.1/24] } } }
  blue: { interfaces: { e: { addresses: [10.0.0.2/24] } } }
  lan: { bridges: { br: { ports: [r, b], stp: true, forward_delay: 2s } } }
links: [[red/e, lan/r], [blue/e, lan/b]]
checks:
  - { from: red, to: blue }
  - { from: red, exec: [sh, -c, 'echo ran >> /run/here/ran; ping -c 1 -W 1 10.0.0.2'] }
END
nslab apply tree.yaml
nslab check tree.yaml
[ "$(cat ran)" = ran ]
nslab destroy p-exec
