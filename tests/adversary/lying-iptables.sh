# `iptables-save` prints nothing, or garbage, or leaves something out, and says that all is well.
cp firewall.yaml lab.yaml
cp unrelated.yaml other.yaml
# The programs are links to one, which does what its name says; the folder of the links is this sandbox's own.
cp -a /etc/alternatives links
mount --bind links /etc/alternatives
real=$(readlink -f /usr/sbin/iptables)
multi=$PWD/xtables-nft-multi
ls -l /usr/sbin/iptables-save | grep -q /etc/alternatives/
for said in '' '# Completed' 'segmentation fault' "*filter
:FORWARD ACCEPT [0:0]
COMMIT" "*filter
:INPUT ACCEPT [0:0]
:NSLAB-gone-FWD - [0:0]
-A FORWARD -j NSLAB-gone-FWD
COMMIT"; do
  nslab apply lab.yaml
  [ "$(nft list ruleset | grep -c NSLAB-fw)" = 4 ]
  printf '#!/bin/sh\ncat <<END\n%s\nEND\n' "$said" > $multi
  chmod +x $multi
  ln -sfn $multi links/iptables-save

  for command in plan apply; do
    code=0; nslab $command lab.yaml > said 2>&1 || code=$?
    [ $code = 3 ]; grep -q 'iptables-save does not show chain NSLAB-' said
  done
  [ "$(sysctl -n net.ipv4.ip_forward)" = 1 ]
  nslab list | grep -q fw
  nslab status fw > said; grep -q "iptables-save does not show" said; ! grep -q 'make chain' said || exit 1
  nslab apply other.yaml
  nslab destroy other

  nslab destroy fw
  [ -z "$(nft list ruleset)" ]
  [ "$(ip netns list)" = '' ]
  [ "$(sysctl -n net.ipv4.ip_forward)" = 0 ]
  ln -sfn $real links/iptables-save
done

# One that loads nothing, and says that it has.
nslab apply lab.yaml
printf '#!/bin/sh\nexec cat > /dev/null\n' > $multi
ln -sfn $multi links/iptables-restore
ip netns add keep-table; nft add table ip nat; nft add chain ip nat mine
code=0; nslab destroy fw > said 2>&1 || code=$?
[ $code = 3 ]; grep -q 'NSLAB-fw-POST.* is still there' said
ln -sfn $real links/iptables-restore
nslab destroy fw
[ "$(nft list ruleset | grep -c NSLAB)" = 0 ]
