# The administrator changes a host setting that a lab has set: it is not put back, and that is told. What still is the
# lab's is put back, also where its claim, its record or its folder is lost.
setting=net.ipv4.ip_local_reserved_ports
lab() {
  printf 'name: %s\nnamespaces:\n  host: { bridges: { br-%s: {} }, sysctls: { %s: "%s" } }\n' $1 $1 $setting $2 > $1.yaml
  nslab apply $1.yaml
}
is() { [ "$(sysctl -n $setting)" = "$1" ]; }
sysctl -qw $setting=99

lab a 100; sysctl -qw $setting=200
nslab destroy a > said 2>&1
is 200; grep -q "somebody has changed $setting of the host to 200" said; [ ! -e /run/nslab ]

# Put back already, by whoever changed it: nothing to tell.
sysctl -qw $setting=99
lab a 100; sysctl -qw $setting=99
nslab destroy a > said 2>&1
is 99; ! grep -q somebody said || exit 1

# Spelt otherwise it is the same.
lab a 100-101; sysctl -qw $setting=100,101
nslab destroy a > said 2>&1
is 99; ! grep -q somebody said || exit 1

# Changed by an edit of the lab, it is the lab's, also when the file loses it.
lab a 100; lab a 300
nslab destroy a; is 99
lab a 100
printf 'name: a\nnamespaces:\n  host: { bridges: { br-a: {} } }\n' > a.yaml
nslab apply a.yaml; is 99
lab a 100; sysctl -qw $setting=200
printf 'name: a\nnamespaces:\n  host: { bridges: { br-a: {} } }\n' > a.yaml
nslab apply a.yaml > said 2>&1
is 200; grep -q "somebody has changed $setting" said
nslab destroy a; is 200; sysctl -qw $setting=99

# Two labs: the last one looks.
lab a 100; lab b 100; sysctl -qw $setting=200
nslab destroy a > said 2>&1
is 200; ! grep -q somebody said || exit 1
nslab destroy b > said 2>&1
is 200; grep -q "somebody has changed $setting" said
sysctl -qw $setting=99

# What is lost is no reason to leave it.
for lost in /host "/host/$setting" "/host/$setting/was" "/host/$setting/labs" "/host/$setting/labs/a" \
    "/host/$setting/set" /a ""; do
  lab a 100
  rm -rf "/run/nslab$lost"
  nslab destroy a
  is 99
  [ ! -e /run/nslab ]
done
# Nor to take it away from another lab that needs it.
for lost in /host "/host/$setting" "/host/$setting/labs/b" "/host/$setting/labs" ""; do
  lab a 100; lab b 100
  rm -rf "/run/nslab$lost"
  nslab destroy a; is 100
  nslab destroy b; is 99
  [ ! -e /run/nslab ]
done
# Nor to take what a lab has set for what was there before.
lab a 100; rm -rf /run/nslab
lab b 100
nslab destroy a; is 100
nslab destroy b; is 99
