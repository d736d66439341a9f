# The program, its keeper, the supervisor, all of them at once: status tells, apply mends.
. "$FUNCTIONS"
cat > lab.yaml <<'END'
name: p-killed
namespaces:
  red:
    run:
      a: [sh, -c, 'sleep 3600 & exec sleep 3600']
      b: { command: sleep 3600, restart: always }
END
fine() { ends 0 "start program red/a" nslab apply lab.yaml; ends 0 'nothing to do' nslab plan lab.yaml; }
program() { field p-killed red/a pid; }
nslab apply lab.yaml
# The program: what it has left goes with it.
pid=$(program); others=$(ip netns pids red); kill -9 "$pid"; becomes p-killed red/a failed
processes red -eq 1
fine
# Its keeper: the supervisor ends what it has left.
kill -9 "$(parent "$(program)")"; becomes p-killed red/a failed
ends 0 'the process that kept it was killed' nslab status p-killed
processes red -eq 1
fine
# The supervisor: the keepers end their programs.
supervisor=$(parent "$(parent "$(program)")"); pids=$(ip netns pids red); kill -9 "$supervisor"
for pid in $pids; do is_gone "$pid"; done
ends 0 'the process that held them is gone' nslab status p-killed
ends 0 '"lost_programs": true' nslab status p-killed --format json
fine
# All of them at once: what is left is found by its environment.
keeper=$(parent "$(program)"); supervisor=$(parent "$keeper"); pids=$(ip netns pids red)
kill -STOP "$supervisor"; for pid in $pids; do kill -9 "$(parent "$pid")" 2> /dev/null || true; done; kill -9 "$supervisor"
fine
processes red -eq 3
# A supervisor that does not answer is said, and nothing hangs.
supervisor=$(parent "$(parent "$(program)")"); kill -STOP "$supervisor"
ends 3 'has not answered for 10 s' nslab plan lab.yaml
kill -CONT "$supervisor"
# The same without the files of the state.
keeper=$(parent "$(program)"); supervisor=$(parent "$keeper")
kill -STOP "$supervisor"; for pid in $(ip netns pids red); do kill -9 "$(parent "$pid")" 2> /dev/null || true; done; kill -9 "$supervisor"
rm -rf /run/nslab
nslab destroy p-killed
for pid in $pids $others; do is_gone "$pid"; done
# A supervisor whose socket is gone.
nslab apply lab.yaml; pids=$(ip netns pids red)
rm -rf /run/nslab
begin=$(date +%s); nslab destroy p-killed; [ $(($(date +%s) - begin)) -lt 8 ]
for pid in $pids; do is_gone "$pid"; done
