nft add table ip filter
nft add chain ip filter FORWARD '{ type filter hook forward priority filter; policy accept; }'
nft add rule ip filter FORWARD ct mark set numgen inc mod 2
