# --cap-drop ALL with another user than root: user namespaces are enough for a sandbox.
container() {
  setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "$@"
}
container ./nslab test pair.yaml router.yaml nat.yaml
refused container ./nslab apply pair.yaml
says 'run it as root' '`nslab test FILE` and `nslab sandbox` work'
# There, /proc/sys stays as the container has it.
read_only_settings
container ./nslab test pair.yaml
refused container ./nslab test router.yaml
says '--security-opt unmask=ALL'
