# Policy rules of every kind, and some that the lab's words cannot express: those look table 0 up.
ip netns add red
ip -n red link add name a address 02:00:00:00:00:01 type veth peer name b address 02:00:00:00:00:02
ip -n red rule add priority 100 from 10.0.0.0/8 lookup 100
ip -n red rule add priority 101 from 10.0.0.0/8 to 10.1.0.0/16 iif a oif gone lookup 70000
ip -n red rule add priority 102 fwmark 0x7 lookup 100
ip -n red rule add priority 103 fwmark 0x10/0xf0 blackhole
ip -n red rule add priority 104 to 10.0.0.1 unreachable
ip -n red rule add priority 105 from all prohibit
ip -n red rule add priority 106 not from 10.0.0.0/8 lookup 100
ip -n red rule add priority 107 from 10.0.0.0/8 dsfield 0x10 lookup 100
ip -n red rule add priority 108 ipproto tcp dport 80 lookup 100
ip -n red rule add priority 109 lookup main suppress_prefixlength 0
ip -n red rule add priority 110 goto 32766
ip -n red rule add priority 32766 lookup 100
ip -n red -6 rule add priority 100 from 2001:db8::/32 lookup 100
ip -n red -6 rule add priority 101 to 2001:db8::/32 unreachable
