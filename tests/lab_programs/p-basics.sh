# Words, environment, user, directory, limits; logs; a second apply does nothing.
. "$FUNCTIONS"
cat > lab.yaml <<'END'
name: p-basics
namespaces:
  red:
    run:
      words: printf '<%s>' a 'b  c' "d e"f ''
      list: [sh, -c, 'echo "$GREETING $NSLAB_LAB $NSLAB_NS $NSLAB_PROGRAM"; pwd; id -un; ulimit -n; ulimit -d; echo over >&2']
      who:
        command: [sh, -c, 'echo "$GREETING $NSLAB_LAB $NSLAB_NS $NSLAB_PROGRAM"; pwd; id -un; ulimit -n; ulimit -d; cat; env']
        environment: { GREETING: "hello {n} ${x}" }
        user: daemon
        directory: /usr
        limits: { memory: 64M, open_files: 100 }
      awk: awk 'BEGIN { print 6 * 7 }'
      ticks: [sh, -c, 'for i in 1 2 3; do sleep 0.3; echo tick $i; done; printf rest; exec sleep 3600']
END
ulimit -S -n 512
SECRET=1 nslab apply lab.yaml
ends 0 'nothing to do' nslab apply lab.yaml
nslab logs p-basics red/words > said; [ "$(cat said)" = "<a><b  c><d ef><>" ]
nslab logs p-basics red/awk > said; [ "$(cat said)" = 42 ]
nslab logs p-basics red/who > said; head -5 said > first
printf 'hello {n} ${x} p-basics red p-basics/red/who\n/usr\ndaemon\n100\n65536\n' | cmp - first
grep -qx 'USER=daemon' said; ! grep -q SECRET said || exit 1
nslab logs p-basics red/list > said; sed -n 3p said | grep -qx root; sed -n 4p said | grep -qx 512; tail -1 said | grep -qx over
# Several programs: whose line each is.
ends 0 'red/awk | 42' nslab logs p-basics
[ "$(nslab logs p-basics red/who --since 1h | wc -l)" = "$(nslab logs p-basics red/who | wc -l)" ]
sleep 1.1; [ -z "$(nslab logs p-basics red/who --since 1s)" ]
ends 2 'runs no program red/aws; did you mean `red/awk`?' nslab logs p-basics red/aws
ends 2 'no namespace rad' nslab logs p-basics rad
ends 0 'done' nslab status p-basics
nslab commands lab.yaml > script; sh -n script
[ "$(stat -c %a /run/nslab/p-basics/logs/red/who /run/nslab/p-basics/supervisor | sort -u)" = 600 ]
# Followed until the lab is gone.
nslab logs p-basics -f > followed & follower=$!
until grep -q 'red/ticks | tick 3' followed; do sleep 0.1; done
nslab destroy p-basics
wait $follower
[ "$(grep -c 'red/ticks | tick' followed)" = 3 ]; [ "$(grep -c 42 followed)" = 1 ]
