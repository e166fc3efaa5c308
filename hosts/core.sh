# shellcheck shell=bash disable=SC2317,SC2329 # what follows calls them, some by name
#
# The common part of all programs on a host: output, findings, locking, and the state of containers.
#
# Set before: HOST.

set -Eeuo pipefail
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# A lost connection closes the output, which must not stop the work in progress.
trap '' PIPE
say() { printf '%s: %s\n' "$HOST" "$*" || true; }
warn() { say "warning: $*"; }
fail() {
  printf '%s: %s\n' "$HOST" "$*" >&2 || true
  exit 1
}

# A failed check ends a delivery. If findings are collected, it is recorded for a program, and the checks continue: a line
# "finding", what was checked, expected and actual, the last three in base64. A line "findings" and their number confirms
# that everything was checked.
COLLECTS_FINDINGS=no
FINDINGS=0

collect_findings() { COLLECTS_FINDINGS=yes; }

finding() {
  local what=$1 expected=$2 actual=$3 hint=$4
  [[ $COLLECTS_FINDINGS == yes ]] || fail "$what: got ${actual:-nothing}, expected $expected; $hint"
  note_finding "$(as_base64 "$what")" "$(as_base64 "$expected")" "$(as_base64 "${actual:-nothing}")"
}

# The three arguments in base64.
note_finding() {
  FINDINGS=$((FINDINGS + 1))
  printf 'finding %s %s %s\n' "$@"
}

end_findings() {
  printf 'findings %d\n' "$FINDINGS"
  ((FINDINGS == 0)) || exit 1
}

# compare WHAT EXPECTED ACTUAL
compare() { [[ $2 == "$3" ]] || finding "$1" "$2" "$3" "deliver again"; }

as_base64() { printf '%s' "$1" | base64 -w 0; }

need_tools() {
  local tool missing=()
  for tool in "$@"; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || fail "${missing[*]} is missing on the host; install it there, nothing is installed from here"
}

# --- locking ---

# A delivery and its maintenance exclude each other. The lock is released when the last process that inherited it ends: a
# command that outlives a killed transaction blocks the watch until it is done.
open_lock() { exec 9>>"$1/lock"; }
try_lock() { flock -n 9; }
# wait_for_lock SECONDS
wait_for_lock() { flock -w "$1" 9 || fail "another delivery or a maintenance task has been running for more than $1 s; wait for it to end"; }
unlock() { flock -u 9; }

# --- waiting and measuring ---

# within SECONDS COMMAND...: retries until it succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

elapsed() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

joined() {
  local separator=$1 text=$2 each
  shift 2
  for each in "$@"; do
    text+=$separator$each
  done
  printf '%s' "$text"
}

# --- containers ---

# "healthy", "starting", "unhealthy"; for a container without a health check its state; "restarting" for one that keeps
# exiting; "absent".
health() {
  local state
  state=$(docker inspect --format '{{ if eq .State.Status "running" }}{{ with .State.Health }}{{ .Status }}{{ else }}running{{ end }}{{ else }}{{ .State.Status }}{{ end }}' "$1" 2>/dev/null) || state=absent
  printf '%s' "$state"
}
