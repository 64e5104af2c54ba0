# Brings the running interfaces to the new interfaces(5) file: what differs from the file before goes down, what is down comes up.
new=/etc/network/interfaces
old=$LABCTL_BEFORE$new
if [ -e "$old" ]; then
  for name in $(ifquery --interfaces "$old" --list --all); do
    [ "$(ifquery --interfaces "$old" "$name")" = "$(ifquery "$name" 2>/dev/null)" ] || ifdown --force --interfaces "$old" "$name"
  done
fi
ifup --all
# Bare repositories, with what runs after a push. One that is not asked for any more stays where it is: what was pushed is somebody's work.
id git >/dev/null 2>&1 || useradd --system --home-dir /srv/git --shell /usr/sbin/nologin git
mkdir -p /srv/git
[ -e /srv/git/shop.git ] || git init --quiet --bare --initial-branch=main /srv/git/shop.git
ln -sfn /usr/local/lib/git/shop-pushed /srv/git/shop.git/hooks/post-receive
[ -e /srv/git/site.git ] || git init --quiet --bare --initial-branch=main /srv/git/site.git
ln -sfn /usr/local/lib/git/site-pushed /srv/git/site.git/hooks/post-receive
chown -R -h git:git /srv/git
if [ -e "$LABCTL_BEFORE/etc/systemd/system/git-daemon.service" ]; then
  systemctl daemon-reload
  systemctl --quiet enable git-daemon.service
fi
systemctl start git-daemon.service
