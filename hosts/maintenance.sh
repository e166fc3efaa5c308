# shellcheck shell=bash
#
# Keeps the registries of a host small and whole. One task is at work at a time, and none while the registries are being
# delivered: the lock is that of their delivery.
#
#   clean-up  each private registry: verified, made read-only, pruned to its policy, its garbage collected (without -m),
#             put back, verified again
#   caches    each pull-through cache whose upstream answers: stopped, its garbage collected (without -m), started
#   scan      the storage of each registry, while it serves
#   scrub     each blob of each registry read against its name, for some hours, beside everything else
#   disk      the space that is left; every report is pushed again
#   restore   after the task that is named, however it ended: what it took out of service comes back, and no scrub goes on
#
# Read from the file of settings beside this one: HOST PROJECT COMPOSE_FILE WARDEN CONFIGURATION, of each service SERVICES
# ROLES URLS UPSTREAMS DIRECTORIES STORES POLICIES READ_ONLY_FILES GROUPS_OF, of each task TASKS ALLOWED_AGES, METRIC_…, and
# the texts that explain them METRICS HELPS.

umask 077

SETTINGS=${BASH_SOURCE[0]%.sh}.settings
# shellcheck source=/dev/null
source "$SETTINGS"

STATE=/var/lib/registry-warden/maintenance
REPORTS=$STATE/reports
# Of each service that is not as the compose file says: the task that took it out.
AT_WORK=$STATE/at-work
DELIVERY=/var/lib/registry-warden/registry
# Marks the containers that a task runs, so that they end with it.
LABEL=registry-warden.maintenance=task
# Those of a scrub, beside which tasks may be at work.
SCRUB_LABEL=registry-warden.maintenance=scrub

LOCK_SECONDS=14400
STEP_SECONDS=14400
HEALTH_SECONDS=180
# Of a step, for run_task.
SKIPPED=3
# Less than STEP_SECONDS: it goes on the next time.
SCRUB_HOURS=3
# Of the step that is at work (bytes).
FREED=0
# Kept free for what a clean-up has to write before it frees anything (bytes), where the disk has more than ten times as much.
RESERVE=16777216
# What the clean-up left, as lines of its report.
LEFT=()
PUSH_RETRIES=3

# --- one at a time ---

take_lock() {
  local end=$((SECONDS + LOCK_SECONDS))
  open_lock "$DELIVERY"
  try_lock || {
    say "waits for the delivery or the task that is at work"
    wait_for_lock "$LOCK_SECONDS"
  }
  # One that waits to be confirmed has let go of the lock, and may still be rolled back.
  while [[ -d $DELIVERY/pending ]]; do
    unlock
    ((SECONDS < end)) || fail "a delivery is unfinished for more than $LOCK_SECONDS s; allowed is one that ended: deliver again, or see journalctl -u registry-warden-registry"
    sleep 2
    wait_for_lock "$LOCK_SECONDS"
  done
}

# --- containers ---

compose() { timeout "$STEP_SECONDS" docker compose --project-name "$PROJECT" --file "$COMPOSE_FILE" "$@"; }

# After a boot, a run that was missed begins while the services still do.
is_well() {
  local name=${SERVICES[$1]}
  within "$HEALTH_SECONDS" is_settled "$name" || true
  [[ $(health "$name") == healthy ]] || {
    warn "$name is $(health "$name"); allowed is healthy: nothing was done with it"
    return 1
  }
}

is_settled() { [[ $(health "$1") != starting ]]; }

# run_once SERVICE OPTION… -- ARGUMENT…: a container of a service, for one command.
run_once() {
  local options=() service=$1
  shift
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  compose run --rm --no-deps --no-TTY --quiet-pull --label "$LABEL" "${options[@]}" "$service" "$@"
}

warden() { run_once "$WARDEN" -- "$@"; }

# Whether warden can be run at all: where it cannot, what compose or the engine says is no finding of a registry.
can_run_warden() {
  local said
  said=$(warden --help 2>&1 >/dev/null) || {
    warn "warden cannot be run, so nothing was done with $1: $(tail -n 1 <<<"$said")"
    return 1
  }
}

# check_whole INDEX OTHERWISE: what is broken is damage; what cannot be asked is not.
check_whole() {
  local service=${SERVICES[$1]} status=0
  warden verify "${URLS[$1]}" || status=$?
  case $status in
    0) return 0 ;;
    1) warn "$service $2" ;;
    *) warn "$service could not be checked, for the reason above, so nothing is known of its images: $3" ;;
  esac
  return 1
}

