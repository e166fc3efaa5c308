# shellcheck shell=bash
#
# Keeps the registries of a host small and intact. One task runs at a time, and none during a delivery of the registries: they
# share its lock.
#
#   clean-up  each private registry: verified, made read-only, pruned to its policy, garbage-collected (without -m), put back,
#             verified again
#   caches    each pull-through cache whose upstream answers: stopped, garbage-collected (without -m), started
#   scan      the storage of each registry, while it is running
#   scrub     verifies the digest of each blob of each registry, for some hours, in parallel with everything else
#   disk      the free space; every report is pushed again
#   restore   after the named task, however it ended: puts back the services that it took out, and ends its scrub
#
# Read from the settings file beside this one: HOST PROJECT COMPOSE_FILE WARDEN CONFIGURATION SERVICES, the ALLOWED_AGES of each
# task (seconds), METRIC_…, and the HELPS of each metric. Each service has a settings file of its own: CONTAINER ROLE URL
# UPSTREAM DIRECTORY STORE POLICY READ_ONLY_FILE METRICS_URL. Functions for one service use the one selected last.

umask 077

SETTINGS=${BASH_SOURCE[0]%.sh}.settings
# shellcheck source=/dev/null
source "$SETTINGS"

STATE=/var/lib/registry-warden/maintenance
REPORTS=$STATE/reports
# A file for each service that differs from the compose file, with the task that took it out.
AT_WORK=$STATE/at-work
DELIVERY=/var/lib/registry-warden/registry
# Label of the containers of a task, so that they end with it.
LABEL=registry-warden.maintenance=task
# Label of the containers of a scrub, which runs in parallel with tasks.
SCRUB_LABEL=registry-warden.maintenance=scrub

LOCK_SECONDS=14400
STEP_SECONDS=14400
HEALTH_SECONDS=180
# Exit code of a step, for run_task.
SKIPPED=3
# Less than STEP_SECONDS: the next run continues.
SCRUB_HOURS=3
# By the current step (bytes).
FREED=0
# Reserved for what a clean-up has to write before it frees anything (bytes), if the disk has more than ten times as much.
RESERVE=16777216
# What the clean-up left, as lines for its report.
LEFT=()
PUSH_RETRIES=3

select_service() {
  # shellcheck source=/dev/null
  source "${SETTINGS%.settings}.$1.settings"
}

# --- locking ---

take_lock() {
  local end=$((SECONDS + LOCK_SECONDS))
  open_lock "$DELIVERY"
  try_lock || {
    say "waits for the running delivery or task"
    wait_for_lock "$LOCK_SECONDS"
  }
  # A delivery that awaits confirmation has released the lock, and may still be rolled back.
  while [[ -d $DELIVERY/pending ]]; do
    unlock
    ((SECONDS < end)) || fail "a delivery has been unfinished for more than $LOCK_SECONDS s; deliver again, or see journalctl -u registry-warden-registry"
    sleep 2
    wait_for_lock "$LOCK_SECONDS"
  done
}

# --- containers ---

compose() { timeout "$STEP_SECONDS" docker compose --project-name "$PROJECT" --file "$COMPOSE_FILE" "$@"; }

# After a boot, a missed run starts while the services are still starting.
is_well() {
  within "$HEALTH_SECONDS" is_settled || true
  [[ $(health "$CONTAINER") == healthy ]] || {
    warn "$CONTAINER is $(health "$CONTAINER"), not healthy, so it was left alone"
    return 1
  }
}

is_settled() { [[ $(health "$CONTAINER") != starting ]]; }

# run_once SERVICE OPTION… -- ARGUMENT…: a container of a service for one command.
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

# Whether warden can run at all: if not, errors of compose or the engine are not findings about a registry.
can_run_warden() {
  local said
  said=$(warden --help 2>&1 >/dev/null) || {
    warn "warden cannot be run, so nothing was done with $CONTAINER: $(tail -n 1 <<<"$said")"
    return 1
  }
}

