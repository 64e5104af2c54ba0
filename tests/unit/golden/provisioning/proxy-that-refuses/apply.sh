sysctl -q -p /etc/sysctl.d/80-proxy.conf
# Brings the running interfaces to the new interfaces(5) file: what differs from the file before goes down, what is down comes up.
new=/etc/network/interfaces
old=$LABCTL_BEFORE$new
if [ -e "$old" ]; then
  for name in $(ifquery --interfaces "$old" --list --all); do
    [ "$(ifquery --interfaces "$old" "$name")" = "$(ifquery "$name" 2>/dev/null)" ] || ifdown --force --interfaces "$old" "$name"
  done
fi
ifup --all
# A restart, not a reload: Squid goes on by its old rules for a while after it has been told of new ones.
if [ -e "$LABCTL_BEFORE/etc/squid/squid.conf" ]; then
  said=$(squid -k parse 2>&1) || { echo "$said" >&2; exit 1; }
  systemctl restart squid
fi
