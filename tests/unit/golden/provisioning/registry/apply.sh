# Brings the running interfaces to the new interfaces(5) file: what differs from the file before goes down, what is down comes up.
new=/etc/network/interfaces
old=$LABCTL_BEFORE$new
if [ -e "$old" ]; then
  for name in $(ifquery --interfaces "$old" --list --all); do
    [ "$(ifquery --interfaces "$old" "$name")" = "$(ifquery "$name" 2>/dev/null)" ] || ifdown --force --interfaces "$old" "$name"
  done
fi
ifup --all
[ ! -e "$LABCTL_BEFORE/etc/systemd/system/docker-registry.service.d/access-log.conf" ] || systemctl daemon-reload
if [ -e "$LABCTL_BEFORE/etc/docker/registry/config.yml" ] || [ -e "$LABCTL_BEFORE/etc/systemd/system/docker-registry.service.d/access-log.conf" ]; then
  systemctl restart docker-registry.service
fi
! systemctl is-active --quiet git-daemon.service || systemctl --quiet disable --now git-daemon.service
