# Killed at any point, `destroy` leaves the machine as it was; a failure half-way is undone.
. "$FUNCTIONS"
keep_states
for how in fail kill; do
  for at in 1 4 8 12 16 20 24 28 32 36; do
    code=0
    on 1 env "NSLAB_STOP_AT=$how:$at" nslab apply --as node1 topologies/06-pods.yaml > said 2>&1 || code=$?
    if [ "$how" = fail ] && [ $code != 0 ]; then state 1 | diff before1 -; fi
    on 1 nslab destroy pods > said 2>&1 || { cat said; exit 1; }
    state 1 | diff before1 -
  done
done
# The process that holds checks open is killed: nothing of it is in the way.
on 1 nslab apply --as node1 topologies/06-pods.yaml
on 1 nslab check pods --open
on 1 sh -c 'kill -9 $(pgrep -f "^nslab attend pods$" --ns $$ --nslist net)'
if on 1 nslab check pods --send; then exit 1; fi
on 1 nslab check pods --open
on 1 nslab check pods --open
on 1 nslab check pods --send
on 1 nslab check pods --end > side1.json
on 1 nslab check pods --open
on 1 nslab destroy pods
sleep 1
are_as_before
