# Processes that fork away, close everything, have sessions and names of their own, heed no signal, or are stopped.
. "$FUNCTIONS"
cat > lab.yaml <<'END'
name: p-unruly
namespaces:
  red:
    run:
      forks: { command: [sh, -c, '(setsid sh -c "exec <&- >&- 2>&-; exec env -i sleep 48151" &); (setsid setsid sleep 48151 &); exit 0'] }
      deaf: { command: [sh, -c, 'trap "" TERM INT HUP; while :; do sleep 48151; done'], stop: { grace: 300ms } }
      named: [perl, -e, '$0 = "[kworker/0:1]"; sleep 48151']
      many: { command: [sh, -c, 'for i in $(seq 40); do (trap "" TERM; sleep 48151) & (setsid sleep 48151 &); done; wait'], stop: { grace: 300ms } }
      stopped: [sh, -c, 'kill -STOP $$; sleep 48151']
      prints: { command: [perl, -e, 'print "y" x 100, "\n" while 1'], limits: { memory: 64M } }
END
nslab apply lab.yaml
processes red -gt 80
[ "$(field p-unruly red/forks state)" = running ]
sleep 0.5; [ "$(du -k /run/nslab/p-unruly/logs | tail -1 | cut -f1)" -lt 3000 ]
pids=$(ip netns pids red)
begin=$(date +%s%N); nslab destroy p-unruly; took=$((($(date +%s%N) - begin) / 1000000))
# Not more than the grace, and what it takes on a busy machine.
[ $took -lt 5000 ]
for pid in $pids; do if [ -e "/proc/$pid" ]; then grep -q '^State:.Z' "/proc/$pid/status"; fi; done
