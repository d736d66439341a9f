# A sandbox takes its programs along; `test` runs them.
. "$FUNCTIONS"
cat > lab.yaml <<'END'
name: p-sandbox
namespaces: { red: { run: { a: sleep 3600, b: echo b } } }
END
ends 0 'lab.yaml' nslab test lab.yaml
cp lab.yaml /tmp/p-sandbox.$$.yaml
nslab sandbox -- sh -euxc "nslab apply /tmp/p-sandbox.$$.yaml; nslab status p-sandbox --format json" > said
rm /tmp/p-sandbox.$$.yaml
pid=$(awk '$1 == "\"pid\":" { print $2 + 0; exit }' said)
[ "$pid" -gt 0 ]; is_gone "$pid"
until ! cat /proc/[0-9]*/environ 2> /dev/null | grep -qz NSLAB_SUPERVISOR=p-sandbox; do sleep 0.1; done
