# nftables.service reads the rules at boot, before the network is up. Here they are read anew, all at once, where they differ.
if [ -e "$LABCTL_BEFORE/etc/nftables.conf" ]; then
  nft --check --file /etc/nftables.conf
  systemctl is-enabled --quiet nftables.service || systemctl --quiet enable nftables.service
  systemctl reload-or-restart nftables.service
fi
