# Programs with the names of iptables stand in the folder that nslab is started in, which PATH names by an empty word.
cat > lab.yaml <<'END'
name: nat
namespaces:
  red:
    interfaces: { eth0: { addresses: [10.0.0.1/24] } }
    nat: [masquerade: { source: 10.0.0.0/24 }]
  blue: { interfaces: { eth0: { addresses: [10.0.0.2/24] } } }
links: [[red/eth0, blue/eth0]]
END
for name in iptables iptables-save iptables-restore iptables-legacy-save ip6tables ip6tables-save nft ip; do
  printf '#!/bin/sh\ntouch /run/taken\n' > $name
  chmod +x $name
done
nslab=$(command -v nslab)
for path in '' : .:/nowhere "$PWD" :/usr/sbin; do
  PATH="$path" "$nslab" apply lab.yaml
  PATH="$path" "$nslab" plan lab.yaml
  PATH="$path" "$nslab" destroy nat
done
[ ! -e /run/taken ]
