# Bare repositories, with what runs after a push. One that is not asked for any more stays where it is: what was pushed is somebody's work.
id git >/dev/null 2>&1 || useradd --system --home-dir /srv/git --shell /usr/sbin/nologin git
mkdir -p /srv/git
{% for name in settings.repositories %}
[ -e /srv/git/{{ name }}.git ] || git init --quiet --bare --initial-branch=main /srv/git/{{ name }}.git
ln -sfn /usr/local/lib/git/{{ name }}-pushed /srv/git/{{ name }}.git/hooks/post-receive
{% endfor %}
chown -R -h git:git /srv/git
if [ -e "$LABCTL_BEFORE/etc/systemd/system/git-daemon.service" ]; then
  systemctl daemon-reload
  systemctl --quiet enable git-daemon.service
fi
systemctl start git-daemon.service
