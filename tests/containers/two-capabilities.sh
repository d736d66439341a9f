# --cap-drop ALL --cap-add NET_ADMIN --cap-add SYS_ADMIN: labs can be made, and nobody sees packets arrive in them.
container() {
  setpriv --bounding-set=-all,+net_admin,+sys_admin "$@"
}
container ./nslab doctor pair.yaml >said
says 'lacks CAP_NET_BIND_SERVICE and CAP_NET_RAW' '--cap-add NET_BIND_SERVICE --cap-add NET_RAW'
container ./nslab apply pair.yaml 2>said
says 'lacks CAP_NET_BIND_SERVICE and CAP_NET_RAW' '--cap-add NET_BIND_SERVICE --cap-add NET_RAW'
code=0
container ./nslab check pair.yaml 2>said || code=$?
test "$code" -eq 3
says 'checks need CAP_NET_BIND_SERVICE and CAP_NET_RAW' '--cap-add NET_BIND_SERVICE --cap-add NET_RAW'
container ./nslab destroy pair
refused container ./nslab test pair.yaml
says '--cap-add NET_BIND_SERVICE --cap-add NET_RAW'
# With what it names, all of it works, and a sandbox has settings of its own.
container() {
  setpriv --bounding-set=-all,+net_admin,+sys_admin,+net_raw,+net_bind_service "$@"
}
read_only_settings
container ./nslab apply --check pair.yaml
container ./nslab destroy pair
container ./nslab test pair.yaml router.yaml nat.yaml
