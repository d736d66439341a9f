# Ready by a port, a file, a line, a command; and in the order of needs, across namespaces.
. "$FUNCTIONS"
cat > lab.yaml <<'END'
name: p-ready
namespaces:
  red:
    run:
      tcp:
        command: [perl, -MIO::Socket::INET, -e, 'sleep 0.2; $s = IO::Socket::INET->new(LocalPort => 80, Listen => 5) or die; print "up\n"; sleep 3600']
        ready: { port: 80 }
      udp:
        command: [perl, -MIO::Socket::INET, -e, '$s = IO::Socket::INET->new(LocalPort => 53, Proto => "udp") or die; sleep 3600']
        ready: { port: 53/udp }
        needs: tcp
      file: { command: [sh, -c, 'sleep 0.2; touch /run/here/there; exec sleep 3600'], ready: { file: /run/here/there }, needs: blue/line }
  blue:
    run:
      line: { command: [sh, -c, 'printf "not yet"; sleep 0.2; printf ", now I am re"; sleep 0.1; echo ady, surely; exec sleep 3600'], ready: { line: am ready } }
      command: { command: [sh, -c, 'rm there; exec sleep 3600'], ready: { command: [test, '!', -e, there], within: 5s }, directory: /run/here, needs: [red/file, red/udp] }
END
nslab apply lab.yaml
for program in red/tcp red/udp red/file blue/line blue/command; do [ "$(field p-ready $program state)" = running ]; done
nslab status p-ready > said; grep -q '80/tcp' said; grep -q '53/udp' said
# Each began after what it needs.
since() { field p-ready "$1" since; }
[ "$(since red/tcp)" -le "$(since red/udp)" ]; [ "$(since blue/line)" -le "$(since red/file)" ]
[ "$(since red/file)" -le "$(since blue/command)" ]
# A port of another program is not one's own.
cat > other.yaml <<'END'
name: p-ready
namespaces:
  red:
    run:
      tcp:
        command: [perl, -MIO::Socket::INET, -e, '$s = IO::Socket::INET->new(LocalPort => 80, Listen => 5) or die; sleep 3600']
      second: { command: sleep 3600, ready: { port: 80, within: 500ms } }
  blue: {}
END
ends 3 'cannot start program red/second: it is not ready after 500ms: none of its processes listens at port 80/tcp' \
  nslab apply other.yaml
# All is as it was before.
ends 0 'nothing to do' nslab plan lab.yaml
nslab destroy p-ready
