# --cap-add NET_ADMIN --cap-add SYS_ADMIN of Podman: root may make user namespaces (CAP_SETFCAP), in which it has
# CAP_NET_RAW.
container() {
  setpriv --bounding-set=-all,+chown,+dac_override,+fowner,+setfcap,+setuid,+setgid,+setpcap,+net_admin,+sys_admin "$@"
}
read_only_settings
container ./nslab test pair.yaml router.yaml nat.yaml
# Without one of the two as well.
setpriv --bounding-set=-all,+setfcap,+sys_admin ./nslab test pair.yaml router.yaml
