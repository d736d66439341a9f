nft -f - <<'END'
table ip nat {
  chain prerouting { type nat hook prerouting priority dstnat; policy accept; tcp dport 8080 redirect to :80; }
  chain postrouting { type nat hook postrouting priority srcnat; policy accept; oifname "eth9" masquerade; }
}
END
