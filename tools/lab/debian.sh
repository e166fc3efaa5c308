# shellcheck shell=bash
# Debian packages without installing them: lists and archives in the cache, taken from the mirror that the machine's own apt uses.
# Sourced by tools/lab/setup and tools/lab/hosts, which set $cache.
: "${cache:?}"

# The mirror's base address, in whatever form (one-line or deb822) the machine's sources are. The package lists show
# that it mirrors Debian; before the first apt-get update there are none, so the release of the machine decides.
debian_mirror() {
  local codename mirror
  # shellcheck disable=SC2016 # apt's fields, not ours
  mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && !found++ { print $2 }')
  if [[ -z "$mirror" ]]; then
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # apt's fields, not ours
    mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' \
      'Created-By: Packages' "Release: $codename" 'Component: main' | awk '!found++')
  fi
  if [[ -z "$mirror" ]]; then
    printf 'no Debian mirror in the apt sources of this machine: use a Debian 12 machine or container\n' >&2
    return 1
  fi
  printf '%s' "$mirror"
}

# apt-get or apt-cache on a suite of our own: debian_apt <suite> <command> <argument…>
debian_apt() {
  local suite=$1 command=$2
  shift 2
  "$command" -q -c "$cache/apt/$suite/apt.conf" "$@"
}

# Makes the suite's private apt state, and refreshes its lists once a day: an old list names versions that the mirror dropped.
debian_suite() {
  local suite=$1 state="$cache/apt/$1" mirror
  mirror=$(debian_mirror)
  mkdir -p "$state"/{lists,archives}/partial
  : >"$state/status"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >"$state/sources.list"
  cat >"$state/apt.conf" <<CONFIGURATION
Dir::State "$state";
Dir::State::status "$state/status";
Dir::State::Lists "$state/lists";
Dir::Cache "$state";
Dir::Etc::SourceList "$state/sources.list";
Dir::Etc::SourceParts "/dev/null";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
CONFIGURATION
  if [[ -z "$(find "$state/updated" -mmin -1440 2>/dev/null)" ]]; then
    debian_apt "$suite" apt-get -qq update >&2
    touch "$state/updated"
  fi
}

# Unpacks packages of one suite into a folder that must then hold a program: debian_unpack <suite> <folder> <program> <package…>
debian_unpack() {
  local suite=$1 folder=$2 program=$3 archive
  shift 3
  rm -rf "$folder.new"
  mkdir -p "$folder.new/archives" "$(dirname "$folder")"
  (cd "$folder.new/archives" && debian_apt "$suite" apt-get -qq download "$@" >&2)
  for archive in "$folder.new"/archives/*.deb; do dpkg -x "$archive" "$folder.new"; done
  if [[ ! -x "$folder.new/$program" ]]; then
    printf 'suite %s: no %s in %s\n' "$suite" "$program" "$*" >&2
    return 1
  fi
  rm -rf "$folder.new/archives" "$folder"
  mv "$folder.new" "$folder"
}

# The libraries that a package needs, libc included, by their names (zlib is the one not called lib…); the rest are tools of its
# maintainer scripts.
debian_libraries() {
  debian_apt "$1" apt-get -y --print-uris install "$2" | awk -F"[' ]" '/^\047/ { split($4, file, "_"); print file[1] }' | grep -E '^(lib|zlib)'
}

# with_suite <suite> <command…>: prepares the suite and runs the command, one process at a time.
with_suite() {
  local suite=$1
  shift
  (
    exec 8>"$cache/locks/suite-$suite"
    flock 8
    debian_suite "$suite"
    "$@"
  )
}

fetch_debian() {
  local name=$1 suite=${2%%/*} package=${2#*/} program=$3
  local folder="$cache/debian/$suite/$package"
  if [[ ! -x "$folder/$program" ]]; then with_suite "$suite" debian_unpack "$suite" "$folder" "$program" "$package"; fi
  ln -sfn "$folder/$program" "$cache/bin/$name"
}

debian_unpack_with_libraries() {
  local suite=$1 folder=$2 program=$3 package=$4 libraries
  mapfile -t libraries < <(debian_libraries "$suite" "$package")
  debian_unpack "$suite" "$folder" "$program" "$package" "${libraries[@]}"
}

# The program is started through the loader of its own libc, by a script under its name; it sees that script as its argv[0],
# so that a program which executes itself again (sshd) comes back through the loader.
fetch_debian_libs() {
  local name=$1 suite=${2%%/*} package=${2#*/} program=$3
  local folder="$cache/debian/$suite/$package+libraries" loader libraries
  if [[ ! -x "$folder/$program" ]]; then with_suite "$suite" debian_unpack_with_libraries "$suite" "$folder" "$program" "$package"; fi
  loader=$(find "$folder" -path '*-linux-gnu/ld-linux*.so.*' -print -quit)
  # Not only lib/*-linux-gnu: systemd keeps its own library in a folder below.
  libraries=$(find "$folder" -path '*/lib/*' -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:)
  rm -f "$cache/bin/$name"
  # shellcheck disable=SC2016 # the script's own $0 and $@
  printf '#!/bin/sh\nexec %q --argv0 "$0" --library-path %q %q "$@"\n' "$loader" "$libraries" "$folder/$program" >"$cache/bin/$name.new"
  chmod 755 "$cache/bin/$name.new"
  mv "$cache/bin/$name.new" "$cache/bin/$name"
}
