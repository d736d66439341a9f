mount -t tmpfs -o ro tmpfs /run/netns
