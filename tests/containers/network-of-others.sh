# --network host in a rootless container: root of a user namespace, in a network that belongs to another one.
container() {
  unshare --user --map-root-user "$@"
}
refused container ./nslab apply pair.yaml
says 'root, but not of this network' 'not --network host' '`nslab test FILE` and `nslab sandbox` work'
container ./nslab doctor pair.yaml >said && exit 1
says 'root, but not of this network'
container ./nslab test pair.yaml router.yaml nat.yaml
