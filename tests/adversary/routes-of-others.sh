# Routes and policy rules that have nslab's number, which nobody may have recorded: no lab takes them for its own.
ip route add blackhole 10.50.0.0/16 proto 213
ip route add unreachable 10.51.0.0/16 table 51 proto 213
ip rule add from 10.52.0.0/16 table 52 priority 520 protocol 213
ip -6 rule add from fd52::/64 table 52 priority 520 protocol 213
theirs() {
  ip route show proto 213
  ip route show table 51
  ip rule show priority 520
  ip -6 rule show priority 520
}
before=$(theirs)
[ -n "$before" ]
cat > own.yaml <<'END'
name: own
namespaces:
  host:
    routes: [{ to: 10.98.0.0/16, type: blackhole }]
    rules: [{ from: 10.97.0.0/16, table: 97, priority: 9700 }]
    bridges: { br-own: {} }
  red: {}
END
sed 's/own/next/; s/10.98/10.88/; s/9700/8800/; s/10.97/10.87/; s/table: 97/table: 87/; s/red/blue/' own.yaml > next.yaml
own() {
  ip route show 10.98.0.0/16
  ip rule show priority 9700
}
for file in lab own next; do
  nslab apply $file.yaml
  nslab plan --exit-code $file.yaml
  theirs | grep -vE '10\.[89]8\.' > now
  [ "$(cat now)" = "$before" ]
  nslab destroy $(sed -n 's/^name: //p' $file.yaml)
  [ "$(theirs)" = "$before" ]
done

# What a lab has recorded is its own, in its folder or in a mark, whatever else there is.
for lost in /own/deviceless-routes /own "" none; do
  for neighbour in no yes; do
    nslab apply own.yaml
    [ $neighbour = no ] || nslab apply next.yaml
    [ -n "$(own)" ]
    [ "$lost" = none ] || rm -rf "/run/nslab$lost"
    nslab apply own.yaml
    [ "$lost" = none ] || rm -rf "/run/nslab$lost"
    nslab destroy own
    [ -z "$(own)" ]
    [ $neighbour = no ] || { [ -n "$(ip rule show priority 8800)" ]; nslab destroy next; }
    [ -z "$(ip rule show priority 8800)" ]
    [ "$(theirs)" = "$before" ]
  done
done

# Where no record is left at all, everything stays, and it is told.
printf 'name: bare\nnamespaces:\n  host: { rules: [{ from: 10.97.0.0/16, table: 97, priority: 9700 }] }\n' > bare.yaml
nslab apply bare.yaml
rm -rf /run/nslab
nslab destroy bare > said 2>&1
grep -q 'policy rule priority 9700.*no record says for which lab' said
[ -n "$(ip rule show priority 9700)" ]
nslab apply bare.yaml
nslab destroy bare
[ -z "$(ip rule show priority 9700)" ]
[ "$(theirs)" = "$before" ]
