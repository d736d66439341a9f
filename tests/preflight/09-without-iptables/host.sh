# What is hidden behind a device cannot be run.
mount --bind /dev/null "$(readlink -f "$(command -v iptables)")"
