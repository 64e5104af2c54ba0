# Both daemons read their settings when they start. At the first boot they may not have come to that yet: then nothing needs to
# start again, which costs seconds.
restart() { # unit, its file
  [ -e "$LABCTL_BEFORE$2" ] || return 0
  [ "$(systemctl show --property MainPID --value "$1")" = 0 ] || systemctl restart "$1"
}
restart containerd.service /etc/containerd/config.toml
restart docker.service /etc/docker/daemon.json

# Brings the running interfaces to the new interfaces(5) file: what differs from the file before goes down, what is down comes up.
new=/etc/network/interfaces
old=$LABCTL_BEFORE$new
if [ -e "$old" ]; then
  for name in $(ifquery --interfaces "$old" --list --all); do
    [ "$(ifquery --interfaces "$old" "$name")" = "$(ifquery "$name" 2>/dev/null)" ] || ifdown --force --interfaces "$old" "$name"
  done
fi
ifup --all

docker image inspect labctl/web >/dev/null 2>&1 || /usr/local/src/web-image/build >/dev/null

# Containers whose line has changed are made anew.
script=/usr/local/sbin/start-containers
if [ -e "$LABCTL_BEFORE$script" ]; then
  grep -- --name "$LABCTL_BEFORE$script" | while read -r line; do
    grep -qxF -- "  $line" $script || docker rm --force "$(echo "$line" | sed 's/.*--name \([a-z0-9-]*\).*/\1/')" >/dev/null
  done
fi
if [ -e "$LABCTL_BEFORE/etc/systemd/system/containers.service" ]; then
  systemctl daemon-reload
  systemctl --quiet enable containers.service
fi
if [ -e "$LABCTL_BEFORE$script" ]; then systemctl restart containers.service; else systemctl start containers.service; fi