# Recreates what differs from the files that are given, starts what is stopped, and waits until it is healthy.
bring_up() {
  local service=$1
  shift
  compose "$@" up --detach --no-deps --pull never --wait --wait-timeout "$HEALTH_SECONDS" "$service"
}

# Sweeps what no manifest names. Never with -m: on this version it takes the parts of tagged images for untagged.
collect_garbage() {
  local log=$STATE/garbage-collection.log
  if ! run_once "${SERVICES[$1]}" --entrypoint registry -- garbage-collect "$CONFIGURATION" >"$log" 2>&1; then
    warn "the garbage collection of ${SERVICES[$1]} failed: $(tail -n 1 "$log")"
    return 1
  fi
  say "${SERVICES[$1]}: $(grep -E 'eligible for deletion' "$log" | grep -E '^[0-9]+ ' | tail -n 1)"
}

# measured INDEX COMMAND…: what the command frees of the service's disk; nothing else writes there meanwhile.
measured() {
  local index=$1 before after
  shift
  before=$(used "$index") || return 1
  "$@" || return 1
  after=$(used "$index") || return 1
  FREED=$((before - after))
  say "${SERVICES[index]}: freed $FREED bytes"
}

has_content() { [[ -d ${DIRECTORIES[$1]}/docker/registry/v2 ]]; }

# Bytes of the blobs on the disk. What prune removed is beside them, until the next clean-up.
used() { du --summarize --block-size=1 -- "${DIRECTORIES[$1]}/docker/registry/v2/blobs" | cut -f 1; }

# --- out of service, and back ---

# From here on the service is put back whatever happens: by the task, by its unit, or by the next look at the disk.
take_out() {
  local mark=$AT_WORK/${SERVICES[$2]}
  { printf '%s\n' "$1" >"$mark.new" && sync -- "$mark.new" && mv -fT -- "$mark.new" "$mark" && sync -- "$AT_WORK"; } 2>/dev/null || {
    rm -f -- "$mark.new"
    warn "it cannot be noted that ${SERVICES[$2]} is out of service, so nothing was done with it; free space or inodes on the disk of $STATE: df -h $STATE"
    return 1
  }
}

# A collection that outlived its task must not meet a client that pushes. The engine may be removing one already.
end_containers() {
  local left end=$((SECONDS + 60))
  while :; do
    left=$(docker ps --all --quiet --filter "label=$LABEL" --filter "label=com.docker.compose.project=$PROJECT") || return 1
    [[ -n $left ]] || return 0
    ((SECONDS < end)) || return 1
    # shellcheck disable=SC2086 # identities, one word each
    docker rm --force $left >/dev/null 2>&1 || sleep 0.5
  done
}

put_back() {
  end_containers || {
    warn "containers of an earlier task do not end: docker ps --all --filter label=$LABEL"
    return 1
  }
  bring_up "${SERVICES[$1]}" || {
    warn "${SERVICES[$1]} does not come back; it is tried again with each look at the disk: docker logs ${SERVICES[$1]}"
    return 1
  }
  rm -f -- "$AT_WORK/${SERVICES[$1]}"
}

# Under the lock: what a task that was killed left behind.
put_back_abandoned() {
  local task index failed=0
  for index in "${!SERVICES[@]}"; do
    [[ -f $AT_WORK/${SERVICES[index]} ]] || continue
    task=$(task_of_mark "$index")
    say "the task $task ended before ${SERVICES[index]} was back; puts it back"
    put_back "$index" || failed=1
    report "$task" "$index" 0 0 0 || failed=1
  done
  return "$failed"
}

# A mark of another version, or on a disk that lost what was written, may say nothing.
task_of_mark() {
  local task
  task=$(<"$AT_WORK/${SERVICES[$1]}")
  if [[ -n $(allowed_age "$task") ]]; then
    printf '%s' "$task"
  elif [[ ${ROLES[$1]} == private ]]; then
    printf 'clean-up'
  else
    printf 'caches'
  fi
}

# --- room to work in ---

reserve_of() { printf '%s/.registry-warden-reserve' "${DIRECTORIES[$1]}"; }

# A clean-up of a full disk needs room before it makes some.
release_reserve() { rm -f -- "$(reserve_of "$1")"; }

# keep_reserve INDEX FREE
keep_reserve() {
  local file
  file=$(reserve_of "$1")
  [[ ! -f $file ]] || return 0
  (($2 > 10 * RESERVE)) || return 0
  fallocate --length "$RESERVE" -- "$file" 2>/dev/null || rm -f -- "$file"
}

