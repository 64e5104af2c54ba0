#!/usr/bin/env bash
# Runs a command, as root, beside a libvirtd of its own: network, mounts and processes are in namespaces that end with the command.
# The machine's own libvirt, its networks and its settings are neither seen nor touched.
#
#   vagrant-session.sh DIRECTORY COMMAND…     DIRECTORY holds all that libvirt and Vagrant write
set -euo pipefail
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$@"
place=$(realpath "$1")

if [ "${2:-}" != --inside ]; then
  shift
  exec unshare --net --mount --pid --ipc --fork --kill-child --mount-proc --propagation private "$0" "$place" --inside "$@"
fi
shift 2

mkdir -p "$place"/{etc,lib,cache,home}
printf 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\ncgroup_controllers = []\nstdio_handler = "file"\n' >"$place/etc/qemu.conf"
printf 'auth_unix_rw = "none"\nunix_sock_group = "root"\n' >"$place/etc/libvirtd.conf"
cat >"$place/network.xml" <<'END'
<network>
  <name>vagrant-libvirt</name>
  <forward mode="open"/>
  <bridge name="virbr0" stp="off" delay="0"/>
  <ip address="192.168.121.1" netmask="255.255.255.0">
    <dhcp>
      <range start="192.168.121.2" end="192.168.121.254"/>
    </dhcp>
  </ip>
</network>
END
# The user that Debian's libvirt starts machines as comes with its system service, which is not wanted here.
for list in passwd group; do
  cp "/etc/$list" "$place/$list"
  grep -q '^libvirt-qemu:' "$place/$list" || case $list in
    passwd) echo 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin' >>"$place/$list" ;;
    group) echo 'libvirt-qemu:x:64055:' >>"$place/$list" ;;
  esac
  mount --bind "$place/$list" "/etc/$list"
done
ip link set lo up
for name in etc lib cache; do
  case $name in etc) over=/etc/libvirt ;; *) over=/var/$name/libvirt ;; esac
  mkdir -p "$over" && mount --bind "$place/$name" "$over"
done
mount -t tmpfs -o mode=0755 tmpfs /run
export HOME=$place/home VAGRANT_HOME=$place/home/vagrant
libvirtd >"$place/libvirtd.log" 2>&1 &
tries=0
until virsh -q -c qemu:///system net-list >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { cat "$place/libvirtd.log" >&2 && exit 4; }
  sleep 0.2
done
virsh -q -c qemu:///system net-info vagrant-libvirt >/dev/null 2>&1 || virsh -q -c qemu:///system net-define "$place/network.xml"
virsh -q -c qemu:///system net-start vagrant-libvirt
"$@"
