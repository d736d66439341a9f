nft -f - <<'END'
table inet theirs {
  set hosts { type ipv4_addr; elements = { 198.51.100.1, 198.51.100.2 } }
  chain input { type filter hook input priority filter; policy accept; ip saddr @hosts drop; ct state established accept; }
  chain forward { type filter hook forward priority filter; policy accept; iifname "eth9" jump more; }
  chain more { tcp dport { 22, 80 } accept; }
}
END
