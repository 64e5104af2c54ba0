# Brings the running interfaces to the new interfaces(5) file: what differs from the file before goes down, what is down comes up.
new=/etc/network/interfaces
old=$LABCTL_BEFORE$new
if [ -e "$old" ]; then
  for name in $(ifquery --interfaces "$old" --list --all); do
    [ "$(ifquery --interfaces "$old" "$name")" = "$(ifquery "$name" 2>/dev/null)" ] || ifdown --force --interfaces "$old" "$name"
  done
fi
ifup --all
[ -e /etc/ssl/private/site.key ] && [ ! -e "$LABCTL_BEFORE/usr/local/sbin/make-certificate" ] || /usr/local/sbin/make-certificate
nginx -t -q
systemctl reload-or-restart nginx
