# shellcheck shell=bash
# Programs and files out of Go modules. Sourced by tools/lab/setup, which sets $cache.
: "${cache:?}"

go_present() {
  if ! command -v go >/dev/null; then
    printf 'go is not installed: install Go 1.24 or newer\n' >&2
    return 1
  fi
}

fetch_go() {
  local name=$1 package=$2 program=$3
  local folder="$cache/go/$package"
  go_present
  mkdir -p "$folder"
  if [[ ! -x "$folder/$program" ]]; then
    CGO_ENABLED=0 GOBIN=$folder nice go install -trimpath -ldflags '-s -w' "$package" >&2
  fi
  ln -sfn "$folder/$program" "$cache/bin/$name"
}

# A field of `go mod download -json` for a module: go_module Dir|GoMod <module>@<version>
go_module() {
  (cd "$cache/build" && go mod download -json "$2") | sed -n 's/^\t"'"$1"'": "\(.*\)",\{0,1\}$/\1/p'
}

fetch_go_file() {
  local name=$1 module=$2 file=$3 folder
  go_present
  folder=$(go_module Dir "$module")
  cp -f "$folder/$file" "$cache/bin/$name"
}

# A go.mod for building a program of another module: own_module <module> <version> <its go.mod>
own_module() {
  printf 'module lab\n\nrequire %s %s\n\nreplace (\n' "$1" "$2"
  awk -v staging="v0${2#v1}" '
    $1 == "replace" { $1 = ""; $0 = $0 }
    $2 == "=>" && $3 ~ /^[.]/ { print "\t" $1 " => " $1 " " staging; next }
    $2 == "=>" || $3 == "=>" { print "\t" $0 }' "$3"
  printf ')\n'
  sed -n '/^go /p' "$3"
}

# Gitea: the program at the root of its module, with its database in C, and the folders that it reads. The component is
# a folder with all of that, because the program refuses to run as root, and nobody else can read root's cache.
fetch_go_gitea() {
  local name=$1 module=${2%@*} version=${2#*@} program=$3
  local folder="$cache/go/$2" work="$cache/build/$1" source
  go_present
  if [[ ! -x "$folder/$program" ]]; then
    source=$(go_module Dir "$2")
    rm -rf "$work"
    mkdir -p "$work" "$folder"
    own_module "$module" "$version" "$(go_module GoMod "$2")" >"$work/go.mod"
    cp -r --no-preserve=mode "$source/options" "$source/public" "$source/templates" "$folder/"
    (cd "$work" && CGO_ENABLED=1 GOFLAGS=-mod=mod nice go build -trimpath -tags 'sqlite sqlite_unlock_notify' \
      -ldflags '-s -w' -o "$folder/$program" "$module") >&2
    rm -rf "$work"
  fi
  ln -sfn "$folder" "$cache/bin/$name"
}

# Built inside our own module with the same replace directives, because Go only obeys those of the main module.
# Kubernetes replaces its staging modules with folders that its published module lacks: its v1.x.y goes with v0.x.y of
# theirs. All programs of a module are built together, because they share packages and can be linked in parallel.
fetch_go_module() {
  local name=$1 module=${2%@*} version=${2#*@} program=$3
  local folder="$cache/go/$2" work file programs
  work="$cache/build/${2//\//-}"
  go_present
  exec 8>"$cache/locks/${2//\//-}"
  flock 8
  if [[ ! -x "$folder/$program" ]]; then
    mapfile -t programs < <(wanted_programs "$2")
    file=$(go_module GoMod "$2")
    rm -rf "$work"
    mkdir -p "$work" "$folder/$(dirname "$program")"
    own_module "$module" "$version" "$file" >"$work/go.mod"
    # kube-apiserver refuses to start without its version, tofu calls itself a development build; the linker ignores a
    # variable that a program lacks.
    (cd "$work" && CGO_ENABLED=0 GOFLAGS=-mod=mod nice go build -trimpath \
      -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version -X github.com/opentofu/opentofu/version.dev=no" \
      -o "$folder/$(dirname "$program")/" "${programs[@]/#/$module/}") >&2
    rm -rf "$work"
  fi
  exec 8>&-
  ln -sfn "$folder/$program" "$cache/bin/$name"
}
