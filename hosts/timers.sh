# shellcheck shell=bash
#
# The timers in a delivery, recognized by the prefix of their names.
#
# Set before: TIMERS.

# The timers according to the installed files.
timers() { find "$UNITS" -maxdepth 1 -name "$TIMERS-*.timer" -printf '%f\n' | sort; }
active_timers() { systemctl list-units --plain --no-legend --state=active "$TIMERS-*.timer" | cut -d ' ' -f 1 | sort; }
timers_are_active() { [[ $(timers) == "$(active_timers)" ]]; }

# Each starts from now on: a delivery does not make up for missed runs. A timer whose file is gone has failed, and is listed
# until that is reset.
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

# The timers as delivered.
delivered_timers() {
  local path
  for path in "${FILES[@]}"; do
    [[ $path != "$UNITS/$TIMERS-"*.timer ]] || basename -- "$path"
  done | sort
}

# inspect_timers WHAT
inspect_timers() { compare "$1" "$(delivered_timers | paste -sd ' ')" "$(active_timers | paste -sd ' ')"; }
