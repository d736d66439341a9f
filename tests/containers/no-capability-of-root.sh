# --cap-drop ALL: root cannot be mapped into a user namespace without CAP_SETFCAP, so nothing works, and nslab says so.
container() {
  setpriv --bounding-set=-all "$@"
}
refused container ./nslab test pair.yaml
says '--cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN'
refused container ./nslab apply pair.yaml
says '--cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN' 'not even `nslab test` works here'
container ./nslab doctor pair.yaml >said && exit 1
says 'not even `nslab test` works here'
# With that one alone, it does.
setpriv --bounding-set=-all,+setfcap ./nslab test pair.yaml router.yaml
refused setpriv --bounding-set=-all,+setfcap ./nslab apply pair.yaml
says '`nslab test FILE` and `nslab sandbox` work'