# --- reports ---

allowed_age() {
  local index
  for index in "${!TASKS[@]}"; do
    [[ ${TASKS[index]} != "$1" ]] || printf '%s' "${ALLOWED_AGES[index]}"
  done
}

applies() {
  case $1 in
    clean-up) [[ ${ROLES[$2]} == private ]] ;;
    caches) [[ ${ROLES[$2]} == proxy ]] ;;
    *) true ;;
  esac
}

report_of() { printf '%s/%s.%s' "$REPORTS" "$1" "${SERVICES[$2]}"; }

# What an earlier clean-up left is there until the next has removed something.
left_before() { grep -E "^($METRIC_TAGS_LEFT|$METRIC_REPOSITORIES_LEFT) " "$(report_of "$1" "$2")" 2>/dev/null || true; }

# The last success that is known of; before the first, the delivery: a task that never runs is seen.
last_success() {
  local known
  known=$(sed -n "s/^$METRIC_LAST_SUCCESS //p" "$(report_of "$1" "$2")" 2>/dev/null | grep -xE '[0-9]+') || known=$(stat -c %Y -- "$SETTINGS")
  printf '%s' "$known"
}

# What stands in the first line of a report before the first run: as long as the line that takes its place.
no_run_yet() { printf '%-*s' $((${#METRIC_SUCCESS} + 2)) '# no run yet'; }

first_report() { printf '%s\n' "$(no_run_yet)" "$METRIC_LAST_SUCCESS $(last_success "$1" "$2")" | write_report "$1" "$2"; }

# write_report TASK INDEX: lines of "<metric> <value>" from standard input, that of the success first.
write_report() {
  local file
  file=$(report_of "$1" "$2")
  { cat >"$file.new" && sync -- "$file.new" && mv -fT -- "$file.new" "$file"; } 2>/dev/null || {
    rm -f -- "$file.new"
    return 1
  }
}

# Until it has succeeded, a run has failed, whatever becomes of it and of the disk: one byte of the report is overwritten
# where it is, which takes no room.
expect_failure() {
  local file
  file=$(report_of "$1" "$2")
  if [[ -s $file ]]; then
    printf '%s 0' "$METRIC_SUCCESS" | dd of="$file" conv=notrunc,fsync status=none 2>/dev/null || rm -f -- "$file"
  else
    printf '%s %s\n' "$METRIC_SUCCESS" 0 "$METRIC_LAST_SUCCESS" "$(last_success "$1" "$2")" | write_report "$1" "$2" || true
  fi
}

# report TASK INDEX SUCCESS SECONDS FREED [LINE]…: fails where the report cannot be kept, and then it is no success.
report() {
  local task=$1 index=$2 success=$3 seconds=$4 freed=$5 succeeded lines kept=0
  shift 5
  if ((success)); then
    succeeded=$EPOCHSECONDS
  else
    succeeded=$(last_success "$task" "$index")
  fi
  ((${#LEFT[@]} > 0)) || mapfile -t LEFT < <(left_before "$task" "$index")
  lines=("$METRIC_SUCCESS $success" "$METRIC_LAST_RUN $EPOCHSECONDS" "$METRIC_LAST_SUCCESS $succeeded" "$METRIC_DURATION $seconds" "$METRIC_FREED $freed" "${LEFT[@]}" "$@")
  LEFT=()
  printf '%s\n' "${lines[@]}" | write_report "$task" "$index" || {
    kept=1
    expect_failure "$task" "$index"
  }
  if ((kept != 0 && success)); then
    warn "the report of $task of ${SERVICES[index]} cannot be kept, so it counts as failed; free space or inodes on the disk of $STATE: df -h $STATE"
    lines[0]="$METRIC_SUCCESS 0"
    lines[2]="$METRIC_LAST_SUCCESS $(last_success "$task" "$index")"
  fi
  printf '%s\n' "${lines[@]}" | push "$task" "$index"
  return "$kept"
}

# Each metric with what it means and its type; comments stay away. https://prometheus.io/docs/instrumenting/exposition_formats/
exposition() {
  local metric value index
  while read -r metric value; do
    for index in "${!METRICS[@]}"; do
      [[ ${METRICS[index]} != "$metric" ]] ||
        printf '# HELP %s %s\n# TYPE %s gauge\n%s %s\n' "$metric" "${HELPS[index]}" "$metric" "$metric" "$value"
    done
  done
}

# push TASK INDEX: lines of "<metric> <value>" from standard input. A report that does not arrive undoes nothing: it is pushed
# again with each look at the disk.
push() {
  local task=$1 index=$2 said
  said=$({
    cat
    printf '%s %s\n' "$METRIC_ALLOWED_AGE" "$(allowed_age "$task")"
    [[ $task != scrub ]] || scrubbed "$index"
  } | exposition |
    curl --silent --show-error --fail --max-time 10 --retry "$PUSH_RETRIES" --retry-delay 2 --retry-all-errors \
      --request PUT --data-binary @- "${GROUPS_OF[index]}/$task" 2>&1) || {
    warn "the report of $task of ${SERVICES[index]} was not taken: ${said##*$'\n'}; it is pushed again with the next look at the disk"
    # The others wait for nothing more.
    PUSH_RETRIES=0
  }
}

# --- tasks, of one service each ---

clean_up() {
  local index=$1 outcome=0
  expect_failure clean-up "$index"
  is_well "$index" || return 1
  if ! has_content "$index"; then
    say "${SERVICES[index]} holds nothing yet"
    return 0
  fi
  release_reserve "$index"
  can_run_warden "${SERVICES[index]}" || return 1
  check_whole "$index" "was not found whole: nothing was removed, and nothing is until it is repaired" "nothing was removed" || return 1
  can_collect "$index" || return 1
  take_out clean-up "$index" || return 1
  prune_read_only "$index" || outcome=1
  put_back "$index" || outcome=1
  ((outcome == 0)) || return 1
  check_whole "$index" "is not whole after the clean-up" "look again with: systemctl start registry-maintenance-clean-up.service"
}

# Told before anything is taken out of service: nothing would be reclaimed, or the wrong things.
can_collect() {
  local found
  found=$(warden scan "${STORES[$1]}" --role private | grep -F "the registry's garbage collection" || true)
  [[ -n $found ]] || return 0
  warn "${SERVICES[$1]} holds what its garbage collection cannot pass: nothing was done with it"
  printf '%s\n' "$found"
  return 1
}

prune_read_only() {
  local index=$1
  bring_up "${SERVICES[index]}" --file "${READ_ONLY_FILES[index]}" || return 1
  measured "$index" prune_and_collect "$index"
}

# Counts what a plan keeps, one tag a line: what the probe sees later is compared with it.
what_is_left() {
  awk -v tags="$METRIC_TAGS_LEFT" -v repositories="$METRIC_REPOSITORIES_LEFT" '
    /^keep +[^ ]+:/ { left++; sub(/:[^:]*$/, "", $2); if (!seen[$2]++) named++ }
    END { printf "%s %d\n%s %d\n", tags, left, repositories, named }'
}

# What stays is what the policy says: only what goes is worth a line of the journal.
prune_and_collect() {
  local plan outcome=0
  # In memory: on a full disk there is no room for it.
  plan=$(warden prune "${STORES[$1]}" --policy "${POLICIES[$1]}" --apply --registry "${URLS[$1]}") || outcome=1
  printf '%s\n' "$plan" | sed -E '/^keep +[^ ]+:/d'
  ((outcome == 0)) || return 1
  mapfile -t LEFT < <(printf '%s\n' "$plan" | what_is_left)
  collect_garbage "$1"
}

# A cache asks its upstream when it starts, and ends when that does not answer.
collect_cache() {
  local index=$1 outcome=0
  is_well "$index" || return "$SKIPPED"
  has_content "$index" || return 0
  curl --silent --output /dev/null --max-time 20 "${UPSTREAMS[index]%/}/v2/" || {
    warn "${UPSTREAMS[index]} does not answer, so ${SERVICES[index]} could not start again: it is left as it is"
    return "$SKIPPED"
  }
  expect_failure caches "$index"
  take_out caches "$index" || return 1
  { compose stop "${SERVICES[index]}" && measured "$index" collect_garbage "$index"; } || outcome=1
  put_back "$index" || outcome=1
  return "$outcome"
}

scan() {
  local status=0
  expect_failure scan "$1"
  has_content "$1" || return 0
  can_run_warden "${SERVICES[$1]}" || return 1
  warden scan "${STORES[$1]}" --role "${ROLES[$1]}" || status=$?
  ((status < 2)) || warn "the storage of ${SERVICES[$1]} could not be read, for the reason above: nothing is known of it"
  return "$status"
}

# It only reads, for hours: it holds no lock, and who ends the containers of a task lets this one be.
scrub() {
  local status=0 state=$STATE/scrub/${SERVICES[$1]}
  expect_failure scrub "$1"
  has_content "$1" || return 0
  install -d -m 0700 -- "$STATE/scrub" "$state"
  LABEL=$SCRUB_LABEL \
    run_once "$WARDEN" --volume "$state:/scrub" -- scrub "${STORES[$1]}" --state /scrub --hours "$SCRUB_HOURS" || status=$?
  # 1: it did its work, and found something.
  ((status <= 1))
}

# What a scrub has written down of itself, also while it is at work.
scrubbed() {
  sed -n -e "s/^ *\"progress\": \([0-9.e-]*\),\{0,1\}\$/$METRIC_SCRUBBED \1/p" \
    -e "s/^ *\"corruptBlobs\": \([0-9]*\),\{0,1\}\$/$METRIC_CORRUPT \1/p" \
    -- "$STATE/scrub/${SERVICES[$1]}/scrub.json" 2>/dev/null || true
}

# --- tasks ---

# run_task TASK STEP: one service after the other; one that fails does not keep the next from its turn.
run_task() {
  local task=$1 step=$2 index status begun failed=0
  for index in "${!SERVICES[@]}"; do
    applies "$task" "$index" || continue
    begun=$EPOCHSECONDS FREED=0 LEFT=() status=0
    "$step" "$index" || status=$?
    ((status != SKIPPED)) || continue
    ((status == 0)) || failed=1
    report "$task" "$index" "$((status == 0))" "$((EPOCHSECONDS - begun))" "$FREED" || failed=1
  done
  return "$failed"
}

disk() {
  local index free size failed=0
  put_back_unattended || failed=1
  for index in "${!SERVICES[@]}"; do
    if read -r free size < <(df --block-size=1 --output=avail,size -- "${DIRECTORIES[index]}" | tail -n +2); then
      keep_reserve "$index" "$free"
      report disk "$index" 1 0 0 "$METRIC_DISK_FREE $free" "$METRIC_DISK_SIZE $size" || failed=1
    else
      failed=1
      warn "the disk of ${DIRECTORIES[index]} cannot be looked at"
    fi
    push_all "$index"
  done
  return "$failed"
}

# Whoever holds the lock puts back what it took.
put_back_unattended() {
  open_lock "$DELIVERY"
  try_lock || return 0
  [[ -d $DELIVERY/pending ]] || put_back_abandoned || return 1
  unlock
}

# The reports of the other tasks. One that did not run yet counts from the delivery on: one that never runs is seen.
push_all() {
  local task
  for task in "${TASKS[@]}"; do
    if [[ $task != disk ]] && applies "$task" "$1"; then
      if [[ -s $(report_of "$task" "$1") ]] || first_report "$task" "$1"; then
        push "$task" "$1" <"$(report_of "$task" "$1")"
      else
        warn "no report of $task of ${SERVICES[$1]} can be kept, so it counts as failed; free space or inodes on the disk of $STATE: df -h $STATE"
        printf '%s %s\n' "$METRIC_SUCCESS" 0 "$METRIC_LAST_SUCCESS" "$(last_success "$task" "$1")" | push "$task" "$1"
      fi
    fi
  done
}

# restore [TASK]. compose leaves a container running when it is itself stopped.
restore() {
  if [[ ${1-} == scrub ]]; then
    LABEL=$SCRUB_LABEL end_containers
    return
  fi
  [[ -n $(ls -A -- "$AT_WORK") ]] || return 0
  take_lock
  put_back_abandoned
}

main() {
  case ${1-} in
    clean-up | caches | scan | scrub | disk | restore) ;;
    *)
      printf 'usage: %s clean-up | caches | scan | scrub | disk | restore [task]\n' "${0##*/}" >&2
      exit 64
      ;;
  esac
  exec </dev/null
  [[ $EUID -eq 0 ]] || fail "given user $(id -un); allowed is root"
  [[ -d $DELIVERY ]] || fail "there is no $DELIVERY; allowed is a host to which the registries were delivered"
  install -d -m 0700 -- "$STATE" "$REPORTS" "$AT_WORK"
  trap 'exit 143' TERM INT HUP
  case $1 in
    disk | restore) "$@" ;;
    scrub) run_task scrub scrub ;;
    *)
      take_lock
      trap put_back_abandoned EXIT
      put_back_abandoned
      case $1 in
        clean-up) run_task clean-up clean_up ;;
        caches) run_task caches collect_cache ;;
        scan) run_task scan scan ;;
      esac
      ;;
  esac
}

main "$@"
