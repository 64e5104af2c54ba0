# A copy of a web server has a key of its own, where it has one.
if [ -e /etc/ssl/private/site.key ]; then
  /usr/local/sbin/make-certificate
  systemctl try-reload-or-restart nginx
fi
