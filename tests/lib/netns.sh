# A flock behind a firewall of the test's own: sourced first, not run. The test runs again in a network namespace of its
# own, where node N is 127.0.1.N:7946, or the test says plainly that there is none, and why, and ends.
#
#   net_loss PERCENT [udp]      so much is lost of all that is received (of datagrams alone)
#   net_cut FROM TO             node TO receives nothing from node FROM; lists as {1,2}; one way
#   net_heal                    nothing is lost any more
#
# Rules are at INPUT: a packet is lost on its way, and no sender is told.
if [ -z "${MR_NETNS:-}" ]; then
  for how in "unshare -n" "unshare -rn"; do
    $how true 2>/dev/null && MR_NETNS=1 exec $how "$BASH" "$0" "$@"
  done
  echo "skip $(basename "$0" .sh): no network namespace is to be had here (unshare -n, unshare -rn)"
  exit 0
fi
ip link set lo up || { echo "skip $(basename "$0" .sh): the namespace has no loopback (ip link)"; exit 0; }
{ nft add table ip mr && nft add chain ip mr input '{ type filter hook input priority 0; }' &&
  nft add rule ip mr input udp dport 1 numgen random mod 100 '<' 1 drop; } 2>/dev/null || {
  echo "skip $(basename "$0" .sh): no firewall in the namespace (nft with numgen)"
  exit 0
}

net_addresses() { echo "{ $(for n in $(eval echo "$1"); do printf '%s127.0.1.%s' "${c:-}" "$n"; c=", "; done) }"; }
net_loss() {
  nft add rule ip mr input udp dport 7946 numgen random mod 100 '<' "$1" drop
  [ "${2:-}" = udp ] || nft add rule ip mr input ip protocol tcp numgen random mod 100 '<' "$1" drop
}
net_cut() { nft add rule ip mr input ip saddr "$(net_addresses "$1")" ip daddr "$(net_addresses "$2")" drop; }
net_heal() { nft flush chain ip mr input; }

net_start() { ADDR[$1]=127.0.1.$1:7946; flock_start "$@"; }
# How often anybody was held dead so far, by anybody.
deaths() { cat "$DIR"/*.err | grep -c 'state=dead'; }
# Does node N hold node M so?
holds() { [ "$(AT=${ADDR[$1]} ctl members -o json | jq -r --arg m "node$2" '.[] | select(.name == $m) | .state')" = "$3" ]; }
all_hold() { # state of node M, by each of the nodes N...
  local m=$1 state=$2 n
  shift 2
  for n; do holds "$n" "$m" "$state" || return 1; done
}
