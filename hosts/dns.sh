# shellcheck shell=bash
#
# The DNS of a host that is no DHCP client: /etc/resolv.conf for glibc alone, or systemd-resolved behind netplan.
#
# Set before: RESOLVER NAMESERVERS SEARCH NETPLAN_FILE NETPLAN_INTERFACE INTERNAL_NAME INTERNAL_ADDRESS EXTERNAL_NAME
# REGISTRY_NAMES FAILOVER_TEST.

PRIMARY=${NAMESERVERS[0]}
# systemd-resolved gives up on a silent server after 5 s, glibc after timeout x attempts.
LOOKUP_SECONDS=15
FIREWALL_TABLE=registry_warden_dns
# The rule ends by itself: a lost session cannot leave the primary unreachable.
SILENCE_SECONDS=45

uses_resolved() { [[ $RESOLVER == systemd-resolved ]]; }

check_host() {
  need_tools dig getent
  if [[ $FAILOVER_TEST == yes ]]; then
    need_tools nft
  fi
  if uses_resolved; then
    need_tools netplan resolvectl
    [[ -f $NETPLAN_FILE ]] || fail "there is no $NETPLAN_FILE; allowed is the file that defines $NETPLAN_INTERFACE: set resolver.netplan.file"
    [[ $(readlink -f /etc/resolv.conf) == /run/systemd/resolve/* ]] ||
      warn "/etc/resolv.conf is not that of systemd-resolved: programs of this host do not ask it"
  elif [[ -L /etc/resolv.conf ]]; then
    fail "/etc/resolv.conf is a link to $(readlink /etc/resolv.conf), so something manages it; allowed is a plain file: describe the host as systemd-resolved, or replace the link"
  fi
}

# --- the nameservers of one interface, the only node of the netplan file that is ours ---

# netplan_in TREE VERB...: netplan on a copy of the host's files.
netplan_in() {
  local tree=$1 verb=$2
  shift 2
  netplan "$verb" --root-dir "$tree" "$@"
}

# The path of the interface, as netplan writes it: a dot within the name is escaped.
netplan_path() {
  local tree=$1 section
  for section in ethernets bonds bridges vlans wifis dummy-devices; do
    if [[ $(netplan_in "$tree" get "$section.${NETPLAN_INTERFACE//./\\.}") != null ]]; then
      printf '%s.%s' "$section" "${NETPLAN_INTERFACE//./\\.}"
      return
    fi
  done
}

netplan_nameservers() {
  local tree=$1 path=$2
  netplan_in "$tree" get "$path.nameservers" | tr -d '"'
}

wanted_nameservers() {
  printf 'addresses:\n'
  printf -- '- %s\n' "${NAMESERVERS[@]}"
}

# What netplan makes of the files, but for the DNS of the links.
netplan_result() {
  local tree=$1
  rm -rf -- "$tree/run"
  netplan_in "$tree" generate 2>"$tree/errors" || fail "netplan refuses the files: $(grep -v '^$' "$tree/errors" | head -n 3 | tr '\n' ' ')"
  (cd "$tree" && find run -type f | sort | xargs -r grep -HvE '^(DNS|Domains|dns|dns-search)=')
}

stage_parts() {
  local tree=$STATE/netplan path before origin
  uses_resolved || return 0
  origin=$(basename -- "$NETPLAN_FILE" .yaml)
  rm -rf -- "$tree"
  mkdir -m 0700 -- "$tree" "$tree/etc"

  # On its own first: is the interface of this file?
  mkdir -- "$tree/etc/netplan"
  cp -a -- "$NETPLAN_FILE" "$tree/etc/netplan"
  path=$(netplan_path "$tree")
  [[ -n $path ]] || fail "$NETPLAN_FILE does not define $NETPLAN_INTERFACE; allowed is the file that does: $(grep -lw -- "$NETPLAN_INTERFACE" /etc/netplan/*.yaml | tr '\n' ' ')"

  if [[ $(netplan_nameservers "$tree" "$path") != "$(wanted_nameservers)" ]]; then
    cp -a -- /etc/netplan/. "$tree/etc/netplan"
    before=$(netplan_result "$tree")
    # A list is appended to, so the old one goes first.
    netplan_in "$tree" set --origin-hint "$origin" "$path.nameservers=null"
    netplan_in "$tree" set --origin-hint "$origin" "$path.nameservers={addresses: [$(joined ', ' "${NAMESERVERS[@]}")]}"
    [[ $before == "$(netplan_result "$tree")" ]] || fail "netplan would change more of $NETPLAN_FILE than the nameservers of $NETPLAN_INTERFACE; allowed is that node alone: set them there by hand to $(joined ' ' "${NAMESERVERS[@]}")"
    stage_file "$NETPLAN_FILE" "$(stat -c '0%a' -- "$NETPLAN_FILE")" <"$tree/etc/netplan/$origin.yaml"
  fi
  rm -rf -- "$tree"
}

# All files of netplan together, as they will be: lists of several files are appended to each other.
validate() {
  local tree=$STATE/netplan path found
  uses_resolved || return 0
  rm -rf -- "$tree"
  mkdir -m 0700 -- "$tree" "$tree/etc"
  cp -a -- /etc/netplan "$tree/etc"
  [[ ! -d $STAGED/etc/netplan ]] || cp -a -- "$STAGED/etc/netplan/." "$tree/etc/netplan"
  netplan_result "$tree" >/dev/null
  path=$(netplan_path "$tree")
  found=$(netplan_nameservers "$tree" "$path")
  [[ $found == "$(wanted_nameservers)" ]] || fail "another file than $NETPLAN_FILE adds to the nameservers of $NETPLAN_INTERFACE: ${found//$'\n'/ }; allowed are those of one file: remove them from $(grep -l nameservers /etc/netplan/*.yaml | tr '\n' ' ')"
  rm -rf -- "$tree"
}

prepare() { :; }

# --- what runs ---

# The device, which a set-name may call otherwise than its key in the file.
link() {
  local name
  name=$(netplan get "$(netplan_path /).set-name" | tr -d '"')
  if [[ $name == null || -z $name ]]; then
    name=$NETPLAN_INTERFACE
  fi
  printf '%s' "$name"
}

# "Link 2 (eth0): 192.0.2.1 192.0.2.2", and "Global: …" without an argument.
servers_of_link() { resolvectl dns "$(link)" | sed 's/^[^:]*: *//'; }
global_servers() { resolvectl dns | sed -n 's/^Global: *//p'; }
global_domains() { resolvectl domain | sed -n 's/^Global: *//p'; }

# Domains are printed in an order of their own.
sorted() { printf '%s\n' "$@" | sort; }

has_servers() { [[ $(servers_of_link) == "${NAMESERVERS[*]}" && $(global_servers) == "$PRIMARY" ]]; }
has_domains() { [[ $(global_domains | tr ' ' '\n' | sort) == "$(sorted "${SEARCH[@]}")" ]]; }

is_active() { ! uses_resolved || { has_servers && has_domains; }; }

activate() {
  uses_resolved || return 0
  reload_resolved
  # networkd tells resolved of the servers a moment later.
  within 10 is_active || verify_resolved
}

activate_restored() {
  end_silence
  if uses_resolved; then
    reload_resolved
  fi
}

restored_at_boot() {
  if uses_resolved; then
    netplan generate
  fi
}

# What somebody set by hand with resolvectl outlives a restart, so it is reverted.
reload_resolved() {
  timeout 60 netplan apply
  resolvectl revert "$(link)"
  systemctl restart systemd-resolved
}

inspect_delivery() {
  uses_resolved || return 0
  compare "nameservers of $NETPLAN_INTERFACE in $NETPLAN_FILE" "$(wanted_nameservers)"$'\n' "$(netplan_nameservers / "$(netplan_path /)")"$'\n'
  compare "servers of $NETPLAN_INTERFACE in systemd-resolved" "${NAMESERVERS[*]}" "$(servers_of_link)"
  compare "search domains of $NETPLAN_INTERFACE in systemd-resolved" "" "$(resolvectl domain "$(link)" | sed 's/^[^:]*: *//')"
  compare "servers of systemd-resolved" "$PRIMARY" "$(global_servers)"
  compare "search domains of systemd-resolved" "$(sorted "${SEARCH[@]}" | paste -sd ' ')" "$(global_domains | tr ' ' '\n' | sort | paste -sd ' ')"
}

# --- verification ---

# The way every program of the host takes: glibc, and through it systemd-resolved. Prints the addresses.
lookup() { timeout "$LOOKUP_SECONDS" getent ahosts "$1" | awk '{ print $1 }' | sort -u; }

resolves() { [[ -n $(lookup "$1") ]]; }
resolves_internal() { lookup "$INTERNAL_NAME" | grep -qxF -- "$INTERNAL_ADDRESS"; }

# asks_server SERVER NAME: directly, whatever the host is configured to do.
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
    # A host that finds no name at all has nothing that could take over.
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

# The replies of the primary are dropped on their way in. Dropped on the way out, or without a route, a lookup fails at
# once, and that is another case than a server that is silent.
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
    # The link would stay with the fallback for external names.
    systemctl restart systemd-resolved
  fi
}
