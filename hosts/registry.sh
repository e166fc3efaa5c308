# shellcheck shell=bash
#
# The registries of a host, their reverse proxy and their web UI, as a compose project.
#
# Set before: COMPOSE_FILE REVERSE_PROXY_FILE PROJECT SYSTEMD_UNIT ADDRESS IMAGES CONTAINERS IMAGES_OF SERVICES REVERSE_PROXY READ_LATE
# AUTHORITATIVE PRIVATE_PORTS PRIVATE_NAMES PROXY_PORTS SECRETS CERTIFICATES HTPASSWDS, and what takeover.sh and
# collectors.sh need.

HEALTH_SECONDS=120
COMPOSE_SECONDS=300
PULL_SECONDS=900
# nginx asks for a container's address every two seconds, and gives one that is gone five more.
PROXY_SECONDS=15

# Containers that were healthy before anything was touched, and must be so again.
HEALTHY_BEFORE=()

# The compose project for trying things out beside the running one.
TRIAL=registry-warden-trial

check_host() {
  need_tools docker curl
  check_engine
  docker compose version >/dev/null 2>&1 || fail "docker has no compose plugin; install version 2 there, nothing is installed from here"
  check_operator_files
  list_collectors
}

# Docker 25 (API 1.44) is the first that knows start_interval of a health check.
check_engine() {
  local version api
  version=$(docker version --format '{{ .Server.Version }} {{ .Server.APIVersion }}' 2>/dev/null) ||
    fail "docker does not answer; start it: systemctl start docker"
  read -r version api <<<"$version"
  [[ $(printf '%s\n' 1.44 "$api" | sort -V | head -n 1) == 1.44 ]] ||
    fail "docker is version $version; install 25 or newer there, nothing is installed from here"
}

# The operator's files never leave the host: they are only checked. All missing ones are reported at once, for the setup of a
# new host.
check_operator_files() {
  local wrong path allowed actual
  wrong=$(unfit_files)
  [[ -z $wrong ]] || fail "$(while IFS=$'\t' read -r path allowed actual; do printf '%s is %s; expected: %s. ' "$path" "$actual" "$allowed"; done <<<"$wrong")Correct that and deliver again: nothing was changed"
}

inspect_operator_files() {
  local path allowed actual
  while IFS=$'\t' read -r path allowed actual; do
    finding "operator's file $path" "$allowed" "$actual" "put it right"
  done < <(unfit_files)
}

# unfit PATH ALLOWED ACTUAL
unfit() { printf '%s\t%s\t%s\n' "$@"; }

unfit_files() {
  local path mode
  for path in "${SECRETS[@]}" "${CERTIFICATES[@]}"; do
    if [[ ! -f $path ]]; then
      unfit "$path" "$(allowed_of "$path")" absent
    # In a container, root without capabilities can read what root owns, or what is world-readable.
    elif mode=0$(stat -Lc %a -- "$path") && [[ $(stat -Lc %u -- "$path") != 0 ]] && (((mode & 4) == 0)); then
      unfit "$path" "a file of root, as whom the containers read it (chown root '$path')" "that of $(stat -Lc %U -- "$path")"
    elif [[ " ${SECRETS[*]} " == *" $path "* ]] && (((mode & 077) != 0)); then
      unfit "$path" "mode 0600, because it holds a secret (chmod 600 '$path')" "of mode ${mode#0}"
    fi
  done
  for path in "${HTPASSWDS[@]}"; do
    # shellcheck disable=SC2016 # the dollars are those of the hash
    [[ ! -f $path ]] || grep -qE '^[^:]+:\$2[aby]\$' -- "$path" ||
      unfit "$path" "at least one user with a bcrypt hash, the only kind that the registry knows (warden htpasswd makes one)" "without any"
  done
}

allowed_of() {
  if [[ " ${SECRETS[*]} " == *" $1 "* ]]; then
    printf "the operator's file of mode 0600"
  else
    printf 'the certificate with its chain'
  fi
}

stage_parts() {
  note_origin
  stage_origin
  stage_collectors
}

# --- containers ---

compose() { docker compose --project-name "$PROJECT" --file "$COMPOSE_FILE" "$@"; }

validate() {
  local refused
  refused=$(docker compose --project-name "$TRIAL" --file "$STAGED$COMPOSE_FILE" config --quiet 2>&1) ||
    fail "docker compose refuses the file: ${refused//$'\n'/ }"
  preflight
}

prepare() {
  local image name
  for image in "${IMAGES[@]}"; do
    docker image inspect "$image" >/dev/null 2>&1 || pull "$image"
  done
  try_reverse_proxy
  for name in "${CONTAINERS[@]}"; do
    case $(health "$name") in
      healthy | running) HEALTHY_BEFORE+=("$name") ;;
    esac
  done
}

pull() {
  say "pulls $1"
  timeout "$PULL_SECONDS" docker pull --quiet "$1" >/dev/null || fail "$1 cannot be pulled; check registry.images, and what the host can reach"
}

