# Those end first that need others; a keeper that is stopped ends as well; nobody waits for ever for what is needed.
. "$FUNCTIONS"
cat > lab.yaml <<'END'
name: p-order
namespaces:
  red:
    run:
      a:
        command: [sh, -c, 'trap "sleep 0.2; echo $NSLAB_PROGRAM >> /run/here/order; exit" TERM; echo up; while :; do sleep 0.1; done']
        ready: { line: up }
      c: { command: [sh, -c, 'trap "sleep 0.2; echo $NSLAB_PROGRAM >> /run/here/order; exit" TERM; echo up; while :; do sleep 0.1; done'], ready: { line: up }, needs: blue/b }
  blue:
    run:
      b: { command: [sh, -c, 'trap "sleep 0.2; echo $NSLAB_PROGRAM >> /run/here/order; exit" TERM; echo up; while :; do sleep 0.1; done'], ready: { line: up }, needs: red/a }
END
nslab apply lab.yaml; nslab destroy p-order
printf 'p-order/red/c\np-order/blue/b\np-order/red/a\n' | cmp - order
# A stopped keeper goes on to end its program.
printf 'name: p-order\nnamespaces: { red: { run: { a: sleep 3600 } } }\n' > lab.yaml
nslab apply lab.yaml
kill -STOP "$(parent "$(field p-order red/a pid)")"
begin=$(date +%s); nslab destroy p-order; [ $(($(date +%s) - begin)) -lt 10 ]
# What is needed was ready, and is started again and again in vain.
cat > lab.yaml <<'END'
name: p-order
namespaces:
  red:
    run:
      a: { command: [sh, -c, '[ ! -e /run/here/broken ] || exit 1; exec sleep 3600'], ready: { command: [test, '!', -e, /run/here/broken], within: 1s }, restart: always }
END
nslab apply lab.yaml
touch broken; kill -9 "$(field p-order red/a pid)"
until [ "$(field p-order red/a restarts)" -ge 1 ]; do sleep 0.1; done
cp lab.yaml more.yaml
echo '      b: { command: sleep 3600, needs: a }' >> more.yaml
ends 3 'cannot start program red/b: it needs red/a, which was ready once and is not any more' timeout 30 nslab apply more.yaml
nslab destroy p-order
