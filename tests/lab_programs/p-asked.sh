# So many ask that others have to wait: nobody is told that there are no programs, and none are started again.
. "$FUNCTIONS"
printf 'name: p-asked\nnamespaces: { red: { run: { a: sleep 3600 } } }\n' > lab.yaml
nslab apply lab.yaml
pid=$(field p-asked red/a pid)
perl -MIO::Socket::UNIX -e 'for (1 .. 32) { push @all, IO::Socket::UNIX->new("/run/nslab/p-asked/supervisor") or die }
  open $there, ">", "there" or die; sleep 60' & asking=$!
until [ -e there ]; do sleep 0.05; done
ends 3 'has not answered for 10 s' nslab apply lab.yaml
kill $asking
ends 0 'nothing to do' nslab apply lab.yaml
[ "$(field p-asked red/a pid)" = "$pid" ]
nslab destroy p-asked
