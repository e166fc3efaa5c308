# shellcheck shell=bash
#
# The nameservers of a link that netplan configures: we manage one node in one of its files, and nothing else.
#
# Set before: NAMESERVERS LINK_FILE LINK_INTERFACE. Defines the functions that dns.sh needs for the link: check_link,
# stage_link, validate_link, link, inspect_link, apply_link, link_at_boot.

check_link() {
  need_tools netplan
  [[ -f $LINK_FILE ]] || fail "$LINK_FILE is missing; set resolver.netplan.file to the file that defines $LINK_INTERFACE"
}

# netplan_in TREE VERB...: runs netplan on a copy of the host's files.
netplan_in() {
  local tree=$1 verb=$2
  shift 2
  netplan "$verb" --root-dir "$tree" "$@"
}

# Runs only netplan's own generator: "netplan generate" also makes systemd run its generators, which rewrite /run from the files
# in /etc, so that active settings could no longer be distinguished from those only written.
generate_in() {
  local generator
  for generator in /usr/libexec/netplan/generate /usr/lib/netplan/generate; do
    if [[ -x $generator ]]; then
      "$generator" --root-dir "$1"
      return
    fi
  done
  netplan_in "$1" generate
}

# The path of the interface in netplan's notation: a dot in the name is escaped.
netplan_path() {
  local tree=$1 section
  for section in ethernets bonds bridges vlans wifis dummy-devices; do
    if [[ $(netplan_in "$tree" get "$section.${LINK_INTERFACE//./\\.}") != null ]]; then
      printf '%s.%s' "$section" "${LINK_INTERFACE//./\\.}"
      return
    fi
  done
}

netplan_nameservers() {
  local tree=$1 path=$2
  netplan_in "$tree" get "$path.nameservers" | tr -d '"'
}

wanted_nameservers() {
  printf 'addresses:\n'
  printf -- '- %s\n' "${NAMESERVERS[@]}"
}

# The result of netplan for the files, without the DNS of our link.
netplan_result() {
  local tree=$1
  rm -rf -- "$tree/run"
  generate_in "$tree" 2>"$tree/errors" || fail "netplan refuses the files: $(grep -v '^$' "$tree/errors" | head -n 3 | tr '\n' ' ')"
  made_by_netplan "$tree"
}

# Lines "path:text" for everything that netplan generated in a tree, for links and for other programs.
made_by_netplan() (
  cd -- "$1" || exit
  { find run/systemd/network run/NetworkManager/system-connections -type f -name '*netplan-*' 2>/dev/null || true; } | sort |
    while IFS= read -r file; do
      if [[ $file == *"netplan-$LINK_INTERFACE".@(network|nmconnection) ]]; then
        grep -HvE '^(DNS|Domains|dns|dns-search)=' -- "$file" || true
      else
        grep -H '' -- "$file" || true
      fi
    done
)

stage_link() {
  local tree=$STATE/netplan path before origin
  origin=$(basename -- "$LINK_FILE" .yaml)
  rm -rf -- "$tree"
  mkdir -m 0700 -- "$tree" "$tree/etc"

  # On its own first: does this file define the interface?
  mkdir -- "$tree/etc/netplan"
  cp -a -- "$LINK_FILE" "$tree/etc/netplan"
  path=$(netplan_path "$tree")
  [[ -n $path ]] || fail "$LINK_FILE does not define $LINK_INTERFACE; set resolver.netplan.file to the file that does: $(grep -lw -- "$LINK_INTERFACE" /etc/netplan/*.yaml | tr '\n' ' ')"

  if [[ $(netplan_nameservers "$tree" "$path") != "$(wanted_nameservers)" ]]; then
    cp -a -- /etc/netplan/. "$tree/etc/netplan"
    before=$(netplan_result "$tree")
    if ! edit_node "${path%%.*}" <"$LINK_FILE" >"$tree/edited" 2>/dev/null; then
      say "$LINK_FILE shares the nameservers of $LINK_INTERFACE with others by an anchor, or cannot be edited in one place: netplan writes it again, without its comments and anchors"
      # Lists are appended to, so the old one is removed first.
      netplan_in "$tree" set --origin-hint "$origin" "$path.nameservers=null"
      netplan_in "$tree" set --origin-hint "$origin" "$path.nameservers={addresses: [$(joined ', ' "${NAMESERVERS[@]}")]}"
      cp -- "$tree/etc/netplan/$origin.yaml" "$tree/edited"
    fi
    cat -- "$tree/edited" >"$tree/etc/netplan/$origin.yaml"
    [[ $before == "$(netplan_result "$tree")" ]] || fail "netplan would change more in $LINK_FILE than the nameservers of $LINK_INTERFACE; set them there by hand to $(joined ' ' "${NAMESERVERS[@]}")"
    stage_file "$LINK_FILE" "$(stat -c '0%a' -- "$LINK_FILE")" <"$tree/edited"
  fi
  rm -rf -- "$tree"
}

