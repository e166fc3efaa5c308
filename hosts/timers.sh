# shellcheck shell=bash
#
# The timers that a delivery brings, known by how their names begin.
#
# Set before: TIMERS.

# As the files now have them.
timers() { find "$UNITS" -maxdepth 1 -name "$TIMERS-*.timer" -printf '%f\n' | sort; }
active_timers() { systemctl list-units --plain --no-legend --state=active "$TIMERS-*.timer" | cut -d ' ' -f 1 | sort; }
timers_are_active() { [[ $(timers) == "$(active_timers)" ]]; }

# Each from now on: a delivery makes up for no run that was missed. One whose file is gone has failed, and is listed until
# that is forgotten.
activate_timers() {
  local timer
  systemctl daemon-reload
  systemctl stop "$TIMERS-*.timer"
  systemctl reset-failed "$TIMERS-*.timer"
  mkdir -p -- /var/lib/systemd/timers
  while IFS= read -r timer; do
    touch -- "/var/lib/systemd/timers/stamp-$timer"
    systemctl start "$timer"
  done < <(timers)
}

# As they are delivered.
delivered_timers() {
  local path
  for path in "${FILES[@]}"; do
    [[ $path != "$UNITS/$TIMERS-"*.timer ]] || basename -- "$path"
  done | sort
}

# inspect_timers WHAT
inspect_timers() { compare "$1" "$(delivered_timers | paste -sd ' ')" "$(active_timers | paste -sd ' ')"; }
