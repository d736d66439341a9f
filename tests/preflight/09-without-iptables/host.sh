# What is hidden behind a device cannot be run.
for program in iptables ip6tables; do mount --bind /dev/null "$(readlink -f "$(command -v $program)")"; done
