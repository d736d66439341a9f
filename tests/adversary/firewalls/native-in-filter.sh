nft -f - <<'END'
table ip filter {
  chain INPUT { type filter hook input priority filter; policy accept; ip saddr { 198.51.100.1, 198.51.100.2 } drop; }
  chain mine { }
}
END
