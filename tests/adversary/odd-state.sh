# Whatever stands in /run/nslab where a file or folder of nslab's belongs: the lab is removed by its marks, what is odd
# is told, what a link leads to is left alone, and no command waits for ever.
cat > odd.yaml <<'END'
name: odd
namespaces:
  host:
    bridges: { br-odd: { ports: [h-red] } }
    routes: [{ to: 10.98.0.0/16, type: blackhole }]
    rules: [{ from: 10.97.0.0/16, table: 97, priority: 9700 }]
    forwarding: true
  red: { interfaces: { eth0: { addresses: [10.0.0.1/24] } } }
links: [[red/eth0, host/h-red]]
END
state=/run/nslab
setting=$state/host/net.ipv4.ip_forward

# What stands there instead, once what was there is gone.
put() {
  case $2 in
    folder) mkdir "$1" ;;
    full-folder) mkdir "$1"; touch "$1/theirs" ;;
    to-nothing) ln -s /run/nowhere "$1" ;;
    to-file) ln -s /run/theirs/file "$1" ;;
    to-folder) ln -s /run/theirs "$1" ;;
    fifo) mkfifo "$1" ;;
    socket) python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1" ;;
    empty) : > "$1" ;;
    text) echo 'not what belongs here' > "$1" ;;
    binary) head -c 4096 /dev/urandom > "$1" ;;
    missing) ;;
  esac
}

# Every second state only, unless all are asked for.
every=${NSLAB_SWEEP_EVERY:-2}
n=0

# A lab with one thing in its state replaced; the words that are to be said of it.
try() {
  path=$1 form=$2
  n=$((n + 1))
  [ $((n % every)) = 0 ] || return 0
  rm -rf $state theirs /run/theirs
  mkdir /run/theirs
  echo theirs > /run/theirs/file
  sysctl -qw net.ipv4.ip_forward=0
  nslab apply odd.yaml > said 2>&1 || { cat said; exit 1; }
  rm -r "$path"
  put "$path" "$form"
  for command in list 'status odd' 'plan odd.yaml' 'destroy odd'; do
    code=0
    timeout 20 nslab $command > said 2>&1 < /dev/null || code=$?
    case $code in 0 | 3) ;; *) echo "$path, $form: $command ended with $code"; cat said; exit 1 ;; esac
  done
  left=$(ip -o link show type bridge; ip netns; ip rule show priority 9700; ip route show type blackhole)
  [ -z "$left" ] || { echo "$path, $form: left: $left"; cat said; exit 1; }
  [ "$(sysctl -n net.ipv4.ip_forward)" = 0 ] || { echo "$path, $form: still forwarding"; cat said; exit 1; }
  [ "$(cat /run/theirs/file; ls /run/theirs)" = 'theirs
file' ] || { echo "$path, $form: went through the link"; exit 1; }
  case $form:$path in
    missing:* | empty:* | text:*/lock | binary:*/lock | text:*/was | text:*/set | text:*/topology.yaml | text:*/along | text:*/labs/*) ;;
    *) grep -q "$path" said || { echo "$path, $form: not told"; cat said; exit 1; } ;;
  esac
  # What is left of the state is what nobody but its owner may remove, and it is told.
  case $form:$path:$code in
    full-folder:*:3 | *:$state:*) ;;
    *:0) [ ! -e $state ] && [ ! -L $state ] || { echo "$path, $form: state left"; find $state; cat said; exit 1; } ;;
    *) echo "$path, $form: ended with $code"; cat said; exit 1 ;;
  esac
}

for file in odd/lock odd/journal.json odd/topology.yaml odd/deviceless-routes host/lock \
    host/net.ipv4.ip_forward/was host/net.ipv4.ip_forward/set host/net.ipv4.ip_forward/along \
    host/net.ipv4.ip_forward/labs/odd; do
  for form in folder full-folder to-nothing to-file to-folder fifo socket empty text binary missing; do
    try "$state/$file" $form
  done
done
for folder in $state $state/odd $state/host $setting $setting/labs; do
  for form in to-nothing to-file to-folder fifo socket empty text missing; do
    try "$folder" $form
  done
done
