# shellcheck shell=bash
#
# A change to a host as a transaction: whatever fails (a check, the connection, this process, the power), the host ends up either
# as it was before, or as delivered and verified, and never in between.
#
#   apply       stage, validate, back up, arm, install, activate, verify; then wait for confirmation
#   confirm     from a new connection: keep the change. Without it the watch rolls back
#   verify      whether it works: names resolve, registries answer
#   inspect     report the differences from the delivered state as findings; read-only
#   backups     the possible targets of a rollback, oldest first, for a program
#   difference  what a rollback would change
#   rollback    back to the newest backup, or to a given one
#   watch       every ten seconds during a transaction: roll back one that was abandoned
#   recover     at boot, before the network: restore the files that an unfinished transaction replaced
#
# The delivery's own program defines these functions, with the same names in every delivery:
#   check_host          refuses a host that lacks something, lists what else will be taken over
#   stage_parts         stages edited files, with stage_file
#   validate            refuses staged files that would not work
#   prepare             does whatever can be slow or fail before anything is changed
#   is_active           whether the host already runs according to the files
#   activate            makes the host run according to the files
#   verify_delivery     reports whether it works, as findings; its argument is "quiet", "full", which allows a disruptive check,
#                       or "deploy", for which the site decides
#   inspect_delivery    reports further differences from the delivered state, besides the files
#   activate_restored   like activate, for restored files
#   restored_at_boot    the same, before the network is up
#
# Set before: DELIVERY HOST TITLE BACKUPS FILES MODES CONTENTS DIGESTS LINKS TARGETS DIRECTORIES VERSION ID AGAIN. A file with a
# digest is a bundle, which is not shown.

umask 022

STATE=/var/lib/registry-warden/$DELIVERY
STAGED=$STATE/staged
# Exists during a transaction. Renaming it into place starts the transaction, renaming it away ends it.
PENDING=$STATE/pending
PROGRAM=$STATE/delivery.sh
MANIFEST=$STATE/manifest
# All backups of this host from all deliveries, one on each line in the order of creation, with a description. Their names come
# from the clock, which may have been wrong.
RECORD=/var/lib/registry-warden/backups
UNIT=registry-warden-$DELIVERY
UNITS=/etc/systemd/system

LOCK_SECONDS=300
CONFIRM_SECONDS=60
BACKUPS_KEPT=10
# Of the watch, ten seconds apart: allows for a Docker that is slow to start after a reboot.
RESTORE_ATTEMPTS=30

CHANGED=()
REMOVED=()
ARCHIVE=
# The text of this program when bash had read all of it.
OWN_TEXT=

# Installs a copy of a file or symbolic link atomically, with its content, mode, owner and times.
put() {
  local source=$1 path=$2 beside
  beside=$(beside "$path")
  mkdir -p -- "${path%/*}"
  cp -a --remove-destination -- "$source" "$beside"
  flush "$beside"
  mv -fT -- "$beside" "$path"
  flush "${path%/*}"
}

# The extension keeps other programs from reading it as a configuration file.
beside() { printf '%s/.%s.registry-warden' "${1%/*}" "${1##*/}"; }

flush() { [[ -L $1 ]] || sync -- "$1"; }

same() {
  if [[ -L $1 || -L $2 ]]; then
    [[ -L $1 && -L $2 && $(readlink -- "$1") == "$(readlink -- "$2")" ]]
  else
    [[ -f $1 && -f $2 ]] && cmp -s -- "$1" "$2" && [[ $(stat -c '%a %u %g' -- "$1") == "$(stat -c '%a %u %g' -- "$2")" ]]
  fi
}

take_lock() {
  install -d -m 0700 -- "$STATE"
  open_lock "$STATE"
  wait_for_lock "$LOCK_SECONDS"
}

uptime_seconds() { sed 's/\..*//' /proc/uptime; }
boot_id() { cat /proc/sys/kernel/random/boot_id; }

is_pending() { [[ -d $PENDING ]]; }

# Whether it is activated and verified, with time left to confirm. A reboot ends the wait.
is_awaiting() {
  [[ -f $PENDING/deadline && $(<"$PENDING/boot") == "$(boot_id)" ]] && (($(uptime_seconds) < $(<"$PENDING/deadline")))
}

