# The kernel does not show one part of a namespace: the rest is planned, done and removed all the same, the part is
# named with what the kernel said, and left as it is.
sed 's/10.1.0.2/10.1.0.3/' parts.yaml > edited.yaml
sysctl -qw net.ipv4.ip_forward=0
fails() { wanted=$1; shift; code=0; "$@" > said 2>&1 || code=$?; [ $code = "$wanted" ] || { cat said; exit 1; }; }
inside() { ip -n red -d -o addr; ip -n red rule; ip -n red route show table all; ip -n red neigh show nud permanent; }
shown() { inside | grep -v -e fe80: -e ff00: | sed 's/valid_lft.*//'; }
account() { ip -o -4 addr; ip rule; ip route; nft list ruleset; ip netns; sysctl net.ipv4.ip_forward; }
account > nothing
host_parts='interfaces addresses routes policy-rules neighbours proxies-of-neighbours forwarding-entries qdiscs
  nexthop-objects sysctl-net.ipv4.ip_forward'
red_parts="mark namespace $host_parts xfrm-policies-and-states sysctl-net.ipv4.conf.all.log_martians"
for place in $(for part in $red_parts; do echo red:$part; done; for part in $host_parts; do echo host:$part; done) \
  blue:interfaces blue:mark; do
  ns=${place%%:*}
  case $place in
  *:sysctl-*) part="sysctl ${place#*:sysctl-}" ;;
  *) part=$(echo "${place#*:}" | tr - ' ') ;;
  esac
  named="cannot [a-z]* \(the \)*$part of $ns: .*(ENOMEM)"
  [ "$part" != namespace ] || named="cannot enter namespace $ns: .*(ENOMEM)"
  blind() { NSLAB_STOP_AT="unread:$part of $ns" nslab "$@"; }

  nslab apply parts.yaml
  shown > before
  # Only who needs the mark of a namespace reads it: where a file names the namespace, it is looked into.
  [ "$part" = mark ] && told=0 || told=3
  fails $told blind plan parts.yaml
  [ $told = 0 ] || { grep -q "$named" said; ! grep -q 'step' said || exit 1; }
  fails $told blind plan --format json parts.yaml
  fails $told blind apply edited.yaml
  [ $told = 0 ] || grep -q "$named" said
  # What has nothing to do with it is done, and the part is as it was.
  ip -n green addr | grep -q 10.1.0.3/24
  ip netns exec red true
  shown > after; cmp before after
  nslab plan --exit-code edited.yaml

  # A namespace that shows no mark is that of the lab which gave it its name.
  fails 0 blind list --format json
  for own in red green blue; do grep -q "\"$own\"" said || { cat said; exit 1; }; done
  if [ $told = 3 ]; then
    fails 0 blind status parts $ns
    grep -q 'Not known' said || { cat said; exit 1; }
    tr -d '\n' < said | tr -s ' ' | grep -q "$named" || { cat said; exit 1; }
  fi

  fails 0 blind status parts
  [ $told = 0 ] || { grep -q 'Not known' said; ! grep -q 'to fix' said || exit 1; }
  fails 0 blind check parts
  # Damage elsewhere is seen, and mended.
  ip -n green addr flush dev eth0
  fails $told blind plan edited.yaml
  grep -q 'add .*10.1.0.3/24' said
  fails $told blind apply edited.yaml
  nslab plan --exit-code edited.yaml


  # A step is refused: back to what there was, and what cannot be seen stays.
  sed 's/  green: {/& sysctls: { net.ipv4.no_such: 1 },/' parts.yaml > refused.yaml
  fails 3 blind apply refused.yaml
  grep -q 'cannot set sysctl net.ipv4.no_such' said
  shown > after; cmp before after
  nslab plan --exit-code edited.yaml

  code=0; blind destroy parts > said 2>&1 || code=$?
  case $place in
  *:mark | *:namespace) [ $code = 3 ]; grep -q "$named" said; [ "$(ip netns | cut -d' ' -f1)" = $ns ] ;;
  red:* | blue:*) [ $code = 0 ]; [ -z "$(ip netns)" ] ;;
  host:interfaces | host:addresses | host:routes | host:policy-rules) [ $code = 3 ]; grep -q "$named" said; [ -z "$(ip netns)" ] ;;
  host:sysctl-* | host:neighbours | host:forwarding-entries) [ $code = 0 ] ;;
  *) [ $code = 0 ]; grep -q "warning: $named" said; [ -z "$(ip netns)" ] ;;
  esac
  nslab destroy parts
  account > left; cmp nothing left
done

# What only a look at one namespace shows.
nslab apply parts.yaml
for part in 'states of the interfaces' 'neighbour table' forwarding 'counters of the firewall'; do
  NSLAB_STOP_AT="unread:$part of red" fails 0 nslab status parts red
  tr -d '\n' < said | tr -s ' ' | grep -q "Not known cannot list the $part of red: .*(ENOMEM)" || { cat said; exit 1; }
  grep -q 10.0.0.1 said
done
nslab destroy parts

# What the kernel itself refuses: a sysctl that can only be written.
sed 's/net.ipv4.ip_forward: 1,/& net.ipv4.route.flush: 1,/' edited.yaml > flush.yaml
nslab apply parts.yaml
fails 3 nslab apply flush.yaml
grep -q 'cannot read sysctl net.ipv4.route.flush: .*(E[A-Z]*)' said
fails 0 nslab status parts; tr -d '\n' < said | grep -q 'cannot read sysctl net.ipv4.route.flush'; grep -q 'Drift: none' said
ip -n green addr | grep -q 10.1.0.3/24
nslab destroy parts
account > left; cmp nothing left
