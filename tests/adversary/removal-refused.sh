# Two namespaces whose names cannot be removed: both are named, and everything else goes.
sysctl -qw net.ipv4.ip_forward=0
account() { ip -o -4 addr; ip rule; ip route; nft list ruleset; ls /run/netns; sysctl net.ipv4.ip_forward; }
account > nothing
# The files beneath the namespaces, in a view of their folder without them.
mkdir view
refused() {
  code=0; nslab destroy parts > said 2>&1 || code=$?
  [ $code = 3 ] || { cat said; exit 1; }
  for ns in "$@"; do grep -q "cannot remove namespace $ns: .*$errno" said; done
  [ "$(grep -c 'cannot remove' said)" = $# ] || { cat said; exit 1; }
  [ "$(ls /run/netns)" = "$(printf '%s\n' "$@")" ]
  nslab list | grep -q parts
  account | grep -v -x -e blue -e green -e red > left; cmp nothing left
}

nslab apply parts.yaml
mount --bind /run/netns view
# Only the machine's root may do that.
if chattr +i view/red view/blue; then
  errno=EPERM refused blue red
  chattr -i view/red view/blue
else
  ! grep -q ' 0 *0 4294967295' /proc/self/uid_map
fi
umount view
nslab destroy parts
account > left; cmp nothing left

nslab apply parts.yaml
mount -o remount,bind,ro /run/netns
errno=EROFS refused blue green red
mount -o remount,bind,rw /run/netns
nslab destroy parts
account > left; cmp nothing left

# Mounts upon mounts are no obstacle.
nslab apply parts.yaml
for n in 1 2 3; do mount --bind /run/netns/red /run/netns/red; done
nslab destroy parts
account > left; cmp nothing left