step() {
  printf '%s\n' "$*" >>"$PENDING/journal"
  sync -- "$PENDING/journal"
}

# With the lock: rolls back an abandoned transaction; waits for one that is awaiting confirmation.
settle_previous() {
  while is_pending && is_awaiting; do
    say "waits for the confirmation of an earlier delivery"
    unlock
    sleep 2
    wait_for_lock "$LOCK_SECONDS"
  done
  if is_pending; then
    say "an earlier delivery did not end; restores what it replaced"
    trap say_undone EXIT
    undo
    trap - EXIT
  fi
}

# --- staging ---

# The new version of a file, from standard input.
stage_file() {
  local path=$1 mode=$2 staged=$STAGED$1
  mkdir -p -- "${staged%/*}"
  cat >"$staged"
  chmod "$mode" -- "$staged"
  chown 0:0 -- "$staged"
}

stage() {
  local index path
  rm -rf -- "$STAGED"
  mkdir -m 0700 -- "$STAGED"
  for index in "${!FILES[@]}"; do
    base64 -d <<<"${CONTENTS[index]}" | stage_file "${FILES[index]}" "${MODES[index]}"
  done
  for index in "${!LINKS[@]}"; do
    mkdir -p -- "$STAGED${LINKS[index]%/*}"
    ln -s -- "${TARGETS[index]}" "$STAGED${LINKS[index]}"
  done
  stage_manifest
  own_program | stage_file "$PROGRAM" 0700
  stage_parts
  while IFS= read -r path; do
    same "$path" "$STAGED$path" || CHANGED+=("$path")
  done < <(staged_paths)
  while IFS= read -r path; do
    [[ ! -e $path && ! -L $path ]] || REMOVED+=("$path")
  done < <(comm -23 <(manifest_paths "$MANIFEST" | sort) <(manifest_paths "$STAGED$MANIFEST" | sort))
}

own_program() { printf '%s\n' "$OWN_TEXT"; }

# Records what was delivered, so that a later delivery can remove what is no longer part of it: an id and the version, then a
# digest, a mode and a path on each line, or "link", its target and its path.
stage_manifest() {
  local index digest
  {
    printf '%s %s\n' "$ID" "$VERSION"
    for index in "${!FILES[@]}"; do
      digest=$(sha256sum <"$STAGED${FILES[index]}")
      printf '%s %s %s\n' "${digest%% *}" "${MODES[index]}" "${FILES[index]}"
    done
    for index in "${!LINKS[@]}"; do
      printf 'link %s %s\n' "${TARGETS[index]}" "${LINKS[index]}"
    done
  } | stage_file "$MANIFEST" 0600
}

manifest_paths() { [[ ! -f $1 ]] || sed -e 1d -e 's/^[^ ]* [^ ]* //' -- "$1"; }
delivered_id() { [[ ! -f $MANIFEST ]] || sed -e 's/ .*//;q' -- "$MANIFEST"; }
# Empty if the version that delivered did not record it yet.
delivered_version() { [[ ! -f $MANIFEST ]] || sed -n '1s/^[^ ]* //p;1q' -- "$MANIFEST"; }

# Delivered files that have changed since.
edited_by_hand() {
  local digest mode path
  while read -r digest mode path; do
    if [[ $digest == link ]]; then
      [[ -L $path && $(readlink -- "$path") == "$mode" ]] || printf '%s\n' "$path"
    else
      [[ -f $path && $(sha256sum <"$path") == "$digest "* ]] || printf '%s\n' "$path"
    fi
  done < <(sed 1d -- "$MANIFEST")
}

staged_paths() { find "$STAGED" ! -type d -printf '/%P\n' | sort; }

