# Only what has changed is started anew; what is gone from the file is ended; what fails is undone.
. "$FUNCTIONS"
lab() { printf 'name: p-changed\nnamespaces:\n  red:\n    run:\n' > lab.yaml; printf '      %s\n' "$@" >> lab.yaml; }
lab 'a: sleep 3601' 'b: sleep 3602' 'c: sleep 3603'
nslab apply lab.yaml
a=$(field p-changed red/a pid); b=$(field p-changed red/b pid)
lab 'a: sleep 3601' 'b: { command: sleep 3602, environment: { X: 1 } }' 'd: sleep 3604'
ends 1 '`environment` differs' nslab plan --exit-code lab.yaml
ends 0 'end program red/b, and start it as the file has it' nslab apply lab.yaml
[ "$(field p-changed red/a pid)" = "$a" ]; [ "$(field p-changed red/b pid)" != "$b" ]; is_gone "$b"
[ -z "$(field p-changed red/c state)" ]; processes red -eq 3
# What cannot be started: the former one is back.
cp lab.yaml good.yaml
lab 'a: sleep 3601' 'b: [sh, -c, "echo one; echo two >&2; exit 3"]' 'e: sleep 3605'
ends 3 'cannot start program red/b: it ended with exit code 3 [program-failed]' nslab apply lab.yaml
grep -q '    two' said
[ "$(field p-changed red/a pid)" = "$a" ]
ends 0 'nothing to do' nslab plan good.yaml
# A namespace that somebody has removed and made anew, and one that is gone.
ip netns del red; ip netns add red
ends 0 'start program red/a' nslab apply --adopt good.yaml
processes red -eq 3; is_gone "$a"
ip netns del red
a=$(field p-changed red/a pid)
nslab destroy p-changed
