nft -f - <<'END'
table ip theirs {
  map ports { type inet_service : verdict; elements = { 22 : accept, 23 : drop } }
  chain input { type filter hook input priority 0; policy accept; tcp dport vmap @ports; }
}
END