# edit_node SECTION: the file from standard input, with only that node replaced; everything else stays byte for byte, including
# comments and anchors. Fails if that is impossible: the node is shared, or there is no parser.
edit_node() {
  python3 - "$1" "$LINK_INTERFACE" "${NAMESERVERS[@]}" 3<&0 <<'END'
import sys
import yaml

section, interface, *servers = sys.argv[1:]
text = open(3).read()


def entry(mapping, name):
    return next((pair for pair in mapping.value if pair[0].value == name), (None, None))


def descend(node, *names):
    for name in names:
        if not isinstance(node, yaml.MappingNode):
            return None
        key, node = entry(node, name)
        # An alias refers to its anchor: an edit there would affect other interfaces too.
        if node is None or node.start_mark.index < key.end_mark.index:
            return None
    return node


device = descend(yaml.compose(text, Loader=yaml.SafeLoader), "network", section, interface)
if not isinstance(device, yaml.MappingNode) or not device.value:
    sys.exit(1)
wanted = "nameservers: {addresses: [%s]}" % ", ".join('"%s"' % server for server in servers)
key, value = entry(device, "nameservers")
if key is None:
    first = device.value[0][0].start_mark
    follows = ", " if device.flow_style else "\n" + " " * first.column
    edited = text[: first.index] + wanted + follows + text[first.index :]
elif value.start_mark.index < key.end_mark.index:
    sys.exit(1)
else:
    end = value.end_mark.index
    # A block ends where the next token begins: blanks and comments in between do not belong to it.
    block = text[value.start_mark.index : end]
    if not value.flow_style:
        lines = block.split("\n")
        while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
            lines.pop()
        end = value.start_mark.index + len("\n".join(lines))
    edited = text[: key.start_mark.index] + wanted + text[end:]

before, after = yaml.safe_load(text), yaml.safe_load(edited)
before["network"][section][interface] = {
    **before["network"][section][interface],
    "nameservers": {"addresses": servers},
}
if before != after:
    sys.exit(1)
sys.stdout.write(edited)
END
}

# Checks all netplan files together, in their new state: lists in several files are appended to each other.
validate_link() {
  local tree=$STATE/netplan path found
  refuse_unapplied
  rm -rf -- "$tree"
  mkdir -m 0700 -- "$tree" "$tree/etc"
  cp -a -- /etc/netplan "$tree/etc"
  [[ ! -d $STAGED/etc/netplan ]] || cp -a -- "$STAGED/etc/netplan/." "$tree/etc/netplan"
  netplan_result "$tree" >/dev/null
  path=$(netplan_path "$tree")
  found=$(netplan_nameservers "$tree" "$path")
  [[ $found == "$(wanted_nameservers)" ]] || fail "another file than $LINK_FILE adds to the nameservers of $LINK_INTERFACE: ${found//$'\n'/ }; remove them from $(grep -l nameservers /etc/netplan/*.yaml | tr '\n' ' ')"
  rm -rf -- "$tree"
}

# Applying our change also applies everything else written to the files since they were last applied. An address edited in
# preparation for a maintenance window must not become active now, and cut off the host.
refuse_unapplied() {
  local tree=$STATE/netplan difference
  rm -rf -- "$tree"
  mkdir -m 0700 -- "$tree" "$tree/etc"
  cp -a -- /etc/netplan "$tree/etc"
  netplan_result "$tree" >"$tree/made"
  difference=$({ diff <(made_by_netplan /) "$tree/made" || true; } | unapplied_lines)
  [[ -n $difference ]] || difference=$(generated_and_not_applied "$tree")
  rm -rf -- "$tree"
  [[ -z $difference ]] || fail "the files in /etc/netplan say what is not active, and a delivery would activate it: $(joined_lines <<<"$difference"); apply it first, or take it out of the files: netplan try"
}

# Lines of diff like "< run/systemd/network/10-netplan-eth0.network:Address=…", in words. Other programs' settings may be secret.
unapplied_lines() {
  sed -nE -e 's#^([<>]) run/systemd/network/[0-9]*-?netplan-([^:]*):(.*)#\1 \2: \3#' -e 's#^([<>]) run/NetworkManager/[^:]*/netplan-([^:]*):.*#\1 \2#' \
    -e 's/^< /active only: /p; s/^> /not active: /p' | sort -u
}

# A reload of systemd also regenerates /run, so its contents need not be active either.
generated_and_not_applied() {
  local file name
  for file in "$1"/run/systemd/network/*netplan-*.netdev; do
    [[ -f $file ]] || continue
    name=$(sed -n 's/^Name=//p' -- "$file" | head -n 1)
    ip link show dev "$name" >/dev/null 2>&1 || printf 'not active: the interface %s\n' "$name"
  done
  for file in "$1"/run/systemd/network/*netplan-*.network; do
    [[ ! -f $file ]] || missing_on_link "$(sed -n 's/^Name=//p' -- "$file" | head -n 1)" "$file"
  done
}

# The device, whose name may differ from its key in the file because of set-name.
link() {
  local name
  name=$(netplan get "$(netplan_path /).set-name" | tr -d '"')
  if [[ $name == null || -z $name ]]; then
    name=$LINK_INTERFACE
  fi
  printf '%s' "$name"
}

inspect_link() {
  compare "nameservers of $LINK_INTERFACE in $LINK_FILE" "$(wanted_nameservers)"$'\n' "$(netplan_nameservers / "$(netplan_path /)")"$'\n'
}

apply_link() { timeout 60 netplan apply; }
link_at_boot() { netplan generate; }
