# Runs as root in the new file system, after packages and files/ are there; $1 is the directory with this script's lists.
# Owns what cannot be said by a file alone: masks, links, permissions, what must be empty in an image.
set -eu
lists=$1

grep -v '^#' "$lists/masked-units.txt" | grep . | while read -r unit; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done
grep -v '^#' "$lists/masked-generators.txt" | grep . | while read -r generator; do
  mkdir -p /etc/systemd/system-generators
  ln -sf /dev/null "/etc/systemd/system-generators/$generator"
done
rm -f /lib/systemd/system/multi-user.target.wants/dbus.service # its socket starts it when somebody calls
rm -f /etc/systemd/system/multi-user.target.wants/ssh.service /etc/systemd/system/sshd.service
mkdir -p /etc/systemd/system/sockets.target.wants /etc/systemd/system/sysinit.target.wants
ln -sf /lib/systemd/system/ssh.socket /etc/systemd/system/sockets.target.wants/ssh.socket
ln -sf /etc/systemd/system/management-namespace.service /etc/systemd/system/sysinit.target.wants/management-namespace.service
mkdir -p /etc/systemd/system/getty.target.wants
ln -sf /lib/systemd/system/serial-getty@.service /etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service
systemctl set-default multi-user.target >/dev/null 2>&1

# No password opens a node: root logs in by key, and on its serial console.
usermod -p '*' root  # not '!': sshd without PAM takes that for a locked account
chmod 0700 /root

# What must differ between copies is made when a node comes up, never kept here.
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /var/lib/systemd/random-seed /etc/machine-id /var/lib/dbus/machine-id
: >/etc/machine-id
: >/etc/motd
rm -rf /var/log/journal /var/cache/apt/archives/*.deb /var/cache/debconf/*-old /var/lib/dpkg/*-old /boot/initrd.img*
find /var/log -type f -exec truncate -s 0 {} +
rm -f /var/cache/apt/*.bin /etc/apt/apt.conf.d/99mmdebstrap