# nginx itself checks its new configuration, with the operator's certificate and key, while the running one still serves.
try_reverse_proxy() {
  local trial=$STATE/trial outcome=0 said
  rm -rf -- "$trial"
  mkdir -m 0755 -- "$trial"
  # Certificates that nginx reads late, so that a broken one does not stop it, are read immediately here.
  sed "s/[$]$READ_LATE;\$/;/" -- "$STAGED$REVERSE_PROXY_FILE" >"$trial/nginx.conf"
  cat >"$trial/compose.yml" <<EOF
services:
  $REVERSE_PROXY:
    volumes:
      - { type: bind, source: $trial/nginx.conf, target: /etc/nginx/nginx.conf, read_only: true }
EOF
  said=$(timeout "$COMPOSE_SECONDS" docker compose --project-name "$TRIAL" --file "$STAGED$COMPOSE_FILE" --file "$trial/compose.yml" \
    run --rm --no-deps --no-TTY --quiet-pull --entrypoint nginx "$REVERSE_PROXY" -e stderr -t 2>&1) || outcome=1
  docker compose --project-name "$TRIAL" --file "$STAGED$COMPOSE_FILE" down >/dev/null 2>&1 || true
  rm -rf -- "$trial"
  ((outcome == 0)) || fail "nginx refuses its configuration: $(grep -E 'emerg|rror' <<<"$said" | tail -n 1); check registry.services, the certificate and the key"
}

is_well() {
  case $(health "$1") in
    healthy | running) ;;
    *) return 1 ;;
  esac
}

# Whether the containers match the file: compose labels each one with a digest of its definition.
is_active() {
  local wanted running
  running=$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.oneoff=False" \
    --format '{{ .Label "com.docker.compose.service" }} {{ .Label "com.docker.compose.config-hash" }}' | sort) || return 1
  wanted=$(compose config --hash '*' 2>/dev/null | sort) || return 1
  [[ $running == "$wanted" && -z $(stale_containers) ]] && timers_are_active
}

# Containers with a mounted file that has since been replaced at its path, for example because the version they started with
# had been edited by hand. compose sees no change in its own file.
stale_containers() {
  local pid name source target
  while IFS=$'\t' read -r pid name source target; do
    is_delivered_file "$source" || continue
    [[ ! -e /proc/$pid/root$target || $source -ef /proc/$pid/root$target ]] || printf '%s\n' "${name#/}"
  done < <(docker inspect --format '{{ range .Mounts }}{{ printf "%d\t%s\t%s\t%s\n" $.State.Pid $.Name .Source .Destination }}{{ end }}' \
    "${CONTAINERS[@]}" 2>/dev/null) | sort -u
}

is_delivered_file() {
  local path
  for path in "${FILES[@]}"; do
    [[ $path != "$1" ]] || return 0
  done
  return 1
}

restart_stale() {
  local stale
  mapfile -t stale < <(stale_containers)
  ((${#stale[@]} == 0)) || docker restart -- "${stale[@]}" >/dev/null
}

start() {
  local said
  said=$(timeout "$COMPOSE_SECONDS" docker compose --project-name "$PROJECT" --file "$COMPOSE_FILE" up --detach --pull never "$@" 2>&1) ||
    fail "docker compose cannot start the services: $(tail -n 1 <<<"$said")"
}

# compose recreates only what changed. The reverse proxy comes last, when the registries behind it are up. Removed services go
# first: they may occupy a name or a port that is needed.
activate() {
  systemctl daemon-reload
  stop_collectors
  remove_half_replaced
  start --remove-orphans "${SERVICES[@]}"
  restart_stale
  wait_until_settled "${AUTHORITATIVE[@]}"
  require_well "${AUTHORITATIVE[@]}"
  start --remove-orphans
  restart_stale
  systemctl start "$SYSTEMD_UNIT"
  activate_timers
}

activate_restored() {
  local said
  systemctl daemon-reload
  remove_half_replaced
  if has_origin; then
    said=$(compose_of_origin up --detach --pull never --remove-orphans 2>&1) ||
      fail "docker compose cannot start the services that were there before: $(tail -n 1 <<<"$said")"
  elif [[ -f $COMPOSE_FILE && (! -e $ORIGIN || -s $ORIGIN) ]]; then
    start --remove-orphans
  else
    timeout "$COMPOSE_SECONDS" docker compose --project-name "$PROJECT" down --remove-orphans >/dev/null 2>&1
  fi
  restart_stale
  activate_timers
}

restored_at_boot() { :; }

# Waits until each is healthy, or has exited: a cache whose upstream is down keeps exiting, and is not waited for.
wait_until_settled() {
  local name end=$((SECONDS + HEALTH_SECONDS))
  for name in "$@"; do
    until is_well "$name" || is_hopeless "$name"; do
      ((SECONDS < end)) || return 0
      sleep 0.5
    done
  done
}

# Not worth waiting for: it has exited, its health check gave up, or, if everything depends on it, it keeps exiting.
is_hopeless() {
  case $(health "$1") in
    unhealthy) true ;;
    restarting | exited | dead | absent) ! is_required "$1" || (($(restarts "$1") >= 5)) ;;
    *) false ;;
  esac
}

