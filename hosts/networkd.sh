# shellcheck shell=bash
#
# The nameservers of a link that systemd-networkd configures from the operator's file: we add a drop-in for that file.
#
# Set before: LINK_FILE LINK_INTERFACE. Defines the functions that dns.sh needs for the link, as netplan.sh does.

check_link() {
  local used
  need_tools networkctl
  used=$(network_file)
  [[ ${used##*/} == "$LINK_FILE" ]] ||
    fail "systemd-networkd configures $LINK_INTERFACE by ${used:-no file}; given $LINK_FILE: set resolver.networkd to the interface and the file that it uses"
}

network_file() { networkctl status --no-pager -- "$LINK_INTERFACE" 2>/dev/null | sed -n 's/^ *Network File: *//p' | head -n 1; }

# The drop-in is a file of its own.
stage_link() { :; }

# A reload also activates changes to the file since it was last read.
validate_link() {
  local missing
  missing=$(missing_on_link "$LINK_INTERFACE" "$(network_file)" | joined_lines)
  [[ -z $missing ]] || fail "the files of systemd-networkd say what is not active, and a delivery would activate it: $missing; apply it first, or take it out of the files: networkctl reload"
}

link() { printf '%s' "$LINK_INTERFACE"; }
# The drop-in is compared like any other file.
inspect_link() { :; }
apply_link() { timeout 60 networkctl reload && timeout 60 networkctl reconfigure "$LINK_INTERFACE"; }
# networkd reads its files when it starts.
link_at_boot() { :; }
