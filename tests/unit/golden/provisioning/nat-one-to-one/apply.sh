sysctl -q -p /etc/sysctl.d/80-nat.conf
# nftables.service reads the rules at boot, before the network is up. Here they are read anew, all at once, where they differ.
if [ -e "$LABCTL_BEFORE/etc/nftables.conf" ]; then
  nft --check --file /etc/nftables.conf
  systemctl is-enabled --quiet nftables.service || systemctl --quiet enable nftables.service
  systemctl reload-or-restart nftables.service
fi
# Brings the running interfaces to the new interfaces(5) file: what differs from the file before goes down, what is down comes up.
new=/etc/network/interfaces
old=$LABCTL_BEFORE$new
if [ -e "$old" ]; then
  for name in $(ifquery --interfaces "$old" --list --all); do
    [ "$(ifquery --interfaces "$old" "$name")" = "$(ifquery "$name" 2>/dev/null)" ] || ifdown --force --interfaces "$old" "$name"
  done
fi
ifup --all