restarts() { docker inspect --format '{{ .RestartCount }}' "$1" 2>/dev/null || printf 0; }

is_required() {
  local name
  for name in "${AUTHORITATIVE[@]}" "${HEALTHY_BEFORE[@]}"; do
    [[ $name != "$1" ]] || return 0
  done
  return 1
}

require_well() {
  local name
  for name in "$@"; do
    is_well "$name" || fail "$name is $(health "$name") and has to be healthy: $(last_words "$name")"
  done
}

verify_delivery() {
  local name patience=$PROXY_SECONDS
  wait_until_settled "${CONTAINERS[@]}"
  require_well "${AUTHORITATIVE[@]}" "${HEALTHY_BEFORE[@]}"
  for name in "${CONTAINERS[@]}"; do
    is_well "$name" && continue
    warn "$name is $(health "$name"): $(last_words "$name")"
    # A cache whose container is down will not answer, however long that takes.
    patience=0
  done
  timers_are_active || fail "the active timers are $(active_timers | paste -sd ' ') instead of $(timers | paste -sd ' '): systemctl list-timers"
  is_active || fail "the running containers do not match the compose file: docker compose --file '$COMPOSE_FILE' up --detach --remove-orphans"
  verify_reverse_proxy "$patience"
}

# A hanging engine must not make this wait forever.
inspect_delivery() {
  local index
  docker() { timeout 30 docker "$@"; }
  look_at_containers
  for index in "${!CONTAINERS[@]}"; do
    compare "container ${CONTAINERS[index]}" "$(container_as "${IMAGES_OF[index]}" running "that of $COMPOSE_FILE")"$'\n' "${LOOKS[${CONTAINERS[index]}]:-absent}"
  done
  compare "containers of compose project $PROJECT" "$(printf '%s\n' "${CONTAINERS[@]}" | sort | paste -sd ' ')" \
    "$(docker ps --all --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.oneoff=False" --format '{{ .Names }}' | sort | paste -sd ' ')"
  inspect_operator_files
  inspect_collectors
  inspect_timers "timers of the maintenance"
}

container_as() { printf 'image %s\nstate %s\ndefinition %s' "$1" "$2" "$3"; }

# Sets LOOKS, by container; those that are absent have none. A cache that keeps exiting is as delivered: its upstream is down.
look_at_containers() {
  local name image id status service hash definition
  local -A ids=() hashes=()
  declare -gA LOOKS=()
  read_hashes hashes "$COMPOSE_FILE"
  while IFS='|' read -r name image id status service hash; do
    # Where a container is absent, docker writes an empty line.
    [[ -n $name ]] || continue
    [[ -n ${ids[$image]:-} ]] || ids[$image]=$(docker image inspect --format '{{ .Id }}' "$image" 2>/dev/null) || ids[$image]=$id
    [[ ${ids[$image]} == "$id" ]] || image="$image, before that name got another image"
    definition="that of $COMPOSE_FILE"
    [[ -n $hash && $hash == "${hashes[${service:-none}]:-}" ]] || definition=another
    LOOKS[${name#/}]=$(container_as "$image" "${status/restarting/running}" "$definition")$'\n'
  done < <(docker inspect --type container --format \
    '{{ .Name }}|{{ .Config.Image }}|{{ .Image }}|{{ .State.Status }}|{{ index .Config.Labels "com.docker.compose.service" }}|{{ index .Config.Labels "com.docker.compose.config-hash" }}' \
    "${CONTAINERS[@]}" 2>/dev/null)
}

# Its last error message; a Go stack trace ends with lines that say nothing.
last_words() { docker logs --tail 50 "$1" 2>&1 | grep -iE 'panic:|fatal|error|emerg' | tail -n 1 | cut -c 1-300; }

# The HTTP status that a client gets at a published port; "000" without an answer.
answer() { curl --silent --insecure --max-time 10 --output /dev/null --write-out '%{http_code}' "$@" || true; }

# answers STATUS CURL-ARGUMENT...: sets ANSWER.
answers() {
  local wanted=$1
  shift
  ANSWER=$(answer "$@")
  [[ $ANSWER == "$wanted" ]]
}

# verify_reverse_proxy SECONDS: how long a cache may take to answer.
verify_reverse_proxy() {
  local index port name patience=$1
  for index in "${!PRIVATE_PORTS[@]}"; do
    port=${PRIVATE_PORTS[index]} name=${PRIVATE_NAMES[index]}
    within "$PROXY_SECONDS" answers 401 --resolve "$name:$port:$ADDRESS" "https://$name:$port/v2/" ||
      fail "port $port answers $ANSWER without credentials, not 401; the registry behind it has to ask for them"
  done
  for port in "${PROXY_PORTS[@]}"; do
    within "$patience" answers 200 "http://$(url_host "$ADDRESS"):$port/v2/" ||
      warn "port $port answers $ANSWER; the cache behind it does not serve"
  done
  say "${#CONTAINERS[@]} services are as delivered"
}

url_host() {
  if [[ $1 == *:* ]]; then
    printf '[%s]' "$1"
  else
    printf '%s' "$1"
  fi
}
