sysctl -q -p /etc/sysctl.d/80-router.conf
# Brings the running interfaces to the new interfaces(5) file: what differs from the file before goes down, what is down comes up.
new=/etc/network/interfaces
old=$LABCTL_BEFORE$new
if [ -e "$old" ]; then
  for name in $(ifquery --interfaces "$old" --list --all); do
    [ "$(ifquery --interfaces "$old" "$name")" = "$(ifquery "$name" 2>/dev/null)" ] || ifdown --force --interfaces "$old" "$name"
  done
fi
ifup --all

chown frr:frr /etc/frr/daemons /etc/frr/frr.conf
export SYSTEMCTL_SKIP_SYSV=1      # what it would do for old init scripts costs seconds at an emulated boot, and does nothing here
systemctl --quiet enable frr
if [ -e "$LABCTL_BEFORE/etc/frr/daemons" ] || ! systemctl is-active --quiet frr; then
  systemctl restart frr
elif [ -e "$LABCTL_BEFORE/etc/frr/frr.conf" ]; then
  # `systemctl reload` also takes back what is gone; 20 s, emulated. Where numbers just take the place of others, reading it is enough.
  awk '
    function key(line) { sub(/( [0-9]+)+$| (broadcast|point-to-point)$/, "", line); return line }
    /^!/ { next }
    /^[^ ]/ { top = $0 }
    { line = top "|" $0 }
    FNR == NR { old[line]; next }
    { new[line]; now[key(line)] }
    END {
      for (line in old)
        if (!(line in new) && !(line ~ /\| (ip ospf (cost|dead-interval|hello-interval|network)|timers) / && (key(line) in now))) exit 1
    }' "$LABCTL_BEFORE/etc/frr/frr.conf" /etc/frr/frr.conf && vtysh -b || systemctl reload frr
fi
