# An iptables that does not end, one whose child keeps what it was given open, and one that never stops talking.
seconds() { code=0; start=$(date +%s); "$@" > said 2>&1 || code=$?; took=$(($(date +%s) - start)); }
real=$(readlink -f /usr/sbin/iptables)
cp "$real" /run/real
cat > nat.yaml <<'YAML'
name: nat
namespaces:
  red: { interfaces: { eth0: { addresses: [10.1.0.1/24] } }, nat: [masquerade: { source: 10.1.0.0/24 }] }
  blue: { interfaces: { eth0: { addresses: [10.1.0.2/24] } } }
links: [[red/eth0, blue/eth0]]
YAML
replaced() { printf '#!/bin/bash\n%s\n' "$1" > /run/fake; chmod 755 /run/fake; mount --bind /run/fake "$real"; }
as_before() { umount "$real"; }

replaced 'sleep 1000 & exec -a "$(basename "$0")" /run/real "$@"'
seconds nslab apply nat.yaml
[ $code = 0 ]; [ $took -le 10 ]
as_before

replaced 'exec sleep 1000'
seconds timeout -s TERM 1 nslab apply nat.yaml
[ $took -le 20 ]
seconds nslab plan nat.yaml
[ $code = 3 ]; [ $took -le 45 ]; grep -q 'did not end within' said
as_before

replaced 'exec cat /dev/zero'
seconds nslab plan nat.yaml
[ $code = 3 ]; [ $took -le 45 ]
as_before

nslab apply nat.yaml
nslab destroy nat
