# What a kill leaves of a namespace that is wanted is nothing: making it puts it there. What others left is theirs.
ip netns add red
printf 'nslab:t\n' > /run/netns/ours
printf 'nslab:other\n' > /run/netns/theirs
printf 'nslab:../x\n' > /run/netns/fake
: > /run/netns/empty
chmod 0 /run/netns/empty
mkfifo /run/netns/fifo
mkdir /run/netns/folder
ln -s /nowhere /run/netns/dangling
ln -s /run/netns/red /run/netns/alias
: > /run/netns/host
: > "/run/netns/a b"
