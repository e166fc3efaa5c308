# shellcheck shell=bash
#
# Monitors this host: whether it is in the state that each delivery left, and whether each of its resolvers answers on its own,
# including the fallback. Reports to a Pushgateway; changes nothing.
#
# Read from the settings file beside this one: HOST GROUP NAMESERVERS INTERNAL_NAME INTERNAL_ADDRESS EXTERNAL_NAME, and
# METRIC_… with HELP_….

umask 077

# shellcheck source=/dev/null
source "${BASH_SOURCE[0]%.sh}.settings"

DELIVERIES=/var/lib/registry-warden

# metric NAME HELP, then each of its series: labels and value.
metric() {
  local name=$1 help=$2
  shift 2
  printf '# HELP %s %s\n# TYPE %s gauge\n' "$name" "$help" "$name"
  printf '%s\n' "${@/#/$name}"
}

# 1 if the program of a delivery reports no findings, otherwise 0.
as_delivered() { if bash "$1" inspect >/dev/null 2>&1; then printf 1; else printf 0; fi; }

# answers SERVER NAME TYPE: its addresses.
answers() { dig +short +time=3 +tries=2 "@$1" "$2" "$3" 2>/dev/null | grep -v '^;' || true; }

# The first resolver knows the internal zone, the others only public names.
resolver_is_up() {
  local type=A
  if [[ $1 == "${NAMESERVERS[0]}" ]]; then
    [[ $INTERNAL_ADDRESS != *:* ]] || type=AAAA
    grep -qxF -- "$INTERNAL_ADDRESS" <<<"$(answers "$1" "$INTERNAL_NAME" "$type")" || return 1
  fi
  [[ -n $(answers "$1" "$EXTERNAL_NAME" A) || -n $(answers "$1" "$EXTERNAL_NAME" AAAA) ]]
}

resolver_up() { if resolver_is_up "$1"; then printf 1; else printf 0; fi; }

report() {
  local program server delivered=() up=()
  for program in "$DELIVERIES"/*/delivery.sh; do
    [[ -f $program ]] || continue
    delivered+=("{delivery=\"$(basename -- "$(dirname -- "$program")")\"} $(as_delivered "$program")")
  done
  for server in "${NAMESERVERS[@]}"; do
    up+=("{resolver=\"$server\"} $(resolver_up "$server")")
  done
  ((${#delivered[@]} == 0)) || metric "$METRIC_AS_DELIVERED" "$HELP_AS_DELIVERED" "${delivered[@]}"
  ((${#up[@]} == 0)) || metric "$METRIC_RESOLVER_UP" "$HELP_RESOLVER_UP" "${up[@]}"
  metric "$METRIC_LAST_RUN" "$HELP_LAST_RUN" " $EPOCHSECONDS"
}

main() {
  local text
  exec </dev/null
  need_tools curl
  text=$(report)
  curl --silent --show-error --fail --max-time 10 --retry 3 --retry-delay 2 --retry-all-errors \
    --request PUT --data-binary @- "$GROUP" <<<"$text" ||
    fail "the Pushgateway at $GROUP did not take the report; check that this host reaches it"
}

main "$@"; exit
