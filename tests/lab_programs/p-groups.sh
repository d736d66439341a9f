# Control groups, where this user may make some: who has no environment and has gone elsewhere is found by them.
. "$FUNCTIONS"
mount=$(awk '$4 == "/" && / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
groups() { [ -z "$mount" ] || find "$mount" -type d -name 'nslab-p-groups-*'; }
own=$mount$(sed -n 's/^0:://p' /proc/self/cgroup)
may=no
if [ -n "$mount" ] && mkdir "$own/may-$$" 2> /dev/null; then
  if [ -e "$own/may-$$/cgroup.kill" ]; then may=yes; fi
  rmdir "$own/may-$$"
fi
echo "may this user make control groups: $may"
cat > lab.yaml <<'END'
name: p-groups
namespaces:
  red:
    run:
      hides: [sh, -c, 'cd /tmp; exec env -i sleep 48152']
      below: { command: [sh, -c, 'sleep 48152 & exec sleep 48152'], restart: always }
    serve: [{ http: 80 }]
END
all_at_once() {
  keepers=$(for pid in $(ip netns pids red); do parent "$pid"; done | sort -u)
  supervisor=$(parent "$(parent "$(field p-groups red/hides pid)")")
  kill -STOP "$supervisor"
  for pid in $keepers; do if ! ip netns pids red | grep -qx "$pid"; then kill -9 "$pid"; fi; done
  kill -9 "$supervisor"
}
nslab apply lab.yaml
hides=$(field p-groups red/hides pid)
if [ $may = yes ]; then
  [ "$(cat "$(groups)/red.hides/cgroup.procs")" = "$hides" ]
  [ "$(wc -l < "$(groups)/red.below/cgroup.procs")" = 2 ]
  [ "$(cat "$(groups)/red.serve/cgroup.procs")" = "$(field p-groups red/serve pid)" ]
fi
# One that has ended leaves its group with its keeper.
sed '/below/d' lab.yaml > less.yaml; nslab apply less.yaml
[ "$(groups | wc -l)" -le 1 ]; [ -z "$(groups | sed 's|$|/red.below|' | xargs -r ls -d 2> /dev/null)" ]
nslab destroy p-groups; is_gone "$hides"; [ -z "$(groups)" ]
# Supervisor and keepers are killed together: a new start, and a removal, end what they have left.
nslab apply lab.yaml; hides=$(field p-groups red/hides pid); pids=$(ip netns pids red); all_at_once
if [ $may = no ]; then kill -9 "$hides"; fi
nslab apply lab.yaml; for pid in $pids; do is_gone "$pid"; done
hides=$(field p-groups red/hides pid); pids=$(ip netns pids red); all_at_once
rm -rf /run/nslab
if [ $may = no ]; then kill -9 "$hides"; fi
nslab destroy p-groups; for pid in $pids; do is_gone "$pid"; done
[ -z "$(groups)" ]
