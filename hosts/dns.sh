# shellcheck shell=bash
#
# The DNS of a host that is not a DHCP client: /etc/resolv.conf for glibc only, or systemd-resolved, with netplan.sh or
# networkd.sh for its link.
#
# Set before: RESOLVER NAMESERVERS SEARCH LINK_FILE LINK_INTERFACE INTERNAL_NAME INTERNAL_ADDRESS EXTERNAL_NAME
# REGISTRY_NAMES FAILOVER_TEST.

PRIMARY=${NAMESERVERS[0]}
# systemd-resolved gives up on an unresponsive server after 5 s, glibc after timeout x attempts.
LOOKUP_SECONDS=15
FIREWALL_TABLE=registry_warden_dns
# The rule expires on its own, so that a lost session cannot leave the primary unreachable.
SILENCE_SECONDS=45

uses_resolved() { [[ $RESOLVER == systemd-resolved ]]; }

check_host() {
  need_tools dig getent
  [[ -z $(delivered_timers) ]] || command -v curl >/dev/null ||
    warn "curl is missing, so nothing is reported of this host; install it there"
  if [[ $FAILOVER_TEST == yes ]]; then
    need_tools nft
  fi
  if uses_resolved; then
    need_tools resolvectl
    check_link
    [[ $(readlink -f /etc/resolv.conf) == /run/systemd/resolve/* ]] ||
      warn "/etc/resolv.conf is not that of systemd-resolved: programs of this host do not ask it"
    warn_of_policy dnssec DNSSEC "internal names are not found unless the zone ${INTERNAL_NAME#*.} is signed"
    warn_of_policy dnsovertls DNSOverTLS "no name is found unless every one of ${NAMESERVERS[*]} speaks TLS on port 853"
  elif [[ -L /etc/resolv.conf ]]; then
    fail "/etc/resolv.conf is a link to $(readlink /etc/resolv.conf), so something manages it; describe the host as systemd-resolved, or replace the link"
  else
    refuse_generated
  fi
}

# warn_of_policy VERB SETTING CONSEQUENCE: a policy of systemd-resolved that is "yes" somewhere.
warn_of_policy() {
  resolvectl "$1" 2>/dev/null | grep -qE ': *yes' || return 0
  warn "systemd-resolved has $2=yes (set in $(grep -lsE "^$2=" /etc/systemd/resolved.conf /etc/systemd/resolved.conf.d/*.conf /run/systemd/resolved.conf.d/*.conf /usr/lib/systemd/resolved.conf.d/*.conf /etc/systemd/network/*.network /run/systemd/network/*.network | paste -sd ' ')): $3; otherwise set it to no there"
}

# The program that wrote the file will overwrite it again. Some programs say so in it.
refuse_generated() {
  local said
  said=$(grep -m 1 -iE '^[#;].*(generated|managed|written) by' /etc/resolv.conf 2>/dev/null) || return 0
  [[ $said != *registry-warden* ]] || return 0
  fail "/etc/resolv.conf says \"$said\", and what is delivered would not stay; stop that program from writing it, or delete that line if it does no longer"
}

stage_parts() {
  if uses_resolved; then
    stage_link
  fi
}

validate() {
  if uses_resolved; then
    validate_link
  fi
}

prepare() { :; }

# --- active configuration ---

# "Link 2 (eth0): 192.0.2.1 192.0.2.2", and "Global: …" without an argument.
servers_of_link() { resolvectl dns "$(link)" | sed 's/^[^:]*: *//'; }
global_servers() { resolvectl dns | sed -n 's/^Global: *//p'; }
global_domains() { resolvectl domain | sed -n 's/^Global: *//p'; }

# resolvectl prints domains in no particular order.
sorted() { printf '%s\n' "$@" | sort; }

has_servers() { [[ $(servers_of_link) == "${NAMESERVERS[*]}" && $(global_servers) == "$PRIMARY" ]]; }
has_domains() { [[ $(global_domains | tr ' ' '\n' | sort) == "$(sorted "${SEARCH[@]}")" ]]; }

resolves_as_delivered() { ! uses_resolved || { has_servers && has_domains; }; }
is_active() { resolves_as_delivered && timers_are_active; }

activate() {
  activate_timers
  uses_resolved || return 0
  note_network >"$PENDING/network"
  sync -- "$PENDING/network"
  reload_resolved
  # networkd passes the servers on to resolved a moment later.
  within 10 resolves_as_delivered || verify_resolved
}

activate_restored() {
  end_silence
  activate_timers
  if uses_resolved; then
    reload_resolved
    restore_network
  fi
}

restored_at_boot() {
  if uses_resolved; then
    link_at_boot
  fi
}

# The permanent addresses and routes, in the form that ip(8) takes.
note_network() {
  ip -o address show scope global permanent | awk '{ print "address", $4, "dev", $2 }'
  ip -4 route show | sed -nE '/^default|proto static/{ s/ linkdown//; s/^/-4 route /; p }'
  ip -6 route show | sed -nE '/proto static/{ s/ linkdown//; s/^/-6 route /; p }'
}

# The addresses and routes from before. Restored files may differ from these, if they were edited but not applied.
restore_network() {
  local line words
  [[ -f $PENDING/network ]] || return 0
  while IFS= read -r line; do
    ! grep -qxF -- "$line" <(note_network) || continue
    say "gives the host back: ip ${line/ / add }"
    read -ra words <<<"$line"
    if [[ ${words[0]} == address ]]; then
      ip address add "${words[@]:1}" || true
    else
      ip "${words[0]}" route add "${words[@]:2}" || true
    fi
  done <"$PENDING/network"
}

# missing_on_link NAME FILE: settings in a .network file that the link does not have.
missing_on_link() {
  local name=$1 file=$2 address gateway mtu
  ip link show dev "$name" >/dev/null 2>&1 || return 0
  while IFS= read -r address; do
    ip -o address show dev "$name" | grep -qF -- " $address " || printf 'not active: %s: Address=%s\n' "$name" "$address"
  done < <(sed -n 's/^Address=//p' -- "$file" | grep /)
  while IFS= read -r gateway; do
    { ip route show table all dev "$name" && ip -6 route show table all dev "$name"; } | grep -qwF -- "via $gateway" ||
      printf 'not active: %s: Gateway=%s\n' "$name" "$gateway"
  done < <(sed -n 's/^Gateway=//p' -- "$file" | grep -E '^[0-9a-fA-F.:]+$')
  while IFS= read -r mtu; do
    [[ $mtu == "$(<"/sys/class/net/$name/mtu")" ]] || printf 'not active: %s: MTUBytes=%s\n' "$name" "$mtu"
  done < <(sed -n 's/^MTUBytes=//p' -- "$file")
}

joined_lines() { paste -sd '|' | sed 's/|/, /g'; }

# Settings made by hand with resolvectl survive a restart, so they are reverted.
reload_resolved() {
  apply_link
  resolvectl revert "$(link)"
  systemctl restart systemd-resolved
}

inspect_delivery() {
  inspect_timers "timer that watches the host"
  uses_resolved || return 0
  inspect_link
  compare "servers of $LINK_INTERFACE in systemd-resolved" "${NAMESERVERS[*]}" "$(servers_of_link)"
  compare "search domains of $LINK_INTERFACE in systemd-resolved" "" "$(resolvectl domain "$(link)" | sed 's/^[^:]*: *//')"
  compare "servers of systemd-resolved" "$PRIMARY" "$(global_servers)"
  compare "search domains of systemd-resolved" "$(sorted "${SEARCH[@]}" | paste -sd ' ')" "$(global_domains | tr ' ' '\n' | sort | paste -sd ' ')"
}

# --- verification ---

# Uses the same path as every program on the host: glibc, and through it systemd-resolved. Prints the addresses.
lookup() { timeout "$LOOKUP_SECONDS" getent ahosts "$1" | awk '{ print $1 }' | sort -u; }

resolves() { [[ -n $(lookup "$1") ]]; }
resolves_internal() { lookup "$INTERNAL_NAME" | grep -qxF -- "$INTERNAL_ADDRESS"; }

# asks_server SERVER NAME: directly, bypassing the host's configuration.
asks_server() {
  local type=A
  if [[ $2 == "$INTERNAL_NAME" && $INTERNAL_ADDRESS == *:* ]]; then
    type=AAAA
  fi
  dig +short +time=3 +tries=2 "@$1" "$2" "$type" | grep -v '^;'
}

forget() {
  if uses_resolved; then
    resolvectl flush-caches
  fi
}

verify_delivery() {
  local mode=$1 name
  need_tools dig getent
  if uses_resolved; then
    verify_resolved
  fi
  asks_server "$PRIMARY" "$INTERNAL_NAME" | grep -qxF -- "$INTERNAL_ADDRESS" ||
    finding "$INTERNAL_NAME, asked of the primary $PRIMARY" "$INTERNAL_ADDRESS" "$(asks_server "$PRIMARY" "$INTERNAL_NAME" | paste -sd ' ')" \
      "check resolver.nameservers and dns.internal"
  forget
  resolves_internal ||
    finding "$INTERNAL_NAME, for the programs of the host" "$INTERNAL_ADDRESS" "$(lookup "$INTERNAL_NAME" | paste -sd ' ')" "check resolver.nameservers"
  for name in "$EXTERNAL_NAME" "${REGISTRY_NAMES[@]}"; do
    resolves "$name" || finding "$name, for the programs of the host" "an address" "" "check that $PRIMARY knows it"
  done
  ((FINDINGS > 0)) || say "$INTERNAL_NAME, $(joined ', ' "$EXTERNAL_NAME" "${REGISTRY_NAMES[@]}") resolve through $PRIMARY"
  if [[ $mode == full || ($mode == deploy && $FAILOVER_TEST == yes) ]]; then
    # A host that resolves no name at all has no fallback that could take over.
    if resolves "$EXTERNAL_NAME"; then
      verify_failover
    else
      say "did not let $PRIMARY fall silent: $EXTERNAL_NAME does not resolve as it is"
    fi
  fi
}

or_nothing() { printf '%s' "${1:-nothing}"; }

verify_resolved() {
  local hint="remove what else the host configures, or deliver again"
  has_servers ||
    finding "servers of systemd-resolved" "$PRIMARY, and for the link ${NAMESERVERS[*]}" "$(or_nothing "$(global_servers)"), and for the link $(or_nothing "$(servers_of_link)")" "$hint"
  has_domains || finding "search domains of systemd-resolved" "${SEARCH[*]}" "$(global_domains)" "$hint"
}

# Drops the primary's replies as they come in. If requests were dropped on the way out, or had no route, a lookup would fail at
# once, which differs from a server that does not answer.
silence_primary() {
  local family=ip type=ipv4_addr
  if [[ $PRIMARY == *:* ]]; then
    family=ip6 type=ipv6_addr
  fi
  end_silence
  nft -f - <<EOF
table inet $FIREWALL_TABLE {
  set silenced { type $type; flags timeout; elements = { $PRIMARY timeout ${SILENCE_SECONDS}s }; }
  chain in { type filter hook input priority -300; $family saddr @silenced meta l4proto { tcp, udp } th sport 53 counter drop; }
}
EOF
}

end_silence() { nft delete table inet "$FIREWALL_TABLE" 2>/dev/null || true; }

verify_failover() {
  local begin=$EPOCHREALTIME outcome=0
  need_tools nft
  forget
  silence_primary
  resolves "$EXTERNAL_NAME" || outcome=1
  end_silence
  if ((outcome == 0)); then
    say "with $PRIMARY silent, $EXTERNAL_NAME resolved after $(elapsed "$begin") s"
  else
    finding "$EXTERNAL_NAME, while $PRIMARY is silent" "an address within $LOOKUP_SECONDS s" "" "check that a fallback of resolver.nameservers knows it"
  fi
  if within "$LOOKUP_SECONDS" resolves_internal; then
    say "with $PRIMARY back, $INTERNAL_NAME resolves again"
  else
    finding "$INTERNAL_NAME, after $PRIMARY was silent" "$INTERNAL_ADDRESS within $LOOKUP_SECONDS s" "" "restart what resolves names on the host"
  fi
  if uses_resolved; then
    # Otherwise the link would keep using the fallback for external names.
    systemctl restart systemd-resolved
  fi
}
