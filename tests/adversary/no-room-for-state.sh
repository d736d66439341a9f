# /run/nslab is full, of bytes or of files, or read-only, or gone: the lab is removed all the same, and that its state
# stays is told.
cat > full.yaml <<'END'
name: full
namespaces:
  host:
    bridges: { br-full: { ports: [h-red] } }
    rules: [{ from: 10.97.0.0/16, table: 97, priority: 9700 }]
    forwarding: true
    nat: [masquerade: { source: 10.0.0.0/24 }]
  red: { interfaces: { eth0: { addresses: [10.0.0.1/24] } } }
links: [[red/eth0, host/h-red]]
END
sysctl -qw net.ipv4.ip_forward=0
for how in bytes files read-only read-only-and-lost full-and-lost; do
  mkdir -p /run/nslab
  mount -t tmpfs -o mode=700,size=1m,nr_inodes=64 tmpfs /run/nslab
  nslab apply full.yaml
  case $how in
    bytes | full-and-lost) [ $how = bytes ] || rm -r /run/nslab/*; head -c 2m /dev/zero > /run/nslab/filler || true ;;
    files) touch $(seq -f /run/nslab/filler%.0f 64) 2> /dev/null || true ;;
    read-only) mount -o remount,ro /run/nslab ;;
    read-only-and-lost) rm -r /run/nslab/*; mount -o remount,ro /run/nslab ;;
  esac
  for command in list 'status full' 'plan full.yaml'; do
    code=0; timeout 20 nslab $command > said 2>&1 || code=$?
    [ $code = 0 ] || { echo "$how: $command ended with $code"; cat said; exit 1; }
  done
  sed s/10.0.0.1/10.0.0.7/ full.yaml > edited.yaml
  code=0; timeout 20 nslab apply edited.yaml > said 2>&1 || code=$?
  case $how:$code in
    *:0) ;;
    *:3) grep -qE 'cannot (write|make|lock)' said; ip -n red addr | grep -q 10.0.0.1/24 ;;
    *) echo "$how: apply ended with $code"; cat said; exit 1 ;;
  esac
  code=0; timeout 20 nslab destroy full > said 2>&1 || code=$?
  left=$(ip -o link show type bridge; ip netns; ip rule show priority 9700; iptables-save -t nat | grep NSLAB || true)
  [ -z "$left" ] || { echo "$how: left: $left"; cat said; exit 1; }
  [ "$(sysctl -n net.ipv4.ip_forward)" = 0 ] || { echo "$how: still forwarding"; cat said; exit 1; }
  case $how:$code in
    read-only:3) grep -q 'cannot remove /run/nslab/.*EROFS' said ;;
    read-only:*) echo "$how: ended with $code"; cat said; exit 1 ;;
    *:0) ;;
    *) echo "$how: ended with $code"; cat said; exit 1 ;;
  esac
  umount /run/nslab
done
