# Brings a running bridge to the new interfaces(5) file without taking it down: the commands of an interface that differs run again.
new=/etc/network/interfaces
old=$LABCTL_BEFORE$new
if [ -e "$old" ]; then
  for name in $(ifquery --interfaces "$old" --list --all); do
    now=$(ifquery "$name" 2>/dev/null) || { ifdown --force --interfaces "$old" "$name"; continue; }
    [ "$(ifquery --interfaces "$old" "$name")" = "$now" ] || echo "$now" | sed -n 's/^pre-up: //p; s/^up: //p' | sh -eu
  done
fi
ifup --all
