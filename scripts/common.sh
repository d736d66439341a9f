# shellcheck shell=bash
# What the scripts share. It is read with `source`, after which the working directory is the root of the repository.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
# ip, iptables and sysctl live in sbin, which an ordinary user's PATH leaves out.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

heading() {
  printf '\n== %s\n' "$*"
}

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null
}

is_root() {
  [[ $EUID -eq 0 ]]
}

# How somebody who is not root becomes it in a sandbox.
sandbox_user=(--user --map-root-user)

# sandbox CMD…: runs a command in a private host of its own, root or not. What it does there cannot touch the machine,
# and it reaches no network. /run/netns is a mount of its own, as `ip netns` makes it, so that all namespaces can be
# dropped at once.
sandbox() {
  local mapped=()
  is_root || mapped=("${sandbox_user[@]}")
  # shellcheck disable=SC2016 # "$@" belongs to the inner shell
  unshare "${mapped[@]}" --net --mount --propagation private sh -ec '
    mount -t tmpfs tmpfs /run
    mkdir /run/netns
    mount -t tmpfs tmpfs /run/netns
    ip link set lo up
    exec "$@"' sandbox "$@"
}

# Whether this machine lets the present user have a sandbox.
sandbox_works() {
  sandbox true 2>/dev/null
}

# lacks FILE: what this machine lacks for a shipped topology, in nslab's words; nothing where it has it all.
lacks() {
  local try what
  case $(basename "$1") in
    12-ingress.yaml)
      has nginx || echo "there is no nginx"
      return 0
      ;;
    15-vlans.yaml) try='type bridge vlan_filtering 1' what='this kernel has no VLAN filtering of bridges' ;;
    16-vrf.yaml) try='type vrf table 1' what='this kernel has no interfaces of the kind vrf' ;;
    17-gre.yaml) try='type gre remote 192.0.2.1' what='this kernel has no interfaces of the kind gre' ;;
    18-wireguard.yaml) try='type wireguard' what='this kernel has no interfaces of the kind wireguard' ;;
    *) return 0 ;;
  esac
  # shellcheck disable=SC2086 # words on purpose
  sandbox ip link add name try0 $try 2>/dev/null || echo "$what"
}

# test_shipped FOLDER CMD…: runs CMD, an `nslab test` in one way or another, on the shipped topologies in a folder. What
# this machine lacks something for has to be refused, and nslab to say what is missing.
test_shipped() {
  local folder=$1 file lacking said code files=()
  shift
  for file in "$folder"/*.yaml; do
    lacking=$(lacks "$file")
    if [[ -z $lacking ]]; then
      files+=("$file")
      continue
    fi
    echo "$file: $lacking, and nslab has to say so"
    code=0
    said=$("$@" "$file" 2>&1) || code=$?
    echo "$said"
    [[ $code -eq 3 && $said == *"$lacking"* ]] || return 1
  done
  "$@" "${files[@]}"
}

# busybox_root FOLDER: a root file system of BusyBox (package busybox-static) and nothing else.
busybox_root() {
  mkdir -p "$1"/{bin,dev,etc,proc,run,sys,tmp,usr/bin}
  cp /bin/busybox "$1/bin/"
  chroot "$1" /bin/busybox --install -s /bin
  echo 'root:x:0:0::/:/bin/sh' >"$1/etc/passwd"
}

# host_account: the kernel's own account of this host's network, without what changes by itself (lifetimes, counters,
# dates).
host_account() {
  local show
  for show in link addr route rule '-6 route' '-6 rule'; do
    printf '## ip %s\n' "$show"
    # shellcheck disable=SC2086 # two words on purpose
    ip -j -p $show show | grep -vE '"(valid_life_time|preferred_life_time|expires)":'
  done
  printf '## ip netns\n'
  ip netns list | cut -d' ' -f1 | sort
  if is_root; then
    for show in iptables-save ip6tables-save; do
      has "$show" || continue
      printf '## %s\n' "$show"
      "$show" | sed -E '/^#/d; s/\[[0-9]+:[0-9]+\]//'
    done
  fi
}

# unchanged WHERE CMD…: runs a command, which must leave the network of the host it runs on as it was.
unchanged() {
  local where=$1 before after status
  shift
  before=$(host_account)
  # Not `"$@" || status=$?`, under which a function would go on after a failure.
  set +e
  (set -e; "$@")
  status=$?
  set -e
  after=$(host_account)
  if ! diff -u <(echo "$before") <(echo "$after"); then
    echo "the network of $where is not what it was" >&2
    return 1
  fi
  return "$status"
}

# missing_packages PACKAGE…: those that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || echo "$package"
  done
}

# install_packages PACKAGE…: those that are not there yet, by apt, as root or with a sudo that asks nothing. Fails where
# neither is to be had.
install_packages() {
  local as=() missing
  has apt-get || return 1
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if ! is_root; then
    sudo -n true 2>/dev/null || return 1
    as=(sudo -n)
  fi
  "${as[@]}" apt-get update -q
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# install_without_services PACKAGE…: the same, and none of their services is started, now or at the next boot. What
# invoke-rc.d and deb-systemd-invoke ask is policy-rc.d; a machine that has one keeps it.
install_without_services() {
  local policy=/usr/sbin/policy-rc.d as=() new units
  mapfile -t new < <(missing_packages "$@")
  [[ ${#new[@]} -gt 0 ]] || return 0
  if ! is_root; then
    sudo -n true 2>/dev/null || return 1
    as=(sudo -n)
  fi
  (
    if [[ ! -e $policy ]]; then
      # shellcheck disable=SC2064 # what is removed is what is made here
      trap "${as[*]} rm -f $policy" EXIT
      printf '#!/bin/sh\nexit 101\n' | "${as[@]}" install -m 0755 /dev/stdin "$policy"
    fi
    install_packages "${new[@]}"
  ) || return 1
  mapfile -t units < <(dpkg -L "${new[@]}" | sed -n 's|.*/systemd/system/\([^/@]*\.service\)$|\1|p')
  if has systemctl && [[ ${#units[@]} -gt 0 ]]; then "${as[@]}" systemctl disable --quiet "${units[@]}"; fi
}

# packages_of_examples: what shipped topologies and examples need, as their first lines say.
packages_of_examples() {
  # shellcheck disable=SC2016 # the backquotes are the file's
  sed -n 's/^# Needs .*: the package `\(.*\)` of Debian and Ubuntu\.$/\1/p' topologies/*.yaml topologies/examples/*.yaml | sort -u
}
