# Locks that somebody holds and does not give back: no wait is without end, nor deaf to signals, nor others' concern.
seconds() { code=0; start=$(date +%s); "$@" > said 2>&1 || code=$?; took=$(($(date +%s) - start)); }
holder='' second=''
trap 'kill $holder $second' EXIT
forwarding='name: router
namespaces:
  host: { forwarding: true }
'
printf '%s' "$forwarding" > router.yaml

# The lock of /run/netns, which anybody who may read the directory can take.
nslab apply lab.yaml
flock -o /run/netns sleep 100 > /dev/null 2>&1 & holder=$!
sleep 0.3
nslab destroy other
nslab apply lab.yaml
nslab destroy other
# Where iproute2 has not made a mount of it yet, the lock is needed.
umount -l /run/netns
flock -o /run/netns sleep 100 > /dev/null 2>&1 & second=$!
sleep 0.3
seconds nslab apply lab.yaml
[ $code = 3 ]; [ $took -le 15 ]; grep -q 'process [0-9]* (.*) has held the lock' said
for signal in TERM INT; do
  seconds timeout -s $signal 1 nslab apply lab.yaml
  [ $took -le 5 ]; grep -q "interrupted by SIG$signal" said
done
kill $holder $second
wait $holder $second || true
holder='' second=''
nslab apply lab.yaml

# The lock of the host's settings, with an nslab behind it that is stopped.
nslab apply router.yaml
nslab destroy router
mkdir -p /run/nslab/host
flock -o /run/nslab/host/lock sleep 100 > /dev/null 2>&1 & holder=$!
sleep 0.3
seconds nslab apply --no-wait router.yaml
[ $code = 3 ]; [ $took -le 5 ]; grep -q "process [0-9]* (.*) has held the lock" said
seconds timeout -s TERM 1 nslab apply router.yaml
[ $took -le 5 ]; grep -q 'interrupted by SIGTERM' said
# Who needs none of them has nothing to do with that.
seconds nslab apply lab.yaml
[ $code = 0 ]; [ $took -le 3 ]
kill $holder
wait $holder || true
trap - EXIT
nslab apply router.yaml
nslab destroy router
seconds nslab destroy other
[ $code = 0 ]