# Our own manifest and program do not affect the host.
is_own() { [[ $1 == "$STATE"/* ]]; }

is_unchanged() {
  local path
  ((${#REMOVED[@]} == 0)) || return 1
  for path in "${CHANGED[@]}"; do
    is_own "$path" || return 1
  done
}

# Files that cannot be replaced: only the person who protected them knows why.
refuse_fixed_files() {
  local path fixed
  for path in "${CHANGED[@]}" "${REMOVED[@]}"; do
    [[ -e $path || -L $path ]] || continue
    ! awk -v path="$path" '$5 == path { found = 1 } END { exit !found }' /proc/self/mountinfo ||
      fail "something is mounted over $path, so it cannot be replaced; unmount it: umount '$path'"
    for fixed in "$path" "${path%/*}"; do
      ! is_immutable "$fixed" ||
        fail "$fixed is immutable, so $path cannot be replaced; somebody wanted it so, and chattr -i '$fixed' takes it back"
    done
  done
}

# Not every host has lsattr; if root cannot open a file for appending, the immutable flag is the reason.
is_immutable() {
  if [[ -f $1 && ! -L $1 ]] && [[ $({ : >>"$1"; } 2>&1) == *"Operation not permitted"* ]]; then
    return 0
  fi
  lsattr -d -- "$1" 2>/dev/null | grep -qE '^[^ ]*[ia][^ ]* '
}

list_changes() {
  local path
  for path in "${CHANGED[@]}"; do
    if is_own "$path"; then
      continue
    elif [[ -e $path || -L $path ]]; then
      say "changes $path"
    else
      say "creates $path"
    fi
  done
  for path in "${REMOVED[@]}"; do
    say "removes $path, which is no longer delivered"
  done
}

# --- backup ---

# Archives the existing paths. Missing ones, and the folders that they need, are listed in a file of the archive itself, which
# would be unpacked too: tar -C / -xzpf ARCHIVE restores everything else by hand.
back_up() {
  local path stamp list present=() absent=()
  for path in "$@"; do
    if [[ -e $path || -L $path ]]; then
      present+=("${path#/}")
    else
      absent+=("$path")
      note_absent_directories "${path%/*}"
    fi
  done
  for path in "${DIRECTORIES[@]}"; do
    note_absent_directories "$path"
  done
  [[ -d ${BACKUPS%/*} ]] || install -d -m 0700 -- "${BACKUPS%/*}"
  while stamp=$(date -u +%Y%m%d-%H%M%S) && ARCHIVE=$BACKUPS-$stamp.tar.gz && [[ -e $ARCHIVE ]]; do
    sleep 0.2
  done
  list=${ARCHIVE%.tar.gz}.absent
  printf '%s\n' "${absent[@]}" | sort -u >"$list" || no_backup "$list"
  printf '%s\0' "${list#/}" "${present[@]}" |
    (umask 077 && tar -C / -czf "$ARCHIVE.part" --no-recursion --null --files-from=-) || no_backup "$list"
  rm -f -- "$list"
  sync -- "$ARCHIVE.part"
  # A line without its archive is ignored, but an archive without its line would be taken for an old one.
  { printf '%s %s\n' "$ARCHIVE" "$(state_in_words)" >>"$RECORD" && sync -- "$RECORD"; } || no_backup "$list"
  mv -fT -- "$ARCHIVE.part" "$ARCHIVE"
  sync -- "${ARCHIVE%/*}"
}

# The description of a backup made now.
state_in_words() {
  local edited
  if [[ ! -f $MANIFEST ]]; then
    printf 'the host before %s was delivered' "$DELIVERY"
    return
  fi
  edited=$(edited_by_hand | paste -sd ' ')
  printf '%s as delivered by registry-warden %s' "$DELIVERY" "$(delivered_version)"
  [[ -z $edited ]] || printf ', but edited by hand: %s' "$edited"
}

no_backup() {
  rm -f -- "$1" "$ARCHIVE.part"
  fail "the backup cannot be written to ${BACKUPS%/*}; free some space there"
}

# Appends to the caller's list, with a trailing slash.
note_absent_directories() {
  local directory=$1
  while [[ -n $directory && ! -e $directory ]]; do
    absent+=("$directory/")
    directory=${directory%/*}
  done
}

absent_list() { printf '%s' "${1%.tar.gz}.absent"; }

# Oldest first. Archives without a line in the record were made before the record existed.
archives() {
  local recorded archive
  recorded=$(recorded_backups | sed 's/ .*//')
  while IFS= read -r archive; do
    grep -qxF -- "$archive" <<<"$recorded" || printf '%s\n' "$archive"
  done < <(compgen -G "$BACKUPS-????????-??????.tar.gz" | sort)
  [[ -z $recorded ]] || printf '%s\n' "$recorded"
}

# Lines in the record for existing archives of this delivery; the last one if a name was reused.
recorded_backups() {
  local archive holds
  [[ -f $RECORD ]] || return 0
  tac -- "$RECORD" | awk -v prefix="$BACKUPS-" 'index($0, prefix) == 1 && !seen[$1]++' | tac | while read -r archive holds; do
    [[ ! -e $archive ]] || printf '%s %s\n' "$archive" "$holds"
  done
}

# "backup", its position in the host's record (0 before it existed), its path and description; the last two in base64.
backups() {
  local archive line
  while IFS= read -r archive; do
    # Backups from before the record existed are not in it.
    line=$(grep -snF -- "$archive " "$RECORD" | tail -n 1 | cut -d : -f 1) || true
    printf 'backup %s %s %s\n' "${line:-0}" "$(as_base64 "$archive")" "$(as_base64 "$(holds "$archive")")"
  done < <(archives)
}

holds() { recorded_backups | sed -n "s|^$1 ||p"; }

prune_backups() {
  archives | head -n "-$BACKUPS_KEPT" | while IFS= read -r path; do
    rm -f -- "$path"
  done
}

unpack() {
  local archive=$1 tree=$2
  rm -rf -- "$tree"
  mkdir -m 0700 -- "$tree"
  tar -C "$tree" -xzpf "$archive" --same-owner
}

# Paths in an unpacked archive: those that existed, and those that did not (folders with a trailing slash).
were_there() { find "$1" ! -type d ! -path "$1$(absent_list "$2")" -printf '/%P\n' | sort; }
were_absent() { sed '/^$/d' -- "$1$(absent_list "$2")"; }

# Restores everything from the archive.
restore() {
  local archive=$1 tree=$STATE/restored path
  unpack "$archive" "$tree"
  while IFS= read -r path; do
    rm -f -- "$(beside "$path")"
    same "$tree$path" "$path" || put "$tree$path" "$path"
  done < <(were_there "$tree" "$archive")
  # Deepest first, so that each folder is empty when its turn comes.
  while IFS= read -r path; do
    if [[ $path == */ ]]; then
      [[ ! -d $path ]] || rmdir --ignore-fail-on-non-empty -- "$path"
    else
      rm -f -- "$path" "$(beside "$path")"
    fi
  done < <(were_absent "$tree" "$archive" | sort -r)
  rm -rf -- "$tree"
}

# --- the transaction ---

# From here on the watch recovers from a crash, and the boot unit and then the watch from a crash with a reboot.
arm() {
  local new=$STATE/arming
  trap roll_back_on_failure EXIT
  write_units
  rm -rf -- "$new"
  mkdir -m 0700 -- "$new"
  own_program >"$new/program"
  printf '%s\n' "$ARCHIVE" >"$new/archive"
  boot_id >"$new/boot"
  sync -- "$new/program" "$new/archive" "$new/boot" "$new"
  systemctl start "$UNIT.timer"
  mv -T -- "$new" "$PENDING"
  sync -- "$STATE"
  step "armed"
}

write_units() {
  local program="/usr/bin/env bash $PENDING/program" unit
  cat >"$UNITS/$UNIT.timer" <<EOF
[Unit]
Description=Looks for an unfinished delivery of $DELIVERY

[Timer]
OnActiveSec=10
OnUnitInactiveSec=10
AccuracySec=1
EOF
  cat >"$UNITS/$UNIT.service" <<EOF
[Unit]
Description=Rolls back an unfinished delivery of $DELIVERY
ConditionPathExists=$PENDING

[Service]
Type=oneshot
ExecStart=$program watch
EOF
  cat >"$UNITS/$UNIT-boot.service" <<EOF
[Unit]
Description=Restores the files of an unfinished delivery of $DELIVERY
DefaultDependencies=no
ConditionPathExists=$PENDING
After=local-fs.target systemd-tmpfiles-setup.service
Before=network-pre.target networking.service systemd-networkd.service systemd-resolved.service docker.service
Wants=network-pre.target

[Service]
Type=oneshot
ExecStart=$program recover
EOF
  mkdir -p -- "$UNITS/sysinit.target.wants" "$UNITS/timers.target.wants"
  ln -sfT "../$UNIT-boot.service" "$UNITS/sysinit.target.wants/$UNIT-boot.service"
  ln -sfT "../$UNIT.timer" "$UNITS/timers.target.wants/$UNIT.timer"
  for unit in "$UNIT.timer" "$UNIT.service" "$UNIT-boot.service"; do
    sync -- "$UNITS/$unit"
  done
  sync -- "$UNITS" "$UNITS/sysinit.target.wants" "$UNITS/timers.target.wants"
  systemctl daemon-reload
}

# Ends the transaction, either way. The journal stays for later reading.
disarm() {
  if is_pending; then
    rm -rf -- "$STATE/last"
    mv -T -- "$PENDING" "$STATE/last"
    sync -- "$STATE"
  fi
  systemctl stop "$UNIT.timer" 2>/dev/null || true
  rm -f -- "$UNITS/$UNIT.timer" "$UNITS/$UNIT.service" "$UNITS/$UNIT-boot.service" \
    "$UNITS/sysinit.target.wants/$UNIT-boot.service" "$UNITS/timers.target.wants/$UNIT.timer"
  systemctl daemon-reload
}

# All files are copied next to their targets before the first is replaced: a full disk or a read-only folder shows here.
place() {
  local path
  for path in "${DIRECTORIES[@]}"; do
    mkdir -p -- "$path"
  done
  for path in "${CHANGED[@]}"; do
    mkdir -p -- "${path%/*}"
    cp -a --remove-destination -- "$STAGED$path" "$(beside "$path")"
    flush "$(beside "$path")"
  done
  step "copied"
  for path in "${CHANGED[@]}"; do
    mv -fT -- "$(beside "$path")" "$path"
    flush "${path%/*}"
    step "placed $path"
  done
  for path in "${REMOVED[@]}"; do
    rm -f -- "$path"
    flush "${path%/*}"
    step "removed $path"
  done
}

# No error may be ignored here: on any error the transaction stays open and the watch tries again.
undo() {
  restore "$(<"$PENDING/archive")"
  step "restored"
  activate_restored
  disarm
}

# As an EXIT trap: reports an undo that did not complete.
say_undone() { say "could not restore everything; it is tried again every 10 s: journalctl -u $UNIT"; }

# bash runs no EXIT trap that is set inside another, so the undo runs in a subshell whose exit status is checked.
roll_back_on_failure() {
  local status=$? undone
  trap - EXIT
  ((status != 0)) || return 0
  if ! is_pending; then
    disarm
    exit "$status"
  fi
  say "failed; restores what was there before"
  set +e
  (
    set -e
    undo
  )
  undone=$?
  set -e
  if ((undone == 0)); then
    say "restored from $ARCHIVE; to deliver again: $AGAIN"
  else
    say_undone
  fi
  exit "$status"
}

await_confirmation() {
  printf '%s\n' "$(($(uptime_seconds) + CONFIRM_SECONDS))" >"$PENDING/deadline.new"
  sync -- "$PENDING/deadline.new"
  step "awaiting"
  mv -fT -- "$PENDING/deadline.new" "$PENDING/deadline"
  sync -- "$PENDING"
  trap - EXIT
}

# --- commands ---

# A step like any other, so that a rollback after it does not go back further: only our program and manifest differ.
replace_own() {
  local path
  back_up "${CHANGED[@]}"
  for path in "${CHANGED[@]}"; do
    put "$STAGED$path" "$path"
  done
  prune_backups
  say "keeps the program of registry-warden $VERSION; backed up the one before to $ARCHIVE"
}

apply() {
  say "delivers $DELIVERY to $TITLE"
  take_lock
  settle_previous
  check_host
  stage
  if is_unchanged && is_active; then
    verify_delivery quiet
    ((${#CHANGED[@]} == 0)) || replace_own
    rm -rf -- "$STAGED"
    say "$DELIVERY is as delivered, nothing to change"
    return
  fi
  list_changes
  refuse_fixed_files
  validate
  prepare
  mapfile -t touched < <(staged_paths)
  back_up "${touched[@]}" "${REMOVED[@]}"
  say "backed up to $ARCHIVE"
  arm
  place
  activate
  step "activated"
  verify_delivery deploy
  step "verified"
  rm -rf -- "$STAGED"
  await_confirmation
  say "$DELIVERY is in place and verified; rolled back in $CONFIRM_SECONDS s unless a new connection confirms it"
}

confirm() {
  take_lock
  if is_pending && is_awaiting && [[ $(delivered_id) == "$ID" ]]; then
    disarm
    prune_backups
    say "$DELIVERY is delivered; to roll back on the host: bash $PROGRAM rollback"
  elif ! is_pending && [[ $(delivered_id) == "$ID" ]]; then
    say "$DELIVERY is delivered"
  else
    fail "$DELIVERY was rolled back before it was confirmed; to deliver again: $AGAIN"
  fi
}

# verify [full | quiet] [findings]
verify() {
  [[ ${2-} != findings ]] || collect_findings
  take_lock
  verify_delivery "${1:-full}"
  ((FINDINGS > 0)) || say "$DELIVERY works"
  [[ $COLLECTS_FINDINGS == no ]] || end_findings
}

inspect() {
  collect_findings
  inspect_record
  inspect_files
  inspect_links
  inspect_delivery
  end_findings
}

inspect_record() {
  local by=none
  if is_pending; then
    by=unfinished
  elif [[ -f $MANIFEST ]]; then
    by=$(delivered_version)
  elif [[ ! -f $RECORD ]]; then
    # After a rollback to before the first delivery, the record still exists.
    by="none (nothing was ever delivered to this host: it is new or was rebuilt)"
  fi
  compare "version of registry-warden that delivered $DELIVERY" "$VERSION" "${by:-one that did not record it}"
}

# A missing file is one finding.
inspect_files() {
  local index path expected actual
  for index in "${!FILES[@]}"; do
    path=${FILES[index]} expected=${CONTENTS[index]}
    if [[ -n ${DIGESTS[index]} ]]; then
      expected=$(as_base64 "${DIGESTS[index]}")
    fi
    if [[ ! -f $path ]]; then
      actual=$(as_base64 absent)
    elif [[ -n ${DIGESTS[index]} ]]; then
      actual=$(as_base64 "sha256:$(sha256sum <"$path" | cut -d ' ' -f 1)")
    else
      actual=$(base64 -w 0 -- "$path")
    fi
    [[ $actual == "$expected" ]] || note_finding "$(as_base64 "$path")" "$expected" "$actual"
    [[ ! -f $path ]] ||
      compare "mode and owner of $path" "$(printf '%o' "${MODES[index]}") root:root" "$(stat -c '%a %U:%G' -- "$path")"
  done
}

inspect_links() {
  local index path actual
  for index in "${!LINKS[@]}"; do
    path=${LINKS[index]} actual=absent
    if [[ -L $path ]]; then
      actual="link to $(readlink -- "$path")"
    elif [[ -e $path ]]; then
      actual="no link"
    fi
    compare "$path" "link to ${TARGETS[index]}" "$actual"
  done
}

# The archives to undo, newest first, down to the one with the given path or stamp; by default the newest only.
archives_down_to() {
  local wanted=${1-} archive all
  mapfile -t all < <(archives | tac)
  ((${#all[@]} > 0)) || fail "there is no backup of $DELIVERY; deliver it to this host first"
  wanted=${wanted:-${all[0]}}
  [[ $wanted == /* ]] || wanted=$BACKUPS-$wanted.tar.gz
  [[ -e $wanted ]] || fail "there is no backup $wanted; there are ${all[*]}"
  for archive in "${all[@]}"; do
    printf '%s\n' "$archive"
    [[ $archive != "$wanted" ]] || return 0
  done
}

difference() {
  local undone archive path tree=$STATE/compared
  undone=$(archives_down_to "${1-}")
  # An older archive overrides a newer one.
  declare -A before=()
  while IFS= read -r archive; do
    unpack "$archive" "$tree.${archive##*/}"
    while IFS= read -r path; do
      before[$path]=$tree.${archive##*/}$path
    done < <(were_there "$tree.${archive##*/}" "$archive")
    while IFS= read -r path; do
      [[ $path == */ ]] || before[$path]=/dev/null
    done < <(were_absent "$tree.${archive##*/}" "$archive")
  done <<<"$undone"
  while IFS= read -r path; do
    if is_own "$path" || cmp -s -- "$path" "${before[$path]}"; then
      continue
    elif is_bundle "$path"; then
      printf '%s: sha256:%s, in the backup sha256:%s\n' "$path" "$(digest_of "$path")" "$(digest_of "${before[$path]}")"
    else
      diff -u --label "$path" --label "$path (backup)" -N -- "$path" "${before[$path]}" || true
    fi
  done < <(printf '%s\n' "${!before[@]}" | sort)
  rm -rf -- "$tree".*
}

is_bundle() {
  local index
  for index in "${!FILES[@]}"; do
    [[ ${FILES[index]} != "$1" || -z ${DIGESTS[index]} ]] || return 0
  done
  return 1
}

# Twelve digits are enough to tell two digests apart.
digest_of() {
  if [[ -s $1 ]]; then
    sha256sum <"$1" | cut -c 1-12
  else
    printf 'absent'
  fi
}

rollback() {
  local undone archive path tree=$STATE/restored touched changes=no
  take_lock
  settle_previous
  undone=$(archives_down_to "${1-}")
  difference "${1-}"
  mapfile -t touched < <(
    while IFS= read -r archive; do
      unpack "$archive" "$tree"
      were_there "$tree" "$archive"
      were_absent "$tree" "$archive" | sed '/\/$/d'
    done <<<"$undone" | sort -u
  )
  back_up "${touched[@]}"
  arm
  while IFS= read -r archive; do
    restore "$archive"
    step "restored $archive"
  done <<<"$undone"
  for path in "${touched[@]}"; do
    is_own "$path" || changes=yes
  done
  [[ $changes == no ]] || activate_restored
  disarm
  trap - EXIT
  prune_backups
  say "rolled back; the state before is in $ARCHIVE; Terraform does not know; to deliver again: $AGAIN"
}

watch() {
  local attempts=0
  open_lock "$STATE"
  # If the lock is held, the transaction is still running and handles its own failures.
  try_lock || return 0
  if ! is_pending; then
    disarm
    return 0
  fi
  ! is_awaiting || return 0
  [[ ! -f $PENDING/attempts ]] || attempts=$(<"$PENDING/attempts")
  printf '%s\n' "$((attempts + 1))" >"$PENDING/attempts"
  if ((attempts >= RESTORE_ATTEMPTS)); then
    disarm
    fail "gave up restoring after $attempts attempts; the files are in $(<"$STATE/last/archive")"
  fi
  undo
  say "restored what an unfinished delivery replaced; to deliver again: $AGAIN"
}

recover() {
  restore "$(<"$PENDING/archive")"
  step "restored at boot"
  restored_at_boot
}

main() {
  case ${1-} in
    apply | confirm | verify | inspect | backups | difference | rollback | watch | recover) ;;
    *)
      printf 'usage: %s apply | confirm | verify [full | quiet] [findings] | inspect | backups | difference [backup] | rollback [backup]\n' "${0##*/}" >&2
      exit 64
      ;;
  esac
  # Nothing reads input here, and some programs would wait for the open input of a session.
  exec </dev/null
  case $1 in
    # From now on, a file uploaded over this one affects neither what runs nor what is kept.
    apply | rollback) OWN_TEXT=$(<"${BASH_SOURCE[0]}") ;;
  esac
  [[ $EUID -eq 0 ]] || fail "this needs root and runs as $(id -un); set ssh.user to root, or to a user with sudo and no password"
  [[ -d /run/systemd/system ]] || fail "the host does not run systemd, which guards the change"
  "$@"
}
