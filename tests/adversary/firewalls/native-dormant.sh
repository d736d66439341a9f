nft -f - <<'END'
table ip theirs {
  flags dormant
  chain forward { type filter hook forward priority 0; policy drop; }
}
END
