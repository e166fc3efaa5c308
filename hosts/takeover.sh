# shellcheck shell=bash disable=SC2153 # what is set before has the names of locals in capitals
#
# Taking over: compares what runs in the compose project with what a delivery brings. Everything that will be replaced or
# removed is announced; a delivery that would start a registry on other images than it has, or stop half-way, is refused before
# anything is stopped. Also records the origin of the project, so that a rollback can restore it.
#
# Set before: PROJECT NETWORK COMPOSE_FILE PORTS; for each running service CONTAINERS COMPOSE_SERVICES DATA (empty for none);
# for each volume VOLUMES MOUNTPOINTS.

# The project's folder and the compose files that created it, one on each line; empty if there was no project.
ORIGIN=$STATE/origin

# Separates the fields of a line: it occurs in no path, and unlike tabs, bash does not merge consecutive ones.
SEPARATOR=$'\x1f'

# The path of a registry's images in its container.
IMAGES_AT=/var/lib/registry

CONFLICTS=()
conflict() { CONFLICTS+=("$*"); }

# All conflicts are reported at once, each with its solution.
refuse_conflicts() {
  local each
  for each in "${CONFLICTS[@]}"; do
    say "refused: $each" >&2
  done
  ((${#CONFLICTS[@]} == 0)) || fail "this delivery would lose data or stop half-way, for the ${#CONFLICTS[@]} reason(s) above; nothing was changed"
}

# field CONTAINER TEMPLATE: a field of docker inspect.
field() { docker inspect --type container --format "$2" -- "$1" 2>/dev/null; }
label_of() { field "$1" "{{ index .Config.Labels \"$2\" }}"; }

# The running and stopped containers of the project, except those of `compose run`.
containers_of_project() {
  docker ps --all --filter "label=com.docker.compose.project=$PROJECT" --format '{{ .Names }} {{ .Label "com.docker.compose.oneoff" }}' |
    sed -n 's/ \(False\)\?$//p' | sort
}

# A half-finished replacement: compose creates the new container under a temporary name, and renames it last.
is_half_replaced() { [[ $1 =~ ^[0-9a-f]{12}_ && -n $(label_of "$1" com.docker.compose.replace) ]]; }

remove_half_replaced() {
  local name
  while IFS= read -r name; do
    ! is_half_replaced "$name" || docker rm --force -- "$name" >/dev/null
  done < <(containers_of_project)
}

# read_hashes ARRAY COMPOSE-FILE: sets the digest of each service's definition, as compose labels a container with it.
read_hashes() {
  local -n into=$1
  local service hash
  while read -r service hash; do
    # shellcheck disable=SC2034,SC2004 # an associative array of the caller
    into[$service]=$hash
  done < <(docker compose --project-name "$PROJECT" --file "$2" config --hash '*' 2>/dev/null)
}

# successor CONTAINER SERVICE: the index of the service that replaces a container; empty if none does.
successor() {
  local name=$1 service=$2 index
  for index in "${!CONTAINERS[@]}"; do
    if [[ ${COMPOSE_SERVICES[index]} == "$service" || ${CONTAINERS[index]} == "$name" ]]; then
      printf '%s' "$index"
      return
    fi
  done
}

is_ours() { [[ -n $(label_of "$1" registry-warden.configuration) ]]; }
# Whether it requires a password, as an authoritative registry does.
asks_for_password() { field "$1" '{{ range .Mounts }}{{ println .Destination }}{{ end }}' | grep -qx /auth/htpasswd; }

holds_images() { [[ -d $1/docker/registry/v2 ]]; }
is_same_place() { [[ $1 -ef $2 || $(readlink -m -- "$1") == "$(readlink -m -- "$2")" ]]; }

# The places on the host in which a container keeps images: a directory and, if it belongs to one, its volume.
places_of() {
  local target source volume
  while IFS=$SEPARATOR read -r target source volume; do
    if [[ -n $target ]] && { [[ $target == "$IMAGES_AT" ]] || holds_images "$source"; }; then
      printf '%s%s%s\n' "$source" "$SEPARATOR" "$volume"
    fi
  done < <(field "$1" "{{ range .Mounts }}{{ .Destination }}$SEPARATOR{{ .Source }}$SEPARATOR{{ .Name }}{{ println }}{{ end }}")
}

# Whether images are in the container's own file system.
keeps_images_within() { docker diff -- "$1" 2>/dev/null | grep -qE " $IMAGES_AT/docker/registry/v2"; }

preflight() {
  local name
  local -A staged_hashes=()
  read_hashes staged_hashes "$STAGED$COMPOSE_FILE"
  while IFS= read -r name; do
    is_half_replaced "$name" || check_container "$name"
  done < <({
    containers_of_project
    docker ps --all --format '{{ .Names }}' | grep -xF -f <(printf '%s\n' "${CONTAINERS[@]}") || true
  } | sort -u)
  check_ports
  check_network
  check_stores
  refuse_conflicts
}

check_container() {
  local name=$1 project service hash index
  IFS=$SEPARATOR read -r project service hash < <(field "$name" "{{ with .Config.Labels }}{{ index . \"com.docker.compose.project\" }}$SEPARATOR{{ index . \"com.docker.compose.service\" }}$SEPARATOR{{ index . \"com.docker.compose.config-hash\" }}{{ end }}") || true
  if [[ $project != "$PROJECT" ]]; then
    conflict "the container $name belongs to the compose project \"$project\", not to $PROJECT; set registry.project, or remove it with docker rm -f $name"
    return
  fi
  index=$(successor "$name" "$service")
  check_name "$name" "$index" "$service" "$hash"
  check_data "$name" "$index"
  announce "$name" "$index" "$service" "$hash"
}

# compose matches containers by their service, not by their name.
check_name() {
  local name=$1 index=$2 service=$3 hash=$4 other
  [[ -n $index && ${CONTAINERS[index]} == "$name" && ${COMPOSE_SERVICES[index]} != "$service" ]] || return 0
  for other in "${COMPOSE_SERVICES[@]}"; do
    if [[ $other == "$service" ]]; then
      conflict "the container $name is the service $service of $PROJECT, and its name is wanted for ${COMPOSE_SERVICES[index]}; remove it: docker rm -f $name"
      return
    fi
  done
  [[ -n $hash ]] ||
    conflict "the container $name was not made by compose, though it is labelled as of $PROJECT, and its name is wanted; remove it: docker rm -f $name"
}

check_data() {
  local name=$1 index=$2 places place volume wanted=
  [[ -z $index ]] || wanted=${DATA[index]}
  places=$(places_of "$name")
  if [[ -z $places ]]; then
    ! keeps_images_within "$name" ||
      conflict "the container $name has its images within itself, and they would go with it; copy them: docker cp $name:$IMAGES_AT/. ${wanted:-to the directory of a service}, then docker rm -f $name"
    return 0
  fi
  while IFS=$SEPARATOR read -r place volume; do
    if [[ -n $wanted ]]; then
      is_same_place "$place" "$wanted" || is_moved "$place" "$wanted" ||
        conflict "the container $name has its images in $(named_place "$place" "$volume") and would start on $wanted; $(way_out "$place" "$volume"), or move them: docker stop $name, then mv $place $wanted"
    elif ! is_kept "$place" && { ! is_ours "$name" || asks_for_password "$name"; }; then
      conflict "the container $name would be removed, and its images in $(named_place "$place" "$volume") are of no service of the site; $(way_out "$place" "$volume"), or if they may go: docker rm -f $name"
    fi
  done <<<"$places"
}

named_place() {
  if [[ -n $2 ]]; then
    printf 'the volume %s (%s)' "$2" "$1"
  else
    printf '%s' "$1"
  fi
}

way_out() {
  if [[ -n $2 ]]; then
    printf 'set volume of its service to "%s"' "$2"
  else
    printf 'set data of its service to "%s"' "$1"
  fi
}

# Whether the operator has moved the images without recreating the container.
is_moved() { ! holds_images "$1" && { holds_images "$2" || [[ ! -e $1 ]]; }; }

# Whether a delivered service uses the place.
is_kept() {
  local each
  for each in "${DATA[@]}"; do
    [[ -z $each ]] || ! is_same_place "$1" "$each" || return 0
  done
  return 1
}

# Announces what will happen to a container; nothing if it stays as it is.
announce() {
  local name=$1 index=$2 service=$3 hash=$4 network
  if [[ -z $index || ${COMPOSE_SERVICES[index]} != "$service" ]]; then
    say "removes the container $name: the service $service is not of the site"
    return
  elif [[ ! -f $MANIFEST ]]; then
    say "takes over the container $name"
  elif [[ -z $hash || $hash != "${staged_hashes[$service]:-}" ]]; then
    say "replaces the container $name"
  else
    return 0
  fi
  while IFS= read -r network; do
    [[ -z $network || $network == "${PROJECT}_$NETWORK" ]] ||
      warn "$name is in the network $network too, and will not be: what reaches it there by its name no longer does"
  done < <(field "$name" "{{ range \$network, \$_ := .NetworkSettings.Networks }}{{ println \$network }}{{ end }}")
}

# check_ports: each is a port, or an address and a port, as compose publishes it.
check_ports() {
  local each address port project holder
  for each in "${PORTS[@]}"; do
    address=${each%:*} port=${each##*:}
    [[ $each == *:* ]] || address=
    address=${address#[} address=${address%]}
    while IFS=$SEPARATOR read -r project holder; do
      [[ $project == "$PROJECT" ]] ||
        conflict "port $port is published by the container $holder; give it another, or stop it: docker stop $holder"
    done < <(docker ps --filter "publish=$port" --format "{{ .Label \"com.docker.compose.project\" }}$SEPARATOR{{ .Names }}")
    holder=$(listener "$address" "$port")
    [[ -z $holder || $holder == docker-proxy ]] || conflict "port $port is taken by $holder on the host; stop that, or give it another port"
  done
}

# listener ADDRESS PORT: the program on the host that listens there; without an address, on any.
listener() {
  command -v ss >/dev/null || return 0
  ss --no-header --listening --tcp --numeric --processes "sport = :$2" |
    awk -v address="$1" '{ at = $4; sub(/:[0-9]+$/, "", at); gsub(/[][]/, "", at) }
      address == "" || at == address || at == "*" || at == "0.0.0.0" || at == "::"' |
    sed -n 's/.*users:(("\([^"]*\)".*/\1/p' | head -n 1
}

check_network() {
  local name=${PROJECT}_$NETWORK labels
  labels=$(docker network inspect --format '{{ index .Labels "com.docker.compose.project" }} {{ index .Labels "com.docker.compose.network" }}' "$name" 2>/dev/null) || return 0
  [[ $labels == "$PROJECT $NETWORK" ]] ||
    conflict "the network $name was not made by compose for this project; remove it, or set registry.network: docker network rm $name"
}

# A registry is root without any capabilities: to write, it must own its data.
check_stores() {
  local index place other
  for index in "${!VOLUMES[@]}"; do
    place=$(docker volume inspect --format '{{ .Mountpoint }}' "${VOLUMES[index]}" 2>/dev/null) || {
      conflict "there is no volume ${VOLUMES[index]}; name one that docker volume ls has"
      continue
    }
    is_same_place "$place" "${MOUNTPOINTS[index]}" ||
      conflict "the volume ${VOLUMES[index]} is at $place, not at ${MOUNTPOINTS[index]}; set data of its service to \"$place\" instead of volume"
  done
  for place in "${DATA[@]}"; do
    [[ -n $place && -d $place ]] || continue
    other=$(find "$place" -maxdepth 5 ! -uid 0 -print -quit)
    [[ -z $other ]] ||
      conflict "$other belongs to the user $(stat -c %U -- "$other"), and the registry, which is root without its capabilities, could not write there; give it to root: chown -R root:root '$place'"
  done
}

# --- origin of the project ---

# The origin of most of the project's containers.
note_origin() {
  local oneoff folder files
  while IFS=$SEPARATOR read -r oneoff folder files; do
    [[ $oneoff == True || -z $files ]] || printf '%s,%s\n' "$folder" "$files"
  done < <(docker ps --all --filter "label=com.docker.compose.project=$PROJECT" --format \
    "{{ .Label \"com.docker.compose.oneoff\" }}$SEPARATOR{{ .Label \"com.docker.compose.project.working_dir\" }}$SEPARATOR{{ .Label \"com.docker.compose.project.config_files\" }}") | sort | uniq -c | sort -rn | head -n 1 | sed 's/^ *[0-9]* //' | tr ',' '\n' >"$ORIGIN.new"
  chmod 0600 -- "$ORIGIN.new"
  mv -fT -- "$ORIGIN.new" "$ORIGIN"
  check_origin
}

# The files at the origin must still exist, unless the project was delivered by us.
check_origin() {
  local folder file files
  [[ ! -f $MANIFEST ]] || return 0
  { read -r folder && mapfile -t files; } <"$ORIGIN" || return 0
  for file in "${files[@]}"; do
    [[ -f $file ]] || conflict "the containers of $PROJECT were made from $file in ${folder:-an unknown folder}, which is gone, so a rollback could not bring them back; put it there again, or remove them: docker rm -f \$(docker ps -aq --filter label=com.docker.compose.project=$PROJECT)"
  done
}

# It is archived with the replaced files, and restored with them.
stage_origin() { printf '%s\n' "${COMPOSE_FILE%/*}" "$COMPOSE_FILE" | stage_file "$ORIGIN" 0600; }

# compose_of_origin ARGUMENT…: compose with the project's original files.
compose_of_origin() {
  local folder file files options=()
  { read -r folder && mapfile -t files; } <"$ORIGIN"
  for file in "${files[@]}"; do
    options+=(--file "$file")
  done
  docker compose --project-name "$PROJECT" --project-directory "$folder" "${options[@]}" "$@"
}

# Whether the project can be recreated from its original files.
has_origin() {
  local folder file files
  [[ -s $ORIGIN ]] || return 1
  { read -r folder && mapfile -t files; } <"$ORIGIN"
  [[ -d $folder ]] || return 1
  for file in "${files[@]}"; do
    [[ -f $file ]] || return 1
  done
}