# check_whole BROKEN UNKNOWN: anything broken is damage; an unreachable registry is not.
check_whole() {
  local status=0
  warden verify "$URL" || status=$?
  case $status in
    0) return 0 ;;
    1) warn "$CONTAINER $1" ;;
    *) warn "$CONTAINER could not be checked, for the reason above, so nothing is known of its images: $2" ;;
  esac
  return 1
}

# Recreates what differs from the given files, starts what is stopped, and waits until it is healthy.
bring_up() {
  compose "$@" up --detach --no-deps --pull never --wait --wait-timeout "$HEALTH_SECONDS" "$CONTAINER"
}

# Removes what no manifest names. Never with -m: this version takes the parts of tagged images for untagged.
collect_garbage() {
  local log=$STATE/garbage-collection.log
  if ! run_once "$CONTAINER" --entrypoint registry -- garbage-collect "$CONFIGURATION" >"$log" 2>&1; then
    warn "the garbage collection of $CONTAINER failed: $(tail -n 1 "$log")"
    return 1
  fi
  say "$CONTAINER: $(grep -E 'eligible for deletion' "$log" | grep -E '^[0-9]+ ' | tail -n 1)"
}

# measured COMMAND…: runs a command and records what it frees on the service's disk; nothing else writes there meanwhile.
measured() {
  local before after
  before=$(used) || return 1
  "$@" || return 1
  after=$(used) || return 1
  FREED=$((before - after))
  say "$CONTAINER: freed $FREED bytes"
}

has_content() { [[ -d $DIRECTORY/docker/registry/v2 ]]; }

# Bytes of the blobs on the disk. What prune removed is stored beside them, until the next clean-up.
used() { du --summarize --block-size=1 -- "$DIRECTORY/docker/registry/v2/blobs" | cut -f 1; }

# --- taking services out, and putting them back ---

mark() { printf '%s/%s' "$AT_WORK" "$CONTAINER"; }

# take_out TASK: from here on the service is put back whatever happens: by the task, by its unit, or by the next check of the
# disk.
take_out() {
  local mark
  mark=$(mark)
  { printf '%s\n' "$1" >"$mark.new" && sync -- "$mark.new" && mv -fT -- "$mark.new" "$mark" && sync -- "$AT_WORK"; } 2>/dev/null || {
    rm -f -- "$mark.new"
    warn "it cannot be noted that $CONTAINER is out of service, so nothing was done with it; free space or inodes on the disk of $STATE: df -h $STATE"
    return 1
  }
}

# A collection that outlived its task must not meet a client that pushes. The engine may be removing a container already.
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
  bring_up || {
    warn "$CONTAINER does not come back; it is tried again with each look at the disk: docker logs $CONTAINER"
    return 1
  }
  rm -f -- "$(mark)"
}

# Called with the lock: puts back what a killed task left behind.
put_back_abandoned() {
  local task service failed=0
  for service in "${SERVICES[@]}"; do
    select_service "$service"
    [[ -f $(mark) ]] || continue
    task=$(task_of_mark)
    say "the task $task ended before $CONTAINER was back; puts it back"
    put_back || failed=1
    report "$task" 0 0 0 || failed=1
  done
  return "$failed"
}

# A mark from another version, or on a disk that lost writes, may be empty.
task_of_mark() {
  local task
  task=$(<"$(mark)")
  if [[ -n $task && -n ${ALLOWED_AGES[$task]-} ]]; then
    printf '%s' "$task"
  elif [[ $ROLE == private ]]; then
    printf 'clean-up'
  else
    printf 'caches'
  fi
}

# --- reserved space ---

reserve() { printf '%s/.registry-warden-reserve' "$DIRECTORY"; }

# A clean-up of a full disk needs space before it frees any.
release_reserve() { rm -f -- "$(reserve)"; }

