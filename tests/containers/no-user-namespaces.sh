# Where there can be no user namespaces (here by their number; in Docker by its seccomp profile), nothing is recommended
# that does not work. The limit is that of the user namespace in which it is written.
container() {
  unshare --user --map-root-user sh -euc '
    echo 0 >/proc/sys/user/max_user_namespaces
    exec setpriv --bounding-set=-all,+setfcap "$@"' container "$@"
}
refused container ./nslab test pair.yaml
says 'sysctl -w user.max_user_namespaces'
refused container ./nslab apply pair.yaml
says 'not even `nslab test` works here' 'cannot make a user namespace'
