# What cannot be started is said, with its last lines, and everything is undone.
. "$FUNCTIONS"
refused() {
  printf 'name: p-refused\nnamespaces: { red: { run: { x: %s } } }\n' "$1" > lab.yaml
  ends 3 "cannot start program red/x: $2" nslab apply lab.yaml
  [ ! -e /run/netns/red ]; [ ! -e /run/nslab ]
}
refused nosuch 'there is no command `nosuch`'
refused /etc/passwd 'cannot run `/etc/passwd`: Permission denied'
refused '{ command: sleep 9, user: nosuchuser }' 'there is no user `nosuchuser`'
refused '{ command: sleep 9, directory: /nosuch }' 'it cannot start in /nosuch: No such file or directory'
refused 'sh -c "echo why >&2; exit 4"' 'it ended with exit code 4 [program-failed]'
grep -q '    why' said
refused '{ command: "true", ready: { line: x } }' 'it ended with exit code 0 before it was ready'
refused '{ command: sleep 9, ready: { file: /nosuch, within: 200ms } }' 'it is not ready after 200ms: there is no /nosuch'
refused '{ command: sleep 9, ready: { command: "false", within: 200ms } }' 'it is not ready after 200ms: `false` does not end with 0'
refused '{ command: [sh, -c, "exit 5"], restart: always, ready: { port: 1, within: 500ms } }' 'it ended with exit code 5 again and again'
cat > lab.yaml <<'END'
name: p-refused
namespaces: { red: { run: { x: "false", y: { command: sleep 9, needs: x } } } }
END
ends 3 'cannot start program red/y: it needs red/x, which has failed' nslab apply lab.yaml
grep -q 'cannot start program red/x: it ended with exit code 1' said
# A signal while it is waited for.
printf 'name: p-refused\nnamespaces: { red: { run: { x: { command: sleep 9, ready: { port: 1 } } } } }\n' > lab.yaml
ends 130 'interrupted' timeout --preserve-status -s INT 1 nslab apply lab.yaml
[ ! -e /run/netns/red ]; [ ! -e /run/nslab ]
# With --keep, all of it is left: the network, what has failed, what it has said; and `apply` mends it.
cat > lab.yaml <<'END'
name: p-refused
namespaces: { red: { run: { x: [sh, -c, '[ -e /run/here/well ] || { echo why; exit 4; }; exec sleep 3600'], y: sleep 9 } } }
END
ends 3 'cannot start program red/x: it ended with exit code 4' nslab apply --keep lab.yaml
grep -q 'steps done before it were left, and all programs' said
[ -e /run/netns/red ]; [ "$(nslab logs p-refused red/x)" = why ]; processes red -eq 1
[ "$(field p-refused red/x state)" = failed ]; ends 0 '"programs": 2' nslab list --format json
ends 1 'start program red/x' nslab plan --exit-code lab.yaml
touch well; ends 0 'start program red/x' nslab apply lab.yaml
nslab destroy p-refused