# keep_reserve FREE
keep_reserve() {
  local file
  file=$(reserve)
  [[ ! -f $file ]] || return 0
  (($1 > 10 * RESERVE)) || return 0
  fallocate --length "$RESERVE" -- "$file" 2>/dev/null || rm -f -- "$file"
}

# --- reports ---

applies() {
  case $1 in
    clean-up) [[ $ROLE == private ]] ;;
    caches) [[ $ROLE == proxy ]] ;;
    *) true ;;
  esac
}

report_of() { printf '%s/%s.%s' "$REPORTS" "$1" "$CONTAINER"; }

# What an earlier clean-up left stays in the report until the next one has removed something.
left_before() { grep -E "^($METRIC_TAGS_LEFT|$METRIC_REPOSITORIES_LEFT) " "$(report_of "$1")" 2>/dev/null || true; }

# The last known success or, before the first, the delivery: a task that never runs is noticed.
last_success() {
  local known
  known=$(sed -n "s/^$METRIC_LAST_SUCCESS //p" "$(report_of "$1")" 2>/dev/null | grep -xE '[0-9]+') || known=$(stat -c %Y -- "$SETTINGS")
  printf '%s' "$known"
}

# The first line of a report before the first run: as long as the line that replaces it.
no_run_yet() { printf '%-*s' $((${#METRIC_SUCCESS} + 2)) '# no run yet'; }

first_report() { printf '%s\n' "$(no_run_yet)" "$METRIC_LAST_SUCCESS $(last_success "$1")" | write_report "$1"; }

# write_report TASK: lines "<metric> <value>" from standard input, the time of the success first.
write_report() {
  local file
  file=$(report_of "$1")
  { cat >"$file.new" && sync -- "$file.new" && mv -fT -- "$file.new" "$file"; } 2>/dev/null || {
    rm -f -- "$file.new"
    return 1
  }
}

# A run counts as failed until it has succeeded, whatever happens to it and to the disk: one byte of the report is overwritten
# in place, which needs no space.
expect_failure() {
  local file
  file=$(report_of "$1")
  if [[ -s $file ]]; then
    printf '%s 0' "$METRIC_SUCCESS" | dd of="$file" conv=notrunc,fsync status=none 2>/dev/null || rm -f -- "$file"
  else
    printf '%s %s\n' "$METRIC_SUCCESS" 0 "$METRIC_LAST_SUCCESS" "$(last_success "$1")" | write_report "$1" || true
  fi
}

# report TASK SUCCESS SECONDS FREED [LINE]…: fails if the report cannot be saved, and then the run was not a success.
report() {
  local task=$1 success=$2 seconds=$3 freed=$4 succeeded lines kept=0
  shift 4
  if ((success)); then
    succeeded=$EPOCHSECONDS
  else
    succeeded=$(last_success "$task")
  fi
  ((${#LEFT[@]} > 0)) || mapfile -t LEFT < <(left_before "$task")
  lines=("$METRIC_SUCCESS $success" "$METRIC_LAST_RUN $EPOCHSECONDS" "$METRIC_LAST_SUCCESS $succeeded" "$METRIC_DURATION $seconds" "$METRIC_FREED $freed" "${LEFT[@]}" "$@")
  LEFT=()
  printf '%s\n' "${lines[@]}" | write_report "$task" || {
    kept=1
    expect_failure "$task"
  }
  if ((kept != 0 && success)); then
    warn "the report of $task of $CONTAINER cannot be kept, so it counts as failed; free space or inodes on the disk of $STATE: df -h $STATE"
    lines[0]="$METRIC_SUCCESS 0"
    lines[2]="$METRIC_LAST_SUCCESS $(last_success "$task")"
  fi
  printf '%s\n' "${lines[@]}" | push "$task"
  return "$kept"
}

# Each metric with its help and type, without comments. https://prometheus.io/docs/instrumenting/exposition_formats/
exposition() {
  local metric value
  while read -r metric value; do
    [[ -z $metric || -z ${HELPS[$metric]-} ]] ||
      printf '# HELP %s %s\n# TYPE %s gauge\n%s %s\n' "$metric" "${HELPS[$metric]}" "$metric" "$metric" "$value"
  done
}

# push TASK: lines "<metric> <value>" from standard input. A failed push undoes nothing: the report is pushed again with each
# check of the disk.
push() {
  local task=$1 said
  said=$({
    cat
    [[ -z ${ALLOWED_AGES[$task]-} ]] || printf '%s %s\n' "$METRIC_ALLOWED_AGE" "${ALLOWED_AGES[$task]}"
    [[ $task != scrub ]] || scrubbed
  } | exposition |
    curl --silent --show-error --fail --max-time 10 --retry "$PUSH_RETRIES" --retry-delay 2 --retry-all-errors \
      --request PUT --data-binary @- "$METRICS_URL/$task" 2>&1) || {
    warn "the report of $task of $CONTAINER was not taken: ${said##*$'\n'}; it is pushed again with the next look at the disk"
    # The following reports are not retried.
    PUSH_RETRIES=0
  }
}

# --- tasks, for one service each ---

clean_up() {
  local outcome=0
  expect_failure clean-up
  is_well || return 1
  if ! has_content; then
    say "$CONTAINER holds nothing yet"
    return 0
  fi
  release_reserve
  can_run_warden || return 1
  check_whole "was not found whole: nothing was removed, and nothing is until it is repaired" "nothing was removed" || return 1
  can_collect || return 1
  can_prune || return 1
  take_out clean-up || return 1
  prune_read_only || outcome=1
  put_back || outcome=1
  ((outcome == 0)) || return 1
  check_whole "is not whole after the clean-up" "look again with: systemctl start registry-maintenance-clean-up.service"
}

# Checked before anything is taken out of service: otherwise nothing would be reclaimed, or the wrong things.
can_collect() {
  local found
  found=$(warden scan "$STORE" --role private | grep -F "the registry's garbage collection" || true)
  [[ -n $found ]] || return 0
  warn "$CONTAINER holds what its garbage collection cannot pass: nothing was done with it"
  printf '%s\n' "$found"
  return 1
}

# A plan that is refused, as without the report of what runs, must not keep clients from pushing.
can_prune() {
  warden prune "$STORE" --policy "$POLICY" >/dev/null && return 0
  warn "$CONTAINER cannot be pruned, for the reason above: nothing was done with it"
  return 1
}

prune_read_only() {
  bring_up --file "$READ_ONLY_FILE" || return 1
  measured prune_and_collect
}

# Counts what a plan keeps, one tag on each line: compared with what the probe sees later.
what_is_left() {
  awk -v tags="$METRIC_TAGS_LEFT" -v repositories="$METRIC_REPOSITORIES_LEFT" '
    /^keep +[^ ]+:/ { left++; sub(/:[^:]*$/, "", $2); if (!seen[$2]++) named++ }
    END { printf "%s %d\n%s %d\n", tags, left, repositories, named }'
}

# The policy says what stays: only removals are worth logging.
prune_and_collect() {
  local plan outcome=0
  # In memory, because a full disk has no room for it.
  plan=$(warden prune "$STORE" --policy "$POLICY" --apply --registry "$URL") || outcome=1
  printf '%s\n' "$plan" | sed -E '/^keep +[^ ]+:/d'
  ((outcome == 0)) || return 1
  mapfile -t LEFT < <(printf '%s\n' "$plan" | what_is_left)
  collect_garbage
}

# A cache contacts its upstream when it starts, and exits if that does not answer.
collect_cache() {
  local outcome=0
  is_well || return "$SKIPPED"
  has_content || return 0
  curl --silent --output /dev/null --max-time 20 "${UPSTREAM%/}/v2/" || {
    warn "$UPSTREAM does not answer, so $CONTAINER could not start again: it is left as it is"
    return "$SKIPPED"
  }
  expect_failure caches
  take_out caches || return 1
  { compose stop "$CONTAINER" && measured collect_garbage; } || outcome=1
  put_back || outcome=1
  return "$outcome"
}

scan() {
  local status=0
  expect_failure scan
  has_content || return 0
  can_run_warden || return 1
  warden scan "$STORE" --role "$ROLE" || status=$?
  ((status < 2)) || warn "the storage of $CONTAINER could not be read, for the reason above: nothing is known of it"
  return "$status"
}

# It only reads, for hours: it holds no lock, and is not affected when a task's containers are ended.
scrub() {
  local status=0 state=$STATE/scrub/$CONTAINER
  expect_failure scrub
  has_content || return 0
  install -d -m 0700 -- "$STATE/scrub" "$state"
  LABEL=$SCRUB_LABEL \
    run_once "$WARDEN" --volume "$state:/scrub" -- scrub "$STORE" --state /scrub --hours "$SCRUB_HOURS" || status=$?
  # 1: it did its work, and found something.
  ((status <= 1))
}

# The status file of a scrub, also while it is running.
scrubbed() {
  sed -n -e "s/^ *\"progress\": \([0-9.e-]*\),\{0,1\}\$/$METRIC_SCRUBBED \1/p" \
    -e "s/^ *\"corruptBlobs\": \([0-9]*\),\{0,1\}\$/$METRIC_CORRUPT \1/p" \
    -- "$STATE/scrub/$CONTAINER/scrub.json" 2>/dev/null || true
}

# --- tasks ---

# run_task TASK STEP: one service after the other; a failure does not prevent the next one.
run_task() {
  local task=$1 step=$2 service status begun failed=0
  for service in "${SERVICES[@]}"; do
    select_service "$service"
    applies "$task" || continue
    begun=$EPOCHSECONDS FREED=0 LEFT=() status=0
    "$step" || status=$?
    ((status != SKIPPED)) || continue
    ((status == 0)) || failed=1
    report "$task" "$((status == 0))" "$((EPOCHSECONDS - begun))" "$FREED" || failed=1
  done
  return "$failed"
}

disk() {
  local service free size failed=0
  put_back_unattended || failed=1
  for service in "${SERVICES[@]}"; do
    select_service "$service"
    if read -r free size < <(df --block-size=1 --output=avail,size -- "$DIRECTORY" | tail -n +2); then
      keep_reserve "$free"
      report disk 1 0 0 "$METRIC_DISK_FREE $free" "$METRIC_DISK_SIZE $size" || failed=1
    else
      failed=1
      warn "the disk of $DIRECTORY cannot be inspected"
    fi
    push_all
  done
  return "$failed"
}

# With the lock: puts back what an ended task took out.
put_back_unattended() {
  open_lock "$DELIVERY"
  try_lock || return 0
  [[ -d $DELIVERY/pending ]] || put_back_abandoned || return 1
  unlock
}

# The reports of the other tasks. For one that has not run yet, the age counts from the delivery, so that it is noticed.
push_all() {
  local task
  for task in "${!ALLOWED_AGES[@]}"; do
    if [[ $task != disk ]] && applies "$task"; then
      if [[ -s $(report_of "$task") ]] || first_report "$task"; then
        push "$task" <"$(report_of "$task")"
      else
        warn "no report of $task of $CONTAINER can be kept, so it counts as failed; free space or inodes on the disk of $STATE: df -h $STATE"
        printf '%s %s\n' "$METRIC_SUCCESS" 0 "$METRIC_LAST_SUCCESS" "$(last_success "$task")" | push "$task"
      fi
    fi
  done
}

# restore [TASK]. compose leaves a container running when compose itself is stopped.
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
  [[ $EUID -eq 0 ]] || fail "this needs root and runs as $(id -un)"
  [[ -d $DELIVERY ]] || fail "$DELIVERY is missing; deliver the registries to this host first"
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
