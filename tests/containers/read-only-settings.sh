# /proc/sys as containers have it: what is refused names what helps, and a sandbox makes its own settings writable.
read_only_settings
./nslab doctor router.yaml >said && exit 1
says '/proc/sys/net is read-only here' '--security-opt unmask=ALL' 'systempaths=unconfined'
refused ./nslab apply router.yaml
says '--security-opt unmask=ALL' 'systempaths=unconfined'
test -z "$(./nslab list --format json | grep '"name"')"
./nslab test router.yaml
./nslab apply --check pair.yaml
./nslab destroy pair
