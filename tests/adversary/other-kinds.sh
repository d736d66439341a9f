# Names in /run/netns that lead to namespaces of other kinds.
cat > lab.yaml <<'END'
name: other
namespaces:
  red: { interfaces: { eth0: { addresses: [10.0.0.1/24] } } }
  blue: { interfaces: { eth0: { addresses: [10.0.0.2/24] } } }
links: [[red/eth0, blue/eth0]]
END
for kind in uts ipc mnt user; do
  touch /run/netns/red
  mount --bind /proc/self/ns/$kind /run/netns/red || { rm /run/netns/red; continue; }
  code=0; nslab apply lab.yaml > said 2>&1 || code=$?
  [ $code = 3 ]; grep -q 'namespace red exists and was not made by nslab' said
  code=0; nslab status other > said 2>&1 || code=$?
  [ $code = 2 ]
  nslab list
  nslab destroy --all
  mountpoint -q /run/netns/red
  umount /run/netns/red
  rm /run/netns/red
done
nslab apply lab.yaml
nslab destroy other
