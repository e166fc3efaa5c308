# shellcheck shell=bash
#
# Jobs on an existing host that collect garbage or clean up: cron entries and systemd services. The maintenance replaces
# them, so its delivery disables them: a rollback enables them again, and so does the delivery of a site without
# maintenance.
#
# Set before: REPLACED, parts of their commands; empty without maintenance.

# Prefix of a disabled cron entry.
DISABLED='# disabled by registry-warden: '
CRONTABS=/var/spool/cron/crontabs

# Drop-in of a service, in the folder beside its unit.
DROP_IN=registry-warden.conf

# The part by which a command that collects garbage is recognized if a site has no maintenance.
COLLECTS_GARBAGE=garbage-collect

# A symbolic link may lead to files that are not cron's.
cron_files() { find /etc/crontab /etc/cron.d "$CRONTABS" -maxdepth 1 -type f 2>/dev/null | sort; }

# Pattern for the words between the time and the command: a system crontab names a user there. crontab(5)
user_in() { [[ $1 == "$CRONTABS"/* ]] || printf '[^[:space:]]+[[:space:]]+'; }

# The command of a line; empty for a comment or a variable.
cron_command() {
  local user=$1 line=$2
  [[ ! $line =~ ^[[:space:]]*[A-Za-z_\"\'][^=[:space:]]*[[:space:]]*= ]] || return 0
  [[ $line =~ ^[[:space:]]*(@[a-z]+|[^#@[:space:]][^[:space:]]*([[:space:]]+[^[:space:]]+){4})[[:space:]]+$user(.*)$ ]] || return 0
  printf '%s' "${BASH_REMATCH[-1]}"
}

# The first of the REPLACED parts that a command contains.
replaced_in() {
  local text
  for text in "${REPLACED[@]}"; do
    if [[ $1 == *"$text"* ]]; then
      printf '%s' "$text"
      return
    fi
  done
}

# The first script in a command that collects garbage itself. It may do other work too, so it is only reported.
script_in() {
  local word words
  read -ra words <<<"${1//[\"\';&|()]/ }"
  for word in "${words[@]}"; do
    if [[ $word == /* && -f $word ]] && grep -qIsF -- "$COLLECTS_GARBAGE" "$word"; then
      printf '%s' "$word"
      return
    fi
  done
}

# The operator's units, by path.
services() {
  find /etc/systemd/system /usr/local/lib/systemd/system -maxdepth 1 -type f -name '*.service' ! -name "$TIMERS-*" 2>/dev/null | sort
}

# The commands of a unit, one on each line; continued lines are joined. systemd.syntax(7)
service_commands() { sed -e ':more' -e '/\\$/{N;s/\\\n/ /;b more' -e '}' -- "$1" | sed -n 's/^[[:space:]]*Exec[A-Za-z]*[[:space:]]*=//p'; }

# The part for which a unit is replaced.
service_replaced() { replaced_in "$(service_commands "$1")"; }

drop_in_of() { printf '/etc/systemd/system/%s.d/%s' "${1##*/}" "$DROP_IN"; }
drop_ins() { find /etc/systemd/system -mindepth 2 -maxdepth 2 -path "*.service.d/$DROP_IN" -type f | sort; }
service_of_drop_in() { basename -- "${1%/*}" .d; }

# Prints only a command's name, or the part by which it was recognized: the line may contain a password.
list_collectors() {
  local file line command user text found=no
  while IFS= read -r file; do
    user=$(user_in "$file")
    while IFS= read -r line; do
      command=$(cron_command "$user" "${line#"$DISABLED"}")
      text=$(replaced_in "$command")
      if [[ $line == "$DISABLED"* && -z $text ]]; then
        say "enables again in $file: ${command%%[[:space:]]*} …"
        found=yes
        continue
      fi
      command=$(cron_command "$user" "$line")
      if [[ -z $command ]]; then
        continue
      elif [[ -n $text ]]; then
        say "disables in $file: ${line%"$command"}… $text …"
      elif [[ -n $(script_in "$command") ]]; then
        warn "cron still has in $file: ${line%"$command"}… $(script_in "$command") …, which collects garbage; take that out of the script, or name it in registry.maintenance.replaces"
        found=yes
      elif [[ $command =~ registry|$COLLECTS_GARBAGE ]]; then
        warn "cron still has in $file: ${line%"$command"}${command%%[[:space:]]*} …, which names a registry; it is left alone"
        [[ $command != *"$COLLECTS_GARBAGE"* ]] || found=yes
      fi
    done <"$file"
  done < <(cron_files)
  while IFS= read -r file; do
    warn "cron still has $file, which collects garbage; remove it"
    found=yes
  done < <(grep -ls "$COLLECTS_GARBAGE" /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/* || true)
  list_services || found=yes
  if ((${#REPLACED[@]} == 0)) && [[ $found == no ]]; then
    warn "the site has no registry.maintenance, and nothing on this host collects garbage: what is deleted keeps its space until the disk is full"
  fi
}

# Fails if a service collects garbage and is not going to be disabled.
list_services() {
  local unit name text script left=0
  while IFS= read -r unit; do
    name=${unit##*/}
    text=$(service_replaced "$unit")
    script=$(script_in "$(service_commands "$unit")")
    if [[ -n $text ]]; then
      [[ -f $(drop_in_of "$unit") ]] || say "disables the systemd service $name: … $text …"
    elif [[ -f $(drop_in_of "$unit") ]]; then
      say "enables the systemd service $name again"
      left=1
    elif [[ -n $script ]]; then
      warn "systemd still has $name: … $script …, which collects garbage; take that out of the script, or name it in registry.maintenance.replaces"
      left=1
    elif service_commands "$unit" | grep -qF -- "$COLLECTS_GARBAGE"; then
      warn "systemd still has $name, which collects garbage; it is left alone"
      left=1
    fi
  done < <(services)
  return "$left"
}

# Every line of an edited file is as the settings require, whatever an earlier delivery made of it.
stage_collectors() {
  local file line user wanted changed
  while IFS= read -r file; do
    changed=no
    user=$(user_in "$file")
    while IFS= read -r line || [[ -n $line ]]; do
      wanted=${line#"$DISABLED"}
      if [[ -n $(replaced_in "$(cron_command "$user" "$wanted")") ]]; then
        wanted=$DISABLED$wanted
      fi
      [[ $wanted == "$line" ]] || changed=yes
      printf '%s\n' "$wanted"
    done <"$file" >"$STATE/crontab"
    [[ $changed == yes ]] || continue
    stage_file "$file" "$(stat -c '0%a' -- "$file")" <"$STATE/crontab"
    # cron ignores a crontab with another owner.
    chown --reference="$file" -- "$STAGED$file"
  done < <(cron_files)
  rm -f -- "$STATE/crontab"
  stage_drop_ins
}

# A service with this drop-in is skipped, however it is started: by its timer, by cron or by hand.
stage_drop_ins() {
  local unit path
  while IFS= read -r unit; do
    [[ -n $(service_replaced "$unit") ]] || continue
    stage_file "$(drop_in_of "$unit")" 0644 <<END
# Generated by registry-warden: its maintenance is in place of this service, which runs again once this file is gone.
[Unit]
ConditionPathExists=!$MANIFEST
END
  done < <(services)
  while IFS= read -r path; do
    [[ -f $STAGED$path ]] || REMOVED+=("$path")
  done < <(drop_ins)
}

# Stops running ones, so that they do not interfere while the registries are replaced.
stop_collectors() {
  local path
  while IFS= read -r path; do
    systemctl stop "$(service_of_drop_in "$path")"
  done < <(drop_ins)
}

# Reports the entries and services that differ from the settings as findings.
inspect_collectors() {
  local file line user text unit
  while IFS= read -r file; do
    user=$(user_in "$file")
    while IFS= read -r line; do
      text=$(replaced_in "$(cron_command "$user" "${line#"$DISABLED"}")")
      if [[ $line == "$DISABLED"* && -z $text ]]; then
        compare "entry of cron in $file" "enabled, because no maintenance is in its place" "disabled"
      elif [[ $line != "$DISABLED"* && -n $text ]]; then
        compare "entry of cron in $file" "disabled, because the maintenance is in its place" "enabled: … $text …"
      fi
    done <"$file"
  done < <(cron_files)
  while IFS= read -r unit; do
    text=$(service_replaced "$unit")
    if [[ -n $text && ! -f $(drop_in_of "$unit") ]]; then
      compare "systemd service ${unit##*/}" "disabled, because the maintenance is in its place" "enabled: … $text …"
    elif [[ -z $text && -f $(drop_in_of "$unit") ]]; then
      compare "systemd service ${unit##*/}" "enabled, because no maintenance is in its place" "disabled"
    fi
  done < <(services)
}
