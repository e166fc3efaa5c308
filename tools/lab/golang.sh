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

# The folder that holds a module's files, downloaded if need be: go_module <module>@<version>
go_module() {
  (cd "$cache/work" && go mod download -json "$1") | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p'
}

fetch_go_file() {
  local name=$1 module=$2 file=$3 folder
  go_present
  folder=$(go_module "$module")
  cp -f "$folder/$file" "$cache/bin/$name"
}
