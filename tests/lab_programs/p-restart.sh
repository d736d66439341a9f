# Started again, or not; what has done its work is not done again, and what has failed is.
. "$FUNCTIONS"
cat > lab.yaml <<'END'
name: p-restart
namespaces:
  red:
    run:
      once: [sh, -c, 'echo x >> /run/here/once']
      always: { command: [sh, -c, 'echo x >> /run/here/always; exec sleep 3600'], restart: always }
      failing: { command: [sh, -c, 'sleep 0.6; exit 3'], restart: on-failure }
      heals: { command: [sh, -c, 'if [ -e /run/here/healed ]; then exit 0; fi; touch /run/here/healed; sleep 0.6; exit 1'], restart: on-failure }
      never: sleep 3600
END
nslab apply lab.yaml
becomes p-restart red/heals 'done'
[ "$(field p-restart red/once state)" = 'done' ]; [ "$(field p-restart red/heals restarts)" = 1 ]
pid=$(field p-restart red/always pid); kill -9 "$pid"; is_gone "$pid"
# That it has ended is known a moment later.
until [ "$(field p-restart red/always restarts)" -ge 1 ]; do sleep 0.05; done
becomes p-restart red/always running
[ "$(field p-restart red/always restarts)" = 1 ]; [ "$(wc -l < always)" = 2 ]
until [ "$(field p-restart red/failing restarts)" -ge 1 ]; do sleep 0.1; done
ends 0 'nothing to do' nslab apply lab.yaml
[ "$(wc -l < once)" = 1 ]
kill -9 "$(field p-restart red/never pid)"; becomes p-restart red/never failed
ends 1 'start program red/never (it was ended by signal 9)' nslab plan --exit-code lab.yaml
ends 0 'start program red/never' nslab apply lab.yaml
[ "$(wc -l < once)" = 1 ]
nslab destroy p-restart
