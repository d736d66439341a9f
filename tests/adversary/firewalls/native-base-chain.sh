nft -f - <<'END'
table ip filter {
  chain before { type filter hook forward priority -5; policy accept; ip saddr 198.51.100.1 drop; }
}
END
